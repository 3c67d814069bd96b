"""Group commit: what arrives while a call is in flight becomes the next batch.

There is one queue per verb, with at most a few calls in flight. No timer makes batches and nothing
waits when idle; under load batches grow until a call carries `max_lines_per_call` lines. An id
with a call in flight makes its next verb wait, so one process never reorders an order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reservation import metrics
from reservation.errors import Overloaded, ScriptBug, StoreUnavailable
from reservation.model import Operation, Outcome
from reservation.status import Status
from reservation.store.verbs import VERBS
from reservation.store.waiting import Alone, Awaited, Group, Result, Waiting

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store

WATCH_SECONDS = 0.02  # how late a passed deadline may be noticed
QUEUED_AT_ONCE = 125  # of a long list; about 0.4 ms of work, in which no call is sent


class _Queue:
    """The operations of one verb, and its calls."""

    __slots__ = (
        "batch_sizes",
        "in_flight",
        "kind",
        "scheduled",
        "told",
        "waiting",
        "waiting_lines",
    )

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.waiting = Waiting()
        self.in_flight = 0
        self.scheduled = False
        self.batch_sizes = metrics.STORE_CALL_OPERATIONS.labels(verb=VERBS[kind].script)
        self.waiting_lines = metrics.QUEUED_LINES.labels(verb=VERBS[kind].script)
        self.told = 0  # lines, by the series


class Coalescer:
    """Turn concurrent operations into batched calls on one partition."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._max_queued_lines = settings.max_queued_lines
        self._max_lines_per_call = settings.max_lines_per_call
        self._max_calls_in_flight = settings.max_calls_in_flight
        self._timeout_seconds = settings.request_timeout_ms / 1000
        self._queues = {kind: _Queue(kind) for kind in VERBS}
        self._busy: dict[str, deque[Awaited] | None] = {}  # id in flight -> what waits for it
        self._awaited: deque[Alone | Group] = deque()  # by deadline: all have the same time
        self._calls: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None

    def submit_one(self, operation: Operation, origin: str) -> asyncio.Future[Result]:
        """Run one operation; the future that is returned will have its answer.

        Cancelling it cancels nothing but the waiting.

        Raises Overloaded, with nothing applied, where the queue is full.
        """
        self._refuse_overload((operation,))
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def tell(result: Result) -> None:
            if not future.done():  # the caller may have left
                future.set_result(result)

        self.begin(operation, origin, tell)
        return future

    def begin(self, operation: Operation, origin: str, tell: Callable[[Result], None]) -> None:
        """Run one operation for which there is room; `tell` gets its answer."""
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        entry = Alone(operation, origin, tell, deadline)
        self._watch_deadline(entry)
        self._queues[type(operation)].waiting.accept(entry)
        self._line_up(entry)

    async def submit(self, operations: Sequence[Operation], origin: str) -> list[Result]:
        """Run operations and wait for all answers, in order.

        The first calls of a long list are on their way while the rest of it is queued. A caller
        that is cancelled by then leaves the rest undone; later it cancels nothing but its waiting.

        Raises Overloaded, with nothing applied, where the queues are full.
        """
        self._refuse_overload(operations)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_seconds
        group = Group(operations, origin, loop.create_future(), deadline)
        self._watch_deadline(group)
        members = deque(group.members)
        for entry in members:  # all count from now on, or many lists at once would find room
            self._queues[type(entry.operation)].waiting.accept(entry)
        try:
            while members:
                for _ in range(min(QUEUED_AT_ONCE, len(members))):
                    self._line_up(members.popleft())
                if members:
                    await asyncio.sleep(0)
        finally:
            for entry in members:
                self._queues[type(entry.operation)].waiting.withdraw(entry)
        return await group.future

    def has_room(self, operation: Operation) -> bool:
        """Say whether the queue of an operation's verb takes one more of its channel."""
        waiting, limit = self._queues[type(operation)].waiting, self._max_queued_lines
        # Below half of the limit every channel has room.
        return waiting.lines * 2 < limit or waiting.has_room(operation, limit)

    async def drain(self) -> None:
        """Wait until every queue is empty and every call has answered."""
        while self._busy:
            await asyncio.gather(*self._calls, return_exceptions=True)
            await asyncio.sleep(0)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    # -- queues ----------------------------------------------------------------------------------

    def _refuse_overload(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            if not self.has_room(operation):
                for refused in operations:
                    metrics.OVERLOADED.labels(verb=VERBS[type(refused)].script).inc()
                limit = self._max_queued_lines
                detail = f"too many of {limit} lines wait to be sent to the store"
                raise Overloaded(detail)

    def _line_up(self, entry: Awaited) -> None:
        """Queue an operation that was accepted, behind those on the same id."""
        operation = entry.operation
        queue = self._queues[type(operation)]
        busy, reservation_id = self._busy, operation.reservation_id
        if reservation_id not in busy:
            busy[reservation_id] = None
            self._enqueue(queue, entry)
            return
        waiting = busy[reservation_id]
        if waiting is None:
            waiting = busy[reservation_id] = deque()
        waiting.append(entry)

    def _enqueue(self, queue: _Queue, entry: Awaited) -> None:
        queue.waiting.add(entry)
        if not queue.scheduled and queue.in_flight < self._max_calls_in_flight:
            # At the end of this turn of the loop: all that it brings goes in one call.
            queue.scheduled = True
            asyncio.get_running_loop().call_soon(self._pump, queue)

    def _pump(self, queue: _Queue) -> None:
        queue.scheduled = False
        while queue.waiting and queue.in_flight < self._max_calls_in_flight:
            batch = self._take(queue)
            if not batch:
                continue
            queue.in_flight += 1
            call = asyncio.get_running_loop().create_task(self._call(queue, batch))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _take(self, queue: _Queue) -> list[Awaited]:
        """Take the next batch, without those whose deadline has passed."""
        batch = []
        for entry in queue.waiting.take(self._max_lines_per_call):
            if entry.result is None:
                entry.sent = True
                batch.append(entry)
            else:
                self._release_id(entry)
        return batch

    async def _call(self, queue: _Queue, batch: list[Awaited]) -> None:
        queue.batch_sizes.observe(len(batch))
        try:
            results = await self._results(queue.kind, batch)
        finally:
            queue.in_flight -= 1
        undecided = []
        for entry, result in zip(batch, results, strict=True):
            if isinstance(result, Outcome) and result.status is Status.MORE:
                undecided.append(entry)
            else:
                entry.answer(result)
                self._release_id(entry)
        queue.waiting.put_back(undecided)
        self._pump(queue)

    async def _results(self, kind: type, batch: list[Awaited]) -> Sequence[Result]:
        """Run a batch; where a bug refuses it, run each alone, so that one cannot harm others."""
        deadline = max(entry.deadline for entry in batch)
        try:
            return await self._store.run(
                kind,
                [entry.operation for entry in batch],
                [entry.origin for entry in batch],
                deadline=deadline,
            )
        except StoreUnavailable as error:
            return [error] * len(batch)
        except Exception as error:  # noqa: BLE001 (whatever it is, every waiter must hear of it)
            if len(batch) > 1 and isinstance(error, ScriptBug):
                return [(await self._results(kind, [entry]))[0] for entry in batch]
            bug = error if isinstance(error, ScriptBug) else ScriptBug(repr(error)[:500])
            return [bug] * len(batch)

    def _release_id(self, entry: Awaited) -> None:
        reservation_id = entry.operation.reservation_id
        waiting = self._busy[reservation_id]
        if waiting:
            following = waiting.popleft()
            self._enqueue(self._queues[type(following.operation)], following)
        else:
            del self._busy[reservation_id]

    # -- deadlines -------------------------------------------------------------------------------

    def _watch_deadline(self, awaited: Alone | Group) -> None:
        self._awaited.append(awaited)
        if self._watch is None:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(WATCH_SECONDS, self._look)

    def _look(self) -> None:
        """Give up what is late, and tell how much waits, also while nothing moves."""
        loop = asyncio.get_running_loop()
        now, awaited = loop.time(), self._awaited
        while awaited and (awaited[0].is_answered or awaited[0].deadline <= now):
            awaited.popleft().give_up()
        waiting = 0
        for queue in self._queues.values():
            if queue.told != queue.waiting.lines:
                queue.told = queue.waiting.lines
                queue.waiting_lines.set(queue.told)
            waiting += queue.waiting.lines
        more = awaited or waiting
        self._watch = loop.call_later(WATCH_SECONDS, self._look) if more else None
