"""What reports about orders do to stock and to the outbox, however often and in whatever order."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from partners.errors import PartnerFault
from reservation import metrics
from reservation.background import Every
from reservation.errors import StoreUnavailable
from reservation.model import Line, State
from tests.wms_sync.bed import Bed, dispatch
from tests.wms_sync.reports.saying import changed, closed, lacking, progressed, shipped
from wms_sync.model import Lacking, Progress
from wms_sync.outbox.delivery import Anomaly, CancelState, DeliveryState
from wms_sync.outbox.desk import Verdict
from wms_sync.reports.applier import MOST_ATTEMPTS
from wms_sync.reports.reported import ReportState, unread

ACCEPTED, SHIPPED, REJECTED = (
    DeliveryState.ACCEPTED,
    DeliveryState.SHIPPED,
    DeliveryState.REJECTED,
)
CANCELLED = DeliveryState.CANCELLED


async def handed(bed: Bed, number: int, *lines: Line) -> None:
    """Have an order paid and taken by its warehouse."""
    await bed.pay(number, *lines)
    await bed.all()
    assert bed.state(number) is ACCEPTED


async def state_of(bed: Bed, number: int) -> State:
    """Read where the reservation is."""
    found = (await bed.engine.reservation(f"tmall:{number}")).reservation
    assert found is not None
    return found.state


async def test_what_has_left_leaves_our_stock_once(bed: Bed) -> None:
    """However often it is told; its row ends, and its parcel is handed on."""
    await handed(bed, 1, Line("A", "main", 2))
    for _ in range(2):
        await bed.report(shipped(1, ("A", 2), parcel="SF1"))
    assert await bed.level() == (998, 0)
    assert (bed.state(1), await state_of(bed, 1)) == (SHIPPED, State.FULFILLED)
    assert (bed.part(1).left, bed.part(1).anomaly) == ({1: 2}, Anomaly.NONE)
    assert bed.told.parcels == {"tmall:1": ["SF1"]}
    assert bed.for_people() == []


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
async def test_parts_add_up_in_any_order(bed: Bed, order: tuple[int, ...]) -> None:
    """Also where a part is told of after the last one: the order is whole in the end."""
    await handed(bed, 1, Line("A", "main", 3), Line("B", "main", 1))
    parts = {
        1: shipped(1, ("A", 1), name="s1", final=False, parcel="SF1"),
        2: shipped(1, ("A", 1), ("B", 1), name="s2", final=False, parcel="SF2"),
        3: shipped(1, ("A", 1), name="s3", parcel="SF3"),
    }
    for place, number in enumerate(order, 1):
        await bed.report(parts[number])
        assert (bed.state(1) is SHIPPED) is (place == 3 or 3 in order[:place])
    assert (await bed.level(), await bed.level("B")) == ((997, 0), (999, 0))
    assert bed.part(1).left == {1: 3, 2: 1}
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.NONE)
    assert sorted(bed.told.parcels["tmall:1"]) == ["SF1", "SF2", "SF3"]


async def test_a_last_report_that_is_short_leaves_the_rest_to_people(bed: Bed) -> None:
    """It stays reserved: who gives it back asks the outbox, and then it is free."""
    assert bed.outbox is not None
    await handed(bed, 1, Line("A", "main", 3))
    await bed.report(shipped(1, ("A", 1)))
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.SHIPPED_SHORT)
    assert bed.part(1).reason == "1 of 3 have left, and nothing more will"
    assert (await bed.level(), await state_of(bed, 1)) == ((999, 2), State.CONFIRMED)
    await bed.later(40 * 86_400)
    await bed.settler.round()
    assert bed.outbox.dismiss("tmall:1@main", "ann", bed.now_ms)
    assert bed.outbox.ask_cancel("tmall:1", "refund", bed.now_ms) is Verdict.IN_TIME
    await bed.settler.round()
    assert (await bed.level(), await state_of(bed, 1)) == ((999, 0), State.RELEASED)
    assert bed.state(1) is SHIPPED


async def test_an_order_that_left_short_is_not_entered_again(bed: Bed) -> None:
    """When all is compared anew: that it is paid is no reason to hand it over a second time."""
    await handed(bed, 1, Line("A", "main", 3))
    await bed.report(shipped(1, ("A", 1)))
    bed.open(("main", "east"))
    await bed.all()
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.SHIPPED_SHORT)
    assert len(bed.depot.calls) == 1


async def test_what_is_closed_without_anything_leaving_is_rejected(bed: Bed) -> None:
    """The units stay its own until people say what becomes of it."""
    await handed(bed, 1)
    await bed.report(closed(1))
    assert (bed.state(1), bed.part(1).anomaly) == (REJECTED, Anomaly.REJECTED)
    assert await bed.level() == (1_000, 1)


async def test_what_is_closed_after_its_release_is_cancelled(bed: Bed) -> None:
    """Also where the log has not told of the release yet: people have nothing to decide."""
    await handed(bed, 1)
    await bed.release(1)
    await bed.report(closed(1))
    assert (bed.state(1), bed.part(1).anomaly) == (CANCELLED, Anomaly.NONE)
    await bed.all()
    assert (await bed.level(), len(bed.depot.calls)) == ((1_000, 0), 1)
    await handed(bed, 2, Line("A", "main", 3))
    await bed.report(shipped(2, final=False))
    await bed.release(2)
    await bed.report(closed(2, name="end"))
    assert (bed.state(2), bed.part(2).left, bed.part(2).anomaly) == (SHIPPED, {1: 1}, "")


async def test_two_warehouses_ship_an_order_each_its_own_part(bed: Bed) -> None:
    """One's last report says nothing of what the other has."""
    bed.open(("main", "east"))
    await bed.all()
    await bed.later(3600)
    await bed.pay(1, Line("A", "main", 1), Line("A", "east", 2))
    await bed.all()
    await bed.report(shipped(1))
    assert (bed.state(1), bed.state(1, "east")) == (SHIPPED, ACCEPTED)
    assert (await bed.level(), await bed.level("A", "east")) == ((999, 0), (1_000, 2))
    east = shipped(1, ("A", 2), name="e1", warehouse="east")
    await bed.report(east, warehouse="east")
    assert (bed.state(1, "east"), await state_of(bed, 1)) == (SHIPPED, State.FULFILLED)


