"""Calls sent again, on real servers: after lost answers, after refusals, while it says MORE."""

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
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Release,
    Reserve,
    SetStock,
)
from reservation.status import Status
from reservation.store import retry as module
from reservation.store.retry import MAX_ATTEMPTS
from reservation.store.store import Store
from tests.conftest import SERVERS, Clock
from tests.reservation.store.proxy import Proxy
from tests.reservation.store.steps import ONE, backlog, level, run

LOST = b"-LOADING the store is loading\r\n"
TEMPORARY = b"-MISCONF disk\r\n"


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
