"""A paid order that stays short is refused to its platform, where that knows a call for it."""

from __future__ import annotations

import pytest

from channels.intake.mover import FIRST_PAUSE_MS, SHORT_PAUSE_MS
from reservation.model import SYSTEM, SetStock
from tests.channels.intake.bed import Bed, told

HOUR_MS = 3_600_000

puzzling = pytest.mark.parametrize("bed", ["intake.bed:Puzzling"], indirect=True)
refusing = pytest.mark.parametrize("bed", ["intake.bed:Refusing"], indirect=True)


def refused(bed: Bed) -> list[str]:
    """Name the orders that were refused."""
    return [order for order in bed.shop.asked if order.startswith("no-")]


async def short(bed: Bed, word: str = "settled") -> None:
    """Let an order be short, and all but a minute of its time pass."""
    bed.shop.tell("1", word, ("A", 12))
    await bed.hear("1")
    await bed.after(23 * HOUR_MS + 59 * SHORT_PAUSE_MS)
    assert refused(bed) == []
    assert len(bed.waiting(SHORT_PAUSE_MS)) == 1


@refusing
async def test_a_paid_order_that_stays_short_is_refused_once(bed: Bed) -> None:
    """It stays an anomaly, and takes nothing, until its platform has closed it."""
    await short(bed)
    await bed.after(SHORT_PAUSE_MS - 1)
    assert refused(bed) == []
    await bed.after(1)
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == ["no-1"]
    (reason,) = bed.stuck()
    assert reason == ("rejected: A 12 of 10; its platform was told so at 2023-11-15T22:13:20.000Z")
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    await bed.hear("1")
    assert bed.stuck() == ["rejected: its platform was told so at 2023-11-15T22:13:20.000Z"]
    assert refused(bed) == ["no-1"]
    assert await bed.figures("A") == (20, 0, 0)
    bed.shop.tell("1", "forgotten", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(10**9) == bed.stuck() == []
    assert refused(bed) == ["no-1"]


@refusing
async def test_what_was_sent_all_the_same_is_out(bed: Bed) -> None:
    """Its platform was told, and had it sent by somebody."""
    await short(bed)
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == ["no-1"]
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    bed.shop.tell("1", "carried home", ("A", 12))
    await bed.hear("1")
    assert await bed.figures("A") == (8, 0, 0)
    assert bed.waiting(10**9) == bed.stuck() == []


@refusing
async def test_what_can_be_covered_by_then_is_not_refused(bed: Bed) -> None:
    await short(bed)
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    await bed.after(SHORT_PAUSE_MS)
    assert await bed.figures("A") == (20, 0, 12)
    assert refused(bed) == bed.stuck() == bed.waiting(10**9) == []


@refusing
@pytest.mark.parametrize("word", ["forgotten", "carried home", "on the slate"])
async def test_what_is_not_to_be_sent_any_more_is_not_refused(bed: Bed, word: str) -> None:
    """It is asked for just before."""
    await short(bed)
    bed.shop.tell("1", word, ("A", 12))
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == []


@refusing
async def test_what_a_message_brought_long_ago_is_asked_for_before_it_is_refused(bed: Bed) -> None:
    """That the order was closed may have been told to nobody."""
    await bed.engine.set_stock(SetStock("A", "main", 1, 0), SYSTEM)
    told(bed, 1)
    await bed.mover.round()
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 2 of 1"]
    bed.shop.tell("1", "forgotten", ("A", 2))
    await bed.after(24 * HOUR_MS)
    assert refused(bed) == bed.stuck() == bed.waiting(10**9) == []


@refusing
async def test_what_is_suspended_is_not_refused_and_begins_to_be_short_anew(bed: Bed) -> None:
    await short(bed)
    await bed.engine.breakers.trip(["A"], "by hand", SYSTEM)
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(HOUR_MS) == ["suspended: A"]
    await bed.engine.breakers.reset(["A"], "by hand", SYSTEM)
    await bed.after(HOUR_MS)
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 12 of 10"]
    assert refused(bed) == []


@refusing
async def test_news_do_not_put_a_refusal_off(bed: Bed) -> None:
    await short(bed)
    await bed.hear("1")
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == ["no-1"]


@refusing
async def test_a_platform_that_fails_is_told_later(bed: Bed) -> None:
    """One that does not take it leaves it to a person; by hand it is tried once more."""
    await short(bed)
    bed.shop.faults += [(200, {}), (503, {})]
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(FIRST_PAUSE_MS) == ["short: A 12 of 10; to be rejected, platform: 503"]
    bed.shop.faults += [(200, {}), (403, {})]
    await bed.after(FIRST_PAUSE_MS)
    assert bed.stuck() == ["short: A 12 of 10; to be rejected, platform: 403"]
    assert bed.inbox.look_now("corner", "1", bed.now_ms)
    await bed.mover.round()
    assert refused(bed) == ["no-1"] * 3
    assert bed.stuck()[0].startswith("rejected: ")


async def test_where_no_platform_can_be_told_it_goes_on_waiting(bed: Bed) -> None:
    await short(bed)
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(HOUR_MS) == ["short: A 12 of 10"]


@puzzling
async def test_an_answer_to_a_refusal_that_nobody_can_read_is_shown(bed: Bed) -> None:
    """Whether the platform has taken it is for a person to see; the others go on."""
    await short(bed)
    await bed.after(SHORT_PAUSE_MS)
    (reason,) = bed.stuck()
    assert (
        reason == "unknown-word: A 12 of 10; to be rejected, answer 'well' is in no table of ours"
    )
