"""What tests of the store do with it, and look at."""

from __future__ import annotations

from reservation.model import (
    Line,
    Operation,
    Outcome,
    Reserve,
    SetStock,
    StockLevel,
)
from reservation.store.store import Store
from tests.conftest import Clock

ONE = (Line("CAT", "main", 1),)


async def run(store: Store, operation: Operation) -> Outcome:
    """Run one operation."""
    return (await store.run(type(operation), [operation], ["k|r"]))[0]


async def level(store: Store, sku: str = "CAT") -> StockLevel:
    """Read a SKU's only level."""
    return (await store.read_stock([sku]))[0].levels[0]


async def backlog(store: Store, clock: Clock, entries: int) -> None:
    """Let so many holds of one cat fall due, each in an entry of its own."""
    await store.set_stock([SetStock("CAT", "main", entries)], "k|r")
    for number in range(entries):
        await run(store, Reserve(f"old:{number}", ONE, 1_000))
    await clock.advance(1)
