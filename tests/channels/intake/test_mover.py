"""Orders end where their platform says: asked of a real server, moved in a real store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from channels.intake.desk import Desk
from channels.intake.looks import LookState
from channels.intake.mover import (
    BEGINS_BEFORE_MS,
    FIRST_PAUSE_MS,
    LONGEST_SHORT_PAUSE_MS,
    MOST_ATTEMPTS,
    SAID_ATTEMPTS,
    SHORT_PAUSE_MS,
)
from channels.model import OrderState
from reservation import metrics
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, BreakerState, Fulfil, Release, SetStock, State
from reservation.quota_model import ChannelQuota
from tests.channels.corner import CornerShop, Sold
from tests.channels.intake.bed import NOW_MS, Bed, told
from tests.conftest import Clock

DAY_SECONDS = 86_400


async def test_an_order_goes_its_way(bed: Bed) -> None:
    """Placed, paid, shipped; nothing waits afterwards."""
    for word, figures in (
        ("on the slate", (10, 2, 0)),
        ("settled", (10, 0, 2)),
        ("carried home", (8, 0, 0)),
    ):
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1", "1")
        assert await bed.figures("A") == figures
        assert bed.waiting() == []
    assert await bed.state("1") is State.FULFILLED


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (("settled",), (10, 0, 2)),
        (("carried home",), (8, 0, 0)),
        (("forgotten",), (10, 0, 0)),
        (("on the slate", "forgotten"), (10, 0, 0)),
        (("settled", "forgotten"), (10, 0, 0)),
        (("forgotten", "forgotten"), (10, 0, 0)),
        (("settled", "on the slate"), (10, 0, 2)),
    ],
)
async def test_whatever_is_missed_the_end_is_the_same(
    bed: Bed, words: tuple[str, ...], figures: tuple[int, int, int]
) -> None:
    """The platform's own later word counts, also where it is behind itself for a while."""
    for word in words:
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1")
    assert await bed.figures("A") == figures
    assert bed.waiting() == bed.stuck() == []


async def test_a_paid_order_that_cannot_be_covered_is_not_dropped(bed: Bed) -> None:
    """It stays with its figures, and is covered once there is stock."""
    bed.shop.tell("1", "settled", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 12 of 10"]
    assert await bed.figures("A") == (10, 0, 0)
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    bed.now_ms += SHORT_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (20, 0, 12)
    assert bed.waiting(10**9) == []


async def test_a_paid_order_that_waits_is_no_failed_lock_again(bed: Bed, clock: Clock) -> None:
    """However often it is tried, and news of it come: else no restock would open its SKU for long.

    The first time counts, as any refused lock does.
    """

    async def breaker() -> BreakerState:
        stock = await bed.engine.stock("A")
        assert stock is not None
        return stock.breaker.state

    for order in "123":
        bed.shop.tell(order, "settled", ("A", 40))
        await bed.hear(order)
    assert await breaker() is BreakerState.OPEN
    for on_hand in (20, 25):
        await bed.engine.set_stock(SetStock("A", "main", on_hand, 0), SYSTEM)
        assert await breaker() is BreakerState.HALF_OPEN
        await clock.advance(3_600)
        await bed.after(3_600_000)
        bed.shop.faults += [(500, {})] * 3
        await bed.hear(*"123")
        await bed.after(FIRST_PAUSE_MS)
        assert await breaker() is BreakerState.HALF_OPEN
        assert bed.waiting(10**9) == [f"short: A 40 of {on_hand}"] * 3
    await bed.engine.breakers.reset(["A"], "counted", SYSTEM)
    await bed.hear(*"123")
    assert await breaker() is BreakerState.CLOSED
    await bed.engine.set_stock(SetStock("A", "main", 130, 0), SYSTEM)
    await bed.after(3_600_000)
    assert await bed.figures("A") == (130, 0, 120)


async def test_an_order_that_waits_is_read_for_in_pieces(bed: Bed) -> None:
    """Each line counts; a SKU that has no level is said to have none."""
    bed.mover._limits = bed.mover._limits.model_copy(update={"max_availability_skus": 1})
    for sku in "BC":
        await bed.engine.set_stock(SetStock(sku, "main", 1, 0), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 12), ("B", 1), ("C", 2))
    await bed.hear("1")
    await bed.hear("1")
    assert bed.waiting(10**9) == ["short: A 12 of 10, C 2 of 1"]
    bed.shop.tell("1", "settled", ("A", 12), ("D", 1))
    await bed.hear("1")
    assert bed.stuck() == ["unknown-sku: D in main"]


async def test_a_paid_order_of_a_suspended_sku_waits(bed: Bed) -> None:
    await bed.engine.breakers.trip(["A"], "by hand", SYSTEM)
    bed.shop.tell("1", "settled", ("A", 1))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["suspended: A"]


