"""The coalescer's batches: what goes in which call, in which order, and whose turn it is.

The queues reach no Lua: most tests watch the calls that they make of a store that stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from reservation.config import Settings
from reservation.model import (
    Confirm,
    Line,
    Outcome,
    Release,
    Reserve,
    SetStock,
)
from reservation.status import Status
from reservation.store.coalescer import Coalescer
from reservation.store.store import Store
from reservation.store.waiting import Result
from tests.conftest import SERVERS
from tests.reservation.store.standing import DONE, StandingStore, ask, order, queueing, turns


@pytest.fixture
async def standing() -> StandingStore:
    return StandingStore()


async def test_what_comes_in_one_turn_goes_in_one_call(standing: StandingStore) -> None:
    """Fifty callers at once are one batch, each answered with its own."""
    standing.going.set()
    standing.answer = lambda operations: [
        Outcome(Status.UNKNOWN_SKU, lines=((operation.reservation_id, ""),))
        for operation in operations
    ]
    coalescer = queueing(standing)
    results = await asyncio.gather(*(ask(coalescer, order(n)) for n in range(50)))
    assert standing.batches == [[f"tm:{n}" for n in range(50)]]
    assert [result[0].lines[0][0] for result in results] == [f"tm:{n}" for n in range(50)]  # type: ignore[union-attr]


async def test_what_comes_while_a_call_is_in_flight_is_the_next_batch(
    standing: StandingStore,
) -> None:
    """No timer: the first goes at once, the rest when it is back."""
    coalescer = queueing(standing)
    tasks = [ask(coalescer, order(0))]
    await standing.called.wait()
    tasks += [ask(coalescer, order(n)) for n in range(1, 4)]
    await turns()
    assert standing.batches == [["tm:0"]]
    standing.going.set()
    await asyncio.gather(*tasks)
    assert standing.batches == [["tm:0"], ["tm:1", "tm:2", "tm:3"]]


async def test_so_many_calls_are_in_flight_and_no_more(standing: StandingStore) -> None:
    """The second call runs beside the first; the third waits."""
    coalescer = queueing(standing, max_calls_in_flight=2)
    tasks = []
    for n in range(4):
        tasks.append(ask(coalescer, order(n)))
        await turns()
    assert standing.batches == [["tm:0"], ["tm:1"]]
    standing.going.set()
    await asyncio.gather(*tasks)
    assert standing.batches == [["tm:0"], ["tm:1"], ["tm:2", "tm:3"]]


async def test_verbs_do_not_wait_for_each_other(standing: StandingStore) -> None:
    """A queue a verb: a release goes while a reserve is in flight."""
    coalescer = queueing(standing)
    tasks = [ask(coalescer, order(0)), ask(coalescer, Release("tm:9"))]
    await turns()
    assert [kind for kind, _ in standing.calls] == [Reserve, Release]
    standing.going.set()
    await asyncio.gather(*tasks)


async def test_calls_are_cut_by_lines_and_a_large_order_goes_alone(
    standing: StandingStore,
) -> None:
    """A call carries at most so many lines, unless a single order has more."""
    standing.going.set()
    coalescer = queueing(standing, max_lines_per_call=10)
    orders = [order(0, 4), order(1, 6), order(2, 1), order(3, 30), order(4, 9), order(5, 2)]
    results = await coalescer.submit(orders, "k|r")
    assert results == [DONE] * 6
    assert standing.batches == [["tm:0", "tm:1"], ["tm:2"], ["tm:3"], ["tm:4"], ["tm:5"]]


async def test_the_first_of_a_long_list_are_sent_while_the_rest_is_queued(
    standing: StandingStore,
) -> None:
    """A list goes out in order, and its first call does not wait until all of it is queued."""
    coalescer = queueing(standing, max_calls_in_flight=8, max_lines_per_call=1_000)
    orders = [order(number) for number in range(1_000)]
    task = ask(coalescer, *orders)
    await standing.called.wait()
    assert len(standing.batches[0]) < len(orders) / 2
    standing.going.set()
    assert await task == [DONE] * len(orders)
    assert [name for batch in standing.batches for name in batch] == [
        order.reservation_id for order in orders
    ]


async def test_what_a_call_had_no_room_for_goes_first_in_the_next(standing: StandingStore) -> None:
    """MORE is no answer: the operation is sent again, before what came after it."""
    coalescer = queueing(standing)
    more = Outcome(Status.MORE)
    standing.answer = lambda operations: [DONE, more, more][: len(operations)]
    first = ask(coalescer, *(Confirm(f"tm:{number}") for number in (1, 2, 3)))
    await turns()
    second = ask(coalescer, Confirm("tm:4"), Release("tm:2", "late"))
    standing.going.set()
    assert await first == [DONE] * 3
    assert await second == [DONE] * 2
    assert standing.batches == [
        ["tm:1", "tm:2", "tm:3"],
        ["tm:2", "tm:3", "tm:4"],
        ["tm:3", "tm:4"],
        ["tm:2"],
        ["tm:4"],
    ]
    await coalescer.drain()


async def test_verbs_of_one_id_go_in_the_order_given(standing: StandingStore) -> None:
    """An id in flight makes its next verb wait, whichever it is and whoever asks."""
    coalescer = queueing(standing)
    first = ask(coalescer, order(0), Confirm("tm:0"), Release("tm:0"))
    second = ask(coalescer, Confirm("tm:0"), Confirm("tm:1"))
    await turns()
    assert standing.calls == [(Reserve, ["tm:0"]), (Confirm, ["tm:1"])]
    standing.going.set()
    await asyncio.gather(first, second)
    assert [call for call in standing.calls if call[1] == ["tm:0"]] == [
        (Reserve, ["tm:0"]),
        (Confirm, ["tm:0"]),
        (Release, ["tm:0"]),
        (Confirm, ["tm:0"]),
    ]


async def test_an_id_stands_at_most_once_in_a_call(standing: StandingStore) -> None:
    """The same reserve five times at once: five calls, one after the other."""
    standing.going.set()
    coalescer = queueing(standing, max_calls_in_flight=8, max_lines_per_call=1_000)
    assert await coalescer.submit([order(0)] * 5, "k|r") == [DONE] * 5
    assert standing.batches == [["tm:0"]] * 5


async def test_channels_go_in_turn_while_the_queue_is_long(standing: StandingStore) -> None:
    """Behind a flood of one channel, the next call carries the others too."""
    coalescer = queueing(standing, max_lines_per_call=4)
    tasks = [ask(coalescer, order(0))]
    await standing.called.wait()
    tasks += [ask(coalescer, order(n)) for n in range(1, 8)]
    tasks += [ask(coalescer, Reserve(f"{name}:1", (), 1_000)) for name in ("douyin", "dealer")]
    await turns()
    standing.going.set()
    await asyncio.gather(*tasks)
    assert standing.batches == [
        ["tm:0"],
        ["tm:1", "douyin:1", "dealer:1", "tm:2"],
        ["tm:3", "tm:4", "tm:5", "tm:6"],
        ["tm:7"],
    ]


async def test_one_operation_is_a_batch_of_one(standing: StandingStore) -> None:
    """Who waits alone and who waits in a group share calls, deadlines and the order of an id."""
    coalescer = queueing(standing)
    alone = coalescer.submit_one(order(0), "k|r")
    together = ask(coalescer, Confirm("tm:0"), Confirm("tm:1"))
    await turns()
    left = coalescer.submit_one(Release("tm:0"), "k|r")
    left.cancel()
    standing.going.set()
    assert await alone == DONE
    assert await together == [DONE] * 2
    await coalescer.drain()
    assert standing.calls == [
        (Reserve, ["tm:0"]),
        (Confirm, ["tm:1"]),
        (Confirm, ["tm:0"]),
        (Release, ["tm:0"]),
    ]


async def racing(submit: Callable[[Reserve], Awaitable[list[Result]]]) -> list[Status]:
    """Let a hundred callers reserve under one id at once."""
    line = (Line("CAT", "main", 1),)
    results = await asyncio.gather(*(submit(Reserve("tm:1", line, 60_000)) for _ in range(100)))
    return [result[0].status for result in results]  # type: ignore[union-attr]


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_the_same_order_a_hundred_times_at_once_has_one_effect(
    store: Store, settings: Settings
) -> None:
    """One is done, the others are replays."""
    await store.set_stock([SetStock("CAT", "main", 5)], "k|r")
    coalescer = Coalescer(store, settings)
    statuses = await racing(lambda operation: coalescer.submit([operation], "k|r"))
    assert (statuses.count(Status.DONE), statuses.count(Status.REPLAYED)) == (1, 99)
    assert (await store.read_stock(["CAT"]))[0].levels[0].held == 1
