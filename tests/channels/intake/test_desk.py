"""What people see of the inbox, and what they have it do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.intake.desk import Desk, look_at
from channels.intake.looks import NO_ORDER, Figure, Kept, LookState, Seen, Trouble
from channels.model import Hint
from tests.channels.intake.test_inbox import ORDER


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Open a new file."""
    opened = Desk(tmp_path / "channels.sqlite3")
    yield opened
    opened.close()


def tell(desk: Desk, order_id: str, at_ms: int, channel: str = "douyin", unknown: str = "") -> None:
    """Keep a message of its own id."""
    hint = Hint(message_id=f"m{at_ms}", topic="101", order_id=order_id, unknown=unknown)
    desk.keep([(channel, hint)], at_ms)


def stick(desk: Desk, reason: str, channel: str = "douyin") -> None:
    """Leave all that is due to a person."""
    for look in desk.due(channel, 10**9):
        desk.stuck(look, reason)


def listed(desk: Desk, **which: object) -> list[str]:
    """Name the orders that are listed."""
    return [look.order_id for look in desk.troubles(**which)]  # type: ignore[arg-type]


def test_what_has_not_come_to_its_end_is_listed_with_its_figures(desk: Desk) -> None:
    """The longest waiting first; what is about to be looked at is no trouble."""
    tell(desk, "2", 1_000)
    tell(desk, "1", 2_000, "tmall")
    stick(desk, "unknown-sku: B in main", "tmall")
    tell(desk, "1", 3_000)
    for look in desk.due("douyin", 10**9):
        desk.wait(look, 90_000, f"short: A {look.order_id} of 0", None, 5_000)
    tell(desk, "3", 4_000)
    assert listed(desk) == ["2", "1", "1"]
    first, *_ = desk.troubles()
    assert (first.channel, first.state, first.reason) == ("douyin", "waiting", "short: A 2 of 0")
    assert (first.since_ms, first.due_ms, first.short_ms) == (1_000, 90_000, 5_000)
    assert listed(desk, channel="douyin") == ["2", "1"]
    assert listed(desk, state=LookState.STUCK) == ["1"]
    assert listed(desk, channel="douyin", state=LookState.STUCK) == []
    assert desk.figures() == [
        Figure("douyin", LookState.WAITING, "short", 2, 1_000),
        Figure("tmall", LookState.STUCK, "unknown-sku", 1, 2_000),
    ]


