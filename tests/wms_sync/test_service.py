"""All loops in a process of their own, killed in the middle."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from pathlib import Path

import pytest

from reservation.config import Settings, load
from reservation.engine import Engine
from reservation.errors import ConfigurationError
from reservation.model import SYSTEM, Line, Reserve, SetStock
from reservation.store.store import Store
from tests.waiting import happens
from tests.wms_sync.bed import Book
from tests.wms_sync.depot import Depot
from tests.wms_sync.worker import working
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import OutboxUnavailable, outbox_path
from wms_sync.outbox.reads import OutboxReads, look_at
from wms_sync.service import run_warehouses

CHAOS = [-429, -429, -429, -429, -429, 500, 500, 500, "cut", "cut"]  # of a hundred calls


def accepted(path: Path) -> int:
    """Count what the warehouse has; nothing while the file is being made."""

    def count(reads: OutboxReads) -> int:
        return sum(d.orders for d in reads.depths("main") if d.state is DeliveryState.ACCEPTED)

    try:
        return look_at(path, count) or 0
    except OutboxUnavailable:
        return 0


async def pay(engine: Engine, first: int, count: int) -> None:
    """Have orders paid."""
    steps = [
        Reserve(f"tmall:{number}", (Line("A", "main", 1),), 1_800_000, confirm=True)
        for number in range(first, first + count)
    ]
    await asyncio.gather(*(engine.reserve(step, SYSTEM) for step in steps))


@pytest.mark.parametrize(
    ("kills", "orders"), [(1, 100), pytest.param(100, 47_000, marks=pytest.mark.chaos)]
)
@pytest.mark.timeout(3_600)
async def test_killed_again_and_again_each_order_has_one_effect(
    engine: Engine, settings: Settings, depot: Depot, kills: int, orders: int
) -> None:
    """Amid 5 % of 429, 3 % of 500 behind the effect and 2 % of cut lines.

    Another process stands by each time, works once the lock is free, and no sooner.
    The short form takes some seconds: two processes have to start.
    """
    chance = random.Random(7)
    depot.faults.chance = lambda: chance.choice(CHAOS) if chance.random() < 0.1 else None
    await engine.set_stock(SetStock("A", "main", orders, 0), SYSTEM)
    path = outbox_path(settings.data_dir)
    with ExitStack() as stack:
        first = stack.enter_context(working(settings, depot, calls_in_flight=8))
        for kill in range(kills):
            standby = stack.enter_context(working(settings, depot, calls_in_flight=8))
            part, wanted = orders // kills, len(depot.calls) + 1
            await pay(engine, kill * part, part)
            wanted += chance.randrange(part)

            async def has_called(wanted: int = wanted) -> bool:
                return len(depot.calls) >= wanted

            await happens(has_called)
            first.kill()
            first.wait()
            first = standby
        async with asyncio.timeout(60 + orders / 50):
            while accepted(path) != orders:  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(0.02)
    assert depot.effects == {f"tmall:{number}@main": 1 for number in range(orders)}


async def test_without_a_warehouse_there_is_nothing_to_do(store: Store, settings: Settings) -> None:
    """It ends at once, and makes no file."""
    await run_warehouses(store, settings, asyncio.Event(), Book())
    assert not outbox_path(settings.data_dir).exists()


async def test_a_connector_that_is_none_is_a_clear_error(store: Store, settings: Settings) -> None:
    """It names the warehouse."""
    wms = {"main": {"connector": "abacus", "url": "http://127.0.0.1:9", "code": "x"}}
    bad = load(data_dir=settings.data_dir, redis_url=settings.redis_url, wms=wms)
    with pytest.raises(ConfigurationError, match="main"):
        await run_warehouses(store, bad, asyncio.Event(), Book())
