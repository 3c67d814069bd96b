"""adjust_stock.lua, row by row: differences, each once per adjustment id."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    POLICY,
    RETENTION,
    STOCK,
    T0,
    Advance,
    adjust_stock,
    batch,
    breaker,
    position,
    raw,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

DONE = Status.DONE
BILLION = 1_000_000_000


def cats(on_hand: int, breaker_text: str = "") -> list[str]:
    """Write the report of CAT."""
    return [breaker_text, "main", str(on_hand), "0", "0", "0"]


def receipt(adjustment_id: str, delta: int, number: int, at: int = T0) -> dict[str, object]:
    """Expect the receipt of an adjustment of CAT@main, and the entry that will retire it."""
    return {
        f"adjustments CAT@main\t{adjustment_id}": f"{at} {delta}",
        f"ended {position(number, at)}.1\n+CAT@main\t{adjustment_id}": at,
    }


def adjusted(delta: int, adjustment_id: str = "a1", reason: str = "count") -> str:
    """Write the event."""
    return f"A\tCAT@main\t{BY}\t{delta} {adjustment_id} {reason}"


ROWS = [
    Row(
        "a level rises, once for this id",
        (STOCK,),
        adjust_stock("CAT@main", 5, "a1", "found in aisle 3"),
        [POLICY, [DONE, *cats(15)]],
        {
            "on_hand CAT@main": 15,
            **receipt("a1", 5, 2),
            **logged(adjusted(5, reason="found in aisle 3"), balances="15 0 0 0 CAT@main"),
        },
    ),
    Row(
        "a level falls to 0",
        (STOCK,),
        adjust_stock("CAT@main", -10, "a1"),
        [POLICY, [DONE, *cats(0)]],
        {
            "on_hand CAT@main": 0,
            **receipt("a1", -10, 2),
            **logged(adjusted(-10), balances="0 0 0 0 CAT@main"),
        },
    ),
    Row(
        "below 0 it is refused, says what there is, and the id stays free",
        (STOCK,),
        adjust_stock("CAT@main", -11, "a1"),
        [POLICY, [Status.STOCK_BELOW_ZERO, "10"]],
    ),
    Row(
        "a refused id can be used for another difference",
        (STOCK, adjust_stock("CAT@main", -11, "a1")),
        adjust_stock("CAT@main", -1, "a1"),
        [POLICY, [DONE, *cats(9)]],
        {
            "on_hand CAT@main": 9,
            **receipt("a1", -1, 2),
            **logged(adjusted(-1), balances="9 0 0 0 CAT@main"),
        },
    ),
    Row(
        "on a level below 0 a negative difference is refused",
        (STOCK, raw("HSET", "on_hand", "CAT@main", -3)),
        adjust_stock("CAT@main", -1, "a1"),
        [POLICY, [Status.STOCK_BELOW_ZERO, "-3"]],
    ),
    Row(
        "a positive one is not, wherever it ends",
        (STOCK, raw("HSET", "on_hand", "CAT@main", -3)),
        adjust_stock("CAT@main", 2, "a1"),
        [POLICY, [DONE, *cats(-1)]],
        {
            "on_hand CAT@main": -1,
            **receipt("a1", 2, 2),
            **logged(adjusted(2), balances="-1 0 0 0 CAT@main"),
        },
    ),
    Row(
        "up to a billion units",
        (STOCK,),
        adjust_stock("CAT@main", BILLION - 10, "a1"),
        [POLICY, [DONE, *cats(BILLION)]],
        {
            "on_hand CAT@main": BILLION,
            **receipt("a1", BILLION - 10, 2),
            **logged(adjusted(BILLION - 10), balances=f"{BILLION} 0 0 0 CAT@main"),
        },
    ),
    Row(
        "one more is too large",
        (STOCK,),
        adjust_stock("CAT@main", BILLION - 9, "a1"),
        [POLICY, [Status.STOCK_TOO_LARGE, "10"]],
    ),
    Row(
        "no difference is too large to be compared",
        (STOCK,),
        adjust_stock("CAT@main", 2**53 - 1, "a1"),
        [POLICY, [Status.STOCK_TOO_LARGE, "10"]],
    ),
    Row(
        "nor too small",
        (STOCK,),
        adjust_stock("CAT@main", 1 - 2**53, "a1"),
        [POLICY, [Status.STOCK_BELOW_ZERO, "10"]],
    ),
    Row(
        "the same id and difference is a replay: the stock as it is now, the reason not compared",
        (STOCK, adjust_stock("CAT@main", 5, "a1"), set_stock("CAT@main", 7)),
        adjust_stock("CAT@main", 5, "a1", "other words"),
        [POLICY, [Status.REPLAYED, *cats(7)]],
    ),
    Row(
        "a replay stands although the same again would be refused",
        (STOCK, adjust_stock("CAT@main", -10, "a1")),
        adjust_stock("CAT@main", -10, "a1"),
        [POLICY, [Status.REPLAYED, *cats(0)]],
    ),
    Row(
        "the same id with another difference is a reuse",
        (STOCK, adjust_stock("CAT@main", 5, "a1")),
        adjust_stock("CAT@main", -5, "a1"),
        [POLICY, [Status.ID_REUSED]],
    ),
    Row(
        "an id is known within its level: another warehouse has its own",
        (STOCK, set_stock("CAT@west", 1), adjust_stock("CAT@main", 5, "a1")),
        adjust_stock("CAT@west", 5, "a1"),
        [POLICY, [DONE, *cats(15), "west", "6", "0", "0", "0"]],
        {
            "on_hand CAT@west": 6,
            "adjustments CAT@west\ta1": f"{T0} 5",
            f"ended {position(4)}.1\n+CAT@west\ta1": T0,
            **logged(f"A\tCAT@west\t{BY}\t5 a1 count", balances="6 0 0 0 CAT@west"),
        },
    ),
    Row(
        "a level that does not exist is unknown",
        (STOCK,),
        adjust_stock("CAT@west", 5, "a1"),
        [POLICY, [Status.UNKNOWN_SKU]],
    ),
    Row(
        "a receipt is known to the last millisecond of its retention",
        (STOCK, adjust_stock("CAT@main", 5, "a1"), Advance(RETENTION - 1)),
        adjust_stock("CAT@main", 5, "a1"),
        [POLICY, [Status.REPLAYED, *cats(15)]],
    ),
    Row(
        "from that millisecond on the id is new, cleared or not",
        (STOCK, adjust_stock("CAT@main", 5, "a1"), Advance(RETENTION)),
        adjust_stock("CAT@main", -5, "a1"),
        [POLICY, [DONE, *cats(10)]],
        {
            "on_hand CAT@main": 10,
            **receipt("a1", -5, 0, T0 + RETENTION),
            **logged(adjusted(-5), balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "a batch decides in order: an id that stands twice is a replay or a reuse of itself",
        (STOCK,),
        batch(
            adjust_stock("CAT@main", -6, "a1"),
            adjust_stock("CAT@main", -6, "a2"),
            adjust_stock("CAT@main", -6, "a1"),
            adjust_stock("CAT@main", 6, "a1"),
            adjust_stock("CAT@main", -4, "a2"),
        ),
        [
            POLICY,
            [DONE, *cats(0)],
            [Status.STOCK_BELOW_ZERO, "4"],
            [Status.REPLAYED, *cats(0)],
            [Status.ID_REUSED],
            [DONE, *cats(0)],
        ],
        {
            "on_hand CAT@main": 0,
            "adjustments CAT@main\ta1": f"{T0} -6",
            "adjustments CAT@main\ta2": f"{T0} -4",
            f"ended {position(2)}.1\n+CAT@main\ta1\n+CAT@main\ta2": T0,
            **logged(adjusted(-6), adjusted(-4, "a2"), balances="0 0 0 0 CAT@main"),
        },
    ),
]

OPEN = breaker("O", T0 - 9, failures=3)
HALF = breaker("H", T0, failures=3)

RESTOCKS = [
    Row(
        "more to sell half-opens, and the report shows it",
        (STOCK, raw("HSET", "breaker", "CAT", OPEN)),
        adjust_stock("CAT@main", 1, "a1"),
        [POLICY, [DONE, *cats(11, HALF)]],
        {
            "on_hand CAT@main": 11,
            "breaker CAT": HALF,
            **receipt("a1", 1, 2),
            **logged(adjusted(1), f"J\tCAT\t{BY}\t3 0 ", balances="11 0 0 0 CAT@main"),
        },
    ),
    Row(
        "units that only cover a shortfall do not",
        (
            *(STOCK, reserve("tmall:1", "10 CAT@main", ttl=0), set_stock("CAT@main", 5)),
            raw("HSET", "breaker", "CAT", OPEN),
        ),
        adjust_stock("CAT@main", 5, "a1"),
        [POLICY, [DONE, OPEN, "main", "10", "0", "0", "10"]],
        {
            "on_hand CAT@main": 10,
            **receipt("a1", 5, 4),
            **logged(adjusted(5), balances="10 0 0 10 CAT@main"),
        },
    ),
    Row(
        "a replay does not, although there is more than when it was open",
        (STOCK, adjust_stock("CAT@main", 1, "a1"), raw("HSET", "breaker", "CAT", OPEN)),
        adjust_stock("CAT@main", 1, "a1"),
        [POLICY, [Status.REPLAYED, *cats(11, OPEN)]],
    ),
]

OVERDUE = [
    Row(
        "a backlog is worked off first: MORE, and nothing is adjusted",
        (
            STOCK,
            *(reserve(f"tmall:o{n}", "1 CAT@main", ttl=5) for n in range(5)),
            Advance(5),
        ),
        adjust_stock("DOG@main", 99, "a1"),
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
