"""The coalescer's limits: deadlines, overload, callers that leave, faults, and the drain.

What one caller does, or what befalls it, is nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from reservation import metrics
from reservation.config import Settings
from reservation.errors import Overloaded, ScriptBug, StoreUnavailable
from reservation.model import (
    Confirm,
    Line,
    Operation,
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
from tests.waiting import happens


@pytest.fixture
async def standing() -> StandingStore:
    return StandingStore()


async def test_a_deadline_that_passes_in_the_queue_means_not_applied(
    standing: StandingStore,
) -> None:
    """What was sent is unknown, what still waited is certainly not applied and is never sent."""
    coalescer = queueing(standing, request_timeout_ms=50)
    results = await asyncio.gather(ask(coalescer, order(0), order(1)), ask(coalescer, order(0)))
    effects = [
        [result.effect if isinstance(result, StoreUnavailable) else result for result in each]
        for each in results
    ]
    assert effects == [["unknown", "unknown"], ["not_applied"]]
    standing.going.set()
    await coalescer.drain()
    assert standing.batches == [["tm:0", "tm:1"]]


async def test_a_deadline_that_passes_behind_a_call_in_flight_means_not_applied(
    standing: StandingStore,
) -> None:
    """The queue's second batch was never sent."""
    coalescer = queueing(standing, request_timeout_ms=50)
    flying = ask(coalescer, order(0))
    await standing.called.wait()
    (result,) = await coalescer.submit([order(1)], "k|r")
    assert isinstance(result, StoreUnavailable)
    assert result.effect == "not_applied"
    assert "deadline" in str(result)
    standing.going.set()
    await flying
    await coalescer.drain()
    assert standing.batches == [["tm:0"]]


async def test_a_late_answer_is_dropped(standing: StandingStore) -> None:
    """An outcome that comes after the caller was told unknown changes nothing any more."""
    coalescer = queueing(standing, request_timeout_ms=30)
    (result,) = await coalescer.submit([order(0)], "k|r")
    standing.going.set()
    await coalescer.drain()
    assert isinstance(result, StoreUnavailable)
    assert await coalescer.submit([order(0)], "k|r") == [DONE]


@pytest.mark.parametrize("same_id", [False, True], ids=["distinct ids", "one id"])
async def test_a_full_queue_refuses_with_nothing_applied(
    standing: StandingStore, *, same_id: bool
) -> None:
    """A bound on lines that wait, also of those that wait for their own id.

    One channel fills half of it; the other half is left to the others.
    """
    coalescer = queueing(standing, max_queued_lines=20)
    tasks = [ask(coalescer, order(0))]
    await standing.called.wait()
    tasks += [ask(coalescer, order(0 if same_id else n, 2)) for n in range(1, 6)]
    await turns()
    with pytest.raises(Overloaded) as raised:
        await coalescer.submit([order(99)], "k|r")
    assert raised.value.effect == "not_applied"
    assert raised.value.retry_after_seconds == 1
    with pytest.raises(Overloaded):  # one that is too much refuses its list whole
        await coalescer.submit([Release("tm:1"), order(99)], "k|r")
    tasks.append(ask(coalescer, Reserve("douyin:1", (Line("S0", "main", 1),), 1_000)))
    tasks.append(ask(coalescer, Release("tm:77")))  # another verb has its own room
    await turns()
    assert (Release, ["tm:77"]) in standing.calls
    standing.going.set()
    assert [result for task in tasks for result in await task] == [DONE] * 8
    assert await coalescer.submit([order(99)], "k|r") == [DONE]


