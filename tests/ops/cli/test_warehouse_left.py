"""`holdfast warehouses` about reports, shortfalls and drifts, as an operator uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.cli.test_warehouses import Run, config, run
from tests.wms_sync.found import APART_MS, Found, opened
from wms_sync.reconciliation.model import Walk
from wms_sync.reports.reported import ReportState

__all__ = ["config", "run"]


@pytest.fixture
def found(config: Path) -> Iterator[Found]:
    """Open the files as the loops that work on them do: they hold nobody up."""
    with opened(config.parent / "var", time.time_ns() // 1_000_000 - 3 * APART_MS) as made:
        yield made


def test_before_anything_is_left_it_says_so(config: Path, run: Run) -> None:
    """And makes no file; what is not there cannot be seen to: exit code 1, and why."""
    assert run("reports")[0] == 1  # no directory
    (config.parent / "var").mkdir()
    assert run("reports") == (0, "none: all that warehouses reported is applied\n")
    assert run("shortfalls") == (0, "none: all that is promised is there\n")
    assert run("drifts") == (0, "none that is open\n")
    for command in ("reports", "shortfalls", "drifts"):
        assert json.loads(run(command, "--json")[1]) == []
    for command in ("report", "retry-report", "dismiss-report"):
        code, said = run(command, "7")
        assert (code, "holdfast warehouses report" in said) == (1, True)
        assert run(command, "0")[0] == 2
        assert run(command, "9" * 19)[0] == 2
    for command in ("sku", "look-again", "dismiss-drift", "dismiss-shortfall"):
        code, said = run(command, "main", "A")
        assert (code, "A" in said, "main" in said) == (1, True, True)
    assert list((config.parent / "var").iterdir()) == []


def test_reports_are_shown_tried_again_and_dismissed(run: Run, found: Found) -> None:
    """Each once; it says who it was. What nobody could read is not shown here."""
    dead, unread = found.dead("no such order"), found.unread()
    said = run("reports")[1]
    assert "no such order" in said
    assert "tmall:1@main" in said
    assert [row["number"] for row in json.loads(run("reports", "--json")[1])] == [dead, unread]
    code, said = run("report", str(dead))
    assert (code, said.splitlines()[0]) == (0, "1 of main: shipped, tmall:1@main: dead")
    assert '"items": [["A", 1]]' in said
    for more in ((), ("--json",)):
        said = run("report", str(unread), *more)[1]
        assert "13800001234" not in said
    assert json.loads(said)["masked"] is True
    (row,) = json.loads(run("list", "--json")[1])
    assert row["reports"] == 2
    assert run("retry-report", str(unread))[0] == 1
    assert run("retry-report", str(dead)) == (0, "report 1 is applied as soon as the agents run\n")
    assert run("dismiss-report", str(unread)) == (0, "report 2 is off the list\n")
    assert run("dismiss-report", str(unread))[0] == 1
    assert "none" in run("reports")[1]
    kept = [found.box.report(number) for number in (dead, unread)]
    assert [(one.state, one.reason) for one in kept if one] == [
        (ReportState.WAITING, "retried by command line"),
        (ReportState.DISMISSED, "a word in no table (dismissed by command line)"),
    ]


def test_shortfalls_are_shown_and_dismissed(run: Run, found: Found) -> None:
    found.told_short("A", on_hand=5, promised=8)
    found.look("A", 5, on_hand=5, promised=9)
    found.look("B", 5, on_hand=5, promised=6)
    said = run("shortfalls")[1]
    assert "reports, comparison" in said
    assert [(row["sku"], row["missing"]) for row in json.loads(run("shortfalls", "--json")[1])] == [
        ("A", 4),
        ("B", 1),
    ]
    assert run("dismiss-shortfall", "main", "A") == (0, "A at main is off the list\n")
    assert run("dismiss-shortfall", "main", "A")[0] == 1
    assert [row["sku"] for row in json.loads(run("shortfalls", "--json")[1])] == ["B"]


def test_drifts_are_shown_with_their_history_looked_at_again_and_dismissed(
    run: Run, found: Found
) -> None:
    found.drift("A", 90, handed=4, promised=99)
    said = run("drifts")[1]
    assert "-10 to -6" in said
    (row,) = json.loads(run("drifts", "--json")[1])
    assert (row["sku"], row["range"]) == ("A", {"low": -10, "high": -6, "foreign": 0})
    said = run("sku", "main", "A")[1]
    assert "A at main: differs, -10 to -6" in said
    assert "certain: -10 to -6" in said
    assert "short: 5 of 99 promised are not there" in said
    assert "drift found" in said
    assert json.loads(run("sku", "main", "A", "--json")[1])["drifts"][0]["units"] == -6
    assert run("look-again", "main", "A")[0] == 0
    assert found.findings.due("main", found.now_ms, 9) == ["A"]
    assert run("dismiss-drift", "main", "A") == (0, "the drift of A at main is off the list\n")
    assert run("dismiss-drift", "main", "A")[0] == 1
    assert run("drifts") == (0, "none that is open\n")
    (row,) = json.loads(run("drifts", "--state", "dismissed", "--json")[1])
    assert row["dismissed_by"] == "command line"
    assert run("drifts", "--state", "ill")[0] == 2


def test_the_list_says_how_much_is_left_and_how_far_the_comparison_is(
    run: Run, found: Found
) -> None:
    """A pass that has not begun has checked nothing."""
    (row,) = json.loads(run("list", "--json")[1])
    assert (row["drifts"], row["comparison"]) == (0, None)
    found.drift("A", 90)
    found.now_ms += 1
    found.walk(Walk(first_ms=found.now_ms, began_ms=found.now_ms))
    found.look("B", 100)
    said = run("list")[1]
    assert "1/2" in said
    (row,) = json.loads(run("list", "--json")[1])
    assert (row["drifts"], row["comparison"]["checked"]) == (1, 1)
