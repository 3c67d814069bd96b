"""The loop before the simulated Qimen warehouse, over HTTP, with orders on their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from partners.connection import Connection
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from reservation.model import Line
from tests.wms_sync.bed import UNPACED
from tests.wms_sync.qimen_house import OPTIONS, SECRET
from tests.wms_sync.reconciliation.conftest import APART_MS, Yard
from wms_sync.connector import Account
from wms_sync.locker import Locker
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.qimen import Qimen
from wms_sync.reconciliation.model import DriftState
from wms_sync.reconciliation.rule import MINUTE_MS, Gap, Policy
from wms_sync.relay import Relay
from wms_sync.simulator import qimen as simulated
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways
from wms_sync.terms import LockTerms, Terms


@dataclass
class House:
    """The warehouse, and a yard that compares it."""

    yard: Yard
    clock: Clock
    warehouse: Warehouse
    desk: str

    async def look(self) -> None:
        """Look once, with the warehouse's clock at ours."""
        self.clock.advance(self.yard.bed.now_ms + APART_MS - self.clock.now_ms())
        await self.yard.look()

    async def hand_over(self) -> None:
        """Let all that is paid be taken."""
        await self.yard.bed.follow()
        await self.yard.bed.relay()

    async def ask(self, path: str, body: dict[str, Any]) -> int:
        """Use its control side."""
        async with httpx.AsyncClient() as http:
            return (await http.post(f"{self.desk}{path}", json=body)).status_code


@pytest.fixture
async def house(yard: Yard) -> AsyncIterator[House]:
    """A thousand of A and of B, by both sides' books; orders leave 61 minutes after they came."""
    bed = yard.bed
    clock = Clock(bed.now_ms, speed=0.0)
    warehouse = Warehouse(clock, Ways(), seed=1, first_id=1)
    for sku in ("A", "B"):
        warehouse.put_in(sku, Kind.GOOD, 1_000)
    account = simulated.Account(
        app_key="12345678",
        secret=SECRET,
        customer_id=OPTIONS["customer_id"],
        warehouse_code="W01",
        owner_code="OWN",
    )
    simulator = simulated.Qimen(Site(clock, Faults(seed=1), warehouse), account, url=None)
    async with served(simulator) as url:
        yard.connector = Qimen(
            Account(
                warehouse="main",
                code="W01",
                url=f"{url}{simulated.PATH}",
                owner="OWN",
                app_key="12345678",
                secrets=(SECRET,),
                options={**OPTIONS, "locks": "inventoryreserve"},
            )
        )
        yard.connection = Connection(url)
        assert bed.outbox is not None
        bed.relays["main"] = Relay(
            yard.connector,
            yard.connection,
            bed.outbox.handing("main"),
            Terms(name="main", capacity=UNPACED),
            now_ms=lambda: bed.now_ms,
            idle_seconds=0.01,
        )
        bed.lockers["main"] = Locker(
            yard.connector,
            yard.connection,
            bed.outbox.lock_rows("main"),
            LockTerms(name="main", capacity=UNPACED),
            now_ms=lambda: bed.now_ms,
            idle_seconds=0.01,
        )
        yard.policy = Policy(apart_ms=APART_MS, repair_units=5)
        yard.open()
        yield House(yard, clock, warehouse, f"{url}/simulator")
        await yard.connection.close()


async def test_planted_miscounts_are_found_among_orders_and_mended(house: House) -> None:
    """Through a day's way of orders nothing is suspected; what is planted is, and nothing else.

    Both sides have the same in the end.
    """
    yard, bed = house.yard, house.yard.bed
    await house.look()
    for number in range(6):
        await bed.pay(number, Line("A", "main", 5), Line("B", "main", 1))
        await house.hand_over()
        await house.look()
    assert bed.state(5) is DeliveryState.ACCEPTED
    bed.now_ms += 61 * MINUTE_MS
    await house.look()  # some have left, and nobody has told us
    assert house.warehouse.goods.level("A").shipped == 30
    assert yard.notes("A") == yard.notes("B") == []
    planted = [{"item_code": "A", "units": -4}, {"item_code": "B", "units": 2}]
    assert await house.ask("/miscounts", {"items": planted}) == 200
    await house.look()
    for number in range(6):
        await bed.fulfil(number)
    await bed.follow()
    for _ in range(4):
        await house.look()
    for sku in ("A", "B"):
        assert yard.states(sku) == [DriftState.REPAIRED]
        there = house.warehouse.goods.level(sku).there
        assert (await yard.level(sku)).on_hand == there
    assert [yard.findings.drifts_of("main", sku)[0].gap for sku in ("A", "B")] == [
        Gap(-4, -4),
        Gap(2, 2),
    ]


async def test_what_is_locked_for_orders_that_wait_is_nobody_elses(house: House) -> None:
    """A miscount is found among them, exactly; what others have bound is told beside."""
    yard, bed = house.yard, house.yard.bed
    await bed.lock()
    bed.now_ms += 1
    for number in range(6):
        await bed.pay(number, Line("A", "main", 5), Line("B", "main", 1))
    await bed.follow()
    for _ in range(3):
        bed.now_ms += APART_MS
        house.clock.advance(bed.now_ms - house.clock.now_ms())
        await bed.lock()
        await house.look()
    assert house.warehouse.goods.level("A").locked == 30
    assert yard.notes("A") == yard.notes("B") == []
    assert await house.ask("/miscounts", {"items": [{"item_code": "A", "units": -7}]}) == 200
    house.warehouse.reserve("OTHER-1", {"B": 3}, None)
    for _ in range(4):
        bed.now_ms += 1
        await bed.lock()
        await house.look()
    assert yard.drift("A").gap == Gap(-7, -7)
    assert yard.drift("B").gap.foreign == 3
    house.warehouse.unreserve("OTHER-1")
    await bed.relay()  # and their orders take their place
    assert bed.state(5) is DeliveryState.ACCEPTED
    assert house.warehouse.goods.level("A").locked == 30
    await house.look()
    assert yard.drift("A").gap == Gap(-7, -7)


@pytest.mark.parametrize(
    "items",
    [
        [{"item_code": "A", "units": -1}, {"item_code": "B", "units": -1_001}],
        [{"item_code": "A", "units": 0}],
        [{"item_code": "A", "units": -1}, {"item_code": "A", "units": -1_000}],
    ],
)
async def test_what_cannot_be_miscounted_changes_nothing(house: House, items: list) -> None:
    """All of it, or none."""
    assert await house.ask("/miscounts", {"items": items}) in {409, 422}
    assert [level.quantity for level in house.warehouse.goods] == [1_000, 1_000]