async def test_a_paid_order_beyond_its_channels_quota_waits(bed: Bed) -> None:
    """It stays with the quota's figure, and is covered once the quota allows it."""
    none = ChannelQuota("corner", ceiling=0)
    await bed.engine.quotas.set("A", "main", [none], SYSTEM)
    bed.shop.tell("1", "settled", ("A", 1))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 1 of a quota's 0"]
    await bed.engine.quotas.set("A", "main", [], SYSTEM)
    bed.now_ms += SHORT_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 1)


async def test_an_unpaid_order_that_cannot_be_held_is_the_buyers_bad_luck(bed: Bed) -> None:
    """When it is paid all the same it becomes a person's business; before that nothing is."""
    bed.shop.tell("1", "on the slate", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(10**9) == bed.stuck() == []


@pytest.mark.parametrize(
    ("word", "lines", "reason"),
    [
        ("sold to the moon", [("A", 1)], "unknown-word: word 'sold to the moon' is in no table"),
        ("settled", [("B", 1)], "unknown-sku: B in main"),
        ("settled", [("", 1)], "unknown-sku: no code of ours on lines ['0']"),
        ("settled", [("A", 0)], "invalid: "),
        ("on the slate", [("A", 10**9)], "invalid: "),
        ("settled", [], "invalid: 0 lines"),
        ("settled", [("A", 1)] * 1_001, "invalid: 1001 lines"),
    ],
)
async def test_what_makes_no_sense_is_left_to_a_person(
    bed: Bed, word: str, lines: list[tuple[str, int]], reason: str
) -> None:
    """With what is wrong; nothing is taken meanwhile."""
    bed.shop.tell("1", word, *lines)
    await bed.hear("1")
    (told,) = bed.stuck()
    assert told.startswith(reason)
    assert await bed.figures("A") == (10, 0, 0)


async def test_what_was_given_back_by_hand_and_is_paid_is_left_to_a_person(bed: Bed) -> None:
    bed.shop.tell("1", "on the slate", ("A", 2))
    await bed.hear("1")
    await bed.engine.release(Release("corner:1", "by hand"), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert bed.stuck() == ["released: settled, and its stock was given back"]


async def test_a_platform_that_fails_is_asked_again(bed: Bed) -> None:
    """Later each time; one that asks to be left alone is."""
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(500, {}), (502, {})]
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS - 1) == []
    assert bed.waiting(FIRST_PAUSE_MS) == ["platform: 500"]
    bed.now_ms += FIRST_PAUSE_MS
    await bed.mover.round()
    assert bed.waiting(2 * FIRST_PAUSE_MS - 1) == []
    bed.now_ms += 2 * FIRST_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_throttles_is_asked_for_no_other_order(bed: Bed) -> None:
    """As long as it said."""
    started = asyncio.get_running_loop().time()
    bed.shop.faults += [(429, {"retry-after": "0.3"})]
    await bed.hear("1")
    bed.shop.tell("2", "settled", ("A", 2))
    await bed.hear("2")
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_throttles_says_for_how_long(bed: Bed) -> None:
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(429, {"retry-after": "0.05"})]
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS + 49) == []
    bed.now_ms += FIRST_PAUSE_MS + 50
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_refuses_is_a_persons_business(bed: Bed) -> None:
    """At once; news of the order set it going again."""
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(403, {})]
    await bed.hear("1")
    assert bed.stuck() == ["platform: 403"]
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 2)
    assert bed.stuck() == []


async def test_a_platform_that_answers_with_another_order_is_asked_again(bed: Bed) -> None:
    """Neither of them is moved by it, and the one asked for stays."""
    bed.shop.orders["1"] = Sold("2", "settled", [("A", 2)])
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS) == ["platform: another-order: 1 was asked for, 2 answered"]
    assert await bed.figures("A") == (10, 0, 0)
    bed.shop.tell("1", "settled", ("A", 3))
    await bed.after(FIRST_PAUSE_MS)
    assert await bed.figures("A") == (10, 0, 3)
    assert await bed.state("2") is None
    assert bed.waiting(10**9) == bed.stuck() == []


async def test_a_platform_that_never_answers_is_given_up_visibly(bed: Bed) -> None:
    bed.shop.faults += [(500, {})] * MOST_ATTEMPTS
    said = {}
    for attempt in range(1, MOST_ATTEMPTS + 1):
        bed.now_ms += 10**6
        with capture_logs() as lines:
            await (bed.hear("1") if attempt == 1 else bed.mover.round())
        if lines:
            said[attempt] = [line["event"] for line in lines]
    assert bed.stuck() == ["platform: 500"]
    assert len(bed.shop.asked) == MOST_ATTEMPTS
    assert said == {SAID_ATTEMPTS: ["look_put_off"], MOST_ATTEMPTS: ["look_given_up"]}


