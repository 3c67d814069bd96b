"""What a warehouse has sent, told to the platform where it was sold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from channels.parcels.announcer import Announcer
from channels.parcels.parcels import (
    Added,
    Notice,
    NoticeState,
    Parcels,
    ParcelsUnavailable,
    parcels_path,
)
from channels.service import platform_of
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop as SimulatedShop
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.trade import Sku, Stage, Wanted
from ops.warehouse_parcels import ChannelParcels, parcels_of
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from reservation.config import Settings
from reservation.errors import InvalidRequest
from reservation.model import MAX_STOCK
from reservation.shops import Shop
from wms_sync.model import Parcel, Shipped

A, B = ("A", 2), ("B", 1)


def report(*parcels: Parcel, name: str = "m1", warehouse: str = "main", **more: object) -> Shipped:
    """Say what has left of an order of two SKUs."""
    said = {"final": True, "items": (A, B), **more}
    return Shipped(message_id=name, code=f"tmall:4701@{warehouse}", parcels=parcels, **said)  # type: ignore[arg-type]


def parcel(number: str, *items: tuple[str, int], carrier: str = "SF") -> Parcel:
    """Make a parcel."""
    return Parcel(carrier=carrier, tracking_number=number, items=items)


@pytest.fixture
def named(settings: Settings) -> Settings:
    """Name a channel."""
    shop = Shop(platform="tmall", app_key="12345678", secrets=("helloworld",))
    return settings.model_copy(update={"channels": {"tmall": shop}})


def notices(settings: Settings, order_id: str = "4701") -> list[Notice]:
    """Read what is kept."""
    parcels = Parcels(parcels_path(settings.data_dir), settings.channels)
    found = list(parcels.of_order("tmall", order_id))
    parcels.close()
    return found


def contents(settings: Settings) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """Read what is in each."""
    return [
        (one.tracking_number, [(line.sku, line.warehouse, line.quantity) for line in one.lines])
        for one in notices(settings)
    ]


async def test_a_report_is_told_once(named: Settings) -> None:
    """However often it comes; its parcels have the warehouse's own name in them."""
    said = report(parcel("SF1", A), parcel("SF2", B), warehouse="east")
    for _ in range(3):
        await parcels_of(named).shipped("tmall:4701", said)
    assert contents(named) == [("SF1", [("A", "east", 2)]), ("SF2", [("B", "east", 1)])]
    assert [(one.company, one.state) for one in notices(named)] == [("SF", "requested")] * 2
    later = report(parcel("SF1", A), name="m2", warehouse="east")
    await parcels_of(named).shipped("tmall:4701", later)
    assert len(notices(named)) == 3


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (report(parcel("SF1")), [("SF1", [("A", "main", 2), ("B", "main", 1)])]),
        (
            report(parcel("SF1", ("A", 1)), parcel("SF2")),
            [("SF1", [("A", "main", 1)]), ("SF2", [("A", "main", 1), ("B", "main", 1)])],
        ),
        (
            report(parcel("SF1", A), parcel("SF1", B)),
            [("SF1", [("A", "main", 2), ("B", "main", 1)])],
        ),
        (report(parcel("SF1", A), parcel("SF2"), parcel("SF3")), [("SF1", [("A", "main", 2)])]),
        (report(parcel("SF1"), items=()), []),
        (report(), []),
    ],
)
async def test_what_is_in_a_parcel(
    named: Settings, said: Shipped, told: list[tuple[str, list[tuple[str, str, int]]]]
) -> None:
    """What one does not say itself is what is in none of the others; of several nobody knows."""
    await parcels_of(named).shipped("tmall:4701", said)
    assert contents(named) == told


async def test_what_is_said_otherwise_later_changes_nothing(named: Settings) -> None:
    """A message has one content."""
    await parcels_of(named).shipped("tmall:4701", report(parcel("SF1", A)))
    await parcels_of(named).shipped("tmall:4701", report(parcel("SF1", B)))
    assert contents(named) == [("SF1", [("A", "main", 2)])]


async def test_without_a_platform_nobody_is_told(named: Settings) -> None:
    """And no file is made."""
    await parcels_of(named).shipped("walk-in:4701", report(parcel("SF1", A)))
    assert not parcels_path(named.data_dir).exists()


async def test_reports_of_one_moment_are_kept_together(
    named: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction; what no order could have is refused by itself."""
    made: list[int] = []
    add_all = Parcels.add_all

    def watched(self: Parcels, parcels: Iterable[Added], at_ms: int) -> object:
        parcels = tuple(parcels)
        made.append(len(parcels))
        return add_all(self, parcels, at_ms)

    monkeypatch.setattr(Parcels, "add_all", watched)
    tell = parcels_of(named).shipped
    much = parcel("SF9", ("A", MAX_STOCK), B)
    huge = report(much, much, name="huge")
    said = [report(parcel(f"SF{number}", A), name=f"m{number}") for number in range(5)]
    met = await asyncio.gather(
        *(tell("tmall:4701", one) for one in (huge, *said)), return_exceptions=True
    )
    assert [type(one) for one in met] == [InvalidRequest, *[type(None)] * 5]
    assert made == [5]
    assert [number for number, _ in contents(named)] == [f"SF{number}" for number in range(5)]


async def test_where_nothing_can_be_kept_that_is_raised(named: Settings) -> None:
    """So that the report is told again."""
    parcels_path(named.data_dir).mkdir(parents=True)
    with pytest.raises(ParcelsUnavailable):
        await parcels_of(named).shipped("tmall:4701", report(parcel("SF1", A)))


async def test_the_platform_hears_its_own_name_of_the_carrier(settings: Settings) -> None:
    """From the report to the simulated platform's order, over HTTP, line by line."""
    clock = Clock()
    world = ShopWorld(clock, Faults(), SimulatedShop(clock))
    platform = Tmall(world, Seller(app_key="12345678", secret="helloworld"))
    kinds = [
        Sku(sku_id=number, outer_id=sku, quantity=9, price_fen=29)
        for number, sku in (("11", "A"), ("12", "B"))
    ]
    item = world.shop.offer("two", kinds)
    wanted = [Wanted(item.item_id, "11", 2), Wanted(item.item_id, "12", 1)]
    order = world.shop.place(wanted, paid=True)
    async with served(platform) as url:
        shop = Shop(
            platform="tmall",
            url=url,
            app_key="12345678",
            secrets=("helloworld",),
            token="simulator-session",
            carriers={"SF": "SHUNFENG"},
        )
        named = settings.model_copy(update={"channels": {"tmall": shop}})
        away = platform_of("tmall", named)
        kept = Parcels(parcels_path(named.data_dir), named.channels)
        announcer = Announcer(away, kept, carriers=shop.carriers, remember_seconds=1_000)
        reservation_id = f"tmall:{order.order_id}"
        tell = ChannelParcels(named).shipped
        await tell(reservation_id, report(parcel("SF1", B), items=(B,), final=False))
        await announcer.round()
        assert order.stage is Stage.PART_SHIPPED
        for _ in range(2):
            await tell(reservation_id, report(parcel("SF2", A), items=(A,), name="m2"))
            await announcer.round()
        assert order.stage is Stage.SHIPPED
        first, second = order.lines.values()
        assert first.parcel is not None
        assert second.parcel is not None
        assert (first.parcel.company, first.parcel.tracking_number) == ("SHUNFENG", "SF2")
        assert second.parcel.tracking_number == "SF1"
        assert {one.state for one in notices(named, order.order_id)} == {NoticeState.ACKNOWLEDGED}
        await away.close()
        kept.close()
