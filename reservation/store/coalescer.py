"""Group commit: what arrives while a call is in flight becomes the next batch.

There is one queue per verb, with at most a few calls in flight. There is no timer and nothing
waits when idle; under load batches grow until a call carries `max_lines_per_call` lines. An id
with a call in flight makes its next verb wait, so one process never reorders an order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reservation import metrics
from reservation.errors import Overloaded, ScriptBug, StoreUnavailable
from reservation.model import Operation, Outcome
from reservation.status import Status
from reservation.store.verbs import VERBS

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store

WATCH_SECONDS = 0.02  # how late a passed deadline may be noticed

Result = Outcome | StoreUnavailable | ScriptBug


class _Group:
    """Operations that one caller waits for together."""

    __slots__ = ("deadline", "future", "missing", "results", "sent")

    def __init__(self, count: int, future: asyncio.Future[list[Result]], deadline: float) -> None:
        self.results: list[Result | None] = [None] * count
        self.missing = count
        self.sent = [False] * count
        self.future = future
        self.deadline = deadline

    def deliver(self, index: int, result: Result) -> None:
        if self.results[index] is None:
            self.results[index] = result
            self.missing -= 1
            if not self.missing and not self.future.done():
                self.future.set_result(self.results)  # type: ignore[arg-type]

    def give_up(self) -> None:
        """Answer what is missing: unknown where it was sent, else certainly not applied."""
        for index, result in enumerate(self.results):
            if result is None:
                effect = "unknown" if self.sent[index] else "not_applied"
                detail = "the request's deadline has passed"
                self.deliver(index, StoreUnavailable(detail, effect=effect))  # type: ignore[arg-type]


class _Entry:
    """One operation on its way."""

    __slots__ = ("group", "index", "lines", "operation", "origin")

    def __init__(self, operation: Operation, origin: str, group: _Group, index: int) -> None:
        self.operation = operation
        self.origin = origin
        self.group = group
        self.index = index
        self.lines = len(getattr(operation, "lines", ())) or 1


class _Queue:
    """The waiting operations of one verb."""

    __slots__ = ("batch_sizes", "entries", "in_flight", "kind", "lines", "scheduled", "waiting")

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.entries: deque[_Entry] = deque()
        self.lines = 0  # accepted and not yet sent, those that wait for their id too
        self.in_flight = 0
        self.scheduled = False
        self.batch_sizes = metrics.STORE_CALL_OPERATIONS.labels(verb=VERBS[kind].script)
        self.waiting = metrics.QUEUED_LINES.labels(verb=VERBS[kind].script)


class Coalescer:
    """Turn concurrent operations into batched calls on one partition."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._queues = {kind: _Queue(kind) for kind in VERBS}
        self._busy: dict[str, deque[_Entry] | None] = {}  # id in flight -> what waits for it
        self._groups: deque[_Group] = deque()  # in order of deadline: all have the same time
        self._calls: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def submit(self, operations: Sequence[Operation], origin: str) -> list[Result]:
        """Run operations and wait for all answers, in order.

        A caller that is cancelled cancels nothing but its own waiting.

        Raises Overloaded, with nothing applied, where the queues are full.
        """
        self._refuse_overload(operations)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.request_timeout_ms / 1000
        group = _Group(len(operations), loop.create_future(), deadline)
        self._groups.append(group)
        if self._watch is None:
            self._watch = loop.call_later(WATCH_SECONDS, self._watch_deadlines)
        busy = self._busy
        for index, operation in enumerate(operations):
            entry = _Entry(operation, origin, group, index)
            self._queues[type(operation)].lines += entry.lines
            reservation_id = operation.reservation_id
            if reservation_id in busy:
                waiting = busy[reservation_id]
                if waiting is None:
                    waiting = busy[reservation_id] = deque()
                waiting.append(entry)
            else:
                busy[reservation_id] = None
                self._enqueue(entry)
        return await group.future

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
        limit = self._settings.max_queued_lines
        for kind in {type(operation) for operation in operations}:
            if self._queues[kind].lines >= limit:
                metrics.OVERLOADED.labels(verb=VERBS[kind].script).inc(len(operations))
                detail = f"more than {limit} lines wait to be sent to the store"
                raise Overloaded(detail)

    def _enqueue(self, entry: _Entry) -> None:
        queue = self._queues[type(entry.operation)]
        queue.entries.append(entry)
        if not queue.scheduled and queue.in_flight < self._settings.max_calls_in_flight:
            # At the end of this turn of the loop: all that it brings goes in one call.
            queue.scheduled = True
            asyncio.get_running_loop().call_soon(self._pump, queue)

    def _pump(self, queue: _Queue) -> None:
        queue.scheduled = False
        while queue.entries and queue.in_flight < self._settings.max_calls_in_flight:
            batch = self._take(queue)
            if not batch:
                continue
            queue.in_flight += 1
            call = asyncio.get_running_loop().create_task(self._call(queue, batch))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _take(self, queue: _Queue) -> list[_Entry]:
        """Take the next batch by lines; an order larger than a call goes alone."""
        batch: list[_Entry] = []
        room = self._settings.max_lines_per_call
        entries = queue.entries
        while entries and (not batch or entries[0].lines <= room):
            entry = entries.popleft()
            queue.lines -= entry.lines
            if entry.group.results[entry.index] is not None:  # its deadline has passed
                self._release_id(entry)
                continue
            entry.group.sent[entry.index] = True
            room -= entry.lines
            batch.append(entry)
        return batch

    async def _call(self, queue: _Queue, batch: list[_Entry]) -> None:
        queue.batch_sizes.observe(len(batch))
        queue.waiting.set(queue.lines)
        try:
            results = await self._results(queue.kind, batch)
        finally:
            queue.in_flight -= 1
        undecided = []
        for entry, result in zip(batch, results, strict=True):
            if isinstance(result, Outcome) and result.status is Status.MORE:
                undecided.append(entry)
            else:
                entry.group.deliver(entry.index, result)
                self._release_id(entry)
        self._put_back(queue, undecided)
        self._pump(queue)

    async def _results(self, kind: type, batch: list[_Entry]) -> Sequence[Result]:
        """Run a batch; where a bug refuses it, run each alone, so that one cannot harm others."""
        deadline = max(entry.group.deadline for entry in batch)
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

    def _put_back(self, queue: _Queue, entries: Sequence[_Entry]) -> None:
        """Queue first what a call had no room for; the ids stay busy."""
        for entry in entries:
            entry.group.sent[entry.index] = False
            queue.lines += entry.lines
        queue.entries.extendleft(reversed(entries))

    def _release_id(self, entry: _Entry) -> None:
        reservation_id = entry.operation.reservation_id
        waiting = self._busy[reservation_id]
        if waiting:
            self._enqueue(waiting.popleft())
        else:
            del self._busy[reservation_id]

    # -- deadlines -------------------------------------------------------------------------------

    def _watch_deadlines(self) -> None:
        loop = asyncio.get_running_loop()
        now, groups = loop.time(), self._groups
        while groups and (not groups[0].missing or groups[0].deadline <= now):
            group = groups.popleft()
            if group.missing:
                group.give_up()
        self._watch = loop.call_later(WATCH_SECONDS, self._watch_deadlines) if groups else None
