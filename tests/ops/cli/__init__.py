"""Tests of the command line, against a running `holdfast up`."""
