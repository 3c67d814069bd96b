"""The event log read back: what the scripts wrote, event by event."""

from __future__ import annotations

from pathlib import Path

import pytest

from reservation.events import KINDS, LogEntry, LoggedEvent, read_entry
from reservation.model import (
    AdjustStock,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Release,
    Reserve,
    SetStock,
)
from reservation.store.keys import key
from reservation.store.positions import version_key
from reservation.store.store import Store
from tests.conftest import SERVERS, Clock

README = Path(__file__).parents[3] / "reservation" / "lua" / "README.md"


def test_the_entry_of_a_birth_is_empty() -> None:
    """The first entry of a log says nothing but its position."""
    assert read_entry({"e": "", "b": ""}) == LogEntry((), {})


def test_an_entry_has_events_in_order_and_balances_by_level() -> None:
    """Names may hold blanks and signs; empty lines are none."""
    entry = read_entry(
        {
            "e": "F\ttmall:1\tk|r\tpart a\t2 a b@main\nA\tx@y@w\tk|r\t-1 a1 broken",
            "b": "10\t0\t-2\t0\ta b@main\t1\t2\t3\t4\tx@y@w",
        }
    )
    assert entry.events == (
        LoggedEvent("F", "tmall:1", "k|r", "part a", ("2 a b@main",)),
        LoggedEvent("A", "x@y@w", "k|r", "-1 a1 broken", ()),
    )
    assert entry.balances == {"a b@main": (10, 0, -2, 0), "x@y@w": (1, 2, 3, 4)}


def test_grants_are_told_by_their_records_in_their_place_among_the_events() -> None:
    """Each stands where its order was decided on; of several origins each has its own."""
    first = "H1800000000000,60000\n2 CAT@main\n1 a b@w"
    second = "C1800000000000,0\n1 CAT@main"
    third, fourth = "H1800000000000,7\n1 CAT@main", "H1800000000000,7\n2 CAT@main"
    told = "G\t2\tk|r1\tk|r2\nK\tCAT\tk|r3\t0 0 \nG\t2\tk|r3"
    records = f"t:1\x1e{first}\x1et:2\x1e{second}\x1et:3\x1e{third}\x1et:4\x1e{fourth}"
    assert read_entry({"e": f"{told}\x1e{records}", "b": ""}).events == (
        LoggedEvent("H", "t:1", "k|r1", "60000", ("2 CAT@main", "1 a b@w"), first),
        LoggedEvent("D", "t:2", "k|r2", "", ("1 CAT@main",), second),
        LoggedEvent("K", "CAT", "k|r3", "0 0 ", ()),
        LoggedEvent("H", "t:3", "k|r3", "7", ("1 CAT@main",), third),
        LoggedEvent("H", "t:4", "k|r3", "7", ("2 CAT@main",), fourth),
    )


# A run and the record of its one reservation -> the event that it is.
MOVES = {
    ("GC", "C1000,5\n2 CAT@main\n1 a b@w"): ("C", "", ("2 CAT@main", "1 a b@w")),
    ("GI", "C1000,5\n2 CAT@main"): ("I", "", ("2 CAT@main",)),
    ("GE", "H1000,70\n2 CAT@main"): ("E", "1070", ("2 CAT@main",)),
    ("GE", "H1000,70,50\n2 CAT@main"): ("E", "1070", ("2 CAT@main",)),
    ("GX", "X1000,,60\n2 CAT@main\n1 a b@w"): ("X", "1060", ("2 CAT@main", "1 a b@w")),
    ("GR H ", "R1000,,60\n2 CAT@main"): ("R", "H ", ("2 CAT@main",)),
    ("GR X no pay", "R1000,,60\n2 CAT@main"): ("R", "X no pay", ()),
    ("GR C lost", "R1000,5,60\n2 CAT@main\n1 a b@w"): (
        "R",
        "C lost",
        ("2 CAT@main", "1 a b@w"),
    ),
    ("GR C ", "R1000,5,60\n3-1 CAT@main\n1-1 a b@w\n2 x-1 y@w\n#p 1 CAT@main\t1 a b@w\n#q 1 a@b"): (
        "R",
        "C ",
        ("2 CAT@main", "2 x-1 y@w"),
    ),
}


@pytest.mark.parametrize(("run", "record"), MOVES)
def test_what_a_record_tells(run: str, record: str) -> None:
    """Kind and detail are the run's, or the record's where that has them; so are the lines."""
    kind, extra, lines = MOVES[run, record]
    entry = read_entry({"e": f"{run}\t1\tk|r\x1et:1\x1e{record}", "b": ""})
    assert entry.events == (LoggedEvent(kind, "t:1", "k|r", extra, lines, record),)


@pytest.mark.parametrize("records", ["", "\x1et:1\x1eC1000,5\n2 CAT@main"])
def test_a_run_without_its_records_is_not_read(records: str) -> None:
    """Fewer records than a run counts is a bug, never a shorter history."""
    with pytest.raises(ValueError, match="zip"):
        read_entry({"e": f"GC\t2\tk|r{records}", "b": ""})


def test_every_kind_has_a_name_and_a_row_in_the_readme() -> None:
    """The letters of the log are the README's."""
    grammar = README.read_text(encoding="utf-8").partition("| kind | event |")[2]
    rows = [line.split("|")[1] for line in grammar.splitlines() if line.startswith("|")]
    letters = {letter for cell in rows for letter in cell.split() if len(letter) == 1}
    assert letters == set(KINDS)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_day_in_the_log(store: Store, clock: Clock) -> None:
    """What was done is told in order, with who asked; the balances are those at the end."""
    cats = (Line("CAT", "main", 2),)

    async def run(operation: Operation) -> None:
        await store.run(type(operation), [operation], ["k|r"])

    await store.set_stock([SetStock("CAT", "main", 10)], "ops|1")
    await run(Reserve("tmall:1", cats, 1_000))
    await run(Extend("tmall:1", 2_000))
    await run(Confirm("tmall:1"))
    await run(Fulfil("tmall:1", "a", (Line("CAT", "main", 1),)))
    await run(Release("tmall:1", "changed\tmind"))
    await run(Reserve("tmall:2", cats, 1_000))
    await clock.advance(1)
    await run(Confirm("tmall:2", reinstate=True))
    await run(Reserve("tmall:3", (Line("CAT", "main", 99),), 1_000))
    await run(Reserve("tmall:4", cats, 0, confirm=True))
    await store.adjust_stock([AdjustStock("CAT", "main", -1, "a1", "broken")], "ops|2")
    entries = await store.client.xrange(key(0, "events"))
    read = [read_entry(fields) for _, fields in entries]
    events = [event for entry in read for event in entry.events]
    assert [event.kind for event in events] == list("SHECFRHXILDA")
    assert [event.origin for event in events if event.kind in "SXA"] == ["ops|1", "", "ops|2"]
    assert next(event.extra for event in events if event.kind == "R") == "C changed\\x09mind"
    assert next(event.lines for event in events if event.kind == "L") == ("99 7 CAT@main",)
    level = (await store.read_stock(["CAT"]))[0].levels[0]
    assert read[-1].balances == {
        "CAT@main": (level.on_hand, level.safety_stock, level.held, level.committed)
    }
    positions = [version_key(position) for position, _ in entries]
    assert positions == sorted(positions)
