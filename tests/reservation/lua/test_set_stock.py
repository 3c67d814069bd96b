"""set_stock.lua, row by row: counts, races, new levels, restocks."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    POLICY,
    STOCK,
    T0,
    TTL,
    Advance,
    batch,
    breaker,
    expire,
    position,
    raw,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

DONE = Status.DONE
CREATED, CHANGED, UNCHANGED = [DONE, 1, 1], [DONE, 0, 1], [DONE, 0, 0]

ROWS = [
    Row(
        "a new level begins with nothing held and its SKU lists the warehouse",
        (),
        set_stock("CAT@main", 10),
        [POLICY, CREATED],
        {
            "on_hand CAT@main": 10,
            "held CAT@main": 0,
            "committed CAT@main": 0,
            "levels CAT": "main",
            **logged(f"S\tCAT@main\t{BY}\tnew", balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "another warehouse joins in the order they came",
        (STOCK,),
        set_stock("CAT@east", 3, 1),
        [POLICY, CREATED],
        {
            "on_hand CAT@east": 3,
            "safety CAT@east": 1,
            "held CAT@east": 0,
            "committed CAT@east": 0,
            "levels CAT": "main east",
            **logged(f"S\tCAT@east\t{BY}\tnew", balances="3 1 0 0 CAT@east"),
        },
    ),
    Row(
        "a count replaces a count; an absent safety stock stays as it is",
        (STOCK,),
        set_stock("DOG@main", 8),
        [POLICY, CHANGED],
        {
            "on_hand DOG@main": 8,
            **logged(f"S\tDOG@main\t{BY}\t5 1", balances="8 1 0 0 DOG@main"),
        },
    ),
    Row(
        "the safety stock alone may change",
        (STOCK,),
        set_stock("DOG@main", 5, 3),
        [POLICY, CHANGED],
        {
            "safety DOG@main": 3,
            **logged(f"S\tDOG@main\t{BY}\t5 1", balances="5 3 0 0 DOG@main"),
        },
    ),
    Row(
        "a safety stock of 0 is none, also where the call has changed it before",
        (STOCK,),
        batch(set_stock("DOG@main", 5, 3), set_stock("DOG@main", 5, 0)),
        [POLICY, CHANGED, CHANGED],
        {
            "safety DOG@main": None,
            **logged(
                f"S\tDOG@main\t{BY}\t5 1", f"S\tDOG@main\t{BY}\t5 3", balances="5 0 0 0 DOG@main"
            ),
        },
    ),
    Row(
        "a safety stock may come back in the call that took it",
        (STOCK,),
        batch(set_stock("DOG@main", 5, 0), set_stock("DOG@main", 5, 4)),
        [POLICY, CHANGED, CHANGED],
        {
            "safety DOG@main": 4,
            **logged(
                f"S\tDOG@main\t{BY}\t5 1", f"S\tDOG@main\t{BY}\t5 0", balances="5 4 0 0 DOG@main"
            ),
        },
    ),
    Row(
        "what is as asked already is not written",
        (STOCK,),
        set_stock("DOG@main", 5, 1),
        [POLICY, UNCHANGED],
    ),
    Row(
        "a count below what is promised stands: it is the truth, the shortfall shows it",
        (STOCK, reserve("tmall:1", "8 CAT@main")),
        set_stock("CAT@main", 2, report=True),
        [POLICY, [DONE, 0, 1, "", "main", "2", "0", "8", "0"]],
        {
            "on_hand CAT@main": 2,
            **logged(f"S\tCAT@main\t{BY}\t10 0", balances="2 0 8 0 CAT@main"),
        },
    ),
    Row(
        "if_on_hand that fits lets the write through",
        (STOCK,),
        set_stock("CAT@main", 7, "", 10),
        [POLICY, CHANGED],
        {
            "on_hand CAT@main": 7,
            **logged(f"S\tCAT@main\t{BY}\t10 0", balances="7 0 0 0 CAT@main"),
        },
    ),
    Row(
        "if_on_hand that differs is stale, and says what there is",
        (STOCK,),
        set_stock("CAT@main", 7, "", 9),
        [POLICY, [Status.STALE_STOCK, "10"]],
    ),
    Row(
        "a repeated conditional write that has taken effect is done, not stale",
        (STOCK, set_stock("CAT@main", 7, "", 10)),
        set_stock("CAT@main", 7, "", 10),
        [POLICY, UNCHANGED],
    ),
    Row(
        "on a new level if_on_hand is stale with nothing to tell; a negative one may be asked",
        (STOCK,),
        batch(set_stock("FOX@main", 7, "", 0), set_stock("CAT@main", 7, "", -3)),
        [POLICY, [Status.STALE_STOCK, ""], [Status.STALE_STOCK, "10"]],
    ),
    Row(
        "a SKU has at most so many warehouses",
        (STOCK, set_stock("CAT@east", 1)),
        set_stock("CAT@west", 1, max_warehouses=2),
        [POLICY, [Status.TOO_MANY_WAREHOUSES]],
    ),
    Row(
        "with its most warehouses the ones it has can still be set",
        (STOCK, set_stock("CAT@east", 1)),
        set_stock("CAT@east", 2, max_warehouses=2),
        [POLICY, CHANGED],
        {
            "on_hand CAT@east": 2,
            **logged(f"S\tCAT@east\t{BY}\t1 0", balances="2 0 0 0 CAT@east"),
        },
    ),
    Row(
        "a report has the breaker and every warehouse of the SKU as they are afterwards",
        (STOCK, raw("HSET", "breaker", "CAT", breaker("C", window=f"{T0} tmall:f1"))),
        set_stock("CAT@east", 3, report=True),
        [
            POLICY,
            [
                *(DONE, 1, 1),
                breaker("C", window=f"{T0} tmall:f1"),
                *("main", "10", "0", "0", "0"),
                *("east", "3", "0", "0", "0"),
            ],
        ],
        {
            "on_hand CAT@east": 3,
            "held CAT@east": 0,
            "committed CAT@east": 0,
            "levels CAT": "main east",
            **logged(f"S\tCAT@east\t{BY}\tnew", balances="3 0 0 0 CAT@east"),
        },
    ),
    Row(
        "a batch writes in order, one entry for all; a level may stand twice",
        (STOCK,),
        batch(
            set_stock("CAT@main", 4),
            set_stock("CAT@main", 6, 2, 4),
            set_stock("CAT@main", 1, "", 4),
        ),
        [POLICY, CHANGED, CHANGED, [Status.STALE_STOCK, "6"]],
        {
            "on_hand CAT@main": 6,
            "safety CAT@main": 2,
            **logged(
                f"S\tCAT@main\t{BY}\t10 0",
                f"S\tCAT@main\t{BY}\t4 0",
                balances="6 2 0 0 CAT@main",
            ),
        },
    ),
    Row(
        "names may have an @, blanks and any script",
        (),
        set_stock("a @ 猫@west", 1),
        [POLICY, CREATED],
        {
            **{f"{name} a @ 猫@west": 0 for name in ("held", "committed")},
            "on_hand a @ 猫@west": 1,
            "levels a @ 猫": "west",
            **logged(f"S\ta @ 猫@west\t{BY}\tnew", balances="1 0 0 0 a @ 猫@west"),
        },
    ),
]

OPEN = breaker("O", T0 - 9, failures=3, cool_down=5, reason="failed locks")
HALF = breaker("H", T0, failures=3, cool_down=5, reason="failed locks")
SUSPENDED = (set_stock("CAT@west", 5, 5), STOCK, raw("HSET", "breaker", "CAT", OPEN))
HALF_OPENED = f"J\tCAT\t{BY}\t3 0 failed locks"

RESTOCKS = [
    Row(
        "more to sell half-opens",
        SUSPENDED,
        set_stock("CAT@main", 11),
        [POLICY, CHANGED],
        {
            "on_hand CAT@main": 11,
            "breaker CAT": HALF,
            **logged(f"S\tCAT@main\t{BY}\t10 0", HALF_OPENED, balances="11 0 0 0 CAT@main"),
        },
    ),
    Row(
        "so does a lower safety stock",
        SUSPENDED,
        set_stock("CAT@west", 5, 4),
        [POLICY, CHANGED],
        {
            "safety CAT@west": 4,
            "breaker CAT": HALF,
            **logged(f"S\tCAT@west\t{BY}\t5 5", HALF_OPENED, balances="5 4 0 0 CAT@west"),
        },
    ),
    Row(
        "so does another warehouse",
        SUSPENDED,
        set_stock("CAT@east", 1),
        [POLICY, CREATED],
        {
            "on_hand CAT@east": 1,
            **{f"{name} CAT@east": 0 for name in ("held", "committed")},
            "levels CAT": "west main east",
            "breaker CAT": HALF,
            **logged(f"S\tCAT@east\t{BY}\tnew", HALF_OPENED, balances="1 0 0 0 CAT@east"),
        },
    ),
    Row(
        "more on hand that is kept back or covers a shortfall is not more to sell",
        SUSPENDED,
        set_stock("CAT@main", 19, 9),
        [POLICY, CHANGED],
        {
            "on_hand CAT@main": 19,
            "safety CAT@main": 9,
            **logged(f"S\tCAT@main\t{BY}\t10 0", balances="19 9 0 0 CAT@main"),
        },
    ),
    Row(
        "the sum over warehouses counts: units that only move do not",
        SUSPENDED,
        batch(set_stock("CAT@main", 8), set_stock("CAT@west", 7)),
        [POLICY, CHANGED, CHANGED],
        {
            "on_hand CAT@main": 8,
            "on_hand CAT@west": 7,
            **logged(
                f"S\tCAT@main\t{BY}\t10 0",
                f"S\tCAT@west\t{BY}\t5 5",
                balances=("8 0 0 0 CAT@main", "7 5 0 0 CAT@west"),
            ),
        },
    ),
    Row(
        "one opened by hand stays open",
        (*SUSPENDED[:2], raw("HSET", "breaker", "CAT", breaker("M", T0))),
        set_stock("CAT@main", 11),
        [POLICY, CHANGED],
        {
            "on_hand CAT@main": 11,
            **logged(f"S\tCAT@main\t{BY}\t10 0", balances="11 0 0 0 CAT@main"),
        },
    ),
    Row(
        "one that is half-open keeps its successes",
        (*SUSPENDED[:2], raw("HSET", "breaker", "CAT", breaker("H", T0, successes=1))),
        set_stock("CAT@main", 11),
        [POLICY, CHANGED],
        {
            "on_hand CAT@main": 11,
            **logged(f"S\tCAT@main\t{BY}\t10 0", balances="11 0 0 0 CAT@main"),
        },
    ),
    Row(
        "a cool-down that has ended is told by the write that meets it, even a falling one",
        (
            *SUSPENDED[:2],
            raw("HSET", "breaker", "CAT", breaker("O", T0 - 9, failures=3, retry_at=T0 - 4)),
        ),
        set_stock("CAT@main", 9),
        [POLICY, CHANGED],
        {
            "on_hand CAT@main": 9,
            "breaker CAT": breaker("H", T0 - 4, failures=3),
            **logged("J\tCAT\t\t3 0 ", f"S\tCAT@main\t{BY}\t10 0", balances="9 0 0 0 CAT@main"),
        },
    ),
    Row(
        "units that come free by expiry in the same call are no restock",
        (STOCK, reserve("tmall:1", "9 CAT@main", ttl=5), SUSPENDED[2], Advance(5)),
        set_stock("CAT@main", 10, 0),
        [POLICY, UNCHANGED],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"X{T0},,5\n9 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {T0 + 5}-0.1\ntmall:1": T0 + 5,
            **logged(f"X\ttmall:1\t\t{T0 + 5}\t9 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
]

OVERDUE = [
    Row(
        "a backlog is worked off first: MORE, and nothing is set",
        (
            STOCK,
            *(reserve(f"tmall:o{n}", "1 CAT@main", ttl=5) for n in range(5)),
            Advance(5),
        ),
        set_stock("DOG@main", 99),
        [Status.MORE],
        {
            "held CAT@main": 1,
            **{f"reservations tmall:o{n}": f"X{T0},,5\n1 CAT@main" for n in range(4)},
            **{f"due {position(2 + n)}.1 1\ntmall:o{n}": None for n in range(4)},
            f"ended {T0 + 5}-0.1\n" + "\n".join(f"tmall:o{n}" for n in range(4)): T0 + 5,
            **logged(
                *(f"X\ttmall:o{n}\t\t{T0 + 5}\t1 CAT@main" for n in range(4)),
                balances="10 0 1 0 CAT@main",
            ),
        },
    ),
]


@pytest.mark.parametrize("row", [*ROWS, *RESTOCKS, *OVERDUE], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_an_import_of_many_rows_is_one_entry_of_the_log(partition: Partition) -> None:
    """Two hundred levels in one call: each is created, the log grows by one."""
    rows = [set_stock(f"S{n}@main", n) for n in range(200)]
    answers = partition.run(batch(*rows))[3:]
    assert answers == [CREATED] * 200
    entries = [place for place in partition.state() if place.startswith("events ")]
    assert len(entries) == 2
    assert partition.run(batch(*rows))[3:] == [UNCHANGED] * 200


def test_a_reported_sku_has_no_overdue_units_held(partition: Partition) -> None:
    """A report is exact: what is overdue in its millisecond is free in it."""
    partition.run(STOCK)
    partition.run(reserve("tmall:1", "9 CAT@main", ttl=TTL))
    partition.run(Advance(TTL))
    report = partition.run(set_stock("CAT@main", 10, report=True))[3]
    assert report[3:] == ["", "main", "10", "0", "0", "0"]
    assert partition.run(expire())[2] == 0
