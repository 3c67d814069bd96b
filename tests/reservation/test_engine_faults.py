"""The use cases while the store fails, is full or is silent, and while callers leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reservation.audit import audit
from reservation.config import Durability, Settings, load
from reservation.engine import IMPORT_ROWS_PER_CALL, Engine
from reservation.errors import (
    ImportInterrupted,
    Overloaded,
    StoreUnavailable,
)
from reservation.model import (
    AdjustStock,
    Confirm,
    ImportCounts,
    Line,
    Origin,
    Outcome,
    Release,
    Reserve,
    SetStock,
)
from reservation.status import Status
from reservation.store.store import Store
from tests.conftest import SERVERS
from tests.reservation.store.proxy import Proxy

WHO = Origin("key", "r-1", "00-ab-cd-01")
ONE, TWO = (Line("CAT", "main", 1),), (Line("CAT", "main", 2),)


async def stocked(engine: Engine, on_hand: int = 10, sku: str = "CAT") -> None:
    """Have cats."""
    await engine.set_stock(SetStock(sku, "main", on_hand), WHO)


@pytest.fixture
async def far(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Engine]:
    """Make an engine on a store behind a proxy; requests have 600 ms."""
    settings = load(
        data_dir=tmp_path,
        redis_url=proxy.url,
        durability=Durability.MEMORY,
        test_clock=True,
        request_timeout_ms=600,
    )
    store = await Store.open(settings)
    engine = Engine(store, settings)
    await stocked(engine)
    yield engine
    proxy.passing.set()
    await engine.close()


async def test_a_request_that_is_late_in_flight_is_unknown(far: Engine, proxy: Proxy) -> None:
    """Its deadline passes while the store is silent; the effect may be there, and is."""
    proxy.passing.clear()
    with pytest.raises(StoreUnavailable) as raised:
        await far.reserve(Reserve("tmall:1", TWO, 60_000), WHO)
    assert raised.value.effect == "unknown"
    proxy.passing.set()
    await far.drain()
    assert (await far.reserve(Reserve("tmall:1", TWO, 60_000), WHO)).status is Status.REPLAYED


async def test_a_read_that_is_late_has_changed_nothing(far: Engine, proxy: Proxy) -> None:
    """Reads have the same deadline; nobody must ask what became of one."""
    proxy.passing.clear()
    with pytest.raises(StoreUnavailable) as raised:
        await far.stock("CAT")
    assert raised.value.effect == "not_applied"


async def test_a_store_that_is_gone_is_unavailable_in_every_use_case(
    far: Engine, proxy: Proxy
) -> None:
    """Each says so in its own time, with nothing applied."""
    proxy.refuse()
    await asyncio.sleep(0)
    calls = [
        far.reservation("tmall:1"),
        far.stock("CAT"),
        far.availability(["CAT"], None),
        far.reserve(Reserve("tmall:1", ONE, 60_000), WHO),
        far.release(Release("tmall:1"), WHO),
        far.adjust_stock(AdjustStock("CAT", "main", 1, "a1", "x"), WHO),
        far.set_stock(SetStock("CAT", "main", 1), WHO),
        far.import_stock([SetStock("CAT", "main", 1)], WHO, dry_run=False),
        far.move_clock(advance_ms=1, freeze=None),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [
        *[StoreUnavailable] * 7,
        ImportInterrupted,
        StoreUnavailable,
    ]
    assert all(result.retry_after_seconds >= 1 for result in results)  # type: ignore[union-attr]
    batch = await far.apply([Confirm("tmall:1"), Release("tmall:2")], WHO)
    assert [type(result) for result in batch] == [StoreUnavailable] * 2
    readiness = await far.readiness()
    assert not readiness.ready
    assert "not reachable" in readiness.findings[0]


async def test_an_import_interrupted_says_how_far_it_came(far: Engine, proxy: Proxy) -> None:
    """The rows of the calls that were answered stand; the file may be sent again."""
    rows = [SetStock(f"S{n}", "main", 1) for n in range(3 * IMPORT_ROWS_PER_CALL)]

    def lose_the_third(done: int, _total: int) -> None:
        if done == 2 * IMPORT_ROWS_PER_CALL:
            proxy.lose_replies = 1

    with pytest.raises(ImportInterrupted) as raised:
        await far.import_stock(rows, WHO, dry_run=False, progress=lose_the_third)
    assert (raised.value.rows_applied, raised.value.effect) == (400, "unknown")
    again = await far.import_stock(rows, WHO, dry_run=False)
    assert again == ImportCounts(unchanged=600)


async def test_a_full_log_is_overloaded(store: Store, settings: Settings) -> None:
    """Above its bound reserve is refused, one by one and in a batch; the rest goes on."""
    await stocked(Engine(store, settings))
    store.settings = settings.model_copy(update={"max_event_log_bytes": 0})
    engine = Engine(store, store.settings)
    with pytest.raises(Overloaded, match="event log") as raised:
        await engine.reserve(Reserve("tmall:1", ONE, 60_000), WHO)
    assert (raised.value.effect, raised.value.retry_after_seconds) == ("not_applied", 5)
    results = await engine.apply([Reserve("tmall:1", ONE, 60_000), Release("tmall:1")], WHO)
    assert isinstance(results[0], Overloaded)
    assert results[1] == Outcome(Status.RESERVATION_NOT_FOUND)
    assert (await engine.set_stock(SetStock("CAT", "main", 3), WHO)).status is Status.DONE


async def test_a_full_queue_is_overloaded(store: Store, settings: Settings) -> None:
    """More than the queues hold is refused at the door."""
    engine = Engine(store, settings.model_copy(update={"max_queued_lines": 1}))
    await stocked(engine)
    orders = [Reserve(f"tmall:{n}", ONE, 60_000) for n in range(5)]
    calls = (engine.apply([order, order], WHO) for order in orders)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [list, *[Overloaded] * 4]
    await engine.drain()


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_callers_that_leave_cancel_nothing(engine: Engine, store: Store) -> None:
    """300 callers hang up at any moment: what was sent has its effect, later answers are right."""
    await stocked(engine, 1_000)
    orders = [Reserve(f"tmall:{n}", ONE, 60_000) for n in range(300)]
    calls = [asyncio.create_task(engine.reserve(order, WHO)) for order in orders]
    reads = [asyncio.create_task(engine.stock("CAT")) for _ in range(100)]
    for turn in range(30):
        await asyncio.sleep(0)
        for task in (*calls[turn * 10 : turn * 10 + 10], *reads[turn * 3 : turn * 3 + 3]):
            task.cancel()
    await asyncio.gather(*calls, *reads, return_exceptions=True)
    await engine.drain()
    stock = await engine.stock("CAT")
    assert stock is not None
    found = [await engine.reservation(order.reservation_id) for order in orders]
    started = sum(outcome.status is Status.DONE for outcome in found)
    assert stock.levels[0].held == started
    assert (await audit(store)).findings == []
    assert store.link.in_use == 0


async def test_closing_answers_what_is_in_flight(settings: Settings) -> None:
    """Nobody who asked before the end is left without an answer."""
    store = await Store.open(settings)
    engine = Engine(store, settings)
    await stocked(engine, 100)
    calls = [
        asyncio.create_task(engine.reserve(Reserve(f"tmall:{n}", ONE, 60_000), WHO))
        for n in range(50)
    ]
    await asyncio.sleep(0)
    await engine.close()
    outcomes = await asyncio.gather(*calls)
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
