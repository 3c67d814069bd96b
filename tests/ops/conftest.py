"""Fixtures of the process tree's tests."""

from __future__ import annotations

import pytest

from tests.conftest import need_program


@pytest.fixture(
    params=["auto", pytest.param("redis-server", marks=pytest.mark.chaos)], ids=["wheel", "system"]
)
def program(request: pytest.FixtureRequest) -> str:
    """Name a server program: the wheel's, and the system's where there is one."""
    name: str = request.param
    return name if name == "auto" else need_program(name)
