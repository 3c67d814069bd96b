"""Tests of the replay; `conftest` has the service in this process and its time."""
