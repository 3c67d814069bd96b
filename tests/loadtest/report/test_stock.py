"""Stock, holds and fates as a history tells them."""

from __future__ import annotations

from loadtest.history import Call, Record, Reservation, Stock
from loadtest.report.stock import follow

ZERO = 1_800_000_000_000_000


def at(second: float) -> int:
    """Give a time of the run."""
    return ZERO + int(second * 1_000_000)


def stock(second: float, on_hand: int, sku: str = "A") -> Stock:
    """Write a level."""
    return Stock(sku, "main", on_hand, 0, at(second), at(second))


def call(second: float, op: str, state: str | None = None, **members: object) -> Call:
    """Note a call that was answered at once; a refusal has no state."""
    return Call(
        "c",
        op,  # type: ignore[arg-type]
        "tmall:1",
        at(second),
        at(second),
        status=409 if state is None else 200,
        state=state,
        **members,  # type: ignore[arg-type]
    )


def held(second: float, units: int, ttl: float) -> Call:
    """Note a hold."""
    lines = (("A", "main", units),)
    return call(second, "reserve", "held", lines=lines, expires_at_us=at(second + ttl))


def series(*records: Record) -> dict[str, list[int]]:
    """Follow a history for five seconds."""
    return follow(records, ZERO).series(0, 4)


def test_a_hold_is_paid_and_shipped() -> None:
    """Held, then committed, then gone from the shelf."""
    assert series(
        stock(-1, 10),
        held(0.5, 3, ttl=30),
        call(1.5, "confirm", "confirmed"),
        call(3.5, "fulfil", "fulfilled"),
    ) == {
        "available": [7, 7, 7, 7, 7],
        "held": [3, 0, 0, 0, 0],
        "committed": [0, 3, 3, 0, 0],
        "holds": [1, 0, 0, 0, 0],
    }


def test_a_hold_that_nobody_pays_expires_at_its_deadline() -> None:
    """No call tells of it."""
    told = series(stock(-1, 10), held(0.5, 3, ttl=2))
    assert told["held"] == [3, 3, 0, 0, 0]
    assert told["available"] == [7, 7, 10, 10, 10]


def test_an_extended_hold_lives_until_its_new_deadline() -> None:
    """And a late payment that retakes the stock commits it."""
    told = series(
        stock(-1, 10),
        held(0.5, 3, ttl=1),
        call(1.2, "extend", "held", expires_at_us=at(2.2)),
        call(3.5, "confirm", "confirmed", reinstate=True),
    )
    assert told["held"] == [3, 3, 0, 0, 0]
    assert told["committed"] == [0, 0, 0, 3, 3]


def test_a_restock_adds_what_came_not_what_was_left() -> None:
    """Its record says what was on hand after it, shipments taken off."""
    told = series(
        stock(-1, 10),
        held(0.1, 4, ttl=30),
        call(0.2, "confirm", "confirmed"),
        call(1.5, "fulfil", "fulfilled"),
        stock(2.5, 26),  # 6 were left, 20 came
    )
    assert told["available"] == [6, 6, 26, 26, 26]


def test_every_order_has_a_fate() -> None:
    """By channel; one that left no trace has its refusal, or had no answer."""
    records = [
        call(1, "reserve", slug="insufficient-stock"),
        Reservation("tmall:1", "missing", at(9), at(9)),
        Call("c", "reserve", "douyin:2", at(1), at(1), lost="reset"),
        Reservation("douyin:2", "missing", at(9), at(9)),
        Call("c", "reserve", "douyin:3", at(1), at(1), status=201, state="held"),
        Reservation("douyin:3", "released", at(9), at(9)),
        Call("c", "reserve", "douyin:4", at(1), at(1), status=201, state="held"),
    ]
    assert follow(records, ZERO).fates == {
        "tmall": {"insufficient-stock": 1},
        "douyin": {"no answer": 1, "released": 1, "not read": 1},
    }