async def test_many_orders_are_moved_at_once(bed: Bed) -> None:
    """Each has its one effect, however often it is told of."""
    await bed.engine.set_stock(SetStock("A", "main", 1_000, 0), SYSTEM)
    orders = [str(number) for number in range(20)]
    for order in orders:
        bed.shop.tell(order, "settled", ("A", 3))
    await bed.hear(*orders, *orders)
    await bed.hear(*orders)
    assert await bed.figures("A") == (1_000, 0, 60)


async def test_an_order_that_has_had_its_end_is_not_taken_again(bed: Bed, clock: Clock) -> None:
    """Platforms speak of it for months; what we knew of it is cleared long before."""
    for order, words in {"1": ["settled", "carried home"], "2": ["settled", "forgotten"]}.items():
        for word in words:
            bed.shop.tell(order, word, ("A", 2))
            await bed.hear(order)
    assert await bed.figures("A") == (8, 0, 0)
    await clock.advance(8 * DAY_SECONDS)
    assert await bed.state("1") is None
    for word in ("carried home", "settled"):
        bed.shop.tell("1", word, ("A", 2))
        bed.shop.tell("2", word, ("A", 2))
        await bed.hear("1", "2")
        assert await bed.figures("A") == (8, 0, 0)
        assert bed.waiting(10**9) == bed.stuck() == []


async def test_what_a_person_gave_back_is_not_taken_again_either(bed: Bed, clock: Clock) -> None:
    """Though its platform says that it is paid: that was said when it was given back."""
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    await bed.engine.release(Release("corner:1", "by hand"), SYSTEM)
    await bed.hear("1")
    assert len(bed.stuck()) == 1
    await clock.advance(8 * DAY_SECONDS)
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 0)


@pytest.mark.parametrize(("way", "on_hand"), [("fulfil", 8), ("release", 10)])
async def test_what_was_committed_is_not_taken_anew_however_it_ended(
    bed: Bed, clock: Clock, way: str, on_hand: int
) -> None:
    """A warehouse or a person did that, and its platform said nothing until it was forgotten."""
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    ending = {"fulfil": Fulfil("corner:1"), "release": Release("corner:1", "by hand")}[way]
    await bed.engine.apply([ending], SYSTEM)
    await clock.advance(8 * DAY_SECONDS)
    assert await bed.state("1") is None
    for word in ("settled", "carried home"):
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1")
        assert await bed.figures("A") == (on_hand, 0, 0)
        assert bed.waiting(10**9) == bed.stuck() == []


