"""The player against the real service: what it counts is what the store says."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections import Counter

import httpx
import pytest

from ops.replay import gateway as gateway_module
from ops.replay.figures import Fate, Figures
from ops.replay.gateway import Denied, Gateway
from ops.replay.orders import Order, parse
from ops.replay.player import Plan, Player, WallClock
from ops.replay.run import lay_stock, sample_orders, witness
from ops.replay.stocking import level_files
from ops.replay.verdict import reach_verdict
from reservation.audit import audit
from reservation.client import OrderLine, Retry
from reservation.config import Settings
from reservation.model import State
from reservation.store.store import Store
from tests.ops.replay.conftest import ADMIN_KEY, URL, IdleClock, Wire

HOUR_MS = 3_600_000


def order(number: int, *lines: tuple[str, int], at_ms: int = 0, channel: str = "tmall") -> Order:
    """Make an order."""
    return Order(str(number), channel, at_ms, tuple(OrderLine(*line) for line in lines))


async def stocked(gateway: Gateway, orders: list[Order], units: int) -> None:
    """Lay the same stock of every SKU."""
    await lay_stock(gateway, level_files(orders, units))


async def played(
    gateway: Gateway, orders: list[Order], plan: Plan, clock: IdleClock | WallClock
) -> Figures:
    """Play orders to the end."""
    figures = Figures.of(orders)
    await Player(gateway, plan, figures, clock=clock).play(orders)
    return figures


def counts(figures: Figures) -> dict[Fate, int]:
    """Count the orders of each fate that has any."""
    return {fate: tally.orders for fate, tally in figures.fates.items() if tally.orders}


async def test_paid_orders_are_confirmed_and_others_expire(
    gateway: Gateway, idle_clock: IdleClock, store: Store
) -> None:
    """Each held order is paid or expires, and the store agrees on which."""
    orders = [order(number, ("A", 1), ("B", 2)) for number in range(20)]
    await stocked(gateway, orders, 100)
    plan = Plan(speed=60, pay_rate=0.5)
    figures = await played(gateway, orders, plan, idle_clock)
    paying = sum(plan.pays(each) for each in orders)
    assert 0 < paying < 20
    assert counts(figures) == {Fate.CONFIRMED: paying, Fate.EXPIRED: 20 - paying}
    assert figures.fates[Fate.CONFIRMED].units == 3 * paying
    records = await store.read_reservations([plan.reservation_id(each) for each in orders])
    states = Counter(record.state for record in records if record)
    assert states == {State.CONFIRMED: paying, State.EXPIRED: 20 - paying}


async def test_the_schedule_is_the_files_compressed_by_the_speed(
    gateway: Gateway, idle_clock: IdleClock
) -> None:
    """An hour of the file takes a minute at speed 60; holds and payments shrink with it."""
    orders = [order(1, ("A", 1)), order(2, ("A", 1), at_ms=HOUR_MS)]
    await stocked(gateway, orders, 10)
    figures = await played(gateway, orders, Plan(speed=60, pay_rate=1), idle_clock)
    assert counts(figures) == {Fate.CONFIRMED: 2}
    assert figures.duration_seconds == pytest.approx(60 + 600 / 60)
    assert figures.latest_seconds == 0


async def test_a_hold_lives_at_least_a_second() -> None:
    """The service takes whole seconds from 1: a shorter hold cannot be asked for."""
    assert Plan(speed=60).played_ttl_seconds == 30
    assert Plan(speed=1_000_000).played_ttl_seconds == 1
    assert Plan(speed=0.5, ttl_seconds=10).played_ttl_seconds == 20


async def test_payment_after_the_deadline_is_counted_as_expired(
    gateway: Gateway, idle_clock: IdleClock
) -> None:
    """A payment that meets an expired hold is told apart from one that never came."""
    orders = [order(1, ("A", 1))]
    await stocked(gateway, orders, 10)
    plan = Plan(speed=60, pay_rate=1, pay_after_seconds=1_801)
    figures = await played(gateway, orders, plan, idle_clock)
    assert counts(figures) == {Fate.EXPIRED: 1}
    assert figures.paid_too_late == 1


async def test_refusals_are_told_apart(gateway: Gateway, idle_clock: IdleClock) -> None:
    """Short stock, an open breaker and an unknown SKU are counted each on its own."""
    orders = [
        order(0, ("A", 4), channel="tmall"),
        order(1, ("A", 4), ("A", 4), channel="douyin"),  # 8 asked, 6 there
        order(2, ("A", 7), channel="dealer-hz"),
        order(3, ("A", 17), channel="tmall"),  # the third failed lock opens the breaker
        order(4, ("A", 1), channel="douyin"),
        order(5, ("A", 1), channel="tmall"),
        order(6, ("NOWHERE", 1)),
    ]
    await stocked(gateway, orders[:6], 10)
    figures = await played(gateway, orders, Plan(pay_rate=1, in_flight=1), idle_clock)
    assert counts(figures) == {
        Fate.CONFIRMED: 1,
        Fate.SHORT: 3,
        Fate.SUSPENDED: 2,
        Fate.REFUSED: 1,
    }
    assert figures.prevented_units == (8 - 6) + (7 - 6) + (17 - 6)
    assert figures.suspended_skus == {"A"}
    assert figures.problems == {"unknown-sku": 1}


@pytest.mark.chaos
async def test_the_real_orders_come_out_as_a_count_by_hand(
    gateway: Gateway, idle_clock: IdleClock, store: Store
) -> None:
    """The engine grants and refuses the sample as a plain sequential count does."""
    orders = list(parse(sample_orders()))
    await stocked(gateway, orders, 100)
    plan = Plan(speed=10_000, pay_rate=1, in_flight=1)
    figures = await played(gateway, orders, plan, idle_clock)
    expected, prevented = count_by_hand(orders, 100)
    assert {fate: tally.orders for fate, tally in figures.fates.items() if tally.orders} == expected
    assert figures.prevented_units == prevented
    assert (figures.offered.orders, figures.offered.lines) == (236, 4_688)
    report = await audit(store)
    assert report.findings == []
    assert report.reservations == {"confirmed": expected[Fate.CONFIRMED]}


def count_by_hand(orders: list[Order], units: int) -> tuple[dict[Fate, int], int]:
    """Grant orders one after the other, all of an order or none, three failures suspending."""
    left: Counter[str] = Counter({line.sku: units for each in orders for line in each.lines})
    failures: Counter[str] = Counter()
    fates: Counter[Fate] = Counter()
    prevented = 0
    for each in orders:
        wanted: Counter[str] = Counter()
        for line in each.lines:
            wanted[line.sku] += line.quantity
        short = [sku for sku in wanted if wanted[sku] > left[sku]]
        if any(failures[sku] >= 3 for sku in wanted):
            fates[Fate.SUSPENDED] += 1
        elif short:
            fates[Fate.SHORT] += 1
            failures.update(short)
            prevented += sum(wanted[sku] - left[sku] for sku in short)
        else:
            fates[Fate.CONFIRMED] += 1
            left.subtract(wanted)
    return dict(fates), prevented


async def test_playing_a_file_again_has_no_effect_but_as_new_orders(
    gateway: Gateway, idle_clock: IdleClock
) -> None:
    """Known ids are replays; `run` makes new ones of the same file."""
    orders = [order(number, ("A", 1)) for number in range(3)]
    await stocked(gateway, orders, 100)
    plan = Plan(pay_rate=1)
    assert counts(await played(gateway, orders, plan, idle_clock)) == {Fate.CONFIRMED: 3}
    assert counts(await played(gateway, orders, plan, idle_clock)) == {Fate.KNOWN: 3}
    anew = dataclasses.replace(plan, run="again-")
    assert counts(await played(gateway, orders, anew, idle_clock)) == {Fate.CONFIRMED: 3}
    stock = await gateway.stock("A")
    assert stock is not None
    assert stock.warehouses[0].committed == 6


async def test_shipped_orders_promise_nothing_any_more(
    gateway: Gateway, idle_clock: IdleClock
) -> None:
    """With `ship`, what is paid leaves the warehouse at once."""
    orders = [order(1, ("A", 4))]
    await stocked(gateway, orders, 10)
    figures = await played(gateway, orders, Plan(pay_rate=1, ship=True), idle_clock)
    assert counts(figures) == {Fate.CONFIRMED: 1}
    stock = await gateway.stock("A")
    assert stock is not None
    (level,) = stock.warehouses
    assert (level.on_hand, level.committed) == (6, 0)


async def test_a_lost_answer_is_asked_for_again_under_the_same_id(
    wire: Wire, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers and requests get lost, and yet every order has exactly one effect."""
    hurried = functools.partial(Retry, first_pause_seconds=0.001, longest_pause_seconds=0.001)
    monkeypatch.setattr(gateway_module, "Retry", hurried)
    orders = [order(number, ("A", 1)) for number in range(30)]
    plan = Plan(pay_rate=1, pay_after_seconds=0)

    def loses(number: int, _request: httpx.Request) -> str | None:
        return {0: "answer", 2: "request"}.get(number % 5)

    async with Gateway(URL, ADMIN_KEY, transport=wire) as gateway:
        await stocked(gateway, orders, 100)
        wire.loses = loses
        figures = await played(gateway, orders, plan, WallClock())
    assert counts(figures) == {Fate.CONFIRMED: 30}
    assert figures.doubted > 0
    stock = (await store.read_stock(["A"]))[0]
    assert stock.levels[0].committed == 30


