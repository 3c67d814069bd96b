"""Fixtures: the corner shop, the bazaar."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels.asked import ask
from tests.channels.bazaar import BazaarServer
from tests.channels.corner import CornerShop

__all__ = ["ask"]


@pytest.fixture
def shop() -> Iterator[CornerShop]:
    """Open the shop."""
    opened = CornerShop()
    yield opened
    opened.close()


@pytest.fixture
def bazaar() -> Iterator[BazaarServer]:
    """Begin the bazaar."""
    begun = BazaarServer()
    yield begun
    begun.close()
