"""How many orders a second leave for a warehouse that takes all of them at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, SetStock
from tests.chaos.conftest import Record
from tests.wms_sync.depot import Depot
from tests.wms_sync.test_service import accepted, pay
from tests.wms_sync.worker import working
from wms_sync.outbox.file import outbox_path

ORDERS = 10_000
CALLS = 16
KINDS = {
    "one by one": "DepotConnector",
    "by 50": "BatchConnector",
    "one by one, locks": "LockConnector",
    "by 50, locks": "LockBatchConnector",
}


async def measure(engine: Engine, settings: Settings, depot: Depot, kind: str) -> dict[str, float]:
    """Pay for all, then let the outbox take them, detail them and hand them over."""
    await engine.set_stock(SetStock("A", "main", ORDERS, 0), SYSTEM)
    for first in range(0, ORDERS, 1_000):
        await pay(engine, first, 1_000)
    path: Path = outbox_path(settings.data_dir)
    times: list[float] = []
    depot.before = lambda verb, codes: times.append(time.perf_counter())
    connector = f"tests.wms_sync.depot:{KINDS[kind]}"
    with working(settings, depot, connector=connector, calls_in_flight=CALLS):
        async with asyncio.timeout(280):
            while accepted(path) != ORDERS:  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(0.05)
        seconds = time.perf_counter() - times[0]
    assert len(depot.effects) == ORDERS
    return {"orders": ORDERS, "calls": len(depot.calls), "a_second": round(ORDERS / seconds)}


@pytest.mark.chaos
@pytest.mark.parametrize("kind", KINDS)
async def test_the_rate(
    engine: Engine, settings: Settings, depot: Depot, record: Record, kind: str
) -> None:
    """Without pacing, with the disk's sync, the store and the warehouse on the same two cores."""
    figures = await measure(engine, settings, depot, kind)
    record(kind=kind, **figures)
    assert figures["a_second"] >= (300 if "locks" in kind else 500)  # a lock may be a call more


@pytest.fixture
async def depot():
    """Open the depot."""
    async with Depot() as opened:
        yield opened
