"""What is told again of an order counts until a warehouse may have it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from partners.errors import PartnerFault
from tests.wms_sync.bed import Bed, dispatch
from wms_sync import details
from wms_sync.model import Dispatch
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.retold import AGAIN_MS
from wms_sync.rules.priority import Lane

PENDING = DeliveryState.PENDING
REJECTED = DeliveryState.REJECTED
ACCEPTED = DeliveryState.ACCEPTED


def tell(bed: Bed, number: int, mobile: str = "139", lane: Lane = Lane.NORMAL) -> None:
    """Tell the details of an order anew."""
    bed.book.known[f"tmall:{number}"] = dispatch(lane, ship_by_ms=7, mobile=mobile)
    bed.book.again.append(f"tmall:{number}")


async def hear(bed: Bed) -> None:
    """Let the clerk hear all of it."""
    while not await bed.clerk.round():
        pass


def mobile(bed: Bed, number: int) -> str:
    """Read where an order goes."""
    told = bed.part(number).dispatch
    assert told is not None
    return told.receiver.mobile


async def test_what_is_told_again_counts_while_an_order_waits(bed: Bed) -> None:
    """It has its new lane and ship-by at once; when it was placed and what was paid stays."""
    bed.book.known["tmall:1"] = replace(dispatch(), placed_ms=1, paid_ms=2, prices={"A": 990})
    for number in (1, 2, 3):
        await bed.pay(number)
    await bed.follow()
    before = bed.part(1)
    for number in (2, 1, 3):
        tell(bed, number, f"13{number}", Lane.RUSH)
    tell(bed, 3, "133", Lane.RUSH)
    await hear(bed)
    for number in (1, 2, 3):
        part = bed.part(number)
        assert (part.state, part.lane, part.ship_by_ms) == (PENDING, Lane.RUSH, 7)
        assert (mobile(bed, number), bed.steps(number)[-1]) == (f"13{number}", "told again")
        assert bed.steps(number).count("told again") == 1
    tell(bed, 2, "132", Lane.RUSH)  # nothing new
    await hear(bed)
    assert bed.steps(2).count("told again") == 1
    after = bed.part(1)
    assert before.dispatch is not None
    assert after.dispatch == replace(
        before.dispatch,
        lane=Lane.RUSH,
        ship_by_ms=7,
        receiver=replace(before.dispatch.receiver, mobile="131"),
    )
    assert (after.lines, after.entered_ms) == (before.lines, before.entered_ms)
    assert bed.outbox is not None
    heads = bed.outbox.handing("main").waiting("main", 10)
    assert {lane: len(waits) for lane, waits in heads.items() if waits} == {Lane.RUSH: 3}


async def test_a_rejected_order_is_mended_and_retried(bed: Bed) -> None:
    """With its old details it would be rejected for ever."""
    assert bed.outbox is not None
    bed.book.known["tmall:1"] = dispatch(mobile="")
    await bed.pay(1)
    await bed.all()
    assert (bed.state(1), bed.part(1).reason) == (REJECTED, "no mobile")
    tell(bed, 1)
    await hear(bed)
    assert (bed.state(1), bed.part(1).reason) == (REJECTED, "no mobile")
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    await bed.all()
    assert (bed.state(1), mobile(bed, 1)) == (ACCEPTED, "139")


async def test_what_may_be_at_the_warehouse_stays_as_it_was_handed_over(bed: Bed) -> None:
    """No code names two orders; once it is certainly not there the new ones count, crash or no."""
    for number in (1, 2):
        await bed.pay(number)
    await bed.follow()
    assert bed.outbox is not None
    handing = bed.outbox.handing("main")
    with handing.transaction():
        handing.mark_sent([bed.part(1), bed.part(2)], bed.now_ms)
    for number in (1, 2):
        tell(bed, number)
    await hear(bed)
    assert [mobile(bed, number) for number in (1, 2)] == ["138", "138"]
    bed.open()
    handing = bed.outbox.handing("main")
    with handing.transaction():
        handing.untaken("tmall:1@main", "it was too much", bed.now_ms)
    await bed.later(AGAIN_MS / 1000)
    await hear(bed)
    assert [mobile(bed, number) for number in (1, 2)] == ["139", "138"]
    handing.resume(bed.now_ms)
    await bed.all()
    await bed.later(AGAIN_MS / 1000)
    await hear(bed)
    assert [bed.state(number) for number in (1, 2)] == [ACCEPTED, ACCEPTED]
    assert [mobile(bed, number) for number in (1, 2)] == ["139", "138"]
    assert not bed.outbox.entries.retold.due(1 << 60, 10)


async def test_who_cannot_say_it_now_is_asked_again(bed: Bed) -> None:
    """Nothing that was told is lost for it, and no other order waits for it."""
    for number in (1, 2):
        await bed.pay(number)
    await bed.follow()
    for number in (1, 2):
        tell(bed, number)
    known = bed.book.known["tmall:1"]
    bed.book.known["tmall:1"] = PartnerFault("settings", "no secret", again=True)
    await hear(bed)
    assert [mobile(bed, number) for number in (1, 2)] == ["138", "139"]
    bed.book.known["tmall:1"] = known
    bed.open()
    await bed.later(AGAIN_MS / 1000)
    await hear(bed)
    assert mobile(bed, 1) == "139"


async def test_nobody_is_asked_of_what_waits_nowhere(bed: Bed) -> None:
    """An order that is not paid so far, or that has been taken; and no file is written for none."""
    await bed.pay(1)
    await bed.all()
    bed.book.asked.clear()
    for number in (1, 9):
        tell(bed, number)
    await hear(bed)
    assert (bed.book.asked, mobile(bed, 1)) == ([], "138")


async def one_is_asked_for(bed: Bed, number: int) -> asyncio.Event:
    """Have an order paid of which nobody answers until the event is set."""
    may_answer, answer = asyncio.Event(), bed.book.dispatch_of

    async def slow(reservation_id: str) -> Dispatch | None:
        told = await answer(reservation_id)
        if reservation_id == f"tmall:{number}" and not may_answer.is_set():
            await may_answer.wait()
        return told

    bed.book.dispatch_of = slow  # type: ignore[method-assign]
    await bed.pay(number)
    await bed.follow()
    return may_answer


@pytest.mark.parametrize("known", ["138", ""])
async def test_what_is_told_again_is_heard_while_others_are_asked_for(
    bed: Bed, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits, and what was rejected, goes where it was told last."""
    monkeypatch.setattr(details, "PATIENCE_SECONDS", 0.01)
    assert bed.outbox is not None
    bed.book.known["tmall:1"] = dispatch(mobile=known)
    await bed.pay(1)
    await bed.follow()
    if not known:
        await bed.relay()
        assert bed.state(1) is REJECTED
    await one_is_asked_for(bed, 2)
    tell(bed, 1)
    await hear(bed)
    if not known:
        assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    await bed.relay()
    assert (bed.state(1), mobile(bed, 1)) == (ACCEPTED, "139")
    assert bed.state(2) is DeliveryState.UNDETAILED


async def test_what_is_told_of_an_order_goes_before_an_earlier_answer(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That was under way: it is asked for anew."""
    monkeypatch.setattr(details, "PATIENCE_SECONDS", 0.01)
    may_answer = await one_is_asked_for(bed, 1)
    tell(bed, 1)
    await bed.clerk.round()
    may_answer.set()
    await asyncio.sleep(0)
    await hear(bed)
    assert (bed.state(1), mobile(bed, 1)) == (PENDING, "139")
