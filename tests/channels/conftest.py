"""Fixtures: the corner shop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels.corner import CornerShop


@pytest.fixture
def shop() -> Iterator[CornerShop]:
    """Open the shop."""
    opened = CornerShop()
    yield opened
    opened.close()
