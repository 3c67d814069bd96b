"""Units are kept at the warehouse for orders that wait: once each, and never silently no more."""

from __future__ import annotations

import pytest

from reservation.model import SYSTEM, Line, SetStock
from tests.wms_sync.bed import UNPACED, Bed
from tests.wms_sync.depot import DepotConnector, LockConnector, codes
from tests.wms_sync.locked import (
    ENDED,
    ENDING,
    EXPIRED,
    LOCKED,
    MINUTE,
    ONE,
    REFUSED,
    SLOW,
    begun,
    house,
    paid,
)
from wms_sync.outbox.delivery import Anomaly, DeliveryState
from wms_sync.outbox.desk import Verdict
from wms_sync.outbox.file import NEVER
from wms_sync.outbox.locks import _DUE

__all__ = ["house"]


async def test_what_waits_is_locked_until_a_time(house: Bed) -> None:
    """For half an hour from the call on; a second look asks for nothing more."""
    await paid(house, 1)
    assert house.depot.locks == {
        ONE: {"code": ONE, "items": [["A", 1]], "until": house.now_ms + 30 * MINUTE * 1000}
    }
    row = house.lock_of(1)
    assert (row.state, row.until_ms) == (LOCKED, house.now_ms + 30 * MINUTE * 1000)
    assert house.steps(1) == ["entered", "detailed", "locked"]
    await house.lock()
    assert codes(house.depot, "lock") == [ONE]


async def test_what_lacks_its_details_is_locked_as_well(house: Bed) -> None:
    """It is paid: that is enough."""
    await paid(house, 1, details=False)
    assert house.state(1) is DeliveryState.UNDETAILED
    assert house.lock_of(1).state is LOCKED


async def test_an_event_that_comes_twice_is_one_lock(house: Bed) -> None:
    """Also where all rows are compared with all reservations again."""
    await paid(house, 1)
    house.open()
    assert house.outbox is not None
    house.outbox.entries.compared("")
    await house.all()
    await begun(house)
    await house.lock()
    assert codes(house.depot, "lock") == [ONE]


async def test_what_has_its_turn_at_once_needs_no_lock(house: Bed) -> None:
    """Its hand-over is the lock."""
    house.capacity = UNPACED
    house.open()
    await begun(house)
    await house.pay(1)
    await house.follow()
    await house.later(0.9)
    await house.lock()
    await house.relay()
    await house.later(1)
    await house.lock()
    assert house.state(1) is DeliveryState.ACCEPTED
    assert house.lock_of(1).state is ENDED
    assert codes(house.depot, "lock") == []


async def test_a_lock_is_renewed_well_before_it_ends(house: Bed) -> None:
    """After two thirds of its time, each time, as long as its order waits."""
    await paid(house, 1)
    first = house.now_ms
    for turn in range(1, 8):
        await house.later(20 * MINUTE - 1)
        await house.lock()
        assert len(codes(house.depot, "lock")) == turn
        await house.later(1)
        await house.lock()
        assert len(codes(house.depot, "lock")) == turn + 1
        assert house.lock_of(1).until_ms == first + (20 * turn + 30) * MINUTE * 1000
        assert house.depot.locks[ONE]["until"] == house.lock_of(1).until_ms
    assert house.steps(1) == ["entered", "detailed", "locked"]


async def test_the_hand_over_takes_its_place(house: Bed) -> None:
    """The order's own call ends it; nothing is unlocked before, so nothing is free in between."""
    await paid(house, 1)
    house.capacity = UNPACED
    house.open()
    await house.later(60)
    await house.all()
    await house.lock()
    assert house.state(1) is DeliveryState.ACCEPTED
    assert house.lock_of(1).state is ENDED
    assert house.depot.locks == {}
    assert [verb for verb, _ in house.depot.calls] == ["lock", "create"]
    await house.later(3600)
    await house.lock()
    assert [verb for verb, _ in house.depot.calls] == ["lock", "create"]


async def test_a_cancelled_order_is_unlocked(house: Bed) -> None:
    """However often that has to be asked; one whose lock was never asked for costs no call."""
    await paid(house, 1)
    await house.pay(2)
    await house.follow()
    assert house.outbox is not None
    for number in (1, 2):
        verdict = house.outbox.ask_cancel(f"tmall:{number}", "refund", house.now_ms)
        assert verdict is Verdict.IN_TIME
    assert (house.lock_of(1).state, house.lock_of(2).state) == (ENDING, ENDED)
    house.depot.lock_faults.script = [503, 500]
    for _ in range(3):
        await house.lock()
        await house.later(30)
    assert house.lock_of(1).state is ENDED
    assert house.depot.locks == {}
    assert codes(house.depot, "unlock") == [ONE] * 3
    assert house.steps(1)[-1] == "unlocked"