async def test_a_warehouse_tells_of_its_own_orders_alone(bed: Bed) -> None:
    """Another one's code is one that it cannot know: nothing moves."""
    await handed(bed, 1)
    await bed.report(shipped(1), warehouse="east")
    assert await bed.level() == (1_000, 1)
    (kept,) = bed.for_people()
    assert "knows no order" in kept.reason


@pytest.mark.parametrize(
    ("items", "fulfilled", "anomaly"),
    [
        ((("A", 5),), 2, "more than was ordered: 3 A"),
        ((("A", 1), ("B", 2)), 1, "more than was ordered: 2 B"),
        ((("B", 1),), 0, "more than was ordered: 1 B"),
    ],
)
async def test_more_than_was_ordered_moves_what_was(
    bed: Bed, items: tuple[tuple[str, int], ...], fulfilled: int, anomaly: str
) -> None:
    """The rest is for people: it may be a slip of the pen, and a count would tell."""
    await handed(bed, 1, Line("A", "main", 2))
    for _ in range(2):
        await bed.report(shipped(1, *items, final=False))
    assert (await bed.level(), await bed.level("B")) == (
        (1_000 - fulfilled, 2 - fulfilled),
        (1_000, 0),
    )
    (kept,) = bed.for_people()
    assert (kept.anomaly, kept.state) == (anomaly, ReportState.DONE)
    assert bed.box.dismiss(kept.number, "li", bed.now_ms)
    assert bed.for_people() == []


