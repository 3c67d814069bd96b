"""What a warehouse says of parcels becomes what simulated platforms know, over HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from channels.adapter import At
from channels.conformance.counterpart import Counterpart
from channels.conformance.wire import Wire, wired
from channels.model import Listing, OrderLine, OrderState, Parcel, PlatformOrder
from channels.parcels.announcer import (
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    MOST_ATTEMPTS,
    Announcer,
    is_mute,
)
from channels.parcels.parcels import NoticeState, Parcels, ParcelsUnavailable
from channels.registry import adapter_of
from channels.simulator.trade import Order, Sku, Stage, Wanted
from channels.transport import Platform
from partners.model import Request
from partners.simulation.faults import Rates
from reservation.metrics import CHANNEL_PARCELS, CHANNEL_PARCELS_TOLD
from reservation.model import Line
from reservation.shops import DeductsAt, Shop
from tests.channels.conformance.test_distributor import DealerSide, SendingSide
from tests.channels.conformance.test_douyin import DouyinSide
from tests.channels.conformance.test_tmall import TmallSide
from tests.channels.corner import Corner, CornerShop

REMEMBER_SECONDS = 15_552_000
SIDES = {
    "tmall": TmallSide(),
    "douyin": DouyinSide(),
    "dealer": DealerSide(),
    "mute dealer": SendingSide(),
}
three = pytest.mark.parametrize("bed", ["tmall", "douyin", "dealer"], indirect=True)
tmall = pytest.mark.parametrize("bed", ["tmall"], indirect=True)


class Bed:
    """A simulated platform with an announcer before it; both go by its clock."""

    def __init__(self, wire: Wire, path: Path) -> None:
        self.wire, self.world = wire, wire.world
        self.adapter = wire.adapter
        self.channel = wire.adapter.account.channel
        self.platform = Platform(
            wire.adapter, wire.token, calls_per_second=10_000, now_ms=self.world.clock.now_ms
        )
        self._path = path / "parcels.sqlite3"
        self.open()

    def open(self, carriers: dict[str, str] | None = None) -> None:
        """Begin, or begin again after a crash."""
        self.parcels = Parcels(self._path, {self.channel})
        self.announcer = Announcer(
            self.platform,
            self.parcels,
            carriers=carriers or {},
            remember_seconds=REMEMBER_SECONDS,
            now_ms=self.world.clock.now_ms,
            chance=lambda: 1.0,
        )

    def place(self, *lines: tuple[str, int]) -> Order:
        """Let a buyer place and pay an order, of a line for each."""
        wanted = []
        for sku, units in lines:
            kind = Sku(sku_id="", outer_id=sku, quantity=100, price_fen=1_999)
            item = self.world.shop.offer(sku, [kind])
            (only,) = item.skus
            wanted.append(Wanted(item.item_id, only, units))
        return self.world.shop.place(wanted, paid=True)

    def add(self, order: Order, fulfilment: str, **units: int) -> None:
        """Let a parcel leave; without units all that is left."""
        self.parcels.add(
            f"{self.channel}:{order.order_id}",
            fulfilment,
            company="SF",
            tracking_number=f"SF-{fulfilment}",
            lines=[Line(sku, "main", number) for sku, number in units.items()],
            at_ms=self.world.clock.now_ms(),
        )

    async def tell(self, after_ms: int = 1_000) -> None:
        """Tell all that is due after a while."""
        self.world.clock.advance(after_ms)
        while self.parcels.due(self.channel, self.world.clock.now_ms(), 1):
            await self.announcer.round()

    def told(self, order: Order) -> list[tuple[str, str, str]]:
        """Tell how far each parcel of an order has come, and why no further."""
        rows = self.parcels.of_order(self.channel, order.order_id)
        return [(row.fulfilment_id, row.state, row.reason) for row in rows]

    @staticmethod
    def numbers(order: Order) -> list[str | None]:
        """Tell the number of the parcel of each line, as the platform has it."""
        parcels = [line.parcel for line in order.lines.values()]
        return [None if parcel is None else parcel.tracking_number for parcel in parcels]

    def fail(self, **rates: float) -> None:
        """Let calls go wrong from now on."""
        self.world.faults.set(msgspec.convert(rates, Rates))


@contextlib.asynccontextmanager
async def made(side: Counterpart, path: Path) -> AsyncIterator[Bed]:
    """Make a bed, and clear it away."""
    async with wired(side) as wire:
        bed = Bed(wire, path)
        yield bed
        await bed.platform.close()
        bed.parcels.close()


@pytest.fixture
async def bed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bed]:
    """Make a bed of a side."""
    async with made(SIDES[request.param], tmp_path) as one:
        yield one


@three
async def test_a_parcel_is_told_once(bed: Bed) -> None:
    """All that is left, without a line named."""
    order = bed.place(("A", 2), ("B", 1))
    bed.add(order, "F1")
    await bed.tell()
    assert order.stage is Stage.SHIPPED
    assert bed.numbers(order) == ["SF-F1", "SF-F1"]
    assert bed.told(order) == [("F1", "acknowledged", "")]
    calls = bed.world.faults.counts["calls"]
    bed.add(order, "F1")
    await bed.tell()
    assert bed.world.faults.counts["calls"] == calls


@three
async def test_parts_are_told_by_the_platforms_own_lines(bed: Bed) -> None:
    """A line with the parcel that completes it, also where several leave with one number."""
    order = bed.place(("A", 2), ("B", 1), ("C", 1), ("D", 1))
    bed.add(order, "F1", A=1, B=1)
    await bed.tell()
    assert bed.numbers(order) == [None, "SF-F1", None, None]
    assert order.stage is Stage.PART_SHIPPED
    bed.add(order, "F2", A=1)
    await bed.tell()
    assert bed.numbers(order) == ["SF-F2", "SF-F1", None, None]
    for number, sku in enumerate("CD", 3):
        bed.parcels.add(
            f"{bed.channel}:{order.order_id}",
            f"F{number}",
            company="SF",
            tracking_number="SF-F2",
            lines=[Line(sku, "main", 1)],
            at_ms=0,
        )
    await bed.tell()
    assert bed.numbers(order) == ["SF-F2", "SF-F1", "SF-F2", "SF-F2"]
    assert order.stage is Stage.SHIPPED
    assert [state for _, state, _ in bed.told(order)] == ["acknowledged"] * 4


@three
async def test_a_part_of_a_line_is_nothing_to_tell(bed: Bed) -> None:
    """Else goods that are still here would count as gone."""
    order = bed.place(("A", 2))
    bed.add(order, "F1", A=1)
    await bed.tell()
    assert order.stage is Stage.PAID
    reason = "part of a line: the parcel that completes the line is told"
    assert bed.told(order) == [("F1", "not-told", reason)]
    bed.add(order, "F2", A=1)
    await bed.tell()
    assert order.stage is Stage.SHIPPED
    assert bed.told(order)[1] == ("F2", "acknowledged", "")


@pytest.mark.parametrize("bed", ["douyin"], indirect=True)
async def test_all_of_an_order_is_told_as_a_whole(bed: Bed) -> None:
    """Also where the warehouse names its lines: that is the plainest call that a platform has."""
    order = bed.place(("A", 2), ("B", 1))
    asked: list[tuple[str, ...]] = []
    shipped = bed.adapter.shipped

    def heard(order_id: str, parcel: Any, at: At) -> Any:
        if at.now_ms:
            asked.append(parcel.lines)
        return shipped(order_id, parcel, at)

    bed.adapter.shipped = heard  # type: ignore[method-assign]
    bed.add(order, "F1", A=2, B=1)
    await bed.tell()
    assert set(asked) == {()}
    (row,) = bed.parcels.of_order(bed.channel, order.order_id)
    assert row.line_ids == tuple(order.lines)
    assert order.stage is Stage.SHIPPED


@three
async def test_what_cannot_be_is_a_dead_letter_with_its_figures(bed: Bed) -> None:
    order = bed.place(("A", 2))
    bed.add(order, "F1", A=3)
    bed.add(order, "F2", X=1)
    await bed.tell()
    text = "more than the order has left: "
    assert bed.told(order) == [
        ("F1", "dead", f"{text}A 3 of 2"),
        ("F2", "dead", f"{text}X 1 of 0"),
    ]
    assert order.stage is Stage.PAID


@pytest.mark.parametrize("whole", [True, False])
@three
async def test_what_is_not_owed_is_not_told(bed: Bed, *, whole: bool) -> None:
    """Nobody has paid, or all of it was refunded: a parcel that left all the same is shown."""
    units = {} if whole else {"A": 2}
    refunded = bed.place(("A", 2))
    bed.world.shop.refund(refunded.order_id)
    kind = next(iter(refunded.lines.values())).sku
    wanted = [Wanted(next(iter(refunded.lines.values())).item.item_id, kind.sku_id, 2)]
    unpaid = bed.world.shop.place(wanted)
    why = "nothing of it is paid, or all is refunded"
    for order in (refunded, unpaid):
        bed.add(order, "F1", **units)
        await bed.tell()
        reason = why if whole else "more than the order has left: A 2 of 0"
        assert bed.told(order) == [("F1", "dead", reason)]
        assert bed.numbers(order) == [None]


@pytest.mark.parametrize("bed", ["tmall", "douyin"], indirect=True)
async def test_what_a_platform_refuses_for_good_waits_for_a_person(bed: Bed) -> None:
    """At once, with its reason; a person sends it again when it can be."""
    now_ms = bed.world.clock.now_ms()
    bed.parcels.add(f"{bed.channel}:123", "F1", company="SF", tracking_number="SF-F1", at_ms=now_ms)
    await bed.tell()
    (row,) = bed.parcels.page(bed.channel, [NoticeState.DEAD], 0, 10)
    assert row.attempts == 1
    assert row.reason
    order = bed.place(("A", 1))
    bed.world.shop.orders["123"] = order  # it is there, after all
    assert bed.parcels.send_again(bed.channel, now_ms) == 1
    await bed.tell()
    assert bed.parcels.counts(bed.channel) == (0, 0)
    assert order.stage is Stage.SHIPPED


@three
async def test_a_platform_that_is_away_is_told_when_it_is_back(bed: Bed) -> None:
    """Later each time; what comes first of an order is told first."""
    order = bed.place(("A", 1), ("B", 1))
    bed.fail(cut=1.0)
    bed.add(order, "F1", A=1)
    bed.add(order, "F2", B=1)
    await bed.tell()
    (_, state, reason), second = bed.told(order)
    assert (state, bool(reason)) == ("failed", True)
    assert second == ("F2", "requested", "")
    bed.fail()
    await bed.tell(FIRST_PAUSE_MS - 1)
    assert order.stage is Stage.PAID
    await bed.tell(1)
    assert bed.numbers(order) == ["SF-F1", "SF-F2"]


@tmall
async def test_a_platform_that_stays_away_is_given_up_visibly(bed: Bed) -> None:
    order = bed.place(("A", 1))
    bed.fail(error=1.0)
    bed.add(order, "F1")
    for attempt in range(MOST_ATTEMPTS):
        assert bed.told(order)[0][1] == ("failed" if attempt else "requested")
        await bed.tell(LONGEST_PAUSE_MS)
    assert bed.told(order)[0][1] == "dead"
    assert bed.world.faults.counts["calls"] == MOST_ATTEMPTS


@three
@pytest.mark.parametrize("whole", [True, False])
async def test_an_answer_that_was_lost_is_asked_for_again(bed: Bed, *, whole: bool) -> None:
    """The platform has done it: told again for the same lines, it is the same parcel."""
    order = bed.place(("A", 1), ("A", 1), ("B", 1))
    bed.add(order, "F1", **({} if whole else {"A": 1}))

    def dies(*_: Any) -> None:
        raise ParcelsUnavailable("it died here")

    bed.parcels.note = dies  # type: ignore[method-assign]
    bed.world.clock.advance(1_000)
    with pytest.raises(ParcelsUnavailable):
        await bed.announcer.round()
    bed.parcels.close()
    before = bed.numbers(order)
    assert "SF-F1" in before
    bed.open()
    assert bed.told(order) == [("F1", "requested", "")]
    await bed.tell()
    assert bed.told(order) == [("F1", "acknowledged", "")]
    assert bed.numbers(order) == before
    assert before.count("SF-F1") == (3 if whole else 1)


@three
async def test_what_befalls_one_order_keeps_no_other_from_being_told(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of an adapter is raised, and the others are noted as told before that."""
    bad, good = bed.place(("A", 1)), bed.place(("B", 1))
    shipped = bed.adapter.shipped

    def fails(order_id: str, parcel: Parcel, at: At) -> Request | None:
        if order_id == bad.order_id:
            raise RuntimeError(order_id)
        return shipped(order_id, parcel, at)

    monkeypatch.setattr(bed.adapter, "shipped", fails)
    bed.add(bad, "F1", A=1)
    bed.add(good, "F2", B=1)
    with pytest.raises(RuntimeError):
        await bed.tell()
    assert [state for _, state, _ in bed.told(bad)] == ["requested"]
    assert [state for _, state, _ in bed.told(good)] == ["acknowledged"]