async def test_what_left_before_its_channel_began_here_stays_out_of_it(
    shop: CornerShop, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """It began when its mover did first; a mover that is begun anew changes nothing."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    inbox = Desk(tmp_path / "new.sqlite3")
    bed = Bed(shop, inbox, engine, settings, begun_ms=None)
    await bed.mover.round()
    await bed.platform.close()
    bed = Bed(shop, inbox, engine, settings, begun_ms=None)
    bed.now_ms += 5_000
    begun_ms = NOW_MS - BEGINS_BEFORE_MS
    for order, word, created_ms, figures in (
        ("1", "carried home", begun_ms - 1, (10, 0, 0)),
        ("2", "carried home", begun_ms, (8, 0, 0)),
        ("3", "settled", begun_ms - 1, (8, 0, 2)),
        ("3", "carried home", begun_ms - 1, (6, 0, 0)),
        ("1", "forgotten", begun_ms - 1, (6, 0, 0)),
    ):
        shop.orders[order] = Sold(order, word, [("A", 2)], created_ms)
        await bed.hear(order)
        assert await bed.figures("A") == figures
        assert bed.waiting(10**9) == bed.stuck() == []
    await bed.platform.close()
    inbox.close()


@pytest.mark.parametrize(
    ("later_seconds", "free", "figures", "waiting"),
    [
        (3_600, 10, (10, 0, 2), []),
        (60 * DAY_SECONDS, 10, (10, 0, 2), []),
        (60 * DAY_SECONDS, 1, (1, 0, 0), ["short: A 2 of 1"]),
    ],
)
async def test_what_is_paid_long_after_its_hold_has_lapsed_is_covered_or_shown(
    bed: Bed,
    clock: Clock,
    later_seconds: int,
    free: int,
    figures: tuple[int, int, int],
    waiting: list[str],
) -> None:
    """Of a presale the deposit keeps nothing back; what is paid in the end takes what is free."""
    bed.shop.tell("1", "on the slate", ("A", 2))
    await bed.hear("1")
    assert await bed.figures("A") == (10, 2, 0)
    await clock.advance(1_800)
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 0)
    await clock.advance(later_seconds)
    await bed.engine.set_stock(SetStock("A", "main", free, 0), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert await bed.figures("A") == figures
    assert bed.waiting(SHORT_PAUSE_MS) == waiting
    assert bed.stuck() == []


async def test_an_order_that_waits_for_stock_outlasts_a_platform_that_fails(bed: Bed) -> None:
    """It has not failed before, however often it was tried."""
    bed.shop.tell("1", "settled", ("A", 12))
    await bed.hear("1")
    for _ in range(MOST_ATTEMPTS + 1):
        await bed.after(LONGEST_SHORT_PAUSE_MS)
    bed.shop.faults += [(500, {})]
    await bed.after(LONGEST_SHORT_PAUSE_MS)
    assert bed.waiting(FIRST_PAUSE_MS) == ["platform: 500"]
    assert bed.stuck() == []


async def test_a_short_order_is_asked_for_less_and_less(bed: Bed) -> None:
    """Its platform is not asked for ever once a minute; an hour apart it is all day."""
    bed.shop.tell("1", "settled", ("A", 12))
    await bed.hear("1")
    minutes = [0]
    for minute in range(1, 400):
        before = len(bed.shop.asked)
        await bed.after(SHORT_PAUSE_MS)
        minutes += [minute] * (len(bed.shop.asked) - before)
    assert minutes == [0, 1, 2, 4, 8, 16, 32, 64, 124, 184, 244, 304, 364]
    await bed.hear("1")  # news are looked at as ever
    assert len(bed.shop.asked) == len(minutes) + 1


async def test_an_anomaly_is_described_so_that_a_sweep_leaves_it_alone(bed: Bed) -> None:
    bed.shop.tell("1", "settled", ("B", 1))
    await bed.hear("1")
    (row,) = bed.inbox._db.execute("SELECT order_id, asked_ms FROM described").fetchall()
    assert row == ("1", NOW_MS)


# -- what cannot be read ---------------------------------------------------------------------------


@pytest.mark.parametrize("bed", ["intake.bed:Silent"], indirect=True)
async def test_an_unknown_word_is_shown_and_what_is_known_is_done(bed: Bed) -> None:
    """The next message that can be read ends it."""
    told(bed, 1)
    told(bed, 2, word="status 'bartered' is in no table of ours")
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)
    assert bed.stuck() == ["unknown-word: status 'bartered' is in no table of ours"]
    assert [kept.unknown != "" for kept in bed.inbox.messages("corner", "1")] == [True, False]
    told(bed, 3, changed_ms=1)
    await bed.mover.round()
    assert bed.stuck() == bed.waiting(10**9) == []
    told(bed, 4, word="bartered")
    await bed.mover.round()
    assert bed.stuck() == ["unknown-word: bartered"]


@pytest.mark.parametrize("bed", ["intake.bed:Silent"], indirect=True)
@pytest.mark.parametrize("is_seen_between", [False, True])
async def test_what_was_paid_and_cancelled_within_a_second_takes_nothing(
    bed: Bed, *, is_seen_between: bool
) -> None:
    """Also where the later message comes first: nobody can be asked which it is."""
    told(bed, 1, changed_ms=5, state=OrderState.CLOSED)
    if is_seen_between:
        await bed.mover.round()
    told(bed, 2, changed_ms=5)
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 0)
    told(bed, 3, changed_ms=6)
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_an_unknown_word_is_nothing_where_the_platform_can_be_asked(bed: Bed) -> None:
    bed.shop.tell("1", "carried home", ("A", 2))
    told(bed, 1)
    told(bed, 2, word="bartered")
    await bed.mover.round()
    assert await bed.figures("A") == (8, 0, 0)
    assert bed.stuck() == bed.waiting(10**9) == []


async def test_what_does_not_fit_is_counted_and_shown(bed: Bed) -> None:
    """With its lines, for people; until it has come to its end."""

    def counted() -> list[float]:
        series = [metrics.CHANNEL_UNFIT.labels("corner", state.value) for state in LookState]
        return [one._value.get() for one in series]

    bed.shop.tell("1", "settled", ("A", 20))
    await bed.hear("1")
    shown = bed.inbox.shown("corner", "1")
    assert shown is not None
    assert [(line.sku, line.quantity) for line in shown[0].lines] == [("A", 20)]
    await bed.mover._count()
    assert counted() == [1, 0]
    bed.shop.tell("2", "settled", ("nothing of ours", 1))
    await bed.hear("2")
    await bed.mover._count()
    assert counted() == [1, 1]
    bed.shop.tell("1", "forgotten", ("A", 20))
    await bed.hear("1")
    assert bed.inbox.shown("corner", "1") is None
    await bed.mover._count()
    assert counted() == [0, 1]
