"""An order that is wanted back: cancelled in time, too late, or before anybody has it."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from reservation import metrics
from tests.wms_sync.bed import Bed
from tests.wms_sync.depot import codes
from wms_sync.outbox.delivery import Anomaly, CancelState, DeliveryState
from wms_sync.outbox.handing import MOST_CANCELS

SENT, ACCEPTED = DeliveryState.SENT, DeliveryState.ACCEPTED
CANCELLED = DeliveryState.CANCELLED


async def test_a_cancel_while_queued_costs_no_call(bed: Bed) -> None:
    """Released by anybody, or asked for here: then its units are given back."""
    await bed.pay(1)
    await bed.pay(2)
    await bed.follow()
    await bed.release(1, "refunded")
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:2", "refunded", bed.now_ms) == "in-time"
    await bed.all()
    assert (bed.state(1), bed.state(2)) == (CANCELLED, CANCELLED)
    assert bed.part(1).reason == "released: refunded"
    assert not bed.depot.calls
    assert (await bed.engine.reservation("tmall:2")).reservation.state == "released"  # type: ignore[union-attr]
    wish = bed.outbox.wish("tmall:2")
    assert wish is not None
    assert (wish.open, wish.verdict) == (False, "released")


@pytest.mark.parametrize("reason", ["\u9000" * 5000, "a\nb\x00", "\ud800", ""])
async def test_any_reason_can_be_recorded(bed: Bed, reason: str) -> None:
    """The command line takes all of them; what no record takes is a space, and too much is cut."""
    assert bed.outbox is not None
    await bed.pay(1)
    await bed.follow()
    assert bed.outbox.ask_cancel("tmall:1", f"{reason} (li)", bed.now_ms) == "in-time"
    await bed.all()
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "released"  # type: ignore[union-attr]


async def test_one_wish_that_cannot_be_released_holds_up_no_other(bed: Bed) -> None:
    """It stands in a file of an earlier version; it is counted, told with its trace, and waits."""
    assert bed.outbox is not None
    for number in (1, 2):
        await bed.pay(number)
        await bed.follow()
        bed.outbox.ask_cancel(f"tmall:{number}", "refunded", bed.now_ms)
        await bed.later(1)
    bed.outbox._db.execute(
        "UPDATE wish SET reason = ? WHERE reservation_id = 'tmall:1'", ("x" * 2_100,)
    )
    counted = metrics.WAREHOUSE_BUGS.labels(warehouse="")._value.get()
    with capture_logs() as said:
        await bed.settler.round()
        await bed.settler.round()
    assert (await bed.engine.reservation("tmall:2")).reservation.state == "released"  # type: ignore[union-attr]
    told = [line for line in said if line["event"] == "not_released"]
    assert [(line["reservation_id"], line["exc_info"]) for line in told] == [("tmall:1", True)]
    assert metrics.WAREHOUSE_BUGS.labels(warehouse="")._value.get() == counted + 1
    wish = bed.outbox.wish("tmall:1")
    assert wish is not None
    assert (wish.open, wish.attempts) == (True, 1)


async def test_a_cancel_in_time_gives_the_units_back_after_the_verdict(bed: Bed) -> None:
    """Not before: it could be shipped and sold again."""
    await bed.pay(1)
    await bed.all()
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
    await bed.settler.round()
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "confirmed"  # type: ignore[union-attr]
    await bed.all()
    assert (bed.state(1), bed.part(1).cancel) == (CANCELLED, CancelState.IN_TIME)
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "released"  # type: ignore[union-attr]
    await bed.all()
    assert codes(bed.depot, "cancel") == ["tmall:1@main"]


async def test_a_cancel_that_comes_too_late_releases_nothing(bed: Bed) -> None:
    """The row says so; when all of it has left, the wish is over."""
    await bed.pay(1)
    await bed.all()
    bed.depot.packed.add("tmall:1@main")
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.all()
    assert (bed.state(1), bed.part(1).cancel) == (ACCEPTED, CancelState.TOO_LATE)
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "confirmed"  # type: ignore[union-attr]
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "too-late"
    await bed.fulfil(1)
    await bed.all()
    assert bed.state(1) is DeliveryState.SHIPPED
    wish = bed.outbox.wish("tmall:1")
    assert wish is not None
    assert (wish.open, wish.verdict) == (False, "too-late")


async def test_what_was_released_and_leaves_all_the_same_is_an_anomaly(bed: Bed) -> None:
    """Somebody has released it without asking: people must know."""
    await bed.pay(1)
    await bed.all()
    bed.depot.packed.add("tmall:1@main")
    await bed.release(1)
    await bed.all()
    assert bed.part(1).anomaly is Anomaly.SHIPPED_THOUGH_RELEASED


async def test_an_order_of_unknown_fate_is_handed_over_before_it_is_cancelled(bed: Bed) -> None:
    """A cancel that overtakes the order would be refused, and the order shipped."""
    await bed.pay(1)
    bed.depot.faults.script = ["cut"]
    await bed.all()
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
    await bed.later(60)
    await bed.all()
    assert [verb for verb, _ in bed.depot.calls] == ["create", "create", "cancel"]
    assert bed.state(1) is CANCELLED
    assert bed.depot.cancelled == {"tmall:1@main"}


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_cancel_that_is_never_answered_is_left_to_people(bed: Bed, *, leaves: bool) -> None:
    """Once, and it is asked for on; the verdict takes it off their list."""
    assert bed.outbox is not None
    await bed.pay(1)
    await bed.all()
    bed.depot.faults.chance = lambda: 400
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"

    async def asked(times: int) -> Anomaly:
        for _ in range(times):
            await bed.later(300)
            await bed.all()
        return bed.part(1).anomaly

    assert await asked(MOST_CANCELS - 1) is Anomaly.NONE
    assert await asked(1) is Anomaly.CANCEL_UNANSWERED
    assert [one.code for one in bed.outbox.anomalies((-1, ""), 10)] == ["tmall:1@main"]
    assert bed.outbox.dismiss("tmall:1@main", "li", bed.now_ms)
    assert await asked(3) is Anomaly.NONE
    assert len(codes(bed.depot, "cancel")) == MOST_CANCELS + 3
    bed.outbox._db.execute("UPDATE delivery SET anomaly = 'cancel-unanswered'")
    bed.depot.faults.chance = lambda: None
    if leaves:
        bed.depot.packed.add("tmall:1@main")
    assert await asked(1) is Anomaly.NONE
    assert bed.state(1) is (ACCEPTED if leaves else CANCELLED)


async def test_what_may_be_there_is_not_cancelled_here_because_a_later_call_was_refused(
    bed: Bed,
) -> None:
    """The first call was cut behind its effect, the second one was too many."""
    await bed.pay(1)
    bed.depot.faults.script = ["cut", 429]
    await bed.all()
    await bed.later(60)
    await bed.all()
    assert (bed.state(1), bed.part(1).doubt) == (SENT, True)
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
    await bed.later(60)
    await bed.all()
    assert bed.state(1) is CANCELLED
    assert bed.depot.cancelled == {"tmall:1@main"}


async def test_a_cancel_that_comes_during_a_call_that_is_refused_costs_no_other(bed: Bed) -> None:
    """It is certainly not there."""
    bed.depot.gate = asyncio.Event()
    bed.depot.faults.script = [429]
    await bed.pay(1)
    await bed.follow()
    await bed.relays["main"].round()
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
    bed.depot.gate.set()
    await bed.all()
    assert (bed.state(1), bed.part(1).cancel) == (CANCELLED, CancelState.IN_TIME)
    assert len(bed.depot.calls) == 1


async def test_a_cancel_without_a_verdict_is_asked_again(bed: Bed) -> None:
    """A time-out is no verdict."""
    await bed.pay(1)
    await bed.all()
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    bed.depot.faults.script = ["cut"]
    await bed.all()
    assert (bed.state(1), bed.part(1).cancel) == (ACCEPTED, CancelState.ASKED)
    await bed.later(60)
    await bed.all()
    assert codes(bed.depot, "cancel") == ["tmall:1@main"] * 2
    assert bed.state(1) is CANCELLED


async def test_an_order_that_the_warehouse_has_forgotten_is_handed_over_and_cancelled(
    bed: Bed,
) -> None:
    """A cancel of what is not there decides nothing."""
    await bed.pay(1)
    await bed.all()
    bed.depot.orders.clear()
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    for _ in range(2):
        await bed.all()
        await bed.later(60)
    assert [verb for verb, _ in bed.depot.calls] == ["create", "cancel", "create", "cancel"]
    assert bed.state(1) is CANCELLED


@pytest.mark.parametrize("asked_before", [False, True])
async def test_of_a_refused_repetition_the_warehouse_is_asked_before_units_are_given_back(
    bed: Bed, *, asked_before: bool
) -> None:
    """The call before it may have been taken: the order would be shipped and sold again."""
    assert bed.outbox is not None
    if asked_before:
        bed.depot.before = lambda verb, _: (
            len(bed.depot.calls) == 2 and bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)  # type: ignore[union-attr]
        )
        await bed.pay(1)
        bed.depot.faults.script = ["cut"]
        await bed.all()
        bed.depot.refuses["tmall:1@main"] = {"reason": "E77"}
        bed.depot.faults.script = [None]
        await bed.later(60)
    else:
        await bed.refused_in_doubt("E77")
        assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
        assert not bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
        await bed.settler.round()
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "confirmed"  # type: ignore[union-attr]
    bed.depot.faults.script = [None, "cut"] if asked_before else ["cut"]
    await bed.all()
    bed.open()
    await bed.later(60)
    await bed.all()
    assert codes(bed.depot, "cancel") == ["tmall:1@main"] * 2
    assert (bed.state(1), bed.part(1).cancel) == (CANCELLED, CancelState.IN_TIME)
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "released"  # type: ignore[union-attr]


async def test_a_refused_repetition_that_leaves_all_the_same_releases_nothing(bed: Bed) -> None:
    """Asked too late: people see it until it has left."""
    await bed.refused_in_doubt("E77")
    bed.depot.packed.add("tmall:1@main")
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.all()
    assert (bed.state(1), bed.part(1).cancel) == (ACCEPTED, CancelState.TOO_LATE)
    assert bed.part(1).anomaly is Anomaly.REJECTED
    assert (await bed.engine.reservation("tmall:1")).reservation.state == "confirmed"  # type: ignore[union-attr]


async def test_what_was_refused_and_is_not_there_is_cancelled(bed: Bed) -> None:
    """Refused and unknown there: it is not handed over once more for that."""
    await bed.refused_in_doubt("E77")
    bed.depot.orders.clear()
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.all()
    assert [verb for verb, _ in bed.depot.calls] == ["create", "create", "cancel"]
    assert bed.state(1) is CANCELLED


async def test_a_refused_repetition_that_is_released_by_others_is_asked_back(bed: Bed) -> None:
    """As what the warehouse has accepted."""
    await bed.refused_in_doubt("E77")
    await bed.release(1)
    await bed.all()
    assert bed.depot.cancelled == {"tmall:1@main"}
    assert bed.state(1) is CANCELLED


async def test_a_refused_repetition_that_is_retried_keeps_its_doubt(bed: Bed) -> None:
    """Refused once more the warehouse is asked still; taken, it is there."""
    await bed.refused_in_doubt("E77")
    assert bed.outbox is not None
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
    await bed.all()
    assert codes(bed.depot, "cancel") == ["tmall:1@main"]
    assert bed.state(1) is CANCELLED


async def test_a_refused_repetition_is_retried(bed: Bed) -> None:
    """By the same code, once in effect."""
    await bed.refused_in_doubt("E77")
    bed.depot.refuses.clear()
    assert bed.outbox is not None
    assert bed.outbox.bound_units("main")["A"].handed == 1  # type: ignore[index]
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    await bed.all()
    assert (bed.state(1), bed.depot.effects["tmall:1@main"]) == (ACCEPTED, 1)


async def test_an_order_that_cannot_be_written_down_is_asked_back_again(bed: Bed) -> None:
    """A file of an earlier version has one without details: no call hangs for ever, others go."""
    await bed.pay(1)
    await bed.all()
    assert bed.outbox is not None
    bed.outbox._db.execute("UPDATE delivery SET dispatch = NULL WHERE code = 'tmall:1@main'")
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.pay(2)
    await bed.all()
    assert bed.state(2) is ACCEPTED
    assert (bed.state(1), bed.part(1).cancel) == (ACCEPTED, CancelState.ASKED)
    assert bed.part(1).due_ms < bed.now_ms + 60_000


async def test_cancels_go_before_all_else_and_past_calls_that_hang(bed: Bed) -> None:
    """All calls of hand-overs hang: the cancel has one of its own."""
    await bed.pay(0)
    await bed.all()
    bed.depot.gate = asyncio.Event()
    for number in range(1, 10):
        await bed.pay(number)
    await bed.follow()
    await bed.until(lambda: bed.depot.under_way == bed.calls_in_flight)
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:0", "refunded", bed.now_ms)
    await bed.until(lambda: bool(codes(bed.depot, "cancel")))
    assert codes(bed.depot, "cancel") == ["tmall:0@main"]
    bed.depot.gate.set()


async def test_late_and_early_cancels_raced_against_packing(bed: Bed) -> None:
    """Whatever comes first: no order is both packed and released."""
    chance = random.Random(7)
    for number in range(60):
        await bed.pay(number)
    await bed.follow()
    assert bed.outbox is not None
    asked: set[int] = set()
    for _ in range(40):
        await bed.relays["main"].round()
        for code in [code for code in bed.depot.orders if code not in bed.depot.cancelled]:
            if chance.random() < 0.1:
                bed.depot.packed.add(code)
        for number in range(60):
            if chance.random() < 0.05 and number not in asked:
                asked.add(number)
                bed.outbox.ask_cancel(f"tmall:{number}", "refunded", bed.now_ms)
        await bed.settler.round()
    await bed.all()
    for number in range(60):
        found = (await bed.engine.reservation(f"tmall:{number}")).reservation
        assert found is not None
        leaves = f"tmall:{number}@main" in bed.depot.packed
        assert not (leaves and found.state == "released")
        if number in asked and not leaves:
            assert found.state == "released"
