"""100,000 holds due in one millisecond, while their units are asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reservation.audit import audit
from reservation.config import Durability, Settings, load
from reservation.engine import Engine
from reservation.model import Line, Origin, Reserve, SetStock
from reservation.status import Status
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from reservation.sweeper import Sweeper
from tests.chaos.conftest import Record, Say
from tests.chaos.cores import ScriptTimes, apart, quantile, waited_ms
from tests.chaos.deployment import Stopwatch
from tests.chaos.sizes import sizes

SKUS = 10  # the units of the last one are not asked for: reads of it are exact
TTL_MS = 1_800_000
BUYERS = 256  # tasks, each of which asks again as soon as it is answered
READERS = 8
MAX_SCRIPT_MS = 5.0  # issue 3
MAX_WAIT_SECONDS = 1.5  # of any buyer for an answer
ATTEMPTS = 5  # a call that needs so long does each time; a pause of the machine comes at random
ORIGIN = Origin("chaos")

pytestmark = pytest.mark.timeout(7200)


class Storm:
    """What was asked for and what was granted of each SKU since the deadline."""

    def __init__(self, engines: list[Engine], holds: int) -> None:
        self.engines = engines
        self.each = holds // SKUS
        self.asked = [0] * SKUS
        self.granted = [0] * SKUS
        self.reads = 0
        self.longest_wait = 0.0  # of a buyer for an answer, s
        self._orders = iter(range(self.each * (SKUS - 1)))

    async def hold_all(self) -> None:
        """Hold every unit until one and the same millisecond."""
        for sku in range(SKUS):
            await self.engines[0].set_stock(SetStock(f"DUE-{sku}", "main", self.each), ORIGIN)
            for first in range(0, self.each, 1_000):
                last = min(first + 1_000, self.each)
                orders = [self._order(f"old:{sku}-{n}", sku) for n in range(first, last)]
                outcomes = await self.engines[0].apply(orders, ORIGIN)
                assert {o.status for o in outcomes} == {Status.DONE}  # type: ignore[union-attr]

    @staticmethod
    def _order(name: str, sku: int) -> Reserve:
        return Reserve(name, (Line(f"DUE-{sku}", "main", 1),), TTL_MS)

    async def buy(self, engine: Engine) -> None:
        """Ask for units as long as there are any: every single order must be granted."""
        for number in self._orders:
            sku = number % (SKUS - 1)
            self.asked[sku] += 1
            watch = Stopwatch()
            outcome = await engine.reserve(self._order(f"new:{number}", sku), ORIGIN)
            self.longest_wait = max(self.longest_wait, watch.seconds)
            assert outcome.status is Status.DONE, f"order {number}: {outcome}"
            self.granted[sku] += 1

    async def read(self, engine: Engine, bought: asyncio.Event, start: int) -> float:
        """Read stock until all is bought: a read shows what the log had when it was made.

        Returns how long the first read took, s: it waits until everything is reclaimed.
        """
        watch, first, sku = Stopwatch(), 0.0, start % SKUS
        while not bought.is_set():
            least = self.granted[sku]
            stock = await engine.stock(f"DUE-{sku}")
            assert stock is not None
            held = stock.levels[0].held
            assert least <= held <= self.asked[sku], f"{held} held of DUE-{sku}"
            first = first or watch.seconds
            self.reads += 1
            sku = (sku + 1) % SKUS
        return first


@contextlib.asynccontextmanager
async def _engines(settings: Settings, count: int) -> AsyncIterator[list[Engine]]:
    """Open engines on one store, each with its own queues, as so many processes would have."""
    engines = [Engine(await Store.open(settings), settings) for _ in range(count)]
    try:
        yield engines
    finally:
        for engine in engines:
            await engine.close()


@contextlib.asynccontextmanager
async def _sweeping(settings: Settings, *, on: bool) -> AsyncIterator[None]:
    if not on:
        yield
        return
    store, stop = await Store.open(settings), asyncio.Event()
    task = asyncio.create_task(Sweeper(store, settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task
        await store.close()


async def _storm(settings: Settings, holds: int, server: int, *, sweeper: bool) -> dict[str, Any]:
    """Let everything fall due under fire; return the figures."""
    async with _engines(settings, 2) as engines:
        storm, store = Storm(engines, holds), engines[0]._store
        await store.client.flushall()
        async with _engines(settings, 0):
            await (await Store.open(settings)).close()  # lays the keys anew
        await engines[0].move_clock(advance_ms=None, freeze=True)
        await storm.hold_all()
        times, bought = ScriptTimes(store.client), asyncio.Event()
        async with _sweeping(settings, on=sweeper):
            await times.start()
            waited = waited_ms(server)
            await engines[0].move_clock(advance_ms=TTL_MS, freeze=None)
            watch = Stopwatch()
            readers = asyncio.gather(
                *(storm.read(engines[n % 2], bought, n) for n in range(READERS))
            )
            await asyncio.gather(*(storm.buy(engines[n % 2]) for n in range(BUYERS)))
            seconds = watch.seconds
            bought.set()
            first_reads = await readers
            waited = waited_ms(server) - waited
        calls = await times.stop()
        report = await audit(store)
    assert report.ok, report.findings
    assert report.reservations == {"expired": storm.each * SKUS, "held": storm.each * (SKUS - 1)}
    assert report.units["held"] == storm.each * (SKUS - 1)
    return {
        "reclaimed_s": round(max(first_reads), 3),
        "all_bought_s": round(seconds, 3),
        "longest_wait_s": round(storm.longest_wait, 3),
        "reads": storm.reads,
        "script_calls": len(calls),
        "p50_ms": quantile(calls, 0.5),
        "p99_9_ms": quantile(calls, 0.999),
        "max_ms": calls[0][0],
        "longest": _names(engines[0]._store, calls[:5]),
        "waited_for_core_ms": round(waited, 3),
    }


def _names(store: Store, calls: list[tuple[float, str]]) -> str:
    names = {script.sha: name for name, script in store.link._scripts.items()}
    return ", ".join(f"{names[sha]} {ms:.1f}" for ms, sha in calls)


@pytest.mark.parametrize("sweeper", [False, True], ids=["alone", "sweeper"])
@sizes(5_000, 100_000, "holds")
async def test_holds_due_at_once(
    tmp_path: Path, program: str, holds: int, *, sweeper: bool, say: Say, record: Record
) -> None:
    """No buyer is refused what is free, no read shows a hold that has ended.

    In the full form the server is alone on its core, no script call uses more than 5 ms of it, and
    no buyer waits longer than 1.5 s. The server's times are wall times, and a virtual machine
    pauses now and then: where one call was longer, the same is measured again.
    """
    settings = load(
        data_dir=tmp_path,
        store_binary=program,
        durability=Durability.MEMORY,
        store_rewrite_percent=0,
        test_clock=True,
    )
    full = holds >= 100_000
    with EmbeddedStore(settings) as server:
        assert server.pid is not None
        for attempt in range(1, ATTEMPTS + 1 if full else 2):
            with apart(server.pid) if full else contextlib.nullcontext():
                figures = await _storm(settings, holds, server.pid, sweeper=sweeper)
            say(f"attempt {attempt}: {figures}")
            if figures["max_ms"] <= MAX_SCRIPT_MS:
                break
    record(holds=holds, sweeper=sweeper, **figures)
    if full:
        assert figures["max_ms"] <= MAX_SCRIPT_MS
        assert figures["longest_wait_s"] <= MAX_WAIT_SECONDS