async def test_a_released_order_is_unlocked(house: Bed) -> None:
    """Whoever has released it."""
    await paid(house, 1)
    await house.release(1)
    await house.follow()
    await house.lock()
    assert (house.lock_of(1).state, house.depot.locks) == (ENDED, {})


async def test_a_refused_lock_is_a_failed_lock_and_for_people(house: Bed) -> None:
    """The order waits all the same; three of them suspend the SKU that is short, and it alone."""
    for number in range(3):
        short = [".", "NONE", "A"]
        house.depot.refuses_lock[f"tmall:{number}@main"] = {"reason": "缺货", "short": short}
        await house.pay(number, Line("A", "main", 1), Line("B", "main", 1))
    await house.follow()
    await house.later(1)
    await house.lock()
    await house.settler.round()
    breakers = [(await house.engine.stock(sku)).breaker.state for sku in ("A", "B")]
    assert breakers == ["open", "closed"]
    part = house.part(1)
    assert (part.state, part.anomaly) == (DeliveryState.PENDING, Anomaly.LOCK_REFUSED)
    assert (part.reason, house.lock_of(1).state) == ("缺货", REFUSED)
    assert house.outbox is not None
    assert len(house.outbox.anomalies((0, ""), 10)) == 3
    await house.later(3600)
    await house.lock()
    assert len(codes(house.depot, "lock")) == 3  # nobody asks again by himself


async def test_a_lock_that_is_refused_for_whatever_reason_blames_its_only_sku(house: Bed) -> None:
    """Of several nobody knows which."""
    await house.engine.set_stock(SetStock("C", "main", 9, 0), SYSTEM)
    for number in range(3):
        house.depot.refuses_lock[f"tmall:{number}@main"] = {"reason": "商品不存在", "short": []}
        await house.pay(number, Line("A", "main", 1))
    house.depot.refuses_lock["tmall:3@main"] = {"reason": "商品不存在", "short": []}
    await house.pay(3, Line("B", "main", 1), Line("C", "main", 1))
    await house.follow()
    await house.later(1)
    await house.lock()
    await house.settler.round()
    breakers = [(await house.engine.stock(sku)).breaker for sku in ("A", "B", "C")]
    assert [one.state for one in breakers] == ["open", "closed", "closed"]
    assert [one.failures for one in breakers[1:]] == [0, 0]


async def test_a_refused_lock_is_told_again_once_the_details_are_there(house: Bed) -> None:
    """What nobody can detail comes first: without that it goes nowhere."""
    house.depot.refuses_lock[ONE] = {"reason": "缺货"}
    await paid(house, 1, details=False)
    assert house.part(1).anomaly is Anomaly.LOCK_REFUSED
    for _ in range(20):
        house.now_ms = house.part(1).due_ms
        await house.clerk.round()
    assert house.part(1).anomaly is Anomaly.NO_DETAILS
    house.book.known.clear()
    house.now_ms = house.part(1).due_ms
    await house.clerk.round()
    part = house.part(1)
    assert (part.state, part.anomaly) == (DeliveryState.PENDING, Anomaly.LOCK_REFUSED)
    assert part.reason == "缺货"


async def test_a_refused_lock_is_retried_or_dismissed(house: Bed) -> None:
    """Retried, it is asked for anew; dismissed, it is off the list and stays refused."""
    house.depot.refuses_lock[ONE] = {"reason": "缺货"}
    await paid(house, 1)
    assert house.outbox is not None
    assert house.outbox.retry(ONE, "li", house.now_ms)
    assert house.part(1).anomaly is Anomaly.NONE
    await house.lock()
    assert house.part(1).anomaly is Anomaly.LOCK_REFUSED
    assert house.outbox.dismiss(ONE, "li", house.now_ms)
    assert not house.outbox.anomalies((0, ""), 10)
    assert house.lock_of(1).state is REFUSED
    del house.depot.refuses_lock[ONE]
    assert house.outbox.retry(ONE, "li", house.now_ms)
    await house.lock()
    assert house.lock_of(1).state is LOCKED
    assert not house.outbox.retry(ONE, "li", house.now_ms)


async def test_what_is_taken_after_all_is_no_anomaly(house: Bed) -> None:
    """The hand-over was the lock; nobody has to look at the refusal any more."""
    house.depot.refuses_lock[ONE] = {"reason": "缺货"}
    await paid(house, 1)
    house.capacity = UNPACED
    house.open()
    await house.later(60)
    await house.all()
    assert (house.state(1), house.part(1).anomaly) == (DeliveryState.ACCEPTED, Anomaly.NONE)
    assert house.lock_of(1).state is ENDED


async def test_a_part_that_left_otherwise_is_locked_anew(house: Bed) -> None:
    """For what is left: the old lock ends first."""
    await house.pay(1, Line("A", "main", 3))
    await house.follow()
    await house.later(1)
    await house.lock()
    await house.fulfil(1, "p1", Line("A", "main", 1))
    await house.follow()
    await house.lock()
    assert house.depot.locks[ONE]["items"] == [["A", 2]]
    assert [verb for verb, _ in house.depot.calls] == ["lock", "unlock", "lock"]