def test_a_long_list_has_pages(desk: Desk) -> None:
    """Each goes on behind the last of the one before, also where that has gone meanwhile."""
    for number in range(7):
        desk.want("douyin", str(number), 1_000 + number // 2)
    stick(desk, "unknown-sku: B in main")
    found: list[str] = []
    place = None
    while page := desk.troubles(after=place, count=3):
        found += [look.order_id for look in page]
        place = page[-1].place
        desk.dismiss("douyin", page[-1].order_id)
    assert found == [str(number) for number in range(7)]


def test_one_look_has_its_messages(desk: Desk) -> None:
    """The latest first, each with how often it came."""
    tell(desk, "1", 1_000)
    tell(desk, "1", 2_000)
    tell(desk, "1", 2_000)
    tell(desk, "2", 3_000)
    assert desk.messages("douyin", "1") == [
        Kept("m2000", "101", "", 2_000, 2),
        Kept("m1000", "101", "", 1_000, 1),
    ]
    assert len(desk.messages("douyin", "1", count=1)) == 1
    assert desk.messages("tmall", "1") == []
    look = desk.look("douyin", "1")
    assert look is not None
    assert (look.told, look.since_ms) == (2, 1_000)
    assert desk.look("douyin", "4") is None


def test_one_may_be_looked_at_now(desk: Desk) -> None:
    """Also while somebody looks at it: then once more. Without a look there is nothing to do."""
    tell(desk, "1", 1_000)
    stick(desk, "unknown-sku: B in main")
    assert desk.look_now("douyin", "1", 5_000)
    (look,) = desk.due("douyin", 5_000)
    assert (look.reason, look.attempts) == ("unknown-sku: B in main", 0)
    assert desk.look_now("douyin", "1", 5_500)
    desk.done([look])
    (look,) = desk.due("douyin", 5_500)
    desk.done([look])
    assert not desk.look_now("douyin", "1", 6_000)
    assert desk.due("douyin", 10**9) == []


def test_any_order_may_be_looked_at(desk: Desk) -> None:
    """One that nobody told of; of another one the description stays that a message brought."""
    desk.keep([("dealer", Hint(message_id="a", topic="t", order_id="7", order=ORDER))], 1_000)
    for order_id in ("7", "8"):
        desk.want("dealer", order_id, 2_000)
    assert [(look.order_id, look.order) for look in desk.due("dealer", 2_000)] == [
        ("7", ORDER),
        ("8", None),
    ]


def test_one_may_be_dismissed_by_a_person_if_it_is_left_to_one(desk: Desk) -> None:
    """News of the order begin anew."""
    tell(desk, "1", 1_000)
    assert not desk.dismiss("douyin", "1")
    stick(desk, "released: paid")
    assert desk.dismiss("douyin", "1")
    assert not desk.dismiss("douyin", "1")
    assert listed(desk) == []
    tell(desk, "1", 2_000)
    assert len(desk.due("douyin", 2_000)) == 1


def test_words_that_nobody_knows_are_listed_once_each(desk: Desk) -> None:
    """Of messages about no order; they are read where one looks into that line."""
    for at_ms, word in enumerate(["2090", "209", "2090", "209"], 1):
        tell(desk, "", at_ms, unknown=word)
    tell(desk, "", 5)
    (look,) = desk.troubles()
    assert (look.order_id, look.state, look.told) == (NO_ORDER, "stuck", 4)
    assert look.reason == "unknown-word: 2090, 209"
    assert [kept.unknown for kept in desk.messages("douyin", NO_ORDER)] == [
        "209",
        "2090",
        "209",
        "2090",
    ]
    assert not desk.look_now("douyin", NO_ORDER, 9)
    assert desk.dismiss("douyin", NO_ORDER)
    tell(desk, "", 9, unknown="210")
    assert [look.reason for look in desk.troubles()] == ["unknown-word: 210"]


def test_words_without_end_are_cut(desk: Desk) -> None:
    for at_ms in range(200):
        tell(desk, "", at_ms, unknown=f"word {at_ms}")
    (look,) = desk.troubles()
    assert len(look.reason) == 500


def test_an_order_is_shown_as_it_was_seen_until_its_look_is_over(desk: Desk) -> None:
    """Also after news of it; one that was dismissed meanwhile is not shown."""
    tell(desk, "7", 1_000)
    (look,) = desk.due("douyin", 1_000)
    assert desk.shown("douyin", "7") is None
    desk.wait(look, 9_000, "short: A 2 of 0", Seen(ORDER, 1_500), 1_000)
    assert desk.shown("douyin", "7") == (ORDER, 1_500)
    tell(desk, "7", 2_000)
    (look,) = desk.due("douyin", 2_000)
    desk.stuck(look, "unknown-sku: A in main", Seen(ORDER, 2_500))
    assert desk.shown("douyin", "7") == (ORDER, 2_500)
    assert desk.dismiss("douyin", "7")
    assert desk.shown("douyin", "7") is None
    desk.stuck(look, "unknown-sku: A in main", Seen(ORDER, 2_500))
    assert desk.shown("douyin", "7") is None


def test_what_is_wrong_is_named_and_counted(desk: Desk) -> None:
    """By those who tell of it: all of it, and by state; what is about to be looked at is not."""
    tell(desk, "1", 1_000)
    stick(desk, "unknown-sku: B in main")
    tell(desk, "2", 2_000)
    for look in desk.due("douyin", 10**9):
        desk.wait(look, 90_000, "short: A 2 of 0", None, 5_000)
    tell(desk, "3", 3_000)
    assert sorted(desk.reasons(), key=lambda one: one.order_id) == [
        Trouble("douyin", "1", LookState.STUCK, 1_000, "unknown-sku: B in main"),
        Trouble("douyin", "2", LookState.WAITING, 2_000, "short: A 2 of 0"),
    ]
    assert desk.unfit("douyin") == {LookState.STUCK: 1, LookState.WAITING: 1}
    assert desk.unfit("tmall") == {}


def test_looking_changes_nothing_and_makes_no_file(desk: Desk, tmp_path: Path) -> None:
    """Not even where somebody writes meanwhile."""
    tell(desk, "1", 1_000)
    stick(desk, "released: paid")
    path = tmp_path / "channels.sqlite3"
    with desk._db.transaction():
        assert look_at(path, lambda reads: [one.order_id for one in reads.troubles()]) == ["1"]
    assert look_at(tmp_path / "none.sqlite3", lambda reads: reads.figures()) is None
    assert not (tmp_path / "none.sqlite3").exists()
