"""fulfil.lua, row by row: goods leave whole or in parts, each part once."""

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
    adjust_stock,
    batch,
    expire,
    fulfil,
    position,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

DONE = Status.DONE
CONFIRMED = (STOCK, reserve("tmall:1", "3 CAT@main, 1 DOG@main", ttl=0), Advance(7))
NOW = T0 + 7
PART_A = fulfil("tmall:1", "a", "2 CAT@main")
AFTER_A = f"C{T0},0\n3-2 CAT@main\n1 DOG@main\n#a 2 CAT@main"
WHOLE = f"F{T0},0,7\n3-3 CAT@main\n1-1 DOG@main"

SHIPPED = [
    Row(
        "everything leaves at once: committed and on hand go down together",
        CONFIRMED,
        fulfil("tmall:1"),
        [WHOLE],
        {
            "on_hand CAT@main": 7,
            "on_hand DOG@main": 4,
            "committed CAT@main": 0,
            "committed DOG@main": 0,
            "reservations tmall:1": WHOLE,
            f"ended {NOW}-0.1\ntmall:1": NOW,
            **logged(
                f"F\ttmall:1\t{BY}\twhole \t3 CAT@main\t1 DOG@main",
                balances=("7 0 0 0 CAT@main", "4 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "a part leaves: the reservation stays confirmed and remembers it",
        CONFIRMED,
        PART_A,
        [AFTER_A],
        {
            "on_hand CAT@main": 8,
            "committed CAT@main": 1,
            "reservations tmall:1": AFTER_A,
            **logged(f"F\ttmall:1\t{BY}\tpart a\t2 CAT@main", balances="8 0 0 1 CAT@main"),
        },
    ),
    Row(
        "the part that takes the last unit fulfils the reservation",
        (*CONFIRMED, PART_A),
        fulfil("tmall:1", "b", "1 CAT@main, 1 DOG@main"),
        [f"{WHOLE}\n#a 2 CAT@main\n#b 1 CAT@main\t1 DOG@main"],
        {
            "on_hand CAT@main": 7,
            "on_hand DOG@main": 4,
            "committed CAT@main": 0,
            "committed DOG@main": 0,
            "reservations tmall:1": f"{WHOLE}\n#a 2 CAT@main\n#b 1 CAT@main\t1 DOG@main",
            f"ended {NOW}-1.1\ntmall:1": NOW,
            **logged(
                f"F\ttmall:1\t{BY}\twhole b\t1 CAT@main\t1 DOG@main",
                balances=("7 0 0 0 CAT@main", "4 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "everything left after a part: the goods of the part do not leave twice",
        (*CONFIRMED, PART_A),
        fulfil("tmall:1"),
        [f"{WHOLE}\n#a 2 CAT@main"],
        {
            "on_hand CAT@main": 7,
            "on_hand DOG@main": 4,
            "committed CAT@main": 0,
            "committed DOG@main": 0,
            "reservations tmall:1": f"{WHOLE}\n#a 2 CAT@main",
            f"ended {NOW}-1.1\ntmall:1": NOW,
            **logged(
                f"F\ttmall:1\t{BY}\twhole \t1 CAT@main\t1 DOG@main",
                balances=("7 0 0 0 CAT@main", "4 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "goods that left were there: after a correction on hand goes below 0",
        (*CONFIRMED, set_stock("CAT@main", 1)),
        PART_A,
        [AFTER_A],
        {
            "on_hand CAT@main": -1,
            "committed CAT@main": 1,
            "reservations tmall:1": AFTER_A,
            **logged(f"F\ttmall:1\t{BY}\tpart a\t2 CAT@main", balances="-1 0 0 1 CAT@main"),
        },
    ),
    Row(
        "a batch ships several orders of one level",
        (STOCK, reserve("tmall:1", "3 CAT@main", ttl=0), reserve("tmall:2", "4 CAT@main", ttl=0)),
        batch(fulfil("tmall:2", "x", "1 CAT@main"), fulfil("tmall:9"), fulfil("tmall:1")),
        [
            f"C{T0},0\n4-1 CAT@main\n#x 1 CAT@main",
            Status.RESERVATION_NOT_FOUND,
            f"F{T0},0,0\n3-3 CAT@main",
        ],
        {
            "on_hand CAT@main": 6,
            "committed CAT@main": 3,
            "reservations tmall:2": f"C{T0},0\n4-1 CAT@main\n#x 1 CAT@main",
            "reservations tmall:1": f"F{T0},0,0\n3-3 CAT@main",
            f"ended {position(4)}.1\ntmall:1": T0,
            **logged(
                f"F\ttmall:2\t{BY}\tpart x\t1 CAT@main",
                f"F\ttmall:1\t{BY}\twhole \t3 CAT@main",
                balances="6 0 0 3 CAT@main",
            ),
        },
    ),
    Row(
        "a SKU that begins with a # or a number is no part",
        (
            batch(set_stock("#a 2 CAT@main", 9), set_stock("7 8@main", 9)),
            reserve("tmall:1", [(2, "#a 2 CAT@main"), (2, "7 8@main")], ttl=0),
        ),
        fulfil("tmall:1", "a", [(1, "#a 2 CAT@main")]),
        [f"C{T0},0\n2-1 #a 2 CAT@main\n2 7 8@main\n#a 1 #a 2 CAT@main"],
        {
            "on_hand #a 2 CAT@main": 8,
            "committed #a 2 CAT@main": 1,
            "reservations tmall:1": (f"C{T0},0\n2-1 #a 2 CAT@main\n2 7 8@main\n#a 1 #a 2 CAT@main"),
            **logged(
                f"F\ttmall:1\t{BY}\tpart a\t1 #a 2 CAT@main", balances="8 0 0 1 #a 2 CAT@main"
            ),
        },
    ),
]

REPEATED = [
    Row(
        "a known part with the same lines is a replay",
        (*CONFIRMED, PART_A),
        PART_A,
        [[Status.REPLAYED, AFTER_A]],
    ),
    Row(
        "a known part with other lines is a reuse",
        (*CONFIRMED, PART_A),
        fulfil("tmall:1", "a", "1 CAT@main"),
        [Status.ID_REUSED],
    ),
    Row(
        "a reuse is told before a foreign line",
        (*CONFIRMED, PART_A),
        fulfil("tmall:1", "a", "1 FOX@main"),
        [Status.ID_REUSED],
    ),
    Row(
        "a known part of a fulfilled one is a replay",
        (*CONFIRMED, PART_A, fulfil("tmall:1")),
        PART_A,
        [[Status.REPLAYED, f"{WHOLE}\n#a 2 CAT@main"]],
    ),
    Row(
        "a known part of a fulfilled one with other lines is a reuse",
        (*CONFIRMED, PART_A, fulfil("tmall:1")),
        fulfil("tmall:1", "a", "1 CAT@main"),
        [Status.ID_REUSED],
    ),
    Row(
        "a known part of a released one is a replay",
        (*CONFIRMED, PART_A, release("tmall:1")),
        PART_A,
        [[Status.REPLAYED, f"R{T0},0,7\n3-2 CAT@main\n1 DOG@main\n#a 2 CAT@main"]],
    ),
    Row(
        "everything left, asked again when nothing is: as it is",
        (*CONFIRMED, fulfil("tmall:1")),
        fulfil("tmall:1"),
        [WHOLE],
    ),
]

REFUSED = [
    Row(
        "more than is left is refused whole, each such level is named",
        (*CONFIRMED, PART_A),
        fulfil("tmall:1", "b", "2 CAT@main, 1 DOG@main"),
        [[Status.EXCEEDS_RESERVED, AFTER_A, "CAT@main"]],
    ),
    Row(
        "a line that is not in the reservation is foreign",
        CONFIRMED,
        fulfil("tmall:1", "b", "1 CAT@east, 9 DOG@main, 1 FOX@main"),
        [
            [
                Status.FOREIGN_LINE,
                f"C{T0},0\n3 CAT@main\n1 DOG@main",
                *("CAT@east", "FOX@main"),
            ]
        ],
    ),
    Row(
        "a new part of a fulfilled one exceeds what is left, foreign or not",
        (*CONFIRMED, fulfil("tmall:1")),
        fulfil("tmall:1", "b", "1 FOX@main"),
        [[Status.EXCEEDS_RESERVED, WHOLE]],
    ),
    Row(
        "a hold is not confirmed",
        (STOCK, reserve("tmall:1", "3 CAT@main")),
        fulfil("tmall:1"),
        [[Status.NOT_CONFIRMED, f"H{T0},{TTL}\n3 CAT@main"]],
    ),
    Row(
        "a part of a hold: the state is judged before the foreign line",
        (STOCK, reserve("tmall:1", "3 CAT@main")),
        fulfil("tmall:1", "a", "1 FOX@main"),
        [[Status.NOT_CONFIRMED, f"H{T0},{TTL}\n3 CAT@main"]],
    ),
    Row(
        "an expired one is refused",
        (STOCK, reserve("tmall:1", "3 CAT@main"), Advance(TTL), expire()),
        fulfil("tmall:1"),
        [[Status.RESERVATION_EXPIRED, f"X{T0},,{TTL}\n3 CAT@main"]],
    ),
    Row(
        "an overdue one expires and is refused",
        (STOCK, reserve("tmall:1", "3 CAT@main"), Advance(TTL)),
        fulfil("tmall:1"),
        [[Status.RESERVATION_EXPIRED, f"X{T0},,{TTL}\n3 CAT@main"]],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"X{T0},,{TTL}\n3 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {T0 + TTL}-0.1\ntmall:1": T0 + TTL,
            **logged(f"X\ttmall:1\t\t{T0 + TTL}\t3 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "a released one is refused, a new part of it too",
        (*CONFIRMED, release("tmall:1")),
        fulfil("tmall:1", "a", "1 CAT@main"),
        [[Status.RESERVATION_RELEASED, f"R{T0},0,7\n3 CAT@main\n1 DOG@main"]],
    ),
    Row(
        "an unknown id is not found",
        (STOCK,),
        fulfil("tmall:1"),
        [Status.RESERVATION_NOT_FOUND],
    ),
    Row(
        "a receipt past its retention is not found, its parts neither",
        (*CONFIRMED, PART_A, fulfil("tmall:1"), Advance(RETENTION)),
        PART_A,
        [Status.RESERVATION_NOT_FOUND],
    ),
]


@pytest.mark.parametrize("row", [*SHIPPED, *REPEATED, *REFUSED], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_a_hundred_parts_and_then_everything_left(partition: Partition) -> None:
    """The 101st part is refused and changes nothing; without lines the rest still leaves."""
    partition.run(set_stock("CAT@main", 200))
    partition.run(reserve("tmall:1", "200 CAT@main", ttl=0))
    for number in range(100):
        (answer,) = partition.run(fulfil("tmall:1", f"p{number}", "1 CAT@main"))[2:]
        assert isinstance(answer, str)
    before = partition.state()
    status, _ = partition.run(fulfil("tmall:1", "p100", "1 CAT@main"))[2]
    assert status == Status.EXCEEDS_RESERVED
    assert partition.run(fulfil("tmall:1", "p7", "1 CAT@main"))[2][0] == Status.REPLAYED
    status, _, level = partition.run(fulfil("tmall:1", "p100", "1 FOX@main"))[2]
    assert (status, level) == (Status.FOREIGN_LINE, "FOX@main")
    assert before == partition.state()
    assert partition.run(fulfil("tmall:1"))[2].startswith(f"F{T0},0,0\n200-200 CAT@main\n#p0 ")
    assert partition.state()["on_hand CAT@main"] == "0"


def test_the_next_count_mends_a_level_below_zero(partition: Partition) -> None:
    """What left is not undone: a count or a positive adjustment brings the level back."""
    for step in (*CONFIRMED, set_stock("CAT@main", 0), fulfil("tmall:1")):
        partition.run(step)
    assert partition.state()["on_hand CAT@main"] == "-3"
    assert partition.run(adjust_stock("CAT@main", 1, "found"))[3][0] == DONE
    assert partition.state()["on_hand CAT@main"] == "-2"
    assert partition.run(set_stock("CAT@main", 0))[3] == [DONE, 0, 1]
    assert partition.state()["on_hand CAT@main"] == "0"
