"""The store's methods on real servers: safe repeats, MORE, and what each method answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reservation.audit import audit
from reservation.config import Durability, load
from reservation.errors import ScriptBug, StoreUnavailable
from reservation.model import (
    AdjustStock,
    BreakerState,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Outcome,
    Release,
    Reserve,
    SetStock,
    State,
    StockLevel,
)
from reservation.status import Status
from reservation.store import store as module
from reservation.store.store import MAX_ATTEMPTS, Store
from tests.conftest import SERVERS, Clock
from tests.reservation.store.proxy import Proxy

ONE = (Line("CAT", "main", 1),)
LOST = b"-LOADING the store is loading\r\n"
TEMPORARY = b"-MISCONF disk\r\n"


async def run(store: Store, operation: Operation) -> Outcome:
    """Run one operation."""
    return (await store.run(type(operation), [operation], ["k|r"]))[0]


async def level(store: Store, sku: str = "CAT") -> StockLevel:
    """Read a SKU's only level."""
    return (await store.read_stock([sku]))[0].levels[0]


@pytest.fixture
async def far(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a store through the proxy, with a hundred cats in stock."""
    settings = load(
        data_dir=tmp_path, redis_url=proxy.url, durability=Durability.MEMORY, test_clock=True
    )
    store = await Store.open(settings)
    await store.set_stock([SetStock("CAT", "main", 100)], "k|r")
    proxy.script_calls = 0
    yield store
    await store.close()


async def test_a_lost_answer_is_asked_for_again_by_id(far: Store, proxy: Proxy) -> None:
    """The id is the key: sent twice, taken once, and the second answer is a replay."""
    proxy.lose_replies = 1
    outcome = await run(far, Reserve("tmall:1", ONE, 60_000))
    assert (outcome.status, proxy.script_calls) == (Status.REPLAYED, 2)
    assert (await level(far)).held == 1


@pytest.mark.parametrize(
    "operation",
    [
        Confirm("tmall:1"),
        Release("tmall:1"),
        Extend("tmall:1", 90_000),
        Fulfil("tmall:2", "a", ONE),
        Fulfil("tmall:2"),
    ],
    ids=lambda operation: type(operation).__name__,
)
async def test_every_verb_survives_a_lost_answer(
    far: Store, proxy: Proxy, operation: Operation
) -> None:
    """The second sending finds the effect of the first; the audit agrees."""
    await run(far, Reserve("tmall:1", ONE, 60_000))
    await run(far, Reserve("tmall:2", (Line("CAT", "main", 2),), 0, confirm=True))
    proxy.lose_replies = 1
    assert (await run(far, operation)).status.ok
    assert (await audit(far)).findings == []
    assert (await level(far)).on_hand in {98, 99, 100}


async def test_an_adjustment_survives_a_lost_answer(far: Store, proxy: Proxy) -> None:
    """Its id makes it safe to repeat."""
    proxy.lose_replies = 1
    (outcome,) = await far.adjust_stock([AdjustStock("CAT", "main", 5, "a1", "found")], "k|r")
    assert outcome.status is Status.REPLAYED
    assert (await level(far)).on_hand == 105


async def test_a_conditional_write_survives_a_lost_answer(far: Store, proxy: Proxy) -> None:
    """With if_on_hand a repetition finds the level as asked."""
    proxy.lose_replies = 1
    (outcome,) = await far.set_stock([SetStock("CAT", "main", 7, None, 100)], "k|r")
    assert (outcome.status, outcome.changed) == (Status.DONE, False)
    assert (await level(far)).on_hand == 7


async def test_an_unconditional_write_is_not_repeated(far: Store, proxy: Proxy) -> None:
    """Another's write may have come between: it is sent once and its outcome is unknown."""
    proxy.lose_replies = 1
    with pytest.raises(StoreUnavailable) as raised:
        await far.set_stock([SetStock("CAT", "main", 7)], "k|r")
    assert (raised.value.effect, proxy.script_calls) == ("unknown", 1)
    assert (await level(far)).on_hand == 7


async def test_a_clock_that_was_moved_is_not_moved_again(far: Store, proxy: Proxy) -> None:
    """A jump whose answer was lost is unknown, never doubled."""
    proxy.lose_replies = 1
    with pytest.raises(StoreUnavailable) as raised:
        await far.move_clock(advance_ms=1_000, freeze=None)
    assert (raised.value.effect, proxy.script_calls) == ("unknown", 1)


async def test_a_temporary_refusal_is_tried_again(far: Store, proxy: Proxy) -> None:
    """What the server refused for now is sent again, also where an effect must not double."""
    proxy.answers = [TEMPORARY, TEMPORARY]
    (outcome,) = await far.set_stock([SetStock("CAT", "main", 7)], "k|r")
    assert (outcome.status, proxy.script_calls) == (Status.DONE, 3)


async def test_trying_again_ends(far: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many attempts the refusal is told; nothing was applied."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0001)
    proxy.answers = [TEMPORARY] * MAX_ATTEMPTS
    with pytest.raises(StoreUnavailable) as raised:
        await run(far, Reserve("tmall:1", ONE, 60_000))
    assert (raised.value.effect, proxy.script_calls) == ("not_applied", MAX_ATTEMPTS)


async def test_one_lost_answer_among_refusals_leaves_the_outcome_unknown(
    far: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once an answer was lost, later refusals cannot say that nothing was applied."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0001)
    proxy.lose_replies = 1

    async def refuse_what_follows() -> None:
        while proxy.script_calls < 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        proxy.answers = [TEMPORARY] * MAX_ATTEMPTS

    refusing = asyncio.create_task(refuse_what_follows())
    with pytest.raises(StoreUnavailable) as raised:
        await run(far, Reserve("tmall:1", ONE, 60_000))
    await refusing
    assert raised.value.effect == "unknown"


async def test_a_store_that_loads_is_told_at_once(far: Store, proxy: Proxy) -> None:
    """Loading takes longer than a request: no attempt is wasted on it."""
    proxy.answers = [LOST]
    with pytest.raises(StoreUnavailable, match="loading") as raised:
        await run(far, Reserve("tmall:1", ONE, 60_000))
    assert (raised.value.effect, proxy.script_calls) == ("not_applied", 1)


async def test_an_answer_without_a_shape_is_a_bug(far: Store, proxy: Proxy) -> None:
    """What no script says is never taken for an answer."""
    proxy.answers = [b"$4\r\nnope\r\n"]
    with pytest.raises(ScriptBug, match="no shape"):
        await run(far, Reserve("tmall:1", ONE, 60_000))


# MORE.


async def backlog(store: Store, clock: Clock, entries: int) -> None:
    """Let so many holds of one cat fall due, each in an entry of its own."""
    await store.set_stock([SetStock("CAT", "main", entries)], "k|r")
    for number in range(entries):
        await run(store, Reserve(f"old:{number}", ONE, 1_000))
    await clock.advance(1)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_refusal_waits_until_the_backlog_is_worked_off(store: Store, clock: Clock) -> None:
    """No buyer is refused what was free: the call is sent again while the store says MORE."""
    await backlog(store, clock, 30)
    outcome = await run(store, Reserve("tmall:1", (Line("CAT", "main", 30),), 60_000))
    assert outcome.status is Status.DONE
    assert (await level(store)).held == 30


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_read_tells_no_stale_figure(store: Store, clock: Clock) -> None:
    """Overdue units are free in what is read, however many are overdue."""
    await backlog(store, clock, 30)
    stock = (await store.read_stock(["CAT"]))[0]
    assert (stock.levels[0].held, stock.levels[0].available) == (0, 30)


async def test_a_deadline_that_passes_among_more_means_not_applied(
    store: Store, clock: Clock
) -> None:
    """While the backlog is worked off nothing was decided."""
    await backlog(store, clock, 30)
    past = asyncio.get_running_loop().time()
    with pytest.raises(StoreUnavailable, match="being reclaimed") as raised:
        await store.call("read_stock", ["CAT"], deadline=past)
    assert raised.value.effect == "not_applied"


async def test_a_deadline_among_more_after_a_lost_answer_means_unknown(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lost answer may have been a decision: MORE afterwards does not undo it."""
    now, version = str(await clock.freeze()), "1-0"
    answers = iter([StoreUnavailable("lost", effect="unknown")])

    async def call(*_: object) -> list[object]:
        await asyncio.sleep(0)
        for error in answers:
            raise error
        return [now, version, Status.MORE]

    monkeypatch.setattr(store.link, "call", call)
    deadline = asyncio.get_running_loop().time() + 2 * module.FIRST_PAUSE_SECONDS
    with pytest.raises(StoreUnavailable, match="being reclaimed") as raised:
        await store.call("reserve", [], deadline=deadline)
    assert raised.value.effect == "unknown"


# What methods answer.


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
