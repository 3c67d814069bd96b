"""What one call decides on: known records of 500 lines together, one record at least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    SECOND,
    T0,
    TTL,
    Advance,
    Call,
    Step,
    batch,
    confirm,
    expire,
    extend,
    fulfil,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

BUDGET = 500
FIRST, SECOND_ID, THIRD = "tmall:1", "tmall:2", "tmall:3"
IDS = (FIRST, SECOND_ID, THIRD)

Verb = Callable[[str], Call]


def lines(count: int) -> list[tuple[int, str]]:
    return [(1, f"S{number}@main") for number in range(count)]


def again(reservation_id: str) -> Call:
    """Ask anew for what is known: other lines, so that the call itself is small."""
    return reserve(reservation_id, "1 S0@main")


# The verb, what makes three orders of its lines, how each is answered.
VERBS: dict[str, tuple[Verb, int, Step | None]] = {
    "confirm": (confirm, TTL, None),
    "reinstate": (lambda id_: confirm(id_, reinstate=True), TTL, Advance(TTL)),
    "release": (release, TTL, None),
    "extend": (lambda id_: extend(id_, SECOND), TTL, None),
    "fulfil": (fulfil, 0, None),
    "reserve anew": (again, TTL, None),
    "reserve anew what is overdue": (again, TTL, Advance(TTL)),
}


def lay_orders(partition: Partition, counts: tuple[int, int, int], ttl: int) -> None:
    """Stock, and three orders of so many lines."""
    most = max(counts)
    partition.run(batch(*(set_stock(level, 9) for _, level in lines(most))))
    for reservation_id, count in zip(IDS, counts, strict=True):
        partition.run(reserve(reservation_id, lines(count), ttl=ttl))


@pytest.mark.parametrize("name", VERBS)
def test_beyond_the_budget_an_operation_is_not_decided(partition: Partition, name: str) -> None:
    """The first two are 501 lines: the second and all after it are answered MORE, untouched."""
    verb, ttl, later = VERBS[name]
    lay_orders(partition, (250, 251, 1), ttl)
    if later is not None:
        partition.run(later)
        for _ in IDS:
            partition.run(expire())
    before = partition.state()
    first, second, third = partition.run(batch(*map(verb, IDS)))[2:]
    after = partition.state()
    assert first != Status.MORE
    assert (second, third) == (Status.MORE, Status.MORE)
    for reservation_id in IDS[1:]:
        place = f"reservations {reservation_id}"
        assert after[place] == before[place]
    second, third = partition.run(batch(*map(verb, IDS[1:])))[2:]
    assert Status.MORE not in (second, third)
    partition.check_invariants()


@pytest.mark.parametrize("name", VERBS)
def test_up_to_the_budget_all_are_decided(partition: Partition, name: str) -> None:
    """500 lines are decided at once; so is a single order of a thousand."""
    verb, ttl, _ = VERBS[name]
    lay_orders(partition, (249, 250, 1), ttl)
    assert Status.MORE not in partition.run(batch(*map(verb, IDS)))[2:]


@pytest.mark.parametrize("name", VERBS)
def test_one_order_is_always_decided(partition: Partition, name: str) -> None:
    """An order that is larger than the budget has a call of its own."""
    verb, ttl, _ = VERBS[name]
    lay_orders(partition, (1_000, 1, 1), ttl)
    first, second, third = partition.run(batch(*map(verb, IDS)))[2:]
    assert first != Status.MORE
    assert (second, third) == (Status.MORE, Status.MORE)


def record_of(count: int) -> str:
    return "\n".join(f"1 {level}" for _, level in lines(count))


TWO_ORDERS = (
    batch(*(set_stock(level, 9) for _, level in lines(BUDGET))),
    reserve(FIRST, lines(BUDGET)),
    reserve(SECOND_ID, "1 S0@main"),
)
TAIL = "\t".join(f"1 {level}" for _, level in lines(BUDGET))


def balances(*, held: int = 0, committed: int = 0) -> tuple[str, ...]:
    """Write all balances, with the one unit of the second order on S0."""
    return tuple(
        f"9 0 {held + (level == 'S0@main')} {committed} {level}" for _, level in lines(BUDGET)
    )


def changed(state: str, name: str, units: int) -> dict[str, Any]:
    """Expect the first order's record and balances to change, and nothing of the second's."""
    first = {f"{name} {level}": units for _, level in lines(BUDGET)}
    return {f"reservations {FIRST}": f"{state}\n{record_of(BUDGET)}", **first}


ROWS = [
    Row(
        "release: the second order waits for the next call",
        TWO_ORDERS,
        batch(release(FIRST, "why"), release(SECOND_ID)),
        [f"R{T0},,0\n{record_of(BUDGET)}", Status.MORE],
        {
            **changed(f"R{T0},,0", "held", 0),
            "held S0@main": 1,
            **logged(f"R\t{FIRST}\t{BY}\tH why\t{TAIL}", balances=balances()),
        },
    ),
    Row(
        "extend: the second order waits for the next call",
        TWO_ORDERS,
        batch(extend(FIRST, TTL + 1), extend(SECOND_ID, TTL + 1)),
        [f"H{T0},{TTL + 1},{TTL}\n{record_of(BUDGET)}", Status.MORE],
        {
            f"reservations {FIRST}": f"H{T0},{TTL + 1},{TTL}\n{record_of(BUDGET)}",
            **logged(f"E\t{FIRST}\t{BY}\t{T0 + TTL + 1}\t{TAIL}"),
        },
    ),
    Row(
        "confirm: the second order waits for the next call",
        TWO_ORDERS,
        batch(confirm(FIRST), confirm(SECOND_ID)),
        [f"C{T0},0\n{record_of(BUDGET)}", Status.MORE],
        {
            **changed(f"C{T0},0", "held", 0),
            "held S0@main": 1,
            **{f"committed {level}": 1 for _, level in lines(BUDGET)},
            **logged(f"C\t{FIRST}\t{BY}\t\t{TAIL}", balances=balances(committed=1)),
        },
    ),
    Row(
        "fulfil: the second order waits for the next call",
        (*TWO_ORDERS, confirm(FIRST)),
        batch(fulfil(FIRST, "a", "1 S1@main"), fulfil(SECOND_ID)),
        [f"C{T0},0\n{record_of(BUDGET).replace('1 S1@', '1-1 S1@')}\n#a 1 S1@main", Status.MORE],
        {
            f"reservations {FIRST}": (
                f"C{T0},0\n{record_of(BUDGET).replace('1 S1@', '1-1 S1@')}\n#a 1 S1@main"
            ),
            "on_hand S1@main": 8,
            "committed S1@main": 0,
            **logged(f"F\t{FIRST}\t{BY}\tpart a\t1 S1@main", balances="8 0 0 0 S1@main"),
        },
    ),
    Row(
        "reserve: a second order that is known waits for the next call",
        TWO_ORDERS,
        batch(reserve(FIRST, "1 S0@main"), reserve(SECOND_ID, "1 S0@main")),
        [Status.ID_REUSED, Status.MORE],
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_an_overdue_order_beyond_the_budget_does_not_read_as_held(partition: Partition) -> None:
    """Nobody swept: a call says nothing of an overdue order that it has no room to expire."""
    lay_orders(partition, (250, 251, 1), TTL)
    partition.run(Advance(TTL))
    replies = [partition.run(batch(*map(confirm, IDS)))[2:] for _ in range(2)]
    for answer in (answer for reply in replies for answer in reply):
        status = answer[0] if isinstance(answer, list) else answer
        assert status in (Status.RESERVATION_EXPIRED, Status.MORE)
    partition.check_invariants()
