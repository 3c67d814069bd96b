"""expire.lua, row by row: the sweep, bounded a call."""

from __future__ import annotations

import pytest

from tests.reservation.lua.calls import (
    STOCK,
    T0,
    TTL,
    Advance,
    batch,
    expire,
    extend,
    position,
    reserve,
)
from tests.reservation.lua.partition import COUNTED, Partition, Row, check, logged


def of(count: int) -> tuple[object, ...]:
    """Give so many holds of one cat, each in an entry of its own, due 5 ms after T0."""
    return tuple(reserve(f"tmall:o{n}", "1 CAT@main", ttl=5) for n in range(count))


def swept(first: int, last: int, held: int, entry: str) -> dict[str, object]:
    """Expect the holds from `first` to `last` to have expired in one call."""
    numbers = range(first, last + 1)
    ids = [f"tmall:o{n}" for n in numbers]
    return {
        "held CAT@main": held,
        **{f"reservations {each}": f"X{T0},,5\n1 CAT@main" for each in ids},
        **{f"due {position(2 + n)}.1 1\ntmall:o{n}": None for n in numbers},
        f"ended {entry}.1\n" + "\n".join(ids): T0 + 5,
        **logged(
            *(f"X\t{each}\t\t{T0 + 5}\t1 CAT@main" for each in ids),
            balances=f"10 0 {held} 0 CAT@main",
        ),
    }


ROWS = [
    Row(
        "nothing is overdue: nothing is written, not even the clock mark",
        (STOCK, Advance(TTL)),
        expire(),
        [0, 0, "0", COUNTED],
    ),
    Row(
        "a hold that stands is left, and the next deadline is told",
        (STOCK, *of(1), Advance(4)),
        expire(),
        [0, 0, str(T0 + 5), COUNTED],
    ),
    Row(
        "overdue holds end at their deadline",
        (STOCK, *of(2), reserve("tmall:1", "1 DOG@main", ttl=9), Advance(5)),
        expire(),
        [2, 0, str(T0 + 9), COUNTED],
        swept(0, 1, 0, f"{T0 + 5}-0"),
    ),
    Row(
        "four entries a call: the fifth is left for the next",
        (STOCK, *of(5), Advance(5)),
        expire(),
        [4, 1, str(T0 + 5), COUNTED],
        swept(0, 3, 1, f"{T0 + 5}-0"),
    ),
    Row(
        "the next call takes it",
        (STOCK, *of(5), Advance(5), expire()),
        expire(),
        [1, 0, "0", COUNTED],
        swept(4, 4, 0, f"{T0 + 5}-1"),
    ),
    Row(
        "an extended hold is no expiry: its hint moves without an event",
        (STOCK, *of(1), extend("tmall:o0", 9), Advance(7)),
        expire(),
        [0, 0, str(T0 + 9), COUNTED],
        {
            "reservations tmall:o0": f"H{T0},9\n1 CAT@main",
            f"due {position(2)}.1 1\ntmall:o0": None,
            f"due {position(3)}.1 1\ntmall:o0": T0 + 9,
            "clock now": T0 + 7,
        },
    ),
    Row(
        "hints of one deadline that are moved in one call share an entry again",
        (
            STOCK,
            batch(*of(3)),  # type: ignore[arg-type]
            batch(*(extend(f"tmall:o{n}", 9) for n in range(3))),
            Advance(5),
        ),
        expire(),
        [0, 0, str(T0 + 9), COUNTED],
        {
            **{f"reservations tmall:o{n}": f"H{T0},9\n1 CAT@main" for n in range(3)},
            f"due {position(2)}.1 3\ntmall:o0\ntmall:o1\ntmall:o2": None,
            f"due {position(3)}.1 3\ntmall:o0\ntmall:o1\ntmall:o2": T0 + 9,
            "clock now": T0 + 5,
        },
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)
