"""Operations as arguments, answers as outcomes: both ways, each verb and each status. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from reservation.config import load
from reservation.errors import ScriptBug
from reservation.model import (
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Outcome,
    Release,
    Reservation,
    Reserve,
    Shortage,
    State,
    Suspension,
)
from reservation.status import Status
from reservation.store.verbs import MAX_PARTS, VERBS, read_answers

T0 = 1_800_000_000_000
LINES = (Line("CAT", "main", 2), Line("a@b", "west", 1))
RAW = f"C{T0},7\n2 CAT@main\n1 a@b@west"
CONFIRMED = Reservation("t:1", State.CONFIRMED, LINES, T0, None, T0 + 7)
DAY = 86_400_000


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (
            Reserve("t:1", LINES, 1_000),
            [7 * DAY, 1 << 30, "|k|r", "1000 2", "t:1", "2 CAT@main", "1 a@b@west"],
        ),
        (
            Reserve("t:1", LINES[:1], 1_000, confirm=True),
            [7 * DAY, 1 << 30, "|k|r", "0 1", "t:1", "2 CAT@main"],
        ),
        (Confirm("t:1"), [7 * DAY, "|k|r", "=0", "t:1"]),
        (Confirm("t:1", reinstate=True), [7 * DAY, "|k|r", "=1", "t:1"]),
        (Release("t:1", "no\tpay"), [7 * DAY, "|k|r", "=no\\x09pay", "t:1"]),
        (Extend("t:1", 5), [7 * DAY, 7 * DAY, "|k|r", "=5", "t:1"]),
        (Fulfil("t:1"), [7 * DAY, MAX_PARTS, "t:1", "k|r", "", 0]),
        (
            Fulfil("t:1", "p-1", LINES[1:]),
            [7 * DAY, MAX_PARTS, "t:1", "k|r", "p-1", 1, "1 a@b@west"],
        ),
    ],
)
def test_an_operation_is_written_as_its_header_says(
    operation: Operation, expected: list[Any]
) -> None:
    """First the call's own arguments, then the operation's."""
    verb = VERBS[type(operation)]
    arguments = verb.call_arguments(load())
    verb.write(arguments, [operation], ["k|r"])
    assert expected == arguments


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (
            [
                Reserve("t:1", LINES[:1], 9),
                Reserve("t:2", LINES[1:], 9),
                Reserve("t:3", LINES[:1], 9),
                Reserve("t:4", LINES, 9),
            ],
            [
                *("|a", "9 1", "t:1", "2 CAT@main", "t:2", "1 a@b@west"),
                *("|b", "t:3", "2 CAT@main", "9 2", "t:4", "2 CAT@main", "1 a@b@west"),
            ],
        ),
        (
            [Confirm("t:1"), Confirm("t:2"), Confirm("t:3"), Confirm("t:4", reinstate=True)],
            ["|a", "=0", "t:1", "t:2", "|b", "t:3", "=1", "t:4"],
        ),
        (
            [Release("t:1"), Release("t:2"), Release("t:3", "late"), Release("t:4")],
            ["|a", "=", "t:1", "t:2", "|b", "=late", "t:3", "=", "t:4"],
        ),
    ],
)
def test_what_operations_share_is_written_once(
    operations: list[Operation], expected: list[Any]
) -> None:
    """Origin, time to live and a verb's own argument stand where they are others than before."""
    arguments: list[Any] = []
    VERBS[type(operations[0])].write(arguments, operations, ["a", "a", "b", "b"])
    assert expected == arguments


def read(operation: Operation, answer: Any) -> Outcome:
    """Read one answer."""
    return read_answers(VERBS[type(operation)], [operation], [str(T0), f"{T0}-5", answer])[0]


