"""Reservations a second of `await engine.reserve(...)` in one process, and of lists of 1,000.

The server is on core 0, the process on core 1. Beside it stands what the frozen pattern could
reach at most: 1 ÷ its server CPU per reservation, measured in the same run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import redis
import uvloop

from loadtest.bench.measure import Measure, in_turn
from loadtest.bench.orders import STOCK, draw_skus, order_id, sku_name
from loadtest.bench.partition import Bed, server
from loadtest.bench.patterns import Pattern
from loadtest.bench.run import Run
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import Line, Origin, Outcome, Reserve, SetStock
from reservation.status import Status
from reservation.store.store import Store

TASKS = 512
LIST = 1_000
TTL_MS = 1_800_000
LIVE = 10_000  # holds of the pattern before it is measured
PATTERN_SHARE = 3  # its CPU is told by a third of the orders
IDEAL = "the pattern's ideal: 1 ÷ its server CPU a reservation"
ORIGIN = Origin("bench", "0123456789abcdef")


def measure(run: Run) -> list[Measure]:
    """Compare both ways of asking with the pattern's ideal rate."""
    ways: list[tuple[str, str, Callable[[Engine, int], Awaitable[None]]]] = [
        ("engine-tasks", f"{TASKS} tasks, one reservation each", _tasks),
        ("engine-lists", f"lists of {LIST:,}", _lists),
    ]
    rows = []
    with server(run.settings, orders=run.orders) as bed:
        settings = bed.settings.model_copy(update={"redis_url": f"unix://{bed.path}"})
        for key, name, way in ways:
            title = f"engine in one process, hot: {name}"
            rates, ideals = in_turn(
                lambda way=way: uvloop.run(_rate(settings, run.orders, way)),  # type: ignore[misc]
                lambda: _ideal_rate(bed, run.orders // PATTERN_SHARE),
                repetitions=run.repetitions,
                progress=lambda title=title: run.progress(title),  # type: ignore[misc]
            )
            row = Measure(key, title, "reservations/s", name, IDEAL, a=rates, b=ideals)
            row.notes |= bed.notes
            rows.append(row)
    return rows


def _ideal_rate(bed: Bed, orders: int) -> float:
    with redis.Redis(unix_socket_path=bed.path) as client:
        client.flushall()
    pattern = Pattern(bed.path, wide=False)
    pattern.reserve(draw_skus(LIVE, wide=False))
    microseconds = pattern.reserve(draw_skus(orders, wide=False))
    pattern.close()
    return 1e6 / microseconds


async def _rate(
    settings: Settings, orders: int, way: Callable[[Engine, int], Awaitable[None]]
) -> float:
    store = await Store.open(settings)
    await store.client.flushall()
    await store.close()
    store = await Store.open(settings)
    engine = Engine(store, settings)
    await engine.set_stock(SetStock(sku_name(0), "main", STOCK), ORIGIN)
    started = time.perf_counter()
    await way(engine, orders)
    seconds = time.perf_counter() - started
    stock = await engine.stock(sku_name(0))
    assert stock is not None
    assert stock.levels[0].held == orders
    await engine.close()
    return orders / seconds


def _order(number: int) -> Reserve:
    return Reserve(order_id(number), (Line(sku_name(0), "main", 1),), TTL_MS)


async def _tasks(engine: Engine, orders: int) -> None:
    async def work(first: int) -> None:
        for number in range(first, orders, TASKS):
            outcome = await engine.reserve(_order(number), ORIGIN)
            assert outcome.reservation is not None

    await asyncio.gather(*(work(first) for first in range(TASKS)))


async def _lists(engine: Engine, orders: int) -> None:
    for first in range(0, orders, LIST):
        numbers = range(first, min(first + LIST, orders))
        outcomes = await engine.apply([_order(number) for number in numbers], ORIGIN)
        for outcome in outcomes:
            assert isinstance(outcome, Outcome)
            assert outcome.status is Status.DONE
            assert outcome.reservation is not None