@pytest.mark.parametrize(("loses", "fate"), [("answer", Fate.UNKNOWN), ("request", Fate.NOT_SENT)])
async def test_a_service_that_stays_away_ends_the_replay(
    wire: Wire, loses: str, fate: Fate
) -> None:
    """After the patience the replay gives up; what may have had its effect is named unknown."""
    orders = [order(1, ("A", 1)), order(2, ("A", 1), at_ms=HOUR_MS)]
    async with Gateway(URL, ADMIN_KEY, transport=wire, patience_seconds=0.01) as impatient:
        await stocked(impatient, orders, 10)
        wire.loses = lambda _number, _request: loses
        figures = await played(impatient, orders, Plan(), WallClock())
    assert figures.lost_service
    assert figures.fates[fate].orders == (1 if fate is Fate.UNKNOWN else 2)
    assert figures.fates[Fate.NOT_SENT].orders == (1 if fate is Fate.UNKNOWN else 2)


async def test_a_refused_key_ends_the_replay(wire: Wire) -> None:
    """A key that may not reserve is an error, not 236 refusals."""
    async with Gateway(URL, "a-key-nobody-knows", transport=wire) as stranger:
        with pytest.raises(Denied, match="refuses the key"):
            await stranger.knock()
        with pytest.raises(Denied, match="refuses the key"):
            await played(stranger, [order(1, ("A", 1))], Plan(), WallClock())


