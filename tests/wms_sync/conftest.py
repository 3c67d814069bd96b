"""Fixtures: the depot, and a bed with everything in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.store import Store
from tests.wms_sync.bed import Bed
from tests.wms_sync.depot import Depot


@pytest.fixture
async def depot() -> AsyncIterator[Depot]:
    """Open the depot."""
    async with Depot() as opened:
        yield opened


@pytest.fixture
async def bed(store: Store, engine: Engine, settings: Settings, depot: Depot) -> AsyncIterator[Bed]:
    """Lay a thousand of A in each warehouse; nothing is paid yet."""
    made = Bed(store, engine, settings, depot)
    await made.stock()
    await made.stock(warehouse="east")
    await made.stock("B")
    made.open()
    await made.all()
    await made.later(3600)  # a new warehouse has nothing to its credit
    yield made
    await made.close()