def test_one_done_stands_for_all() -> None:
    """A call whose orders are all granted answers once."""
    operations = [Reserve(f"t:{n}", LINES, 1_000) for n in range(3)]
    outcomes = read_answers(VERBS[Reserve], operations, [str(T0), f"{T0}-5", 0])
    assert [outcome.reservation.reservation_id for outcome in outcomes if outcome.reservation] == [
        "t:0",
        "t:1",
        "t:2",
    ]
    with pytest.raises(ScriptBug):
        read_answers(VERBS[Reserve], operations, [str(T0), f"{T0}-5", 0, 0])


RESERVE = Reserve("t:1", LINES, 1_000)


@pytest.mark.parametrize(
    ("operation", "answer", "expected"),
    [
        (
            RESERVE,
            0,
            Outcome(
                Status.DONE, Reservation("t:1", State.HELD, LINES, T0, expires_at_ms=T0 + 1_000)
            ),
        ),
        (
            Reserve("t:1", LINES, 1_000, confirm=True),
            0,
            Outcome(Status.DONE, Reservation("t:1", State.CONFIRMED, LINES, T0, None, T0)),
        ),
        (RESERVE, [1, RAW], Outcome(Status.REPLAYED, CONFIRMED)),
        (RESERVE, 11, Outcome(Status.ID_REUSED)),
        (RESERVE, 28, Outcome(Status.LOG_FULL)),
        (
            RESERVE,
            [20, "CAT@east", "a@b@x"],
            Outcome(Status.UNKNOWN_SKU, lines=(("CAT", "east"), ("a@b", "x"))),
        ),
        (
            RESERVE,
            [21, "CAT", T0, 0, "failed locks", "a@b", T0 - 5, T0 + 60, "no\\x0astock"],
            Outcome(
                Status.SKU_SUSPENDED,
                suspensions=(
                    Suspension("CAT", T0, "failed locks"),
                    Suspension("a@b", T0 - 5, "no\nstock", T0 + 60),
                ),
                as_of_ms=T0,
            ),
        ),
        (
            RESERVE,
            [22, 0, "CAT@main", "2", "1"],
            Outcome(Status.INSUFFICIENT_STOCK, shortages=(Shortage("CAT", "main", 2, 1),)),
        ),
        (
            RESERVE,
            [22, 1, "CAT", "CAT@main", "2", "1", "a@b@west", "1", "0"],
            Outcome(
                Status.INSUFFICIENT_STOCK,
                shortages=(Shortage("CAT", "main", 2, 1), Shortage("a@b", "west", 1, 0)),
                opened=("CAT",),
            ),
        ),
        (Confirm("t:1"), RAW, Outcome(Status.DONE, CONFIRMED)),
        (Confirm("t:1"), 10, Outcome(Status.RESERVATION_NOT_FOUND)),
        (Extend("t:1", 5), [15, RAW], Outcome(Status.ALREADY_CONFIRMED, CONFIRMED)),
        (
            Fulfil("t:1", "p", LINES),
            [18, RAW, "FOX@main"],
            Outcome(Status.FOREIGN_LINE, CONFIRMED, lines=(("FOX", "main"),)),
        ),
        (Fulfil("t:1", "p", LINES), [1, RAW], Outcome(Status.REPLAYED, CONFIRMED)),
        (Release("t:1"), [14, RAW], Outcome(Status.RESERVATION_FULFILLED, CONFIRMED)),
    ],
)
def test_an_answer_is_read_as_its_header_says(
    operation: Operation, answer: Any, expected: Outcome
) -> None:
    """A record is done, a number a bare status, an array a status with its details."""
    assert expected == read(operation, answer)


def test_an_answer_that_was_cut_short_is_a_bug() -> None:
    """An array that lost its end is noticed by its length, never shifted onto others."""
    with pytest.raises(ScriptBug, match="1 answers to 2 operations"):
        read_answers(VERBS[Confirm], [Confirm("t:1"), Confirm("t:2")], [str(T0), "0-0", RAW])


def test_every_verb_has_its_script() -> None:
    """One operation type, one script."""
    assert [verb.script for verb in VERBS.values()] == [
        *("reserve", "confirm", "release", "extend", "fulfil")
    ]