@three
async def test_a_carrier_goes_by_its_platforms_code(bed: Bed) -> None:
    """One warehouse has one code for it, each platform its own."""
    bed.parcels.close()
    bed.open({"SF": "shunfeng"})
    order = bed.place(("A", 1))
    bed.add(order, "F1")
    await bed.tell()
    (line,) = order.lines.values()
    assert line.parcel is not None
    assert line.parcel.company == "shunfeng"


@pytest.mark.parametrize("bed", ["mute dealer"], indirect=True)
async def test_where_nobody_can_be_asked_the_messages_have_told_the_lines(bed: Bed) -> None:
    """Until one has, it is tried again."""
    assert is_mute(bed.adapter)
    order = bed.place(("A", 1), ("B", 1))
    bed.add(order, "F1", B=1)
    await bed.tell()
    assert bed.told(order) == [("F1", "failed", "no-lines: no message has told of this order yet")]
    lines = [
        OrderLine(line_id=str(number), sku=sku, quantity=1, state=OrderState.PAID)
        for number, sku in enumerate("AB", 1)
    ]
    told = PlatformOrder(
        order_id=order.order_id,
        state=OrderState.PAID,
        word="paid",
        lines=tuple(lines),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=1,
        changed_at_ms=1,
    )
    bed.parcels.remember(bed.channel, [told], 1)
    await bed.tell(FIRST_PAUSE_MS)
    assert bed.numbers(order) == [None, "SF-F1"]


