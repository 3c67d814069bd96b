"""What waits to be told: the latest of each SKU, closings first, nothing lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from channels.feed.offers import _PENDING, Kind, Offer, Offers, Outcome, Wanted


@pytest.fixture
def offers(tmp_path: Path) -> Iterator[Offers]:
    """Open a new file."""
    opened = Offers(tmp_path / "feed.sqlite3")
    yield opened
    opened.close()


def want(
    offers: Offers,
    sku: str,
    units: int,
    at_ms: int,
    why: str = "",
    *,
    kind: Kind = Kind.STOCK,
    again: bool = False,
) -> int:
    """Have a channel told of a SKU."""
    wanted = Wanted("tmall", sku, kind, units, 1.0, why, again)
    return offers.want([wanted], f"{at_ms}-0", at_ms)


def due(offers: Offers, at_ms: int = 10**6) -> list[tuple[str, int, str]]:
    """Name what is due."""
    return [(one.sku, one.units, one.why) for one in offers.due("tmall", at_ms, 10)]


def one(offers: Offers, sku: str) -> Offer:
    """Find what is told of a SKU."""
    (found,) = offers.of_sku(sku)
    return found


def test_the_latest_wins(offers: Offers) -> None:
    """However often it changes before it is told; what it was told last is not told again."""
    assert want(offers, "A", 5, 1) == 1
    assert want(offers, "A", 5, 2) == 0
    assert want(offers, "A", 4, 3) == 1
    assert due(offers) == [("A", 4, "")]
    assert one(offers, "A").since_ms == 1  # it has waited since then
    offers.note([Outcome(one(offers, "A"), told_open=True)], 5)
    assert due(offers) == []
    assert want(offers, "A", 4, 6) == 0
    assert want(offers, "A", 4, 6, again=True) == 1
    assert due(offers) == [("A", 4, "")]
    assert offers.position == "6-0"


def test_an_answer_to_what_was_before_hides_nothing(offers: Offers) -> None:
    """It changed while it was told."""
    want(offers, "A", 5, 1)
    before = one(offers, "A")
    want(offers, "A", 3, 2)
    offers.note([Outcome(before, told_open=True)], 3)
    assert due(offers) == [("A", 3, "")]
    offers.note([Outcome(before, reason="too late to matter", due_ms=999)], 1)
    assert due(offers, 2) == [("A", 3, "")]
    offers.note([Outcome(one(offers, "A"), told_open=True)], 4)
    offers.note([Outcome(before, told_open=True)], 5)
    assert due(offers) == []


def test_what_closes_goes_first(offers: Offers) -> None:
    """Then by how long it has waited."""
    want(offers, "B", 5, 1)
    want(offers, "A", 5, 2)
    want(offers, "Z", 5, 3, "suspended")
    assert [sku for sku, _, _ in due(offers)] == ["Z", "B", "A"]
    want(offers, "B", 5, 9, "suspended")
    assert [sku for sku, _, _ in due(offers)] == ["Z", "B", "A"]
    assert one(offers, "B").since_ms == 9  # a closing is one since it is wanted


def test_what_failed_waits_and_what_is_dead_waits_for_a_person(offers: Offers) -> None:
    """Or for a change of it."""
    want(offers, "A", 5, 1)
    want(offers, "B", 5, 1)
    offers.note([Outcome(one(offers, "A"), reason="timeout", due_ms=50)], 1)
    assert due(offers, 49) == [("B", 5, "")]
    assert due(offers, 50) == [("A", 5, ""), ("B", 5, "")]
    offers.note([Outcome(one(offers, "A"), reason="no such item", dead=True)], 1)
    assert due(offers) == [("B", 5, "")]
    assert offers.counts("tmall") == (1, 1)
    (dead,) = offers.dead("tmall", None, 10)
    assert (dead.sku, dead.reason, dead.attempts) == ("A", "no such item", 2)
    assert offers.dead("tmall", (True, "A", "stock"), 10) == []
    assert offers.send_again("tmall", 60, ["B"]) == 0
    assert offers.send_again("tmall", 60, ["A"]) == 1
    assert offers.counts("tmall") == (2, 0)
    offers.note([Outcome(one(offers, "A"), reason="no such item", dead=True)], 1)
    want(offers, "A", 4, 70)
    assert offers.counts("tmall") == (2, 0)
    offers.note([Outcome(one(offers, "A"), reason="no such item", dead=True)], 1)
    assert offers.send_again("tmall", 60) == 1


def test_what_is_to_be_closed_and_dead_stays_due_and_comes_first(offers: Offers) -> None:
    """It counts as what it is; a console that refuses has closed no shop."""
    for sku, why in (("A", ""), ("C", "suspended"), ("B", "at risk")):
        want(offers, sku, 5, 1, why)
    want(offers, "A", 5, 1, "at risk", kind=Kind.EXPOSURE)
    dead = [Outcome(offer, reason="no", due_ms=9, dead=True) for offer in offers.due("tmall", 1, 9)]
    offers.note(dead, 1)
    assert due(offers, 8) == []
    assert [(one.sku, one.kind) for one in offers.due("tmall", 9, 9)] == [
        *(("A", "exposure"), ("B", "stock"), ("C", "stock")),
    ]
    found = offers.dead("tmall", None, 9)
    assert [(one.sku, one.is_not_closed) for one in found] == [
        *(("A", False), ("B", True), ("C", True), ("A", False)),
    ]
    for place, one in enumerate(found, 1):
        assert offers.dead("tmall", (one.is_open, one.sku, one.kind), 9) == found[place:]
    assert offers.not_closed("tmall") == 2
    assert offers.counts("tmall") == (0, 4)
    assert not offers.retell("tmall", 10**9, 9)  # nothing of it was taken


def test_a_file_of_before_gets_its_indices(offers: Offers, tmp_path: Path) -> None:
    """By them what is due is found without reading the rest."""
    old = (
        "DROP INDEX offer_pending; DROP INDEX offer_given_up;"
        "CREATE INDEX offer_to_tell ON offer (channel) WHERE version > told AND dead = 0"
    )
    with closing(sqlite3.connect(tmp_path / "feed.sqlite3")) as db:
        db.executescript(old)
        Offers(tmp_path / "feed.sqlite3").close()
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE sql != ''")}
        assert {"offer_pending", "offer_given_up"} < names
        assert "offer_to_tell" not in names
        due = f"SELECT * FROM offer WHERE channel = '' AND {_PENDING} ORDER BY why = '', since_ms"  # noqa: S608
        assert "offer_pending" in str(db.execute(f"EXPLAIN QUERY PLAN {due}").fetchall())


def test_a_console_is_told_of_crossings_only(offers: Offers) -> None:
    """Nothing at first, each crossing once, and not each change of the weight."""
    kind = Kind.EXPOSURE
    want(offers, "A", 5, 1, kind=kind)
    want(offers, "A", 4, 2, kind=kind, again=True)
    assert due(offers) == []
    want(offers, "A", 3, 3, "at risk", kind=kind)
    want(offers, "A", 2, 4, "at risk", kind=kind)
    assert due(offers) == [("A", 3, "at risk")]
    want(offers, "B", 1, 5, "at risk", kind=kind)  # begins so
    assert [sku for sku, _, _ in due(offers)] == ["A", "B"]


def test_a_key_is_the_same_at_a_repetition_and_at_nothing_else(
    offers: Offers, tmp_path: Path
) -> None:
    """Not for another version, SKU or kind, nor in a new file whose versions begin anew."""
    want(offers, "A", 5, 1)
    first = one(offers, "A")
    want(offers, "B", 5, 1)
    want(offers, "A", 4, 1)
    keys = [offers.key(first), offers.key(one(offers, "A")), offers.key(one(offers, "B"))]
    other = Offers(tmp_path / "other.sqlite3")
    keys.append(other.key(first))
    other.close()
    assert len(set(keys)) == len(keys)
    same = Offers(tmp_path / "feed.sqlite3")
    assert same.key(first) == keys[0]
    same.close()


def test_what_closes_a_sku_is_seen_channel_by_channel(offers: Offers) -> None:
    """Until each has acknowledged it."""
    rows = [Wanted(channel, "A", Kind.STOCK, 5, 1.0, "suspended") for channel in ("tmall", "dy")]
    offers.want(rows, "1-0", 1)
    offers.want([Wanted("hz", "A", Kind.STOCK, 5, 1.0, "")], "1-0", 1)
    closings = offers.closed(["A", "B"])
    assert [(row.channel, row.is_told) for row in closings] == [("dy", False), ("tmall", False)]
    offers.note([Outcome(closings[1], told_open=False)], 7)
    offers.note([Outcome(closings[0], reason="503", due_ms=9)], 1)
    assert [
        (row.channel, row.is_told, row.told_ms, row.reason) for row in offers.closed(["A"])
    ] == [
        ("dy", False, None, "503"),
        ("tmall", True, 7, ""),
    ]
