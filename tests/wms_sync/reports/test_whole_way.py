"""From the paid order to the parcel, and our stock beside the warehouse's, whatever dies."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial

import pytest
from starlette.types import Receive, Scope, Send

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults, Rates
from partners.simulation.serving import beside, served
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Line, Reserve, SetBreakerPolicy, SetStock
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from reservation.warehouses import WarehouseSystem
from tests.waiting import happens
from tests.wms_sync.qimen_house import OPTIONS, SECRET
from tests.wms_sync.worker import working
from wms_sync.outbox.delivery import Anomaly, DeliveryState
from wms_sync.outbox.file import OutboxUnavailable, outbox_path
from wms_sync.outbox.reads import look_at
from wms_sync.reports.box import Box, reports_path
from wms_sync.reports.endpoints import Reports
from wms_sync.simulator import qimen as simulated
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.qimen.account import Settings as Gateway
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

SKUS = ("A", "B", "C")
UNITS = 1_000_000
ACCOUNT = simulated.Account(
    app_key="12345678",
    secret=SECRET,
    customer_id=OPTIONS["customer_id"],
    warehouse_code="W01",
    owner_code="OWN",
)


def site_of(*, changes_of_orders: bool) -> simulated.Qimen:
    """Make a warehouse at which much goes wrong, and which says everything twice, or late."""
    ways = Ways(
        accept_ms=20,
        pick_ms=20,
        ship_ms=50,
        part_ms=50,
        spread=1.0,
        parts=0.3,
        lacks=0.1,
        several_packages=0.2,
        rejects=0.05,
    )
    clock = Clock()
    warehouse = Warehouse(clock, ways, seed=3, first_id=1)
    for sku in SKUS:
        warehouse.put_in(sku, Kind.GOOD, UNITS)
    rates = Rates(
        error=0.03,
        throttled=0.03,
        timed_out=0.02,
        unanswered=0.02,
        duplicated=0.1,
        reordered=0.2,
        delay_ms=300,
    )
    site = Site(clock, Faults(rates, seed=3), warehouse)
    gateway = Gateway(retry_ms=[100] * 7, stock_changes_of_orders=changes_of_orders)
    return simulated.Qimen(site, ACCOUNT, gateway)


def system_of(url: str) -> WarehouseSystem:
    """Say who we are there."""
    return WarehouseSystem(
        connector="qimen",
        url=f"{url}{simulated.PATH}",
        code="W01",
        owner="OWN",
        app_key="12345678",
        secrets=(SECRET,),
        options=OPTIONS,
    )


async def pay(engine: Engine, numbers: Sequence[int], chance: random.Random) -> None:
    """Have orders paid, of one SKU or several."""
    steps = [
        Reserve(
            f"tmall:{number}",
            tuple(
                Line(sku, "main", chance.randrange(1, 4))
                for sku in sorted(chance.sample(SKUS, chance.randrange(1, 4)))
            ),
            1_800_000,
            confirm=True,
        )
        for number in numbers
    ]
    outcomes = await asyncio.gather(*(engine.reserve(step, SYSTEM) for step in steps))
    assert all(outcome.status.ok for outcome in outcomes)


def states(settings: Settings) -> Counter[str]:
    """Count the orders by where they are; nothing while the file is being made."""
    try:
        depths = look_at(outbox_path(settings.data_dir), lambda reads: reads.depths("main"))
    except OutboxUnavailable:
        depths = None
    return Counter({one.state: one.orders for one in depths or () if one.orders})


@pytest.mark.parametrize(
    ("kills", "orders", "changes_of_orders"),
    [
        (1, 60, True),
        pytest.param(30, 3_000, True, marks=pytest.mark.chaos),
        pytest.param(30, 3_000, False, marks=pytest.mark.chaos),
    ],
)
@pytest.mark.timeout(1_800)
async def test_both_sides_have_the_same_stock_in_the_end(
    store: Store,
    engine: Engine,
    settings: Settings,
    kills: int,
    orders: int,
    *,
    changes_of_orders: bool,
) -> None:
    """Amid faults, parts, lacks, rejections, doubled and late reports; the process is killed.

    Whether the warehouse tells what it ships as a change of stock as well, or does not.
    The short form takes some seconds: two processes have to start.
    """
    chance = random.Random(7)
    for sku in SKUS:
        await engine.set_stock(SetStock(sku, "main", UNITS, 0), SYSTEM)
        # So many lacks would suspend it.
        await engine.breakers.set_policy(SetBreakerPolicy(sku, exempt=True), SYSTEM)
    simulator = site_of(changes_of_orders=changes_of_orders)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(simulator))
        system = system_of(url)
        keyring = Keyring(store.client)
        stack.push_async_callback(keyring.close)
        door = Reports(settings.model_copy(update={"wms": {"main": system}}))
        stack.push_async_callback(door.close)
        app = create_app(engine, keyring, settings, more=door.endpoints())

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)  # a function: uvicorn sees what it is called with

        ours = await stack.enter_async_context(beside(serve))
        simulator.point_to(f"{ours}/v1/warehouses/main/reports")
        await _play(settings, engine, simulator, system, chance, kills, orders)
    warehouse = simulator.site.warehouse
    box = Box(reports_path(settings.data_dir))
    for sku in SKUS:
        stock = await engine.stock(sku)
        assert stock is not None
        there = warehouse.goods.level(sku)
        assert stock.levels[0].on_hand == there.quantity + there.locked
    assert [one.reason or one.anomaly for one in box.for_people()] == []
    rows = look_at(outbox_path(settings.data_dir), lambda reads: reads.deliveries("1", ()))
    parts = {part.code: part for part in rows or ()}
    for code, order in warehouse.orders.items():
        part = parts[code]
        left = {number: line.shipped for number, line in order.lines.items() if line.shipped}
        assert {str(number): units for number, units in part.left.items()} == left
        whole = all(line.shipped == line.planned for line in order.lines.values())
        expected = (
            (DeliveryState.SHIPPED, Anomaly.NONE)
            if whole
            else (DeliveryState.SHIPPED, Anomaly.SHIPPED_SHORT)
            if left
            else (DeliveryState.REJECTED, Anomaly.REJECTED)
        )
        assert (part.state, part.anomaly) == expected
    box.close()


async def _play(
    settings: Settings,
    engine: Engine,
    simulator: simulated.Qimen,
    system: WarehouseSystem,
    chance: random.Random,
    kills: int,
    orders: int,
) -> None:
    told = system.model_dump(mode="json") | {"orders_per_day": 100_000_000, "burst": 1_000_000}
    box, warehouse = Box(reports_path(settings.data_dir)), simulator.site.warehouse

    async def has_orders(wanted: int) -> bool:
        return len(warehouse.orders) >= wanted

    async def is_over() -> bool:
        return _is_over(settings, simulator, box, orders)

    with ExitStack() as stack:
        first = stack.enter_context(working(settings, **told))
        for kill in range(kills):
            standby = stack.enter_context(working(settings, **told))
            part, before = orders // kills, len(warehouse.orders)
            await pay(engine, range(kill * part, (kill + 1) * part), chance)
            wanted = before + chance.randrange(1, part)
            await happens(partial(has_orders, wanted), seconds=60)
            first.kill()
            first.wait()
            first = standby
        await happens(is_over, seconds=60 + orders / 20)
    box.close()


def _is_over(settings: Settings, simulator: simulated.Qimen, box: Box, orders: int) -> bool:
    """Say whether all has been sent, told and applied."""
    found, warehouse = states(settings), simulator.site.warehouse
    ended = found[DeliveryState.SHIPPED] + found[DeliveryState.REJECTED]
    return (
        ended == orders
        and warehouse.next_due_ms is None
        and not simulator.courier.waiting
        and not box.counts("main")["waiting"]
    )
