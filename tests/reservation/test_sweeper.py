"""The sweeper: expires and clears; goes on when the store comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reservation import metrics
from reservation.config import Durability, load
from reservation.engine import Engine
from reservation.events.entries import read_entry
from reservation.model import Line, Origin, Release, Reserve, SetBreakerPolicy, SetStock
from reservation.store.keys import key
from reservation.store.store import Store
from reservation.sweeper import Sweeper
from tests.conftest import SERVERS, Clock
from tests.reservation.store.proxy import Proxy
from tests.waiting import happens


async def hold(store: Store, count: int, ttl_ms: int) -> None:
    """Hold one cat so many times, each in a call of its own."""
    await store.set_stock([SetStock("CAT", "main", 1_000)], "k|r")
    for number in range(count):
        order = Reserve(f"tmall:{number}", (Line("CAT", "main", 1),), ttl_ms)
        await store.run(Reserve, [order], ["k|r"])


async def kept(store: Store, name: str) -> int:
    """Count the fields of a hash, its sentinel apart, past all scripts."""
    return int(await store.client.hlen(key(0, name))) - 1


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_round_expires_whatever_is_overdue(store: Store, clock: Clock) -> None:
    """However many entries, one round works them all off; a second finds nothing."""
    await hold(store, 30, 1_000)
    sweeper = Sweeper(store, store.settings)
    assert await sweeper.expire() == 0
    await clock.advance(1)
    assert await sweeper.expire() == 30
    assert await sweeper.expire() == 0
    assert await store.client.hget(key(0, "held"), "CAT@main") == "0"


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_tidying_clears_old_receipts(store: Store, clock: Clock) -> None:
    """After the retention nothing is left but what lives."""
    await hold(store, 30, 60_000)
    for number in range(20):
        await store.run(Release, [Release(f"tmall:{number}")], ["k|r"])
    sweeper = Sweeper(store, store.settings)
    assert await sweeper.tidy() == 0
    await clock.advance(60)
    assert await sweeper.expire() == 10
    assert await kept(store, "reservations") == 30
    await clock.advance(store.settings.receipt_retention_seconds)
    assert await sweeper.tidy() == 30
    assert await kept(store, "reservations") == 0


async def test_a_loop_works_until_it_is_told_to_stop(store: Store, clock: Clock) -> None:
    """Running, it expires and tidies by itself; stopping is prompt."""
    await hold(store, 5, 1_000)
    stop = asyncio.Event()
    sweeper = Sweeper(store, store.settings)
    running = asyncio.create_task(sweeper.run(stop))
    await clock.advance(1)

    async def expired() -> bool:
        return await store.client.hget(key(0, "held"), "CAT@main") == "0"

    await happens(expired)
    stop.set()
    await asyncio.wait_for(running, 1)


async def test_a_store_that_goes_away_is_waited_for(
    store: Store, clock: Clock, proxy: Proxy, tmp_path: Path
) -> None:
    """While the store cannot be reached the loop lives on; then it works off what is overdue."""
    await hold(store, 5, 1_000)
    far = await Store.open(
        load(
            data_dir=tmp_path,
            redis_url=proxy.url,
            durability=Durability.MEMORY,
            test_clock=True,
            sweep_interval_ms=10,
            request_timeout_ms=500,
        )
    )
    sweeper, stop = Sweeper(far, far.settings), asyncio.Event()
    running = asyncio.create_task(sweeper.run(stop))
    with capture_logs() as told:
        await proxy.stop()

        async def failing() -> bool:
            return [line["event"] for line in told] == ["loop_waits"]

        await happens(failing)
        await clock.advance(1)
        assert not running.done()
        assert await store.client.hget(key(0, "held"), "CAT@main") == "5"
        await proxy.start()

        async def expired() -> bool:
            held = await store.client.hget(key(0, "held"), "CAT@main")
            return held == "0" and told[-1]["event"] == "loop_recovered"

        await happens(expired)
    stop.set()
    await asyncio.wait_for(running, 1)
    await far.close()


async def test_two_sweepers_share_the_work(store: Store, clock: Clock) -> None:
    """Each hold expires once, whoever gets it."""
    await hold(store, 60, 1_000)
    await clock.advance(1)
    sweepers = [Sweeper(store, store.settings) for _ in range(2)]
    assert sum(await asyncio.gather(*(sweeper.expire() for sweeper in sweepers))) == 60
    assert await store.client.hget(key(0, "held"), "CAT@main") == "0"


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_tidying_tells_that_a_cool_down_has_ended(
    engine: Engine, store: Store, clock: Clock
) -> None:
    """A SKU that is shown nowhere gets no order: who waits for its trial is told all the same."""
    await store.set_stock([SetStock("CAT", "main", 5)], "test")
    await engine.breakers.set_policy(
        SetBreakerPolicy("CAT", threshold=1, cool_down_seconds=60), Origin("wang")
    )
    await engine.reserve(Reserve("tmall:1", (Line("CAT", "main", 9),), 1_000), Origin("tmall"))
    sweeper = Sweeper(store, store.settings)
    for seconds, kind in ((0, "O"), (60, "J")):
        await clock.advance(seconds)
        await sweeper.tidy()
        _, position = await store.position()
        (_, fields), *_ = reversed(await store.log.read("", count=100))
        assert read_entry(fields).events[-1].kind == kind
    await sweeper.tidy()
    assert (await store.position())[1] == position


async def test_tidying_counts_what_is_suspended(engine: Engine, store: Store) -> None:
    """For who watches from outside: open breakers, not all that have something to tell."""
    await store.set_stock([SetStock(sku, "main", 5) for sku in ("A", "B", "C")], "test")
    await engine.breakers.trip(["A", "B"], "recall", Origin("wang"))
    await engine.breakers.reset(["B"], "checked", Origin("wang"))
    await engine.breakers.set_policy(SetBreakerPolicy("C", threshold=5), Origin("wang"))
    await Sweeper(store, store.settings).tidy()
    assert metrics.SUSPENDED_SKUS._value.get() == 1


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_the_stores_memory_is_told(store: Store) -> None:
    """What a load test draws: it grows with what is held."""
    await Sweeper(store, store.settings)._round()
    empty = metrics.STORE_MEMORY_BYTES._value.get()
    await hold(store, 500, 60_000)
    await Sweeper(store, store.settings)._round()
    assert 0 < empty < metrics.STORE_MEMORY_BYTES._value.get()
