"""What is told again of an order counts until a warehouse may have it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from partners.errors import PartnerFault
from tests.wms_sync.bed import Bed, dispatch
from tests.wms_sync.reports.saying import progressed
from wms_sync import details
from wms_sync.model import Dispatch, Progress
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import NEVER
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


def retold(bed: Bed) -> list[tuple[str, int]]:
    """Read which orders are to be looked at again, and when."""
    assert bed.outbox is not None
    return bed.outbox._db.execute("SELECT * FROM retold ORDER BY 1").fetchall()


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


@pytest.mark.parametrize("heard", ["while accepted", "while sent"])
async def test_what_is_told_of_an_accepted_order_counts_once_that_is_rejected(
    bed: Bed, heard: str
) -> None:
    """A warehouse tells what is wrong with an address, it is mended, and the order is refused."""
    assert bed.outbox is not None
    await bed.pay(1)
    await bed.follow()
    if heard == "while sent":
        bed.depot.gate = asyncio.Event()
        await bed.until(lambda: bed.depot.under_way == 1)
        tell(bed, 1)
        await hear(bed)
        bed.depot.gate.set()
    await bed.relay()
    assert bed.state(1) is ACCEPTED
    if heard == "while accepted":
        tell(bed, 1)
    await bed.later(AGAIN_MS / 1000)
    await hear(bed)
    assert mobile(bed, 1) == "138"
    assert not bed.outbox.entries.retold.due(1 << 60, 10)  # nobody is asked meanwhile
    bed.open()
    await bed.report(progressed(1, Progress.REJECTED))
    assert bed.state(1) is REJECTED
    await hear(bed)
    assert mobile(bed, 1) == "139"
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    await bed.all()
    assert (bed.state(1), mobile(bed, 1)) == (ACCEPTED, "139")
    assert retold(bed) == []


async def test_what_is_told_of_a_refusal_in_doubt_counts_once_that_is_none(bed: Bed) -> None:
    """Until then its way says that it goes as it was; a report that refuses it ends the doubt."""
    assert bed.outbox is not None
    await bed.refused_in_doubt("no such street")
    tell(bed, 1)
    await hear(bed)
    assert (bed.steps(1)[-1], mobile(bed, 1)) == ("told again, kept as it was", "138")
    asked = len(bed.book.asked)
    await bed.later(AGAIN_MS / 1000)
    await hear(bed)
    assert (bed.steps(1)[-1], len(bed.book.asked)) == ("told again, kept as it was", asked)
    await bed.report(progressed(1, Progress.REJECTED))
    await hear(bed)
    assert (bed.state(1), mobile(bed, 1)) == (REJECTED, "139")
    assert retold(bed) == []


async def test_what_was_told_of_an_accepted_order_is_forgotten_with_it(bed: Bed) -> None:
    """Most are shipped."""
    assert bed.outbox is not None
    await bed.pay(1)
    await bed.all()
    tell(bed, 1)
    await hear(bed)
    assert retold(bed) == [("tmall:1", NEVER)]
    await bed.fulfil(1)
    await bed.follow()
    bed.outbox.forget(bed.now_ms + 1)
    assert retold(bed) == []


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


async def test_what_nobody_could_say_so_far_counts_once_it_is_told(bed: Bed) -> None:
    """It does not wait for the next time that it would be asked for by itself."""
    for number in (1, 2):
        bed.book.known[f"tmall:{number}"] = None
        await bed.pay(number)
    await bed.follow()
    await hear(bed)
    states = [bed.state(number) for number in (1, 2)]
    assert states == [DeliveryState.UNDETAILED, DeliveryState.UNDETAILED]
    tell(bed, 1)
    bed.book.known["tmall:2"] = dispatch()
    await hear(bed)
    assert [bed.state(number) for number in (1, 2)] == [PENDING, DeliveryState.UNDETAILED]
    assert mobile(bed, 1) == "139"


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
