"""All loops in a process of their own, killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from reservation.config import Settings, load
from reservation.engine import Engine
from reservation.errors import ConfigurationError
from reservation.model import SYSTEM, Line, Release, Reserve, SetStock
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from reservation.warehouses import WarehouseSystem
from tests.ops.service import Service
from tests.waiting import happens, until
from tests.wms_sync.bed import Book
from tests.wms_sync.depot import Depot, codes
from tests.wms_sync.worker import working
from wms_sync.model import Dispatch
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import OutboxUnavailable, outbox_path
from wms_sync.outbox.reads import OutboxReads, look_at
from wms_sync.service import run_warehouses

ENDS = (DeliveryState.ACCEPTED, DeliveryState.CANCELLED)
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


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_killed_again_and_again_no_lock_is_left(
    engine: Engine, settings: Settings, depot: Depot
) -> None:
    """2,000 orders at 40 a second, every seventh cancelled, amid faults of both kinds of calls."""
    orders, kills, chance = 2_000, 20, random.Random(7)
    for faults in (depot.faults, depot.lock_faults):
        faults.chance = lambda: chance.choice(CHAOS) if chance.random() < 0.1 else None
    await engine.set_stock(SetStock("A", "main", orders, 0), SYSTEM)
    path = outbox_path(settings.data_dir)
    terms = {
        "connector": "tests.wms_sync.depot:LockBatchConnector",
        "orders_per_day": 40 * 86_400,
        "burst": 10,
        "lock_minutes": 0.2,
        "lock_calls_per_minute": 6_000,
    }
    with ExitStack() as stack:
        first = stack.enter_context(working(settings, depot, **terms))
        for kill in range(kills):
            standby = stack.enter_context(working(settings, depot, **terms))
            part, wanted = orders // kills, len(depot.calls) + chance.randrange(1, 10)
            await pay(engine, kill * part, part)

            async def has_called(wanted: int = wanted) -> bool:
                return len(depot.calls) >= wanted

            await happens(has_called)
            for number in range(kill * part, (kill + 1) * part, 7):
                await engine.release(Release(f"tmall:{number}"), SYSTEM)
            first.kill()
            first.wait()
            first = standby

        def is_over(reads: OutboxReads) -> bool:
            depths = {one.state: one.orders for one in reads.depths("main") if one.orders}
            return sum(depths.get(state, 0) for state in ENDS) == orders

        async with asyncio.timeout(300):
            while not look_at(path, is_over) or depot.locks:  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.1)
    assert len(codes(depot, "lock")) > orders // 2
    assert set(depot.effects.values()) == {1}


def entered(path: Path) -> int:
    """Count the orders that wait for their details."""

    def count(reads: OutboxReads) -> int:
        return sum(d.orders for d in reads.depths("main") if d.state is DeliveryState.UNDETAILED)

    try:
        return look_at(path, count) or 0
    except OutboxUnavailable:
        return 0


WMS = {"main": {"connector": "tests.wms_sync.depot:DepotConnector", "url": "http://w", "code": "x"}}
KEYS = {"HOLDFAST_ADMIN_KEY": "admin-key-of-the-warehouse-tests", "HOLDFAST_LOG_LEVEL": "info"}
KEY = {"Authorization": f"Bearer {KEYS['HOLDFAST_ADMIN_KEY']}"}


def order(url: str, number: int) -> None:
    """Have an order paid."""
    body = {
        "reservation_id": f"tmall:{number}",
        "lines": [{"sku": "A", "quantity": 1}],
        "confirm": True,
    }
    assert httpx.post(f"{url}/v1/reservations", json=body, headers=KEY).status_code == 201


@pytest.mark.chaos
def test_a_process_of_its_own_feeds_warehouses_whatever_dies(tmp_path: Path) -> None:
    """Killed, another one goes on; all end when all ends. It takes some seconds to start."""
    wms = {"HOLDFAST_WMS": json.dumps(WMS)}
    with Service("up", "--port", "0", "--data-dir", tmp_path / "var", **KEYS, **wms) as service:
        url, path = service.url, outbox_path(tmp_path / "var")
        stock = httpx.put(f"{url}/v1/stock/A", json={"on_hand": 100}, headers=KEY)
        assert stock.status_code == 201
        order(url, 1)
        until(lambda: entered(path) == 1, "the order is in the outbox", seconds=30)
        (feeding,) = service.tree()["warehouses"]
        os.kill(feeding, signal.SIGKILL)
        order(url, 2)
        until(lambda: entered(path) == 2, "another one goes on", seconds=30)
        assert service.end() == 0
        assert "warehouses_stopped" in service.errors
        assert service.nothing_left()


def test_agents_alone_feed_warehouses_too(tmp_path: Path, server: EmbeddedStore) -> None:
    """They do all that there is to do, in one process."""
    where = {"HOLDFAST_REDIS_URL": server.url, "HOLDFAST_DURABILITY": "memory"}
    wms = {"HOLDFAST_WMS": json.dumps(WMS)}
    with Service("agents", "--data-dir", tmp_path / "var", **KEYS, **where, **wms) as service:
        path = outbox_path(tmp_path / "var")
        until(path.exists, "the outbox is made", seconds=30)
        assert service.end() == 0


async def test_a_bug_in_one_loop_stops_no_other(
    store: Store, engine: Engine, settings: Settings, depot: Depot
) -> None:
    """Who gives details has one: orders enter all the same."""

    class Buggy(Book):
        async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
            """Tell what nobody can write down."""
            return 1  # type: ignore[return-value]

    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    connector = {"connector": "tests.wms_sync.depot:DepotConnector", "url": depot.url, "code": "x"}
    system = WarehouseSystem(**connector)
    stop, path = asyncio.Event(), outbox_path(settings.data_dir)
    with_system = settings.model_copy(update={"wms": {"main": system}})
    with capture_logs() as said:
        running = asyncio.create_task(run_warehouses(store, with_system, stop, Buggy()))

        def bugs() -> int:
            return sum(line["event"] == "warehouse_bug" for line in said)

        for number in (1, 2):
            await pay(engine, number, 1)

            async def goes_on(number: int = number) -> bool:
                return entered(path) == number and bugs() > 0

            await happens(goes_on)
        stop.set()
        await running


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
