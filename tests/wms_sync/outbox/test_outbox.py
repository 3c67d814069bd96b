"""What people and metrics ask of the outbox, and what it costs to keep."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from reservation.store.positions import Version
from tests.wms_sync.bed import NOW_MS, dispatch
from wms_sync.model import Created
from wms_sync.outbox.delivery import Beat, DeliveryState, Kept
from wms_sync.outbox.entries import Confirmed, Released
from wms_sync.outbox.file import SLOT_MS, OutboxUnavailable
from wms_sync.outbox.outbox import Outbox
from wms_sync.outbox.reads import look_at
from wms_sync.outbox.rows import FIRST_STEPS, LAST_STEPS
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Lane, Turns

CODE = "tmall:1@main"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """Open an outbox that is as of a place in the log."""
    opened = Outbox(tmp_path / "outbox.sqlite3", ["main"])
    opened.entries.compared("5-0")
    yield opened
    opened.close()


def paid(number: int, at_ms: int = NOW_MS) -> Confirmed:
    """Have an order paid."""
    return Confirmed(f"tmall:{number}", {"main": {"A": 2}}, at_ms)


def take(outbox: Outbox, *happenings: object, version: Version = (6, 0)) -> None:
    """Take in what happened."""
    outbox.entries.take([(version, one) for one in happenings], "6-0", NOW_MS)  # type: ignore[misc]


def detail(outbox: Outbox, *numbers: int, lane: Lane = Lane.NORMAL) -> None:
    """Give orders their details."""
    found = [(f"tmall:{number}", dispatch(lane)) for number in numbers]
    outbox.entries.detail(found, [], {}, NOW_MS)


def send(outbox: Outbox, code: str = CODE) -> None:
    """Mark one as sent."""
    handing = outbox.handing("main")
    with handing.transaction():
        handing.mark_sent(handing.chosen([code]), NOW_MS)


def test_counts_are_exact_whatever_happens(outbox: Outbox) -> None:
    """By state and lane, with the oldest of what has not ended."""
    chance = random.Random(3)
    handing = outbox.handing("main")
    for number in range(200):
        take(outbox, paid(number, NOW_MS + number), version=(10 + number, 0))
        if chance.random() < 0.8:
            detail(outbox, number, lane=chance.choice(list(Lane)))
            code = f"tmall:{number}@main"
            if chance.random() < 0.7:
                send(outbox, code)
                with handing.transaction():
                    accepted = chance.random() < 0.7
                    handing.answered(Created(code=code, accepted=accepted), NOW_MS)
        if chance.random() < 0.2:
            take(outbox, Released(f"tmall:{number}", ""), version=(11 + number, 0))
    outbox.forget(NOW_MS + 1, 10)
    rows = outbox.deliveries("1 = 1", ())
    assert len(rows) == 190
    counted = {(d.state, d.lane): (d.orders, d.oldest_ms) for d in outbox.depths("main")}
    expected = Counter((row.state, row.lane) for row in rows)
    assert {key: orders for key, (orders, _) in counted.items() if orders} == expected
    for (state, lane), (_, oldest_ms) in counted.items():
        of_these = [row.entered_ms for row in rows if (row.state, row.lane) == (state, lane)]
        ended = state in {DeliveryState.CANCELLED, DeliveryState.SHIPPED}
        assert oldest_ms == (None if ended else min(of_these, default=None))


def test_a_way_keeps_its_beginning_and_its_end(outbox: Outbox) -> None:
    """However often an order is tried: bounded, and in order."""
    take(outbox, paid(1))
    detail(outbox, 1)
    handing = outbox.handing("main")
    for number in range(100):
        send(outbox)
        with handing.transaction():
            handing.put_off(CODE, f"fault {number}", NOW_MS, NOW_MS, unknown=True)
    steps = outbox.way(CODE)
    assert len(steps) == FIRST_STEPS + LAST_STEPS
    assert [step.what for step in steps[:3]] == ["entered", "detailed", "sent"]
    assert steps[-1].detail == "fault 99"
    assert [step.number for step in steps] == sorted(step.number for step in steps)
    assert steps[-1].number == 202


def test_pages_name_each_once(outbox: Outbox) -> None:
    """The longest in a state first."""
    take(outbox, *(paid(number) for number in range(25)))
    seen: list[str] = []
    after = (0, "")
    while page := outbox.page("main", DeliveryState.UNDETAILED, after, 10):
        seen += [one.code for one in page]
        after = (page[-1].since_ms, page[-1].code)
    assert sorted(seen) == sorted(f"tmall:{number}@main" for number in range(25))


def test_what_ended_long_ago_is_forgotten_and_the_rest_is_not(outbox: Outbox) -> None:
    """Anomalies stay until people have seen to them."""
    take(outbox, paid(1), paid(2), paid(3))
    take(outbox, Released("tmall:2", ""), version=(7, 0))
    detail(outbox, 3)
    send(outbox, "tmall:3@main")
    handing = outbox.handing("main")
    with handing.transaction():
        handing.answered(Created(code="tmall:3@main", accepted=False, reason="no"), NOW_MS)
    assert outbox.forget(NOW_MS) == 0
    assert outbox.forget(NOW_MS + 1) == 1
    assert [row.code for row in outbox.deliveries("1 = 1 ORDER BY code", ())] == [
        CODE,
        "tmall:3@main",
    ]


def test_others_look_at_it_while_it_is_worked_on(outbox: Outbox, tmp_path: Path) -> None:
    """A file that is not there is no outbox, one that is none an error."""
    take(outbox, paid(1))
    path = tmp_path / "outbox.sqlite3"
    parts = look_at(path, lambda reads: reads.parts("tmall:1"))
    assert parts is not None
    assert [part.code for part in parts] == [CODE]
    assert look_at(tmp_path / "none.sqlite3", lambda reads: reads.parts("tmall:1")) is None
    (tmp_path / "bad.sqlite3").write_text("no database, and longer than a header is" * 100)
    with pytest.raises(OutboxUnavailable):
        look_at(tmp_path / "bad.sqlite3", lambda reads: reads.parts("tmall:1"))


def test_pace_and_turns_are_kept(outbox: Outbox) -> None:
    """As they were."""
    assert outbox.kept("main") is None
    kept = Kept(Pace(at_ms=NOW_MS, credit=1 << 62, share=770), Turns(1))
    handing = outbox.handing("main")
    with handing.transaction():
        handing.keep(kept)
    assert outbox.kept("main") == kept


def test_what_is_asked_all_the_time_reads_by_an_index(outbox: Outbox) -> None:
    """No question of the loops walks through all rows, nor sorts them."""
    asked: list[str] = []
    outbox._db._db.set_trace_callback(asked.append)
    handing = outbox.handing("main")
    handing.cancels(NOW_MS, 10)
    handing.unknown(NOW_MS, 10)
    handing.stubborn(NOW_MS, 10)
    handing.waiting("main", 10)
    outbox.entries.undetailed(NOW_MS, 10)
    outbox.refused_locks(10)
    outbox.settled_wishes(NOW_MS, 10)
    outbox.anomalies((0, ""), 10)
    outbox.page("main", DeliveryState.ACCEPTED, (0, ""), 10)
    outbox.parts("tmall:1")
    outbox.depths("main")
    outbox.pulse("main", NOW_MS)
    outbox._db._db.set_trace_callback(None)
    assert len(asked) == 16
    for statement in asked:
        plan = [row[3] for row in outbox._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        walks = [
            step for step in plan if step.startswith("SCAN") and "INDEX delivery_short" not in step
        ]
        assert not walks, (statement, plan)
        assert not any("TEMP B-TREE" in step for step in plan), (statement, plan)


def test_what_came_is_counted_without_a_look_at_a_row(outbox: Outbox) -> None:
    """An index has all that is asked for: a day's orders are many."""
    asked: list[str] = []
    outbox._db._db.set_trace_callback(asked.append)
    outbox.came("main", 0, 0, 1)
    outbox._db._db.set_trace_callback(None)
    plans = [outbox._db._db.execute(f"EXPLAIN QUERY PLAN {one}").fetchall() for one in asked]
    assert ["COVERING INDEX delivery_came" in plan[0][3] for plan in plans] == [True, True]


def test_hand_overs_are_counted_by_the_time_of_their_acceptance(outbox: Outbox) -> None:
    """Whatever becomes of them later, until the slot is forgotten with what ended then."""
    take(outbox, paid(1), paid(2))
    detail(outbox, 1, 2)
    handing = outbox.handing("main")
    for number, at_ms in ((1, NOW_MS), (2, NOW_MS + SLOT_MS)):
        send(outbox, f"tmall:{number}@main")
        with handing.transaction():
            handing.answered(Created(code=f"tmall:{number}@main", accepted=True), at_ms)
    first_ms = NOW_MS // SLOT_MS * SLOT_MS
    assert outbox.pulse("main", 0) == [
        Beat(first_ms, 1, None, None),
        Beat(first_ms + SLOT_MS, 1, None, None),
    ]
    outbox.forget(NOW_MS + SLOT_MS, 10)
    assert [beat.at_ms for beat in outbox.pulse("main", 0)] == [first_ms + SLOT_MS]
