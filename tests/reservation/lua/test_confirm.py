"""confirm.lua, row by row: what a confirmation moves, and when an expired hold comes back."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    RETENTION,
    STOCK,
    T0,
    TTL,
    Advance,
    batch,
    breaker,
    confirm,
    expire,
    fulfil,
    position,
    raw,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

ONE_HOLD = (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main"))
LINES = "2 CAT@main\n1 DOG@main"
COMMITTED_AT_ONCE = (STOCK, reserve("tmall:1", "2 CAT@main", ttl=0))
EXPIRED_AT = T0 + TTL
EXPIRED = (*ONE_HOLD, Advance(TTL), expire())
RECORD_EXPIRED = f"X{T0},,{TTL}\n{LINES}"
RETRY = confirm("tmall:1", reinstate=True)

ROWS = [
    Row(
        "a confirmation turns held into committed, line by line, and the hint stays behind",
        (*ONE_HOLD, Advance(7)),
        confirm("tmall:1"),
        [f"C{T0},7\n{LINES}"],
        {
            "held CAT@main": 0,
            "held DOG@main": 0,
            "committed CAT@main": 2,
            "committed DOG@main": 1,
            "reservations tmall:1": f"C{T0},7\n{LINES}",
            **logged(
                f"C\ttmall:1\t{BY}\t\t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 2 CAT@main", "5 1 0 1 DOG@main"),
            ),
        },
    ),
    Row(
        "reinstate on a hold that still stands is a plain confirmation",
        (STOCK, reserve("tmall:1", "2 CAT@main")),
        RETRY,
        [f"C{T0},0\n2 CAT@main"],
        {
            "held CAT@main": 0,
            "committed CAT@main": 2,
            "reservations tmall:1": f"C{T0},0\n2 CAT@main",
            **logged(f"C\ttmall:1\t{BY}\t\t2 CAT@main", balances="10 0 0 2 CAT@main"),
        },
    ),
    Row(
        "a confirmed one answers as it is",
        (*COMMITTED_AT_ONCE, Advance(7)),
        confirm("tmall:1"),
        [f"C{T0},0\n2 CAT@main"],
    ),
    Row(
        "one that is partly shipped is confirmed still",
        (*COMMITTED_AT_ONCE, fulfil("tmall:1", "a", "1 CAT@main")),
        confirm("tmall:1"),
        [f"C{T0},0\n2-1 CAT@main\n#a 1 CAT@main"],
    ),
    Row(
        "a fulfilled one answers as it is",
        (*COMMITTED_AT_ONCE, Advance(7), fulfil("tmall:1")),
        confirm("tmall:1"),
        [f"F{T0},0,7\n2-2 CAT@main"],
    ),
    Row(
        "a released one is refused, reinstate or not",
        (*COMMITTED_AT_ONCE, release("tmall:1")),
        RETRY,
        [[Status.RESERVATION_RELEASED, f"R{T0},0,0\n2 CAT@main"]],
    ),
    Row(
        "an expired one is refused",
        EXPIRED,
        confirm("tmall:1"),
        [[Status.RESERVATION_EXPIRED, RECORD_EXPIRED]],
    ),
    Row(
        "an overdue one is expired on the spot, then refused",
        (*ONE_HOLD, Advance(TTL)),
        confirm("tmall:1"),
        [[Status.RESERVATION_EXPIRED, RECORD_EXPIRED]],
        {
            "held CAT@main": 0,
            "held DOG@main": 0,
            "reservations tmall:1": RECORD_EXPIRED,
            f"due {position(2)}.1 2\ntmall:1": None,
            f"ended {EXPIRED_AT}-0.1\ntmall:1": EXPIRED_AT,
            **logged(
                f"X\ttmall:1\t\t{EXPIRED_AT}\t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 0 CAT@main", "5 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "in the last millisecond of a hold it is confirmed",
        (STOCK, reserve("tmall:1", "2 CAT@main"), Advance(TTL - 1)),
        confirm("tmall:1"),
        [f"C{T0},{TTL - 1}\n2 CAT@main"],
        {
            "held CAT@main": 0,
            "committed CAT@main": 2,
            "reservations tmall:1": f"C{T0},{TTL - 1}\n2 CAT@main",
            **logged(f"C\ttmall:1\t{BY}\t\t2 CAT@main", balances="10 0 0 2 CAT@main"),
        },
    ),
    Row(
        "an unknown id is not found",
        (STOCK,),
        confirm("tmall:1"),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a receipt past its retention is not found",
        (*COMMITTED_AT_ONCE, release("tmall:1"), Advance(RETENTION)),
        confirm("tmall:1"),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a confirmed one is known for as long as it is not fulfilled or released",
        (*COMMITTED_AT_ONCE, Advance(100 * RETENTION)),
        confirm("tmall:1"),
        [f"C{T0},0\n2 CAT@main"],
    ),
    Row(
        "a batch answers each on its own",
        (STOCK, batch(reserve("tmall:1", "2 CAT@main"), reserve("tmall:2", "3 CAT@main"))),
        batch(confirm("tmall:2"), confirm("tmall:9"), confirm("tmall:1")),
        [f"C{T0},0\n3 CAT@main", Status.RESERVATION_NOT_FOUND, f"C{T0},0\n2 CAT@main"],
        {
            "held CAT@main": 0,
            "committed CAT@main": 5,
            "reservations tmall:1": f"C{T0},0\n2 CAT@main",
            "reservations tmall:2": f"C{T0},0\n3 CAT@main",
            **logged(
                f"C\ttmall:2\t{BY}\t\t3 CAT@main",
                f"C\ttmall:1\t{BY}\t\t2 CAT@main",
                balances="10 0 0 5 CAT@main",
            ),
        },
    ),
]

REINSTATED = [
    Row(
        "an expired one comes back confirmed where all its stock is free; its end is forgotten",
        (*EXPIRED, Advance(7)),
        RETRY,
        [f"C{T0},{TTL + 7}\n{LINES}"],
        {
            "committed CAT@main": 2,
            "committed DOG@main": 1,
            "reservations tmall:1": f"C{T0},{TTL + 7}\n{LINES}",
            **logged(
                f"I\ttmall:1\t{BY}\t\t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 2 CAT@main", "5 1 0 1 DOG@main"),
            ),
        },
    ),
    Row(
        "an overdue one expires and comes back in one step: two events",
        (STOCK, reserve("tmall:1", "2 CAT@main"), Advance(TTL)),
        RETRY,
        [f"C{T0},{TTL}\n2 CAT@main"],
        {
            "held CAT@main": 0,
            "committed CAT@main": 2,
            "reservations tmall:1": f"C{T0},{TTL}\n2 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {EXPIRED_AT}-0.1\ntmall:1": EXPIRED_AT,
            **logged(
                f"X\ttmall:1\t\t{EXPIRED_AT}\t2 CAT@main",
                f"I\ttmall:1\t{BY}\t\t2 CAT@main",
                balances="10 0 0 2 CAT@main",
            ),
        },
    ),
    Row(
        "where the stock is gone it stays expired; every short line is named, no failure counts",
        (*EXPIRED, reserve("tmall:2", "9 CAT@main, 4 DOG@main", ttl=0)),
        RETRY,
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "2", "1", "DOG@main", "1", "0"]],
    ),
    Row(
        "one short line is enough, and what is below zero reads as 0",
        (*EXPIRED, set_stock("DOG@main", 0)),
        RETRY,
        [[Status.INSUFFICIENT_STOCK, 0, "DOG@main", "1", "0"]],
    ),
    Row(
        "it passes an open breaker and is no success of a half-open one",
        (*EXPIRED, raw("HSET", "breaker", "CAT", breaker("H", T0, failures=3))),
        RETRY,
        [f"C{T0},{TTL}\n{LINES}"],
        {
            "committed CAT@main": 2,
            "committed DOG@main": 1,
            "reservations tmall:1": f"C{T0},{TTL}\n{LINES}",
            **logged(
                f"I\ttmall:1\t{BY}\t\t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 2 CAT@main", "5 1 0 1 DOG@main"),
            ),
        },
    ),
    Row(
        "two for the last units: within a batch the first one gets them",
        (
            STOCK,
            batch(reserve("tmall:1", "6 CAT@main"), reserve("tmall:2", "4 CAT@main")),
            Advance(TTL),
            expire(),
            reserve("tmall:3", "3 CAT@main", ttl=0),
        ),
        batch(RETRY, confirm("tmall:2", reinstate=True)),
        [
            f"C{T0},{TTL}\n6 CAT@main",
            [Status.INSUFFICIENT_STOCK, 0, "CAT@main", "4", "1"],
        ],
        {
            "committed CAT@main": 9,
            "reservations tmall:1": f"C{T0},{TTL}\n6 CAT@main",
            **logged(f"I\ttmall:1\t{BY}\t\t6 CAT@main", balances="10 0 0 9 CAT@main"),
        },
    ),
]

BACKLOG = (
    STOCK,
    reserve("tmall:1", "5 CAT@main", ttl=1),
    Advance(1),
    expire(),
    *(reserve(f"tmall:o{n}", "1 CAT@main", ttl=4) for n in range(6)),
    Advance(4),
)
OVERDUE_AT = T0 + 5
FOUR = range(4)
RECLAIM = {
    "held CAT@main": 2,
    **{f"reservations tmall:o{n}": f"X{T0 + 1},,4\n1 CAT@main" for n in FOUR},
    **{f"due {T0 + 1}-{n + 1}.1 1\ntmall:o{n}": None for n in FOUR},
    f"ended {OVERDUE_AT}-0.1\n" + "\n".join(f"tmall:o{n}" for n in FOUR): OVERDUE_AT,
}
EVENTS = [f"X\ttmall:o{n}\t\t{OVERDUE_AT}\t1 CAT@main" for n in FOUR]

OVERDUE = [
    Row(
        "a reinstatement that fits does not wait for the backlog",
        BACKLOG,
        RETRY,
        [f"C{T0},5\n5 CAT@main"],
        {
            **RECLAIM,
            "committed CAT@main": 5,
            "reservations tmall:1": f"C{T0},5\n5 CAT@main",
            **logged(*EVENTS, f"I\ttmall:1\t{BY}\t\t5 CAT@main", balances="10 0 2 5 CAT@main"),
        },
    ),
    Row(
        "one that would be refused answers MORE: the confirmations before it are dropped",
        (*BACKLOG[:-1], set_stock("CAT@main", 6), reserve("tmall:2", "1 DOG@main"), Advance(4)),
        batch(confirm("tmall:2"), RETRY),
        [Status.MORE],
        {**RECLAIM, **logged(*EVENTS, balances="6 0 2 0 CAT@main")},
    ),
    Row(
        "a plain confirmation never waits",
        (*BACKLOG[:-1], reserve("tmall:2", "1 DOG@main"), Advance(4)),
        batch(confirm("tmall:2"), confirm("tmall:1")),
        [f"C{T0 + 1},4\n1 DOG@main", [Status.RESERVATION_EXPIRED, f"X{T0},,1\n5 CAT@main"]],
        {
            **RECLAIM,
            "held DOG@main": 0,
            "committed DOG@main": 1,
            "reservations tmall:2": f"C{T0 + 1},4\n1 DOG@main",
            **logged(
                *EVENTS,
                f"C\ttmall:2\t{BY}\t\t1 DOG@main",
                balances=("10 0 2 0 CAT@main", "5 1 0 1 DOG@main"),
            ),
        },
    ),
]


@pytest.mark.parametrize("row", [*ROWS, *REINSTATED, *OVERDUE], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)
