"""The ops board in a real browser."""