async def test_what_people_have_to_see_is_counted(bed: Bed) -> None:
    """By state: what cannot be applied, and what was and is odd."""

    def figure(state: str) -> float | None:
        labels = {"warehouse": "main", "state": state}
        return metrics.REGISTRY.get_sample_value("holdfast_warehouse_reports_open", labels)

    bed.applier._counting = Every(0)
    await handed(bed, 1, Line("A", "main", 2))
    await bed.report(shipped(1, ("A", 3)))
    assert (figure("anomaly"), figure("dead")) == (1, 0)
    bed.box.keep([("main", unread("a word in no table", b"<a>"))], bed.now_ms)
    await bed.applier.round()
    assert (figure("anomaly"), figure("dead")) == (1, 1)
    for kept in bed.for_people():
        assert bed.box.dismiss(kept.number, "li", bed.now_ms)
    await bed.applier.round()
    assert (figure("anomaly"), figure("dead")) == (0, 0)


async def test_the_same_parts_under_other_names_move_nothing_more(bed: Bed) -> None:
    """An order does not have more than it has."""
    await handed(bed, 1, Line("A", "main", 2))
    await bed.report(shipped(1, ("A", 2)))
    await bed.report(shipped(1, ("A", 2), name="again"))
    assert await bed.level() == (998, 0)
    assert bed.state(1) is SHIPPED
    (kept,) = bed.for_people()
    assert kept.anomaly == "more than was ordered: 2 A"


# -- what was not to leave ---------------------------------------------------------------------


async def test_what_leaves_though_it_was_released_is_off_the_stock(bed: Bed) -> None:
    """Its units were on sale again, and are gone: once, and for people to see."""
    await handed(bed, 1, Line("A", "main", 2))
    await bed.release(1)
    await bed.follow()
    for _ in range(2):
        await bed.report(shipped(1, ("A", 2), parcel="SF1"))
    assert await bed.level() == (998, 0)
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.SHIPPED_THOUGH_RELEASED)
    assert bed.part(1).cancel is CancelState.TOO_LATE
    assert bed.told.parcels == {"tmall:1": ["SF1"]}
    await bed.all()
    assert [verb for verb, _ in bed.depot.calls] == ["create"]


async def test_more_than_is_there_leaves_what_is_there(bed: Bed) -> None:
    """That is a shortfall with its figures, and no error."""
    await handed(bed, 1, Line("A", "main", 5))
    await bed.release(1)
    await bed.stock(units=3)
    await bed.report(shipped(1, ("A", 5)))
    assert await bed.level() == (0, 0)
    (short,) = bed.box.shortfalls()
    assert (short.sku, short.on_hand, short.untaken) == ("A", 0, 2)


async def test_what_leaves_though_the_cancel_was_in_time_is_for_people(bed: Bed) -> None:
    """It is fulfilled and not given back, whichever comes first."""
    assert bed.outbox is not None
    await handed(bed, 1)
    bed.outbox.ask_cancel("tmall:1", "refund", bed.now_ms)
    await bed.relay()
    assert bed.state(1) is CANCELLED
    await bed.report(shipped(1))
    await bed.settler.round()
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.SHIPPED_THOUGH_CANCELLED)
    assert (await bed.level(), await state_of(bed, 1)) == ((999, 0), State.FULFILLED)
    wish = bed.outbox.wish("tmall:1")
    assert wish is not None
    assert (wish.open, wish.verdict) == (False, "too-late")


async def test_a_cancel_is_too_late_where_all_has_left(bed: Bed) -> None:
    """The report settles what was asked."""
    assert bed.outbox is not None
    await handed(bed, 1)
    bed.outbox.ask_cancel("tmall:1", "refund", bed.now_ms)
    await bed.report(shipped(1))
    assert (bed.state(1), bed.part(1).cancel) == (SHIPPED, CancelState.TOO_LATE)
    await bed.settler.round()
    assert await bed.level() == (999, 0)


async def test_of_a_part_that_has_left_the_rest_is_given_back_where_that_was_asked(
    bed: Bed,
) -> None:
    """People have nothing to decide there."""
    assert bed.outbox is not None
    await handed(bed, 1, Line("A", "main", 3))
    bed.outbox.ask_cancel("tmall:1", "refund", bed.now_ms)
    await bed.report(shipped(1, ("A", 1)))
    assert (bed.part(1).cancel, bed.part(1).anomaly) == (CancelState.IN_TIME, Anomaly.NONE)
    await bed.settler.round()
    assert (await bed.level(), await state_of(bed, 1)) == ((999, 0), State.RELEASED)


