"""Our Qimen connector before the simulated warehouse, over HTTP: each was written by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
from starlette.responses import Response as Answer

from partners.connection import Connection
from partners.errors import PartnerFault
from partners.model import Push, Request, Response
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from tests.partners.simulation.receiver import Receiver, receiving
from tests.wms_sync.qimen_house import NOW_MS, OPTIONS, SECRET, order
from wms_sync.connector import NOT_THERE, TOO_MANY, Account
from wms_sync.model import (
    Count,
    Counted,
    Created,
    Lacking,
    Progress,
    Progressed,
    Report,
    Shipped,
    StockChanged,
)
from wms_sync.qimen import Qimen
from wms_sync.simulator import qimen as simulated
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

MINUTE_MS = 60_000


@dataclass
class Met:
    """A connector, the warehouse that it speaks with, and who takes the reports."""

    connector: Qimen
    connection: Connection
    clock: Clock
    site: Site
    receiver: Receiver

    async def later(self, minutes: float) -> None:
        """Let time pass at the warehouse."""
        self.clock.advance(round(minutes * MINUTE_MS))
        self.site.changed.set()

    async def send(self, request: Request) -> Response:
        """Call the warehouse."""
        return await self.connection.send(request)

    async def create(self, *orders) -> Sequence[Created]:
        """Hand orders over."""
        request = self.connector.create(orders, self.clock.now_ms())
        return self.connector.read_created(await self.send(request), orders)

    async def stock(self) -> Sequence[Count]:
        """Ask for what there is."""
        request = self.connector.stock(["CATFOOD"], self.clock.now_ms())
        return self.connector.read_stock(await self.send(request))

    async def cancel(self, one) -> bool:
        """Ask that an order does not leave."""
        request = self.connector.cancel(one, "买家取消", self.clock.now_ms())
        return self.connector.read_cancelled(await self.send(request))

    async def reports(self, number: int) -> list[Report]:
        """Wait for so many, and read them."""
        found: list[Report] = []
        for one in await self.receiver.wait_for(number):
            push = Push(one.body, {k.lower(): v for k, v in one.headers.items()}, one.query)
            found += self.connector.read_reports(push, self.clock.now_ms())
        return found


@pytest.fixture
async def met(request: pytest.FixtureRequest) -> AsyncIterator[Met]:
    ways = Ways(**getattr(request, "param", {}))
    clock = Clock(NOW_MS, speed=0.0)
    warehouse = Warehouse(clock, ways, seed=1, first_id=1)
    warehouse.put_in("CATFOOD", Kind.GOOD, 100)
    account = simulated.Account(
        app_key="12345678",
        secret=SECRET,
        customer_id=OPTIONS["customer_id"],
        warehouse_code="W01",
        owner_code="OWN",
    )
    site = Site(clock, Faults(seed=1), warehouse)
    async with receiving() as receiver:
        simulator = simulated.Qimen(site, account, url=receiver.url)
        async with served(simulator) as url:
            connector = Qimen(
                Account(
                    warehouse="main",
                    code="W01",
                    url=f"{url}{simulated.PATH}",
                    owner="OWN",
                    app_key="12345678",
                    secrets=(SECRET,),
                    options=OPTIONS | {"batch": "20"},
                )
            )
            receiver.answer = Answer(connector.acknowledge().body, media_type="text/xml")
            connection = Connection(url)
            yield Met(connector, connection, clock, site, receiver)
            await connection.close()


def of(reports: Sequence[Report], kind: type) -> list:
    """Pick the reports of a kind."""
    return [one for one in reports if isinstance(one, kind)]


async def test_an_order_is_taken_once_and_leaves(met: Met) -> None:
    """From the hand-over to the parcel, and what there is of its goods meanwhile."""
    (created,) = await met.create(order())
    assert (created.accepted, created.short) == (True, ())
    assert created.warehouse_order_id
    (again,) = await met.create(order())
    assert again.accepted
    assert await met.stock() == [Count(sku="CATFOOD", free=98, locked=2)]
    await met.later(180)
    reports = await met.reports(3)
    assert [one.progress for one in of(reports, Progressed)] == [
        Progress.ACCEPTED,
        Progress.UNDER_WAY,
    ]
    (shipped,) = of(reports, Shipped)
    assert (shipped.code, shipped.final, shipped.items) == (order().code, True, (("CATFOOD", 2),))
    assert [parcel.items for parcel in shipped.parcels] == [(("CATFOOD", 2),)]
    assert len({one.message_id for one in reports}) == 3
    assert await met.stock() == [Count(sku="CATFOOD", free=98, locked=0)]


async def test_a_code_with_other_lines_is_refused(met: Met) -> None:
    """It is another order."""
    await met.create(order())
    (refused,) = await met.create(order(order().code, ("CATFOOD", 3)))
    assert (refused.accepted, bool(refused.reason)) == (False, True)


async def test_a_batch_is_taken_but_for_what_is_short(met: Met) -> None:
    """Those that the answer does not speak of go again by themselves: they were taken."""
    orders = [order(f"tmall:{n}@main", ("CATFOOD", units)) for n, units in ((1, 60), (2, 60))]
    told = await met.create(*orders)
    assert [(one.code, one.accepted) for one in told] == [("tmall:2@main", False)]
    (alone,) = await met.create(orders[0])
    assert alone.accepted
    (short,) = await met.create(orders[1])
    assert (short.accepted, short.short) == (False, ("CATFOOD",))


async def test_a_cancel_is_in_time_or_too_late(met: Met) -> None:
    """Until it is picked, and not after; what was never there has no verdict."""
    early, late = order("tmall:1@main"), order("tmall:2@main")
    await met.create(early, late)
    assert await met.cancel(early)
    assert await met.cancel(early)  # a lost answer is asked for again
    assert await met.stock() == [Count(sku="CATFOOD", free=98, locked=2)]
    await met.later(180)
    await met.reports(3)
    assert not await met.cancel(late)
    with pytest.raises(PartnerFault) as fault:
        await met.cancel(order("tmall:3@main"))
    assert fault.value.code == NOT_THERE


@pytest.mark.parametrize("met", [{"intake": 1, "per": "hour", "burst": 1}], indirect=True)
async def test_above_its_intake_it_says_so(met: Met) -> None:
    """That is no refusal of the order: later it is taken."""
    await met.create(order("tmall:1@main"))
    with pytest.raises(PartnerFault) as fault:
        await met.create(order("tmall:2@main"))
    assert (fault.value.code, fault.value.again, fault.value.unknown) == (TOO_MANY, True, False)
    await met.later(60)
    (taken,) = await met.create(order("tmall:2@main"))
    assert taken.accepted


@pytest.mark.parametrize("met", [{"parts": 1.0}], indirect=True)
async def test_parts_add_up(met: Met) -> None:
    """Each is told with what is in it; the last one is the last."""
    await met.create(order(order().code, ("CATFOOD", 5)))
    await met.later(60)
    await met.later(600)
    shipped = of(await met.reports(4), Shipped)
    assert [one.final for one in shipped] == [False, True]
    assert sum(units for one in shipped for _, units in one.items) == 5
    assert len({one.message_id for one in shipped}) == 2


@pytest.mark.parametrize("met", [{"lacks": 1.0}], indirect=True)
async def test_what_lacks_is_told(met: Met) -> None:
    """With the order that it lacks for, and what was not found is off the stock."""
    await met.create(order(order().code, ("CATFOOD", 5)))
    await met.later(180)
    reports = await met.reports(4)
    (lacking,) = of(reports, Lacking)
    ((sku, wanted, lacks),) = lacking.items
    assert (lacking.code, sku, wanted) == (order().code, "CATFOOD", 5)
    assert 1 <= lacks <= 5
    assert [(one.sku, one.delta) for one in of(reports, StockChanged)] == [("CATFOOD", -lacks)]


async def test_a_count_is_told(met: Met) -> None:
    """By how much the shelf differs from the book."""
    met.site.warehouse.count({("CATFOOD", Kind.GOOD): 97}, "COUNT-1")
    (counted,) = await met.reports(1)
    assert isinstance(counted, Counted)
    assert (counted.sku, counted.delta, counted.total) == ("CATFOOD", -3, 97)


async def test_an_order_is_held_back_and_goes_on(met: Met) -> None:
    """While it is held it does not leave."""
    await met.create(order())
    for held in (True, False):
        request = met.connector.hold(order(), held=held, reason="地址", now_ms=met.clock.now_ms())
        met.connector.read_done(await met.send(request))
        await met.later(180)
        assert (await met.stock())[0].locked == (2 if held else 0)
