"""reserve.lua: what an order gets and what is left of it, row by row. Breaker: the next file."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    MAX_LOG_BYTES,
    RETENTION,
    STOCK,
    T0,
    TTL,
    Advance,
    Call,
    batch,
    confirm,
    extend,
    fulfil,
    position,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

DONE, REPLAYED = Status.DONE, Status.REPLAYED
NEXT = position(2)
HELD_2_CATS = f"H{T0},{TTL}\n2 CAT@main"
LOG_BYTES = len("S\tCAT@main\tkey|req\tnew\nS\tDOG@main\tkey|req\tnew") + len(
    "10 0 0 0 CAT@main\n5 1 0 0 DOG@main"
)
ONE_HOLD = (STOCK, reserve("tmall:1", "2 CAT@main"))


GRANTED = [
    Row(
        "a hold takes units, keeps a record and hints at its deadline",
        (STOCK,),
        reserve("tmall:1", "2 CAT@main"),
        [DONE],
        {
            "held CAT@main": 2,
            "reservations tmall:1": HELD_2_CATS,
            f"due {NEXT}.1 1\ntmall:1": T0 + TTL,
            **logged(f"H\ttmall:1\t{BY}\t{TTL}\t2 CAT@main", balances="10 0 2 0 CAT@main"),
        },
    ),
    Row(
        "an order that arrives paid is committed at once, without a deadline",
        (STOCK,),
        reserve("tmall:1", "2 CAT@main", ttl=0),
        [DONE],
        {
            "committed CAT@main": 2,
            "reservations tmall:1": f"C{T0},0\n2 CAT@main",
            **logged(f"D\ttmall:1\t{BY}\t\t2 CAT@main", balances="10 0 0 2 CAT@main"),
        },
    ),
    Row(
        "the last unit can be had, what is kept back cannot",
        (STOCK,),
        batch(reserve("tmall:1", "10 CAT@main"), reserve("tmall:2", "5 DOG@main")),
        [DONE, [Status.INSUFFICIENT_STOCK, 0, "DOG@main", "5", "4"]],
        {
            "held CAT@main": 10,
            "reservations tmall:1": f"H{T0},{TTL}\n10 CAT@main",
            f"due {NEXT}.1 1\ntmall:1": T0 + TTL,
            "breaker DOG": f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} tmall:2",
            **logged(
                f"H\ttmall:1\t{BY}\t{TTL}\t10 CAT@main",
                f"L\tDOG\t{BY}\ttmall:2\t5 4 DOG@main",
                balances=("10 0 10 0 CAT@main", "5 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "an order of several lines takes all of them in one entry",
        (STOCK,),
        reserve("tmall:1", "3 CAT@main, 4 DOG@main"),
        [DONE],
        {
            "held CAT@main": 3,
            "held DOG@main": 4,
            "reservations tmall:1": f"H{T0},{TTL}\n3 CAT@main\n4 DOG@main",
            f"due {NEXT}.1 2\ntmall:1": T0 + TTL,
            **logged(
                f"H\ttmall:1\t{BY}\t{TTL}\t3 CAT@main\t4 DOG@main",
                balances=("10 0 3 0 CAT@main", "5 1 4 0 DOG@main"),
            ),
        },
    ),
    Row(
        "two warehouses of one SKU are two levels",
        (STOCK, set_stock("CAT@west", 1)),
        reserve("tmall:1", "3 CAT@main, 1 CAT@west"),
        [DONE],
        {
            "held CAT@main": 3,
            "held CAT@west": 1,
            "reservations tmall:1": f"H{T0},{TTL}\n3 CAT@main\n1 CAT@west",
            f"due {position(3)}.1 2\ntmall:1": T0 + TTL,
            **logged(
                f"H\ttmall:1\t{BY}\t{TTL}\t3 CAT@main\t1 CAT@west",
                balances=("10 0 3 0 CAT@main", "1 0 1 0 CAT@west"),
            ),
        },
    ),
    Row(
        "a SKU may have an @, blanks and any script; the last @ splits",
        (batch(set_stock("a@b@main", 3), set_stock("5 猫粮 10kg@main", 3)),),
        reserve("tmall:1", [(1, "5 猫粮 10kg@main"), (2, "a@b@main")]),
        [DONE],
        {
            "held a@b@main": 2,
            "held 5 猫粮 10kg@main": 1,
            "reservations tmall:1": f"H{T0},{TTL}\n1 5 猫粮 10kg@main\n2 a@b@main",
            f"due {NEXT}.1 2\ntmall:1": T0 + TTL,
            **logged(
                f"H\ttmall:1\t{BY}\t{TTL}\t1 5 猫粮 10kg@main\t2 a@b@main",
                balances=("3 0 1 0 5 猫粮 10kg@main", "3 0 2 0 a@b@main"),
            ),
        },
    ),
    Row(
        "a batch decides in order: the second takes what the first left, the third is short",
        (STOCK,),
        batch(
            reserve("tmall:1", "6 CAT@main"),
            reserve("tmall:2", "4 CAT@main", ttl=0),
            reserve("tmall:3", "1 CAT@main"),
        ),
        [DONE, DONE, [Status.INSUFFICIENT_STOCK, 0, "CAT@main", "1", "0"]],
        {
            "held CAT@main": 6,
            "committed CAT@main": 4,
            "reservations tmall:1": f"H{T0},{TTL}\n6 CAT@main",
            "reservations tmall:2": f"C{T0},0\n4 CAT@main",
            f"due {NEXT}.1 1\ntmall:1": T0 + TTL,
            "breaker CAT": f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} tmall:3",
            **logged(
                f"H\ttmall:1\t{BY}\t{TTL}\t6 CAT@main",
                f"D\ttmall:2\t{BY}\t\t4 CAT@main",
                f"L\tCAT\t{BY}\ttmall:3\t1 0 CAT@main",
                balances="10 0 6 4 CAT@main",
            ),
        },
    ),
    Row(
        "holds of one call with one deadline share an entry, another deadline has its own",
        (STOCK,),
        batch(
            reserve("tmall:1", "1 CAT@main"),
            reserve("tmall:2", "1 CAT@main", ttl=5),
            reserve("tmall:3", "1 CAT@main"),
        ),
        [DONE],
        {
            "held CAT@main": 3,
            "reservations tmall:1": f"H{T0},{TTL}\n1 CAT@main",
            "reservations tmall:2": f"H{T0},5\n1 CAT@main",
            "reservations tmall:3": f"H{T0},{TTL}\n1 CAT@main",
            f"due {NEXT}@{T0 + TTL}.1 2\ntmall:1\ntmall:3": T0 + TTL,
            f"due {NEXT}@{T0 + 5}.1 1\ntmall:2": T0 + 5,
            **logged(
                f"H\ttmall:1\t{BY}\t{TTL}\t1 CAT@main",
                f"H\ttmall:2\t{BY}\t5\t1 CAT@main",
                f"H\ttmall:3\t{BY}\t{TTL}\t1 CAT@main",
                balances="10 0 3 0 CAT@main",
            ),
        },
    ),
]

KNOWN = [
    Row(
        "the same id with the same lines is a replay and says how it is now",
        ONE_HOLD,
        reserve("tmall:1", "2 CAT@main"),
        [[REPLAYED, HELD_2_CATS]],
    ),
    Row(
        "a replay compares lines only: another time to live or confirm moves nothing",
        ONE_HOLD,
        reserve("tmall:1", "2 CAT@main", ttl=0),
        [[REPLAYED, HELD_2_CATS]],
    ),
    Row(
        "a replay stands although the units are gone",
        (STOCK, reserve("tmall:1", "10 CAT@main")),
        reserve("tmall:1", "10 CAT@main"),
        [[REPLAYED, f"H{T0},{TTL}\n10 CAT@main"]],
    ),
    Row(
        "a replay of a confirmed one",
        (*ONE_HOLD, Advance(5), confirm("tmall:1")),
        reserve("tmall:1", "2 CAT@main"),
        [[REPLAYED, f"C{T0},5\n2 CAT@main"]],
    ),
    Row(
        "a replay of a released one holds nothing",
        (*ONE_HOLD, Advance(5), release("tmall:1")),
        reserve("tmall:1", "2 CAT@main"),
        [[REPLAYED, f"R{T0},,5\n2 CAT@main"]],
    ),
    Row(
        "a replay of one that has left in parts compares what was ordered",
        (STOCK, reserve("tmall:1", "3 CAT@main", ttl=0), fulfil("tmall:1", "a", "1 CAT@main")),
        reserve("tmall:1", "3 CAT@main"),
        [[REPLAYED, f"C{T0},0\n3-1 CAT@main\n#a 1 CAT@main"]],
    ),
    Row(
        "a replay of a fulfilled one",
        (STOCK, reserve("tmall:1", "2 CAT@main", ttl=0), Advance(5), fulfil("tmall:1")),
        reserve("tmall:1", "2 CAT@main"),
        [[REPLAYED, f"F{T0},0,5\n2-2 CAT@main"]],
    ),
    Row(
        "a replay of an overdue hold says expired, and its units are free",
        (*ONE_HOLD, Advance(TTL)),
        reserve("tmall:1", "2 CAT@main"),
        [[REPLAYED, f"X{T0},,{TTL}\n2 CAT@main"]],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"X{T0},,{TTL}\n2 CAT@main",
            f"due {NEXT}.1 1\ntmall:1": None,
            f"ended {T0 + TTL}-0.1\ntmall:1": T0 + TTL,
            **logged(f"X\ttmall:1\t\t{T0 + TTL}\t2 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
    *(
        Row(name, ONE_HOLD, reserve("tmall:1", lines), [Status.ID_REUSED])
        for name, lines in (
            ("the same id with another quantity is a reuse", "3 CAT@main"),
            ("the same id with another SKU is a reuse", "2 DOG@main"),
            ("the same id with a line more is a reuse", "2 CAT@main, 1 DOG@main"),
            ("a reuse is told before an unknown SKU", "2 FOX@main"),
        )
    ),
    Row(
        "the same id with a line less is a reuse",
        (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main")),
        reserve("tmall:1", "2 CAT@main"),
        [Status.ID_REUSED],
    ),
    Row(
        "one batch may hold a replay, a reuse and a grant",
        (STOCK, batch(reserve("tmall:1", "2 CAT@main"), reserve("tmall:2", "1 CAT@main"))),
        batch(
            reserve("tmall:1", "2 CAT@main"),
            reserve("tmall:2", "2 CAT@main"),
            reserve("tmall:3", "1 DOG@main", ttl=0),
        ),
        [[REPLAYED, HELD_2_CATS], Status.ID_REUSED, DONE],
        {
            "committed DOG@main": 1,
            "reservations tmall:3": f"C{T0},0\n1 DOG@main",
            **logged(f"D\ttmall:3\t{BY}\t\t1 DOG@main", balances="5 1 0 1 DOG@main"),
        },
    ),
    Row(
        "a receipt is known to the last millisecond of its retention",
        (
            STOCK,
            reserve("tmall:1", "2 CAT@main", ttl=0),
            release("tmall:1"),
            Advance(RETENTION - 1),
        ),
        reserve("tmall:1", "2 CAT@main"),
        [[REPLAYED, f"R{T0},0,0\n2 CAT@main"]],
    ),
    Row(
        "from that millisecond on the id is new, whether it was cleared or not",
        (STOCK, reserve("tmall:1", "2 CAT@main", ttl=0), release("tmall:1"), Advance(RETENTION)),
        reserve("tmall:1", "1 DOG@main", ttl=0),
        [DONE],
        {
            "committed DOG@main": 1,
            "reservations tmall:1": f"C{T0 + RETENTION},0\n1 DOG@main",
            **logged(f"D\ttmall:1\t{BY}\t\t1 DOG@main", balances="5 1 0 1 DOG@main"),
        },
    ),
    Row(
        "a hold overdue for longer than the retention expires and its id is new in one step",
        (*ONE_HOLD, Advance(TTL + RETENTION)),
        reserve("tmall:1", "10 CAT@main", ttl=0),
        [DONE],
        {
            "held CAT@main": 0,
            "committed CAT@main": 10,
            "reservations tmall:1": f"C{T0 + TTL + RETENTION},0\n10 CAT@main",
            f"due {NEXT}.1 1\ntmall:1": None,
            f"ended {T0 + TTL + RETENTION}-0.1\ntmall:1": T0 + TTL + RETENTION,
            **logged(
                f"X\ttmall:1\t\t{T0 + TTL}\t2 CAT@main",
                f"D\ttmall:1\t{BY}\t\t10 CAT@main",
                balances="10 0 0 10 CAT@main",
            ),
        },
    ),
]

REFUSED = [
    Row(
        "a level that does not exist is unknown, and every one of them is named",
        (STOCK,),
        reserve("tmall:1", "1 CAT@east, 1 CAT@main, 1 FOX@main"),
        [[Status.UNKNOWN_SKU, "CAT@east", "FOX@main"]],
    ),
    Row(
        "an unknown SKU is told before a short one",
        (STOCK,),
        reserve("tmall:1", "11 CAT@main, 1 FOX@main"),
        [[Status.UNKNOWN_SKU, "FOX@main"]],
    ),
    Row(
        "one short line refuses the order whole and is the only trace of it",
        (STOCK,),
        reserve("tmall:1", "1 CAT@main, 5 DOG@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "DOG@main", "5", "4"]],
        {
            "breaker DOG": f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} tmall:1",
            **logged(f"L\tDOG\t{BY}\ttmall:1\t5 4 DOG@main", balances="5 1 0 0 DOG@main"),
        },
    ),
    Row(
        "every short line is named with what there is; one event a short SKU",
        (STOCK, batch(set_stock("CAT@west", 0), set_stock("FOX@main", 9))),
        reserve("tmall:1", "11 CAT@main, 1 CAT@west, 6 DOG@main, 1 FOX@main"),
        [
            [
                Status.INSUFFICIENT_STOCK,
                0,
                *("CAT@main", "11", "10"),
                *("CAT@west", "1", "0"),
                *("DOG@main", "6", "4"),
            ]
        ],
        {
            "breaker CAT": f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} tmall:1",
            "breaker DOG": f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} tmall:1",
            **logged(
                f"L\tCAT\t{BY}\ttmall:1\t11 10 CAT@main\t1 0 CAT@west",
                f"L\tDOG\t{BY}\ttmall:1\t6 4 DOG@main",
                balances=("10 0 0 0 CAT@main", "0 0 0 0 CAT@west", "5 1 0 0 DOG@main"),
            ),
        },
    ),
    Row(
        "of a level below its safety stock 0 is available, never less",
        (STOCK, set_stock("CAT@main", 1, 3)),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "1", "0"]],
        {
            "breaker CAT": f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} tmall:1",
            **logged(f"L\tCAT\t{BY}\ttmall:1\t1 0 CAT@main", balances="1 3 0 0 CAT@main"),
        },
    ),
    Row(
        "above the log's bound nothing new is reserved",
        (STOCK,),
        reserve("tmall:1", "1 CAT@main", max_log_bytes=LOG_BYTES - 1),
        [Status.LOG_FULL],
    ),
    Row(
        "at the log's bound it still is",
        (STOCK,),
        reserve("tmall:1", "1 CAT@main", ttl=0, max_log_bytes=LOG_BYTES),
        [DONE],
        {
            "committed CAT@main": 1,
            "reservations tmall:1": f"C{T0},0\n1 CAT@main",
            **logged(f"D\ttmall:1\t{BY}\t\t1 CAT@main", balances="10 0 0 1 CAT@main"),
        },
    ),
    Row(
        "replays pass above it",
        ONE_HOLD,
        reserve("tmall:1", "2 CAT@main", max_log_bytes=0),
        [[REPLAYED, HELD_2_CATS]],
    ),
    Row(
        "a call of no operations does nothing",
        (STOCK,),
        Call("reserve", (RETENTION, MAX_LOG_BYTES)),
        [],
    ),
]


@pytest.mark.parametrize("row", [*GRANTED, *KNOWN, *REFUSED], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_a_deadline_is_an_exact_number(partition: Partition) -> None:
    """The largest time to live ends where it says; beyond it a double would round the hint."""
    partition.run(STOCK)
    longest = (1 << 52) - 1
    partition.run(reserve("tmall:1", "1 CAT@main", ttl=longest))
    assert float(T0 + longest) in partition.state().values()
    for call in (reserve("tmall:2", "1 CAT@main", ttl=longest + 2), extend("tmall:1", longest + 2)):
        with pytest.raises(ResponseError, match="BADARG ttl_ms"):
            partition.run(call)
    partition.check_invariants()