async def test_what_is_shipped_though_it_was_thought_not_to_be_there_is_not_handed_over(
    bed: Bed,
) -> None:
    """A warehouse ships what it has refused: part by part, and its row says so."""
    bed.depot.refuses["tmall:1@main"] = {"reason": "address"}
    await bed.pay(1, Line("A", "main", 2))
    await bed.all()
    assert bed.state(1) is REJECTED
    await bed.report(shipped(1, final=False))
    assert (bed.state(1), bed.part(1).left, bed.part(1).anomaly) == (ACCEPTED, {1: 1}, "")
    await bed.report(shipped(1, name="s2"))
    assert (bed.state(1), bed.part(1).left, bed.part(1).anomaly) == (SHIPPED, {1: 2}, "")
    assert await bed.level() == (998, 0)


async def test_what_ships_before_its_details_are_known_is_asked_back_once_they_are(
    bed: Bed,
) -> None:
    """An outbox was lost, the warehouse has it: its units are not given back without a word."""
    bed.depot.orders["tmall:1@main"] = [["A", 2]]
    bed.book.known["tmall:1"] = None
    await bed.pay(1, Line("A", "main", 2))
    await bed.follow()
    await bed.report(shipped(1, ("A", 1), final=False))
    assert (bed.state(1), bed.part(1).remaining()) == (DeliveryState.UNDETAILED, {"A": 1})
    assert bed.outbox is not None
    assert bed.outbox.bound_units("main")["A"].handed == 1  # type: ignore[index]
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) is Verdict.ASKED
    await bed.all()
    assert bed.state(1) is DeliveryState.UNDETAILED
    assert await state_of(bed, 1) == State.CONFIRMED
    bed.book.known.clear()
    await bed.later(1)
    await bed.all()
    assert [verb for verb, _ in bed.depot.calls] == ["create", "cancel"]
    assert (bed.state(1), bed.part(1).reason) == (CANCELLED, "refunded")
    assert await state_of(bed, 1) == State.RELEASED


async def test_what_has_no_answer_yet_may_be_shipped(bed: Bed) -> None:
    """The report is faster than the answer, which changes nothing any more."""
    bed.depot.faults.script = [500]
    await bed.pay(1)
    await bed.all()
    assert bed.state(1) is DeliveryState.SENT
    await bed.report(shipped(1))
    assert bed.state(1) is SHIPPED
    await bed.later(3600)
    await bed.all()
    assert len(bed.depot.calls) == 1


# -- what dies ---------------------------------------------------------------------------------


class Killed(BaseException):
    """A process that ends in the middle."""


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("dying", ["told.shipped", "box.decide", "box.take", "rows", "box.settle"])
async def test_whatever_dies_in_the_middle_a_report_has_one_effect(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, dying: str, *, released: bool
) -> None:
    """Behind each thing that is done or kept; the next process ends what the last one began."""
    assert bed.outbox is not None
    await handed(bed, 1, Line("A", "main", 3))
    if released:
        await bed.release(1)
        await bed.stock(units=2)
    report = shipped(1, ("A", 5), parcel="SF1")
    died = []

    def dies(*_: object, **__: object) -> None:
        died.append(dying)
        raise Killed

    async def dies_awaited(*_: object) -> None:
        dies()

    with monkeypatch.context() as death:
        if dying == "told.shipped":
            death.setattr(bed.told, "shipped", dies_awaited)
        elif dying == "rows":
            for name in ("shipped", "left_loose"):
                death.setattr(bed.outbox.told, name, dies)
        elif dying == "box.settle":
            death.setattr(bed.box, "settle", dies)
        else:
            name = dying.removeprefix("box.")
            method = getattr(bed.box, name)
            death.setattr(bed.box, name, lambda *told: (method(*told), dies()))
        with contextlib.suppress(Killed):
            await bed.report(report)
    assert bool(died) is (released or dying != "box.take")
    bed.open()
    await bed.apply()
    await bed.report(report)
    assert await bed.level() == ((0, 0) if released else (997, 0))
    anomaly = Anomaly.SHIPPED_THOUGH_RELEASED if released else Anomaly.NONE
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, anomaly)
    assert [one.anomaly for one in bed.for_people()] == ["more than was ordered: 2 A"]
    assert [one.untaken for one in bed.box.shortfalls()] == ([1] if released else [])
    assert set(bed.told.parcels["tmall:1"]) == {"SF1"}


