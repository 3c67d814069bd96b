"""The store's methods on real servers: what each answers."""

from __future__ import annotations

import pytest

from reservation.model import (
    AdjustStock,
    BreakerState,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Reserve,
    SetStock,
    State,
    StockLevel,
)
from reservation.status import Status
from reservation.store.store import Store
from tests.conftest import SERVERS, Clock
from tests.reservation.store.steps import ONE, backlog, level, run


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_the_life_of_an_order(store: Store, clock: Clock) -> None:
    """Reserve, extend, confirm, ship in parts: times and states as they are read back."""
    now = await clock.freeze()
    await store.set_stock([SetStock("CAT", "main", 10, 1)], "k|r")
    held = await run(store, Reserve("tmall:1", (Line("CAT", "main", 3),), 1_000))
    assert held.reservation is not None
    assert (held.reservation.created_at_ms, held.reservation.expires_at_ms) == (now, now + 1_000)
    extended = await run(store, Extend("tmall:1", 5_000))
    assert extended.reservation is not None
    assert extended.reservation.expires_at_ms == now + 5_000
    await clock.advance(2)
    confirmed = await run(store, Confirm("tmall:1"))
    assert confirmed.reservation is not None
    assert (confirmed.reservation.expires_at_ms, confirmed.reservation.confirmed_at_ms) == (
        None,
        now + 2_000,
    )
    part = await run(store, Fulfil("tmall:1", "a", ONE))
    assert part.reservation is not None
    assert part.reservation.lines == (Line("CAT", "main", 3, 1),)
    await run(store, Fulfil("tmall:1"))
    (found,) = await store.read_reservations(["tmall:1"])
    assert found is not None
    assert (found.state, found.ended_at_ms) == (State.FULFILLED, now + 2_000)
    assert await level(store) == StockLevel("CAT", "main", 7, 1, 0, 0)
    assert await store.read_reservations(["tmall:2", "tmall:1"]) == [None, found]


async def test_a_stock_write_answers_with_the_sku(store: Store) -> None:
    """Created, changed, unchanged, stale; without a report only what became of it."""
    rows = [SetStock("CAT", "main", 5), SetStock("CAT", "main", 5), SetStock("CAT", "main", 6, 2)]
    outcomes = await store.set_stock(rows, "k|r")
    assert [(each.created, each.changed) for each in outcomes] == [
        (True, True),
        (False, False),
        (False, True),
    ]
    stock = outcomes[2].stock
    assert stock is not None
    assert stock.levels == (StockLevel("CAT", "main", 6, 2, 0, 0),)
    assert stock.breaker.state is BreakerState.CLOSED
    (stale,) = await store.set_stock([SetStock("CAT", "main", 9, None, 5)], "k|r")
    assert (stale.status, stale.on_hand, stale.stock) == (Status.STALE_STOCK, 6, None)
    (fresh,) = await store.set_stock([SetStock("FOX", "main", 9, None, 5)], "k|r")
    assert (fresh.status, fresh.on_hand) == (Status.STALE_STOCK, None)
    (bare,) = await store.set_stock([SetStock("CAT", "main", 7)], "k|r", report=False)
    assert (bare.status, bare.stock, bare.changed) == (Status.DONE, None, True)


async def test_an_adjustment_answers_with_the_sku(store: Store) -> None:
    """Done, a replay, a reuse, unknown, below zero, too large."""
    await store.set_stock([SetStock("CAT", "main", 5)], "k|r")

    async def adjust(delta: int, adjustment_id: str, sku: str = "CAT") -> tuple[Status, int | None]:
        request = AdjustStock(sku, "main", delta, adjustment_id, "why\n")
        (outcome,) = await store.adjust_stock([request], "k|r")
        on_hand = outcome.stock.levels[0].on_hand if outcome.stock else outcome.on_hand
        return outcome.status, on_hand

    assert await adjust(-2, "a1") == (Status.DONE, 3)
    assert await adjust(-2, "a1") == (Status.REPLAYED, 3)
    assert await adjust(2, "a1") == (Status.ID_REUSED, None)
    assert await adjust(2, "a1", "FOX") == (Status.UNKNOWN_SKU, None)
    assert await adjust(-4, "a2") == (Status.STOCK_BELOW_ZERO, 3)
    assert await adjust(999_999_999, "a2") == (Status.STOCK_TOO_LARGE, 3)


async def test_upkeep_says_what_it_did(store: Store, clock: Clock) -> None:
    """Expire, retire and trim tell how much, whether more, and the size of the log."""
    await backlog(store, clock, 5)
    expired, more, next_deadline, size, _ = await store.expire()
    assert (expired, more, next_deadline > 0) == (4, True, True)
    assert (await store.expire())[:3] == (1, False, 0)
    await clock.advance(store.settings.receipt_retention_seconds)
    assert await store.retire("0") == (5, False, "0")
    trimmed, left = await store.trim((await store.position())[1])
    assert trimmed > 0
    assert left < size


async def test_opening_again_changes_nothing(store: Store) -> None:
    """A second process on the same store finds everything there."""
    await store.set_stock([SetStock("CAT", "main", 5)], "k|r")
    other = await Store.open(store.settings)
    assert await level(other) == await level(store)
    await other.close()