async def test_a_rejected_order_is_not_renewed_and_locked_anew_when_retried(house: Bed) -> None:
    """While people look at it nobody can say that it leaves."""
    await paid(house, 1)
    house.depot.refuses[ONE] = {"reason": "no such street"}
    house.capacity = UNPACED
    house.open()
    await house.later(60)
    await house.all()
    assert house.state(1) is DeliveryState.REJECTED
    await house.later(3600)
    await house.lock()
    assert (house.lock_of(1).state, len(codes(house.depot, "lock"))) == (EXPIRED, 1)
    assert house.outbox is not None
    assert house.outbox.retry(ONE, "li", house.now_ms)
    await house.later(1)
    await house.lock()
    assert (house.lock_of(1).state, len(codes(house.depot, "lock"))) == (LOCKED, 2)


async def test_an_id_that_is_used_again_is_locked_anew(house: Bed) -> None:
    """Its old lock is ended before."""
    await paid(house, 1)
    await house.release(1)
    await house.follow()
    house.depot.lock_faults.script = [503]
    await house.lock()
    assert house.lock_of(1).state is ENDING
    await house.later(60)
    await house.lock()
    assert (house.lock_of(1).state, house.depot.locks) == (ENDED, {})


@pytest.mark.parametrize("minutes", [0, 30])
async def test_locks_can_be_switched_off_and_on(house: Bed, minutes: int) -> None:
    """Off: nothing is asked for or renewed, what is cancelled is unlocked. On: all that waits."""
    await paid(house, 1, 2)
    house.lock_minutes = 0
    house.open()
    await begun(house)
    await paid(house, 3)
    assert house.outbox is not None
    assert house.outbox.locks_seen("main") is None
    assert "tmall:3@main" not in house.outbox.locks(["tmall:3@main"])
    await house.release(2)
    await house.follow()
    await house.later(25 * MINUTE)
    await house.lock()
    assert sorted(house.depot.locks) == [ONE]
    assert len(codes(house.depot, "lock")) == 2
    house.lock_minutes = minutes
    house.open()
    await begun(house)
    await house.lock()
    assert sorted(house.depot.locks) == ([ONE, "tmall:3@main"] if minutes else [ONE])
    assert len(codes(house.depot, "lock")) == (4 if minutes else 2)


async def test_a_warehouse_that_gets_locks_later_locks_what_waits(bed: Bed) -> None:
    """A file of an older version, with orders in it, is taken as it is."""
    bed.capacity = SLOW
    bed.open()
    await bed.pay(1)
    await bed.all()
    assert bed.outbox is not None
    with bed.outbox._db.transaction():
        for kind, name in bed.outbox._db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'table')"
            " AND (name LIKE 'lock%') ORDER BY type DESC"
        ).fetchall():
            bed.outbox._db.execute(f"DROP {kind} {name}")
    assert bed.outbox.locks([ONE]) == {}
    assert bed.outbox.locks_seen("main") is None
    assert bed.outbox.bound_units("main") == {}
    bed.connector_kind = LockConnector
    bed.open()
    await begun(bed)
    await bed.lock()
    assert bed.lock_of(1).state is LOCKED


async def test_an_idle_locker_writes_nothing(house: Bed) -> None:
    """It looks ten times a second."""
    await paid(house, 1)
    assert house.outbox is not None
    before = house.outbox._db._db.total_changes
    for _ in range(3):
        await house.later(1)
        await house.lock()
    assert house.outbox._db._db.total_changes == before


async def test_a_connector_without_locks_has_no_rows(bed: Bed) -> None:
    """And asks for nothing."""
    bed.capacity = SLOW
    bed.connector_kind = DepotConnector
    bed.open()
    await begun(bed)
    await paid(bed, 1)
    assert bed.outbox is not None
    assert bed.outbox.locks([ONE]) == {}


def test_what_is_due_is_found_by_an_index(house: Bed) -> None:
    """However many have ended, are refused, or are not due."""
    assert house.outbox is not None
    db = house.outbox._db
    for index, condition in {
        "lock_due": f"warehouse = 'main' AND {_DUE} AND due_ms <= 1 ORDER BY due_ms LIMIT 1",
        "lock_ends": "warehouse = 'main' AND state = 'locked' AND until_ms <= 1",
        "lock_busy": f"warehouse = 'main' AND due_ms = {NEVER}",
    }.items():
        plan = db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM lock WHERE {condition}").fetchall()  # noqa: S608
        assert index in str(plan), (condition, plan)
        assert "TEMP B-TREE" not in str(plan)


# -- whatever dies, and whatever chance does ------------------------------------------------------