# -- what else is told -------------------------------------------------------------------------


@pytest.mark.parametrize("progress", [Progress.REJECTED, Progress.CANCELLED])
async def test_what_the_warehouse_will_not_ship_is_for_people(bed: Bed, progress: Progress) -> None:
    """Its units stay its own: nobody has asked that it does not leave."""
    await handed(bed, 1)
    await bed.report(progressed(1, progress))
    assert (bed.state(1), bed.part(1).anomaly) == (REJECTED, Anomaly.REJECTED)
    assert bed.part(1).reason == f"{progress.upper()}: why"
    assert await bed.level() == (1_000, 1)


@pytest.mark.parametrize("progress", [Progress.REJECTED, Progress.CANCELLED])
async def test_what_was_asked_to_be_kept_back_is_settled_by_that(
    bed: Bed, progress: Progress
) -> None:
    """It is cancelled in time, and its units are free: without a further call."""
    assert bed.outbox is not None
    await handed(bed, 1)
    bed.outbox.ask_cancel("tmall:1", "refund", bed.now_ms)
    await bed.report(progressed(1, progress))
    assert (bed.state(1), bed.part(1).cancel) == (CANCELLED, CancelState.IN_TIME)
    await bed.settler.round()
    assert (await bed.level(), await state_of(bed, 1)) == ((1_000, 0), State.RELEASED)


async def test_a_refusal_without_a_name_counts_again_behind_a_retry(bed: Bed) -> None:
    """Told twice of one hand-over it counts once; of the next one it may be late, or true."""
    refusal = replace(progressed(1, Progress.REJECTED), unnamed=True)
    assert bed.outbox is not None
    await handed(bed, 1)
    for number in range(2):
        await bed.later(1)
        await bed.report(refusal)
        assert (bed.state(1), bed.part(1).anomaly) == (REJECTED, Anomaly.REJECTED)
        assert bed.part(1).doubt is (number > 0)  # maybe it is about the first one still
        await bed.later(1)
        assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
        await bed.report(refusal)
        assert bed.state(1) is not REJECTED
        await bed.later(1)
        await bed.all()
        assert bed.state(1) is ACCEPTED
    await bed.later(1)
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.report(refusal)
    assert bed.part(1).cancel is CancelState.ASKED  # the warehouse is asked, and says
    assert len(bed.for_people()) == 0


async def test_a_refusal_without_a_name_waits_for_the_answer_to_the_retry(bed: Bed) -> None:
    """Qimen says what became of a batch before our own call has its answer: it is not lost."""
    refusal = replace(progressed(1, Progress.REJECTED), unnamed=True)
    assert bed.outbox is not None
    await handed(bed, 1)
    await bed.report(refusal)
    await bed.later(1)
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    bed.depot.gate = asyncio.Event()
    await bed.until(lambda: bed.depot.under_way == 1)
    await bed.later(1)
    await bed.report(refusal)
    assert bed.state(1) is DeliveryState.SENT
    bed.depot.gate.set()
    await bed.until(lambda: bed.state(1) is ACCEPTED)
    await bed.later(1)
    await bed.apply()
    assert (bed.state(1), bed.part(1).anomaly) == (REJECTED, Anomaly.REJECTED)
    assert (bed.part(1).doubt, bed.for_people()) == (True, [])


async def test_a_refusal_with_a_name_counts_once(bed: Bed) -> None:
    """It is told again because our word was lost."""
    assert bed.outbox is not None
    await handed(bed, 1)
    await bed.report(progressed(1, Progress.REJECTED))
    await bed.later(1)
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    await bed.all()
    await bed.later(1)
    await bed.report(progressed(1, Progress.REJECTED))
    assert bed.state(1) is ACCEPTED


