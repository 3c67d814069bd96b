"""The box of reports: each once, in the order they came, nothing read without an index."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.wms_sync.reports.saying import changed, counted, lacking, progressed, shipped
from wms_sync.model import Progress
from wms_sync.reports.box import Box, Fate, look_at, reports_path
from wms_sync.reports.reported import Plan, ReportState, Shortfall, packed, unread

ALL = [
    shipped(1, parcel="SF1"),
    progressed(1, Progress.EXCEPTION),
    lacking(1, 1),
    changed(1),
    counted(1),
]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """Open a new one."""
    opened = Box(reports_path(tmp_path))
    yield opened
    opened.close()


def test_a_report_is_kept_once_by_its_name(box: Box) -> None:
    """Of each warehouse; it comes out as it went in."""
    assert box.keep([("main", one) for one in ALL], 1_000) == 5
    assert box.keep([("main", ALL[0]), ("east", ALL[0])], 2_000) == 1
    assert [box.report(number).said for number in range(1, 6)] == ALL
    assert (box.report(1).times, box.report(1).kept_ms) == (2, 1_000)


def test_what_is_told_otherwise_under_the_same_name_is_for_people(box: Box) -> None:
    """It is not applied, whether the first was by then or not."""
    box.keep([("main", changed(1)), ("main", shipped(1, parcel="SF1"))], 1_000)
    box.keep([("main", replace(changed(1), delta=7)), ("main", shipped(1, parcel="SF1"))], 2_000)
    box.settle([Fate(number=1, done=True), Fate(number=2, done=True)], 3_000)
    odd, whole = box.report(1), box.report(2)
    assert (odd.said, whole.anomaly) == (changed(1), "")
    assert "told otherwise under the same name" in odd.anomaly
    assert '"delta":7' in odd.anomaly
    assert box.counts("main")["anomaly"] == 1
    box.dismiss(1, "li", 4_000)
    box.keep([("main", changed(1))], 5_000)
    assert box.counts("main")["anomaly"] == 0


def test_an_older_file_gets_what_it_lacks(box: Box, tmp_path: Path) -> None:
    """Its shortfalls stand, and can be dismissed."""
    short = Shortfall(
        warehouse="main",
        sku="A",
        since_ms=1,
        at_ms=1,
        on_hand=5,
        held=0,
        committed=8,
        untaken=0,
        report="n1",
    )
    box.renew([short])
    with contextlib.closing(sqlite3.connect(reports_path(tmp_path))) as older:
        older.execute("DROP TABLE seen_to")
    with contextlib.closing(Box(reports_path(tmp_path))) as anew:
        assert anew.shortfalls() == [short]
        assert anew.dismiss_shortfall("main", "A", "li")
        assert anew.shortfalls() == []


def test_of_each_chain_the_first_that_waits_is_due(box: Box) -> None:
    """One that waits for its next try holds up its own order alone; one that is dead nobody."""
    own = changed(-1, cause="tmall:1@main", name="own")
    told = [shipped(1, name="a"), own, shipped(2, name="b"), counted(1), changed(1)]
    box.keep([("main", one) for one in told], 1_000)

    def due(at_ms: int) -> list[str]:
        return [one.said.message_id for one in box.due(at_ms, 9)]

    assert due(999) == []
    assert due(1_000) == ["a-1", "b-2", "n1"]
    box.settle([Fate(number=1, reason="away", due_ms=2_000), Fate(number=4, done=True)], 1_000)
    assert due(1_999) == ["b-2", "c1"]
    assert due(2_000) == ["b-2", "c1", "a-1"]
    box.settle([Fate(number=1, reason="never")], 2_000)
    assert due(2_000) == ["own", "b-2", "c1"]
    assert [one.reason for one in box.for_people()] == ["never"]


def test_what_an_earlier_version_kept_is_not_told_otherwise(box: Box) -> None:
    """It wrote no part that has come since; what differs by more is for people as ever."""
    told = progressed(1, Progress.UNDER_WAY)
    box.keep([("main", told)], 1_000)
    _, said = packed(told)
    earlier = said.replace(b',"unnamed":false', b"")
    assert earlier != said
    box._db.execute("UPDATE report SET said = ?", (earlier,))
    assert box.keep([("main", told)], 2_000) == 0
    assert (box.report(1).times, box.for_people()) == (2, [])
    box.keep([("main", replace(told, word="PACKED"))], 3_000)
    assert [one.number for one in box.for_people()] == [1]


def test_people_see_what_is_tried_in_vain_what_is_dead_and_anomalies(box: Box) -> None:
    """They retry and dismiss, each what can be."""
    box.keep([("main", shipped(number)) for number in range(4)], 1_000)
    box.settle(
        [
            Fate(number=1, reason="away", due_ms=9_000),
            Fate(number=2, reason="never"),
            Fate(number=3, done=True, anomaly="more"),
        ],
        1_000,
    )
    assert [one.number for one in box.for_people()] == [1, 2, 3]
    assert [one.number for one in box.for_people(1, 1)] == [2]
    assert box.counts("main") == {"waiting": 2, "dead": 1, "anomaly": 1, "shortfall": 0}
    assert (box.count_for_people("main"), box.count_for_people("east")) == (3, 0)
    assert [box.dismiss(number, "li", 2_000) for number in (1, 2, 3, 4, 9)] == [
        *(False, True, True, False, False)
    ]
    assert [box.retry(number, "li", 2_000) for number in (1, 2, 3, 9)] == [
        True,
        False,
        False,
        False,
    ]
    assert box.for_people() == []
    assert [box.report(number).state for number in (1, 2, 3)] == [
        *(ReportState.WAITING, ReportState.DISMISSED, ReportState.DONE)
    ]
    assert [box.report(number).reason for number in (1, 2, 3)] == [
        *("retried by li", "never (dismissed by li)", "more (dismissed by li)")
    ]


def test_what_ended_long_ago_is_forgotten_but_for_what_people_see(box: Box) -> None:
    box.keep([("main", shipped(number)) for number in range(4)], 1_000)
    box.settle([Fate(number=1, done=True), Fate(number=2, done=True, anomaly="more")], 2_000)
    box.settle([Fate(number=3, reason="never")], 2_000)
    assert box.forget(2_000) == 0
    assert box.forget(2_001) == 1
    assert [box.report(number) is None for number in range(1, 5)] == [True, False, False, False]


def test_what_was_decided_is_kept(box: Box) -> None:
    """Each SKU's change beside the rest."""
    box.keep([("main", shipped(1))], 1_000)
    box.decide(1, Plan(loose={"A": 2, "B": 1}))
    box.take(1, "A", -1)
    box.take(1, "B", 0)
    assert box.report(1).plan == Plan(loose={"A": 2, "B": 1}, taken={"A": -1, "B": 0})


