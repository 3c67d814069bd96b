"""What we compare ourselves with, frozen: changing a file here changes every figure."""