async def refused_and_retried(bed: Bed) -> None:
    """A report has refused it, people hand it over once more, and the warehouse judges it anew."""
    assert bed.outbox is not None
    await handed(bed, 1)
    await bed.report(progressed(1, Progress.REJECTED))
    assert (bed.state(1), bed.part(1).doubt) == (REJECTED, False)
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    bed.depot.orders.clear()


@pytest.mark.parametrize("when", ["under way", "cut", "accepted", "wanted back", "too late"])
async def test_a_second_word_about_a_refusal_says_nothing_of_the_retry(bed: Bed, when: str) -> None:
    """That may have been taken: the warehouse is asked before any units are given back."""
    assert bed.outbox is not None
    await refused_and_retried(bed)
    late = progressed(1, Progress.REJECTED, name="p2")
    if when in {"under way", "cut"}:
        bed.depot.gate = asyncio.Event()
        bed.depot.faults.script = ["cut"] if when == "cut" else []
        await bed.until(lambda: bed.depot.under_way == 1)
        await bed.report(late)
        bed.depot.gate.set()
    await bed.all()
    if when in {"wanted back", "too late"}:
        assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) is Verdict.ASKED
    if when == "too late":
        bed.depot.packed.add("tmall:1@main")
        await bed.relay()
        bed.depot.packed.clear()  # it is taken out of its parcel again
    if when not in {"under way", "cut"}:
        assert bed.state(1) is ACCEPTED
        await bed.report(late)
    assert bed.state(1) is (ACCEPTED if when in {"wanted back", "too late"} else REJECTED)
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) is Verdict.ASKED
    await bed.settler.round()
    assert await state_of(bed, 1) is State.CONFIRMED
    await bed.all()
    assert bed.depot.cancelled == {"tmall:1@main"}
    assert (bed.state(1), await state_of(bed, 1)) == (CANCELLED, State.RELEASED)


async def test_a_refusal_says_nothing_of_a_repetition_that_is_under_way(bed: Bed) -> None:
    """It may be of the call before, which had no answer."""
    assert bed.outbox is not None
    bed.depot.faults.script = [503]
    await bed.pay(1)
    await bed.all()
    bed.depot.gate = asyncio.Event()
    await bed.later(60)
    await bed.until(lambda: bed.depot.under_way == 1)
    await bed.report(progressed(1, Progress.REJECTED))
    bed.depot.gate.set()
    await bed.all()
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) is Verdict.ASKED
    await bed.all()
    assert bed.depot.cancelled == {"tmall:1@main"}
    assert (bed.state(1), await state_of(bed, 1)) == (CANCELLED, State.RELEASED)