async def test_stopping_keeps_the_figures_so_far(gateway: Gateway, idle_clock: IdleClock) -> None:
    """A stopped replay sends nothing more and says what is still held and what was not sent."""
    orders = [order(number, ("A", 1), at_ms=number * HOUR_MS) for number in range(5)]
    await stocked(gateway, orders, 100)
    figures = Figures.of(orders)
    plan = Plan(speed=60, pay_after_seconds=1_700)

    def observe() -> None:
        if figures.sent == 2:
            player.stop.set()

    player = Player(gateway, plan, figures, clock=idle_clock, observe=observe)
    await asyncio.wait_for(player.play(orders), 10)
    assert figures.interrupted
    assert counts(figures) == {Fate.CONFIRMED: 1, Fate.HELD: 1, Fate.NOT_SENT: 3}


async def test_the_same_seed_pays_the_same_orders() -> None:
    """Who pays depends on the seed and the order's id alone, and meets the rate."""
    orders = [order(number, ("A", 1)) for number in range(2_000)]
    first = [Plan(seed=7).pays(each) for each in orders]
    assert first == [Plan(seed=7, run="x-").pays(each) for each in orders]
    assert first != [Plan(seed=8).pays(each) for each in orders]
    assert 0.88 < sum(first) / len(first) < 0.92
    assert all(Plan(pay_rate=1).pays(each) for each in orders)
    assert not any(Plan(pay_rate=0).pays(each) for each in orders)


async def test_the_verdict_is_on_the_store_behind_the_service(
    gateway: Gateway, idle_clock: IdleClock, settings: Settings
) -> None:
    """A store that does not know the replay's orders is not audited in place of the right one."""
    orders = [order(1, ("A", 1))]
    await stocked(gateway, orders, 10)
    plan = Plan(pay_rate=1)
    figures = await played(gateway, orders, plan, idle_clock)
    known = witness(orders, plan, figures)
    assert known == "tmall:1"
    verdict = await reach_verdict(settings, url=URL, witness=known)
    assert verdict.report is not None
    assert verdict.report.ok
    other = await reach_verdict(settings, url=URL, witness="tmall:another")
    assert other.report is None
    assert "does not know tmall:another" in other.advice


async def test_no_verdict_without_the_store(settings: Settings) -> None:
    """Where only HTTP reaches the service, the advice says how the audit is run."""
    remote = settings.model_copy(update={"redis_url": None})
    verdict = await reach_verdict(remote, url="https://stock.example.com", witness=None)
    assert (verdict.report, verdict.broken) == (None, False)
    assert "holdfast audit" in verdict.advice
