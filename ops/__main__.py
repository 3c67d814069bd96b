"""`python -m ops`: the same as the command `holdfast`."""

from ops.cli import main

if __name__ == "__main__":
    main()