async def test_a_platform_without_such_a_call_is_not_told(tmp_path: Path) -> None:
    """Its state says so, and nothing is tried again."""
    adapter = adapter_of("corner", Shop(platform="tests.channels.corner:Corner"))
    platform, parcels = Platform(adapter), Parcels(tmp_path / "p.sqlite3", {"corner"})
    parcels.add("corner:47", "F1", company="SF", tracking_number="1", at_ms=0)
    announcer = Announcer(
        platform, parcels, carriers={}, remember_seconds=REMEMBER_SECONDS, now_ms=lambda: 1
    )
    await announcer.round()
    (row,) = parcels.of_order("corner", "47")
    assert (row.state, row.reason) == ("not-told", "this platform is told of no parcels")
    assert parcels.counts("corner") == (0, 0)
    await platform.close()
    parcels.close()


@tmall
async def test_what_is_left_is_counted_and_what_is_old_forgotten(bed: Bed) -> None:
    def value(metric: Any, **labels: str) -> float:
        found: float = metric.labels(channel=bed.channel, **labels)._value.get()
        return found

    told = value(CHANNEL_PARCELS_TOLD, outcome="told")
    order, other = bed.place(("A", 1)), bed.place(("B", 1))
    bed.add(order, "F1")
    bed.add(other, "F1", X=1)
    await bed.tell()
    assert value(CHANNEL_PARCELS_TOLD, outcome="told") == told + 1
    assert value(CHANNEL_PARCELS, state="waiting") == 0
    assert value(CHANNEL_PARCELS, state="dead") == 1
    bed.world.clock.advance(REMEMBER_SECONDS * 1000 + 1)
    bed.parcels.close()
    bed.open()
    await bed.announcer.round()
    assert bed.parcels.of_order(bed.channel, order.order_id) == []