async def test_what_waits_and_what_is_refused_is_counted(standing: StandingStore) -> None:
    """Also while the store stands still, and of each verb what is its own."""
    coalescer = queueing(standing, max_queued_lines=20)
    waiting = metrics.QUEUED_LINES.labels(verb="reserve")
    refused = [metrics.OVERLOADED.labels(verb=verb) for verb in ("reserve", "release")]
    before = [series._value.get() for series in refused]

    async def waiting_are(lines: int) -> None:
        async def they_are() -> bool:
            return bool(waiting._value.get() == lines)

        await happens(they_are)

    tasks = [ask(coalescer, order(0))]
    await standing.called.wait()
    tasks += [ask(coalescer, order(n, 2)) for n in range(1, 6)]
    await waiting_are(10)
    with pytest.raises(Overloaded):
        await coalescer.submit([Release("tm:1"), Release("tm:2"), order(99)], "k|r")
    assert [series._value.get() for series in refused] == [before[0] + 1, before[1] + 2]
    standing.going.set()
    await asyncio.gather(*tasks)
    await waiting_are(0)


async def test_the_deadline_of_one_operation(standing: StandingStore) -> None:
    """Sent it is unknown, queued it is not applied, as in a group."""
    coalescer = queueing(standing, request_timeout_ms=30)
    sent = coalescer.submit_one(order(0), "k|r")
    await standing.called.wait()
    queued = coalescer.submit_one(order(1), "k|r")
    effects = [result.effect for result in (await sent, await queued)]  # type: ignore[union-attr]
    assert effects == ["unknown", "not_applied"]
    standing.going.set()
    await coalescer.drain()
    assert standing.batches == [["tm:0"]]


async def test_a_caller_that_leaves_cancels_nothing_but_its_waiting(
    standing: StandingStore,
) -> None:
    """Queued or in flight, an operation outlives its caller; others get their answers."""
    coalescer = queueing(standing)
    flying = ask(coalescer, order(0))
    await standing.called.wait()
    queued, beside = ask(coalescer, order(1)), ask(coalescer, order(2))
    await turns()
    flying.cancel()
    queued.cancel()
    await turns()
    standing.going.set()
    assert await beside == [DONE]
    assert standing.batches == [["tm:0"], ["tm:1", "tm:2"]]
    assert flying.cancelled()
    assert queued.cancelled()


async def test_drain_waits_for_everything(standing: StandingStore) -> None:
    """After it nothing is queued or in flight, what waited for its id included."""
    coalescer = queueing(standing)
    tasks = [ask(coalescer, order(n % 3), Confirm(f"tm:{n % 3}")) for n in range(9)]
    await standing.called.wait()
    draining = asyncio.create_task(coalescer.drain())
    await turns()
    assert not draining.done()
    standing.going.set()
    await draining
    assert all(task.done() for task in tasks)
    assert not coalescer._busy


async def test_an_unavailable_store_is_told_to_every_caller(standing: StandingStore) -> None:
    """One failed call fails its batch and nothing else."""

    def fail(_operations: Sequence[Operation]) -> Sequence[Outcome]:
        message = "gone"
        raise StoreUnavailable(message, effect="unknown")

    standing.answer = fail
    standing.going.set()
    coalescer = queueing(standing)
    results = await coalescer.submit([order(0), order(1)], "k|r")
    assert [str(result) for result in results] == ["gone", "gone"]
    standing.answer = lambda operations: [DONE] * len(operations)
    assert await coalescer.submit([order(0)], "k|r") == [DONE]