async def test_a_refusal_that_is_applied_again_behind_a_crash_may_be_of_before(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row was noted, the report was not; meanwhile people had it handed over once more."""
    assert bed.outbox is not None
    await handed(bed, 1)

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as death:
        death.setattr(bed.box, "settle", dies)
        with pytest.raises(Killed):
            await bed.report(progressed(1, Progress.REJECTED))
    assert bed.state(1) is REJECTED
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    bed.depot.orders.clear()
    bed.open()
    await bed.relay()
    assert bed.state(1) is ACCEPTED
    await bed.apply()
    assert (bed.state(1), bed.part(1).doubt) == (REJECTED, True)


async def test_a_refusal_of_all_that_was_handed_over_leaves_no_doubt(bed: Bed) -> None:
    """Told of the only call, whether that had an answer or not; what left before is no call."""
    assert bed.outbox is not None
    bed.depot.faults.script = ["cut"]
    await bed.pay(1)
    await bed.all()
    assert (bed.state(1), bed.part(1).doubt) == (DeliveryState.SENT, True)
    bed.book.known["tmall:2"] = dispatch(mobile="")
    await bed.pay(2)
    await bed.all()
    assert bed.state(2) is REJECTED  # our connector has no words for it
    bed.book.known.clear()
    bed.book.again.append("tmall:2")
    await bed.clerk.round()
    assert bed.outbox.retry("tmall:2@main", "li", bed.now_ms)
    await bed.relay()
    assert bed.state(2) is ACCEPTED
    for number in (1, 2):
        await bed.report(progressed(number, Progress.REJECTED))
        assert (bed.state(number), bed.part(number).doubt) == (REJECTED, False)


async def test_what_is_cancelled_there_after_a_part_has_left_is_short(bed: Bed) -> None:
    """Of the rest people say what becomes."""
    await handed(bed, 1, Line("A", "main", 2))
    await bed.report(shipped(1, final=False))
    await bed.report(progressed(1, Progress.CANCELLED))
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.SHIPPED_SHORT)
    assert bed.part(1).left == {1: 1}


async def test_an_exception_is_for_people_until_it_is_shipped(bed: Bed) -> None:
    await handed(bed, 1)
    await bed.report(progressed(1, Progress.EXCEPTION))
    assert (bed.state(1), bed.part(1).anomaly) == (ACCEPTED, Anomaly.STUCK)
    assert bed.part(1).reason == "EXCEPTION: why"
    await bed.report(progressed(1, Progress.UNDER_WAY, name="p2"))
    assert bed.part(1).anomaly is Anomaly.STUCK
    assert "reported under_way" in bed.steps(1)
    await bed.report(shipped(1))
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.NONE)


async def test_what_nobody_answered_for_is_accepted_where_that_is_reported(bed: Bed) -> None:
    """It is not handed over again."""
    bed.depot.faults.script = [500]
    await bed.pay(1)
    await bed.all()
    await bed.report(progressed(1, Progress.ACCEPTED))
    assert bed.state(1) is ACCEPTED
    await bed.later(3600)
    await bed.all()
    assert len(bed.depot.calls) == 1


@pytest.mark.parametrize(
    ("progress", "state"), [(Progress.ACCEPTED, ACCEPTED), (Progress.REJECTED, REJECTED)]
)
async def test_a_report_ends_the_doubt_of_a_refused_repetition(
    bed: Bed, progress: Progress, state: DeliveryState
) -> None:
    """It is there and off the list, or it certainly is not."""
    await bed.refused_in_doubt("E77")
    await bed.report(progressed(1, progress))
    assert (bed.state(1), bed.part(1).doubt) == (state, False)
    assert (bed.part(1).anomaly is Anomaly.NONE) == (state is ACCEPTED)


async def test_an_older_word_changes_nothing_of_what_has_ended(bed: Bed) -> None:
    """Reports come late, and in whatever order."""
    await handed(bed, 1)
    await bed.report(shipped(1))
    await bed.report(
        progressed(1, Progress.EXCEPTION, name="p1"),
        progressed(1, Progress.REJECTED, name="p2"),
        lacking(1, 1),
    )
    assert (bed.state(1), bed.part(1).anomaly) == (SHIPPED, Anomaly.NONE)
    assert await bed.level() == (999, 0)


# -- what lacks --------------------------------------------------------------------------------


async def test_a_lack_is_a_failed_lock_and_for_people(bed: Bed) -> None:
    """The third one opens the breaker."""
    for number in (1, 2, 3):
        await handed(bed, number, Line("A", "main", 2))
        await bed.report(lacking(number, 1))
        await bed.report(lacking(number, 1))
        await bed.settler.round()
        assert bed.part(number).anomaly is Anomaly.LACKING
        assert bed.part(number).reason == "lacks 1 of 2 A: not found"
        stock = await bed.engine.stock("A")
        assert stock is not None
        assert (stock.breaker.state.value == "open") is (number == 3)


@pytest.mark.parametrize("first", ["lack", "change"])
async def test_what_was_not_found_is_off_the_stock_and_what_left_counts_once(
    bed: Bed, first: str
) -> None:
    """A change by an order of ours is what it ships, but for as much as lacks."""
    await handed(bed, 1, Line("A", "main", 5))
    lack, gone = lacking(1, 2, wanted=5), changed(-2, cause="tmall:1@main", name="gone")
    for report in (lack, gone) if first == "lack" else (gone, lack):
        await bed.report(report)
    await bed.report(changed(-3, cause="tmall:1@main", name="left"))
    await bed.report(shipped(1, ("A", 3)))
    assert await bed.level() == (995, 2)
    await bed.report(lacking(1, 7, name="l2", wanted=5))
    assert await bed.level() == (995, 2)
    await bed.engine.move_clock(advance_ms=8 * 86_400_000, freeze=None)  # no receipt is left
    await bed.report(lacking(1, 8, name="l3", wanted=5))
    assert await bed.level() == (995, 2)


async def test_a_lack_of_what_is_not_in_the_order_blames_nothing(bed: Bed) -> None:
    """People see it all the same."""
    await handed(bed, 1)
    await bed.report(Lacking(message_id="l1", code="tmall:1@main", items=((".", 1, 1),), reason=""))
    assert bed.part(1).anomaly is Anomaly.LACKING
    assert bed.outbox is not None
    assert not bed.outbox.refused_locks(10)


async def test_what_an_order_of_ours_brought_back_is_on_the_stock(bed: Bed) -> None:
    await handed(bed, 1)
    await bed.report(changed(1, cause="tmall:1@main"))
    assert (await bed.level())[0] == 1_001


# -- what cannot be applied --------------------------------------------------------------------


async def test_an_order_that_nobody_knows_is_tried_again_and_then_for_people(bed: Bed) -> None:
    """Once it is known, they try it again; nothing is lost."""
    await bed.report(shipped(1))
    (kept,) = bed.for_people()
    assert (kept.state, kept.attempts) == (ReportState.WAITING, 1)
    for _ in range(MOST_ATTEMPTS):
        await bed.later(60)
        await bed.apply()
    (kept,) = bed.for_people()
    assert kept.state is ReportState.DEAD
    assert kept.reason == "the outbox knows no order tmall:1@main for main"
    await handed(bed, 1)
    assert bed.box.retry(kept.number, "li", bed.now_ms)
    await bed.apply()
    assert (bed.state(1), bed.for_people()) == (SHIPPED, [])


async def test_who_takes_parcels_being_away_is_waited_for(bed: Bed) -> None:
    """For ever, and the stock has left meanwhile."""
    await handed(bed, 1)
    bed.told.faults = [PartnerFault("away", "", again=True)] * (MOST_ATTEMPTS + 3)
    await bed.report(shipped(1, parcel="SF1"))
    for _ in range(MOST_ATTEMPTS + 3):
        assert await bed.level() == (999, 0)
        assert bed.told.parcels == {}
        await bed.later(60)
        await bed.apply()
    assert bed.told.parcels == {"tmall:1": ["SF1"]}
    assert bed.for_people() == []


async def test_while_the_store_is_away_nothing_is_tried_in_vain(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is the loop's matter, which waits: no report has failed."""
    await handed(bed, 1)

    async def away(*_: object) -> None:
        raise StoreUnavailable("away", effect="unknown")

    with monkeypatch.context() as outage:
        outage.setattr(bed.engine, "fulfil", away)
        with pytest.raises(StoreUnavailable):
            await bed.report(shipped(1), progressed(2, Progress.UNDER_WAY))
    (unknown,) = bed.for_people()
    assert (unknown.said.message_id, unknown.attempts) == ("p1-2", 1)
    await bed.apply()
    assert bed.state(1) is SHIPPED


async def test_a_bug_holds_up_its_own_order_alone(bed: Bed) -> None:
    """It is tried again, each time told with its trace, and then left to people."""
    for number in (1, 2):
        await handed(bed, number)
    bed.told.faults = [KeyError("bug")] * MOST_ATTEMPTS
    with capture_logs() as said:
        await bed.report(shipped(1, parcel="SF1"), shipped(2), progressed(1, Progress.UNDER_WAY))
        assert bed.state(2) is SHIPPED
        assert "reported under_way" not in bed.steps(1)
        for _ in range(MOST_ATTEMPTS):
            await bed.later(60)
            await bed.apply()
    bugs = [line for line in said if line["event"] == "warehouse_bug"]
    assert [bool(line["exc_info"]) for line in bugs] == [True] * MOST_ATTEMPTS
    (kept,) = bed.for_people()
    assert (kept.state, kept.reason) == (ReportState.DEAD, "bug: KeyError('bug')")
    assert "reported under_way" in bed.steps(1)