class Shipping(Corner):
    """A corner shop that is told of parcels."""

    def shipped(self, order_id: str, parcel: Parcel, at: At) -> Request:
        """Tell of one."""
        del parcel
        return self._say("ship", Listing(sku="", item_id=order_id), 0, "", at)


async def test_a_platform_that_wants_to_be_left_alone_is(shop: CornerShop, tmp_path: Path) -> None:
    """As long as it says, and then as long as any other that has failed."""
    adapter = adapter_of(
        "corner", Shop(platform=f"{__name__}:Shipping", url=shop.url, secrets=("s",))
    )
    platform, parcels = Platform(adapter), Parcels(tmp_path / "p.sqlite3", {"corner"})
    quiet: list[float] = []
    platform.be_quiet = quiet.append  # type: ignore[method-assign]
    shop.tell("47", "settled", ("A", 1))
    parcels.add("corner:47", "F1", company="SF", tracking_number="1", at_ms=0)
    announcer = Announcer(
        platform,
        parcels,
        carriers={},
        remember_seconds=REMEMBER_SECONDS,
        now_ms=lambda: 1,
        chance=lambda: 1.0,
    )
    shop.refusals = [(429, {"retry-after": "30"})]
    await announcer.round()
    assert quiet == [30.0]
    (row,) = parcels.of_order("corner", "47")
    assert (row.state, row.due_ms) == ("failed", 1 + 30_000 + FIRST_PAUSE_MS)
    await platform.close()
    parcels.close()