def test_what_nobody_can_read_is_kept_in_any_bytes(box: Box) -> None:
    box.keep([("main", unread("why", b"\xff<a>\x00"))], 1_000)
    (one,) = box.for_people()
    assert (one.state, one.said.body) == (ReportState.DEAD, "\ufffd<a>\x00")


def test_others_look_without_making_a_file(tmp_path: Path) -> None:
    path = reports_path(tmp_path)
    assert look_at(path, lambda reads: reads.for_people()) is None
    assert not path.exists()


def test_what_is_asked_all_the_time_reads_by_an_index(box: Box) -> None:
    """However many reports are done, none of them is looked at."""
    box._db._db.execute("PRAGMA automatic_index=OFF")
    plans: list[str] = []
    execute = box._db.execute

    def explained(statement: str, values=()):
        if statement.lstrip().startswith("SELECT") and "fact" not in statement:
            values = tuple(values)
            plan = execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            plans.extend(row[3] for row in plan)
        return execute(statement, values)

    box._db.execute = explained
    box.due(1_000, 9)
    box.for_people()
    box.done_of("main", "x")
    box.counts("main")
    scans = [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan]
    assert scans == []
    for name in itertools.chain(["report_due", "report_for_people", "report_dead"]):
        assert any(name in plan for plan in plans), name