async def test_an_error_that_nobody_expects_is_told_and_frees_the_queue(
    standing: StandingStore,
) -> None:
    """Whatever a call dies of, no caller waits forever and the next call works."""

    def fail(_operations: Sequence[Operation]) -> Sequence[Outcome]:
        message = "no such thing"
        raise KeyError(message)

    standing.answer = fail
    standing.going.set()
    coalescer = queueing(standing)
    (result,) = await coalescer.submit([order(0)], "k|r")
    assert isinstance(result, ScriptBug)
    assert "no such thing" in str(result)
    standing.answer = lambda operations: [DONE] * len(operations)
    assert await coalescer.submit([order(0)], "k|r") == [DONE]


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_one_bad_operation_does_not_harm_its_batch(store: Store, settings: Settings) -> None:
    """A BADARG refuses a call whole; each of its operations is then run alone."""
    await store.set_stock([SetStock("CAT", "main", 5)], "k|r")
    coalescer = Coalescer(store, settings)
    line = (Line("CAT", "main", 1),)
    results = await coalescer.submit(
        [
            Reserve("tm:1", line, 1_000),
            Reserve("tm:2", (Line("CAT", "main", 0),), 1_000),
            Reserve("tm:3", line, -5),
            Reserve("tm:4", line, 1_000),
        ],
        "k|r",
    )
    assert [type(result) for result in results] == [Outcome, ScriptBug, ScriptBug, Outcome]
    assert [str(bug).split(" script:")[0] for bug in results[1:3]] == [
        "BADARG quantity",
        "BADARG ttl_ms",
    ]
    assert (await store.read_stock(["CAT"]))[0].levels[0].held == 2


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_an_operation_that_cannot_be_sent_does_not_harm_its_batch(
    store: Store, settings: Settings
) -> None:
    """A text that has no encoding fails alone."""
    await store.set_stock([SetStock("CAT", "main", 5)], "k|r")
    coalescer = Coalescer(store, settings)
    results = await coalescer.submit([Release("tm:1", "\ud800"), Release("tm:2")], "k|r")
    assert isinstance(results[0], ScriptBug)
    assert results[1] == Outcome(Status.RESERVATION_NOT_FOUND)


async def test_lists_at_once_count_whole_and_leave_others_room(standing: StandingStore) -> None:
    """What a list has admitted counts before the first of it is queued."""
    coalescer = queueing(standing, max_queued_lines=4_000)
    lists = [
        ask(coalescer, *(order(1_000 * number + n) for n in range(1_000))) for number in range(20)
    ]
    await turns(2)
    refused = [asked for asked in lists if asked.done()]
    assert len(refused) == 18
    assert all(isinstance(asked.exception(), Overloaded) for asked in refused)
    other = Reserve("dy:1", (Line("S", "main", 1),), 1_000)
    assert coalescer.has_room(other)
    standing.going.set()
    assert await ask(coalescer, other) == [DONE]
    for asked in lists:
        if asked not in refused:
            assert await asked == [DONE] * 1_000
    await coalescer.drain()


async def test_a_list_whose_caller_left_early_takes_no_room(standing: StandingStore) -> None:
    """The rest of it was never queued, and counts no more."""
    coalescer = queueing(standing, max_queued_lines=4_000)
    asked = ask(coalescer, *(order(n) for n in range(1_900)))
    await turns(2)
    asked.cancel()
    await turns()
    waiting = coalescer._queues[Reserve].waiting
    assert 0 < waiting.lines < 1_000
    standing.going.set()
    await coalescer.drain()
    assert waiting.lines == 0


async def test_a_fault_of_who_is_told_is_nobody_elses(standing: StandingStore) -> None:
    """The others of its call are answered, ids are free again, deadlines are kept."""
    coalescer = queueing(standing, request_timeout_ms=100)
    told: list[Result] = []

    def fail(result: Result) -> None:
        del result
        raise OSError(28, "No space left on device")

    before = metrics.ANSWERS_UNTOLD._value.get()
    coalescer.begin(order(0), "k|r", fail)
    coalescer.begin(order(1), "k|r", told.append)
    await turns()
    coalescer.begin(order(2), "k|r", fail)
    coalescer.begin(order(3), "k|r", told.append)

    async def both_are_late() -> bool:
        return len(told) == 2

    await happens(both_are_late)
    assert all(isinstance(one, StoreUnavailable) for one in told)
    assert metrics.ANSWERS_UNTOLD._value.get() - before == 2
    standing.going.set()
    await asyncio.wait_for(coalescer.drain(), 5)
    assert await ask(coalescer, order(0)) == [DONE]
