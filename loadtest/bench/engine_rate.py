"""Reservations a second in one process: `await engine.reserve(...)`, and lists of 1,000.

The server is on core 0, the process on core 1, append-only file on, not synced.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import uvloop

from loadtest.bench.orders import STOCK, order_id, sku_name
from loadtest.bench.report import Comparison, in_turn, pin
from reservation.config import Durability, Settings
from reservation.engine import Engine
from reservation.model import Line, Origin, Reserve, SetStock
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store

TASKS = 512
LIST = 1_000
TTL_MS = 1_800_000
LOAD_SECONDS = 60.0  # what an earlier measurement left is loaded first
ORIGIN = Origin("bench", "0123456789abcdef")


def measure(
    settings: Settings, *, orders: int, repetitions: int, progress: Callable[[str], None]
) -> list[Comparison]:
    """Compare lists of 1,000 with 512 tasks that await one reservation each."""
    settings = settings.model_copy(
        update={"durability": Durability.MEMORY, "store_rewrite_percent": 0}
    )
    with EmbeddedStore(settings) as store:
        store.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert store.pid is not None
        pin(store.pid, 0)
        pin(os.getpid(), 1)
        settings = settings.model_copy(update={"redis_url": store.url})
        comparison = Comparison(
            "engine, one process, hot",
            "reservations/s",
            f"lists of {LIST}",
            f"{TASKS} tasks, one each",
            notes={"orders": orders},
        )
        in_turn(
            comparison,
            lambda: uvloop.run(_rate(settings, orders, _lists)),
            lambda: uvloop.run(_rate(settings, orders, _tasks)),
            repetitions=repetitions,
            progress=progress,
        )
    return [comparison]


async def _rate(settings: Settings, orders: int, run: Callable[[Engine, int], object]) -> float:
    store = await Store.open(settings)
    await store.client.flushall()
    await store.close()
    store = await Store.open(settings)
    engine = Engine(store, settings)
    await engine.set_stock(SetStock(sku_name(0), "main", STOCK), ORIGIN)
    started = time.perf_counter()
    await run(engine, orders)  # type: ignore[misc]
    seconds = time.perf_counter() - started
    await engine.close()
    return orders / seconds


def _order(number: int) -> Reserve:
    return Reserve(order_id(number), (Line(sku_name(0), "main", 1),), TTL_MS)


async def _tasks(engine: Engine, orders: int) -> None:
    async def work(first: int) -> None:
        for number in range(first, orders, TASKS):
            await engine.reserve(_order(number), ORIGIN)

    await asyncio.gather(*(work(first) for first in range(TASKS)))


async def _lists(engine: Engine, orders: int) -> None:
    for first in range(0, orders, LIST):
        numbers = range(first, min(first + LIST, orders))
        await engine.apply([_order(number) for number in numbers], ORIGIN)
