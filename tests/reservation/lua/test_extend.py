"""extend.lua, row by row: deadlines move, hints move only when they must."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    MAX_HOLD,
    RETENTION,
    STOCK,
    T0,
    TTL,
    Advance,
    batch,
    confirm,
    expire,
    extend,
    fulfil,
    position,
    release,
    reserve,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

HELD = (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main"))
LINES = "2 CAT@main\n1 DOG@main"
AT_ONCE = (STOCK, reserve("tmall:1", "2 CAT@main", ttl=0))


def extended(deadline: int) -> dict[str, object]:
    """Expect the event of an extension; no balance moves."""
    return logged(f"E\ttmall:1\t{BY}\t{deadline}\t2 CAT@main\t1 DOG@main")


ROWS = [
    Row(
        "a later deadline keeps the hint where it is: no entry is written",
        (*HELD, Advance(7)),
        extend("tmall:1", TTL),
        [f"H{T0},{TTL + 7},{TTL}\n{LINES}"],
        {
            "reservations tmall:1": f"H{T0},{TTL + 7},{TTL}\n{LINES}",
            **extended(T0 + TTL + 7),
        },
    ),
    Row(
        "an earlier deadline adds a hint, the old one goes stale",
        HELD,
        extend("tmall:1", 9),
        [f"H{T0},9\n{LINES}"],
        {
            "reservations tmall:1": f"H{T0},9\n{LINES}",
            f"due {position(3)}.1 2\ntmall:1": T0 + 9,
            **extended(T0 + 9),
        },
    ),
    Row(
        "later, then back to just the hint: the record needs no second time",
        (*HELD, extend("tmall:1", 2 * TTL)),
        extend("tmall:1", TTL),
        [f"H{T0},{TTL}\n{LINES}"],
        {"reservations tmall:1": f"H{T0},{TTL}\n{LINES}", **extended(T0 + TTL)},
    ),
    Row(
        "later, then earlier but after the hint: the hint will do",
        (*HELD, extend("tmall:1", 3 * TTL)),
        extend("tmall:1", 2 * TTL),
        [f"H{T0},{2 * TTL},{TTL}\n{LINES}"],
        {"reservations tmall:1": f"H{T0},{2 * TTL},{TTL}\n{LINES}", **extended(T0 + 2 * TTL)},
    ),
    Row(
        "later, then earlier than the hint: a new one",
        (*HELD, extend("tmall:1", 3 * TTL)),
        extend("tmall:1", 9),
        [f"H{T0},9\n{LINES}"],
        {
            "reservations tmall:1": f"H{T0},9\n{LINES}",
            f"due {position(4)}.1 2\ntmall:1": T0 + 9,
            **extended(T0 + 9),
        },
    ),
    Row(
        "the very same deadline changes nothing",
        HELD,
        extend("tmall:1", TTL),
        [f"H{T0},{TTL}\n{LINES}"],
    ),
    Row(
        "the furthest that a hold may reach is counted from its creation",
        (*HELD, Advance(7)),
        extend("tmall:1", MAX_HOLD - 7),
        [f"H{T0},{MAX_HOLD},{TTL}\n{LINES}"],
        {
            "reservations tmall:1": f"H{T0},{MAX_HOLD},{TTL}\n{LINES}",
            **extended(T0 + MAX_HOLD),
        },
    ),
    Row(
        "a millisecond beyond is refused",
        (*HELD, Advance(7)),
        extend("tmall:1", MAX_HOLD - 6),
        [[Status.HOLD_LIMIT_REACHED, f"H{T0},{TTL}\n{LINES}"]],
    ),
    Row(
        "in the last millisecond it is still a hold",
        (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main", ttl=5), Advance(4)),
        extend("tmall:1", 5),
        [f"H{T0},9,5\n{LINES}"],
        {"reservations tmall:1": f"H{T0},9,5\n{LINES}", **extended(T0 + 9)},
    ),
    Row(
        "an overdue one expires and is refused, its units come free",
        (STOCK, reserve("tmall:1", "2 CAT@main", ttl=5), Advance(5)),
        extend("tmall:1", 5),
        [[Status.RESERVATION_EXPIRED, f"X{T0},,5\n2 CAT@main"]],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"X{T0},,5\n2 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {T0 + 5}-0.1\ntmall:1": T0 + 5,
            **logged(f"X\ttmall:1\t\t{T0 + 5}\t2 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "an expired one is refused",
        (STOCK, reserve("tmall:1", "2 CAT@main", ttl=5), Advance(5), expire()),
        extend("tmall:1", 5),
        [[Status.RESERVATION_EXPIRED, f"X{T0},,5\n2 CAT@main"]],
    ),
    Row(
        "a confirmed one is refused",
        (*HELD, confirm("tmall:1")),
        extend("tmall:1", 5),
        [[Status.ALREADY_CONFIRMED, f"C{T0},0\n{LINES}"]],
    ),
    Row(
        "a released one is refused",
        (*HELD, release("tmall:1")),
        extend("tmall:1", 5),
        [[Status.RESERVATION_RELEASED, f"R{T0},,0\n{LINES}"]],
    ),
    Row(
        "a fulfilled one is refused",
        (*AT_ONCE, fulfil("tmall:1")),
        extend("tmall:1", 5),
        [[Status.RESERVATION_FULFILLED, f"F{T0},0,0\n2-2 CAT@main"]],
    ),
    Row(
        "an unknown id is not found",
        (STOCK,),
        extend("tmall:1", 5),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a receipt past its retention is not found",
        (*AT_ONCE, release("tmall:1"), Advance(RETENTION)),
        extend("tmall:1", 5),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a batch answers each on its own; new hints of one deadline share an entry",
        (STOCK, batch(reserve("tmall:1", "1 CAT@main"), reserve("tmall:2", "1 CAT@main"))),
        batch(extend("tmall:1", 9), extend("tmall:9", 9), extend("tmall:2", 9)),
        [f"H{T0},9\n1 CAT@main", Status.RESERVATION_NOT_FOUND, f"H{T0},9\n1 CAT@main"],
        {
            "reservations tmall:1": f"H{T0},9\n1 CAT@main",
            "reservations tmall:2": f"H{T0},9\n1 CAT@main",
            f"due {position(3)}.1 2\ntmall:1\ntmall:2": T0 + 9,
            **logged(
                f"E\ttmall:1\t{BY}\t{T0 + 9}\t1 CAT@main",
                f"E\ttmall:2\t{BY}\t{T0 + 9}\t1 CAT@main",
            ),
        },
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_a_hold_extended_again_and_again_expires_at_its_last_deadline(
    partition: Partition,
) -> None:
    """However the deadline wandered, the units come free in its millisecond, not before."""
    partition.run(STOCK)
    partition.run(reserve("tmall:1", "10 CAT@main", ttl=100))
    for ttl in (300, 50, 200, 60, 150):
        partition.run(extend("tmall:1", ttl))
    held = []
    for ms in (50, 10, 40, 49, 1):
        partition.run(Advance(ms))
        partition.run(expire())
        held.append(partition.state()["held CAT@main"])
    assert held == ["10", "10", "10", "10", "0"]
    assert [place for place in partition.state() if place.startswith("due 1")] == []
