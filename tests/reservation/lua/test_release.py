"""release.lua, row by row: what comes free, what has left stays left."""

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
    retire,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

HELD = (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main"))
CONFIRMED = (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main", ttl=0))
LINES = "2 CAT@main\n1 DOG@main"
NOW = T0 + 7

ROWS = [
    Row(
        "a hold's units come free; its hint, which is still there, will see to its receipt",
        (*HELD, Advance(7)),
        release("tmall:1", "changed mind"),
        [f"R{T0},,7\n{LINES}"],
        {
            "held CAT@main": 0,
            "held DOG@main": 0,
            "reservations tmall:1": f"R{T0},,7\n{LINES}",
            **logged(
                f"R\ttmall:1\t{BY}\tH changed mind\t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 0 CAT@main", "5 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "a confirmed one's units come free",
        (*CONFIRMED, Advance(7)),
        release("tmall:1"),
        [f"R{T0},0,7\n{LINES}"],
        {
            "committed CAT@main": 0,
            "committed DOG@main": 0,
            "reservations tmall:1": f"R{T0},0,7\n{LINES}",
            f"ended {NOW}-0.1\ntmall:1": NOW,
            **logged(
                f"R\ttmall:1\t{BY}\tC \t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 0 CAT@main", "5 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "of one that is partly shipped only what is left comes free",
        (*CONFIRMED, fulfil("tmall:1", "a", "1 CAT@main, 1 DOG@main"), Advance(7)),
        release("tmall:1"),
        [f"R{T0},0,7\n2-1 CAT@main\n1-1 DOG@main\n#a 1 CAT@main\t1 DOG@main"],
        {
            "committed CAT@main": 0,
            "reservations tmall:1": (
                f"R{T0},0,7\n2-1 CAT@main\n1-1 DOG@main\n#a 1 CAT@main\t1 DOG@main"
            ),
            f"ended {NOW}-0.1\ntmall:1": NOW,
            **logged(
                f"R\ttmall:1\t{BY}\tC \t1 CAT@main",
                balances=("9 0 0 0 CAT@main", "4 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "an expired one becomes released, its end and its retention stay",
        (*HELD, Advance(TTL), expire(), Advance(7)),
        release("tmall:1"),
        [f"R{T0},,{TTL}\n{LINES}"],
        {
            "reservations tmall:1": f"R{T0},,{TTL}\n{LINES}",
            **logged(f"R\ttmall:1\t{BY}\tX \t"),
        },
    ),
    Row(
        "an overdue one that nobody has looked at ended at its deadline, not now",
        (STOCK, reserve("tmall:1", "2 CAT@main"), Advance(TTL + 7)),
        release("tmall:1"),
        [f"R{T0},,{TTL}\n2 CAT@main"],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"R{T0},,{TTL}\n2 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {T0 + TTL + 7}-0.1\ntmall:1": T0 + TTL + 7,
            **logged(
                f"X\ttmall:1\t\t{T0 + TTL}\t2 CAT@main",
                f"R\ttmall:1\t{BY}\tX \t",
                balances="10 0 0 0 CAT@main",
            ),
        },
    ),
    Row(
        "a released one answers as it is, its end does not move",
        (*HELD, release("tmall:1"), Advance(7)),
        release("tmall:1", "again"),
        [f"R{T0},,0\n{LINES}"],
    ),
    Row(
        "a fulfilled one is refused",
        (*CONFIRMED, fulfil("tmall:1")),
        release("tmall:1"),
        [[Status.RESERVATION_FULFILLED, f"F{T0},0,0\n2-2 CAT@main\n1-1 DOG@main"]],
    ),
    Row(
        "an unknown id is not found",
        (STOCK,),
        release("tmall:1"),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a receipt past its retention is not found",
        (*CONFIRMED, release("tmall:1"), Advance(RETENTION)),
        release("tmall:1"),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a reinstated one ends anew when it is released",
        (
            STOCK,
            reserve("tmall:1", "2 CAT@main", ttl=5),
            Advance(5),
            confirm("tmall:1", reinstate=True),
            Advance(2),
        ),
        release("tmall:1"),
        [f"R{T0},5,7\n2 CAT@main"],
        {
            "committed CAT@main": 0,
            "reservations tmall:1": f"R{T0},5,7\n2 CAT@main",
            f"ended {NOW}-0.1\ntmall:1": NOW,
            **logged(f"R\ttmall:1\t{BY}\tC \t2 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "a release never closes a breaker, however much comes free",
        (*HELD, raw("HSET", "breaker", "CAT", breaker("O", T0, failures=3))),
        release("tmall:1"),
        [f"R{T0},,0\n{LINES}"],
        {
            "held CAT@main": 0,
            "held DOG@main": 0,
            "reservations tmall:1": f"R{T0},,0\n{LINES}",
            **logged(
                f"R\ttmall:1\t{BY}\tH \t2 CAT@main\t1 DOG@main",
                balances=("10 0 0 0 CAT@main", "5 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "a batch answers each on its own",
        (STOCK, batch(reserve("tmall:1", "2 CAT@main"), reserve("tmall:2", "3 CAT@main", ttl=0))),
        batch(release("tmall:9"), release("tmall:2"), release("tmall:1")),
        [Status.RESERVATION_NOT_FOUND, f"R{T0},0,0\n3 CAT@main", f"R{T0},,0\n2 CAT@main"],
        {
            "held CAT@main": 0,
            "committed CAT@main": 0,
            "reservations tmall:1": f"R{T0},,0\n2 CAT@main",
            "reservations tmall:2": f"R{T0},0,0\n3 CAT@main",
            f"ended {position(3)}.1\ntmall:2": T0,
            **logged(
                f"R\ttmall:2\t{BY}\tC \t3 CAT@main",
                f"R\ttmall:1\t{BY}\tH \t2 CAT@main",
                balances="10 0 0 0 CAT@main",
            ),
        },
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_the_receipt_of_a_released_hold_is_cleared_by_way_of_its_hint(partition: Partition) -> None:
    """The hint comes due, the receipt gets its entry, and goes when its retention has passed."""
    for step in (*HELD, release("tmall:1"), Advance(TTL)):
        partition.run(step)
    assert partition.run(expire())[2:4] == [0, 0]
    state = partition.state()
    assert [place for place in state if place.startswith("due ")] == ["due ."]
    assert [place for place in state if place.endswith("\ntmall:1")] == [
        f"ended {state['clock version']}.1\ntmall:1"
    ]
    partition.run(Advance(RETENTION))
    assert partition.run(retire())[2] == 1
    assert "reservations tmall:1" not in partition.state()


def test_a_receipt_has_one_entry(partition: Partition) -> None:
    """A commitment's receipt got its entry when it was released: its old hint adds none."""
    for step in (*HELD, confirm("tmall:1"), release("tmall:1"), reserve("tmall:2", "1 CAT@main")):
        partition.run(step)
    partition.run(Advance(TTL))
    partition.run(expire())
    entries = [place for place in partition.state() if "\ntmall:1" in place]
    assert entries == [f"ended {position(4)}.1\ntmall:1"]
