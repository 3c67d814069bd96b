"""Carry a partner's messages to us: in their order, with the faults, again until they are taken.

Messages with the same key go one after another, as long as nothing goes wrong: what is overtaken,
repeated or lost is drawn from `world.faults`, once for each message, and what was not taken comes
again later without holding up the rest. A lost one is never sent at all.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import zlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from partners.simulation.simulator import World

MOST_WAITING: Final = 1_000_000  # messages; further ones are dropped, and counted
MOST_LANES: Final = 64
MOST_KEPT: Final = 1_000  # of the messages that were given up

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a partner sends: so many at once, so many in one request, again after so long."""

    lanes: int
    most_at_once: int
    retry_ms: Sequence[int]  # after the first, the second … time that it was not taken


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a request. `stop`: send no more; `after_ms`: not before so long."""

    taken: bool
    stop: bool = False
    after_ms: int = 0


@dataclass(slots=True)
class _Sending(Generic[M]):
    message: M
    lane: int
    attempt: int = 1


class Courier(Generic[M]):
    """The messages that are on their way. `counts` tells what has become of them.

    `deliver` sends some in one request and says what it heard; it never raises for what the
    receiver does.
    """

    def __init__(
        self,
        world: World,
        deliver: Callable[[list[M]], Awaitable[Heard]],
        pace: Callable[[], Pace],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.given_up: deque[M] = deque(maxlen=MOST_KEPT)
        self._world, self._deliver, self._pace = world, deliver, pace
        self._waiting: list[tuple[int, int, _Sending[M]]] = []
        self._numbers = itertools.count()  # of two due at once the earlier written is first
        self._lanes: tuple[deque[_Sending[M]], ...] = tuple(deque() for _ in range(MOST_LANES))
        self._busy: set[int] = set()

    @property
    def waiting(self) -> int:
        """How many are still to be taken."""
        return len(self._waiting) + sum(map(len, self._lanes))

    def send(self, message: M, key: str) -> None:
        """Send a message, as the faults have it; `key` names what it is about."""
        lane = zlib.crc32(key.encode()) % self._pace().lanes
        for at_ms in self._world.faults.deliveries(self._world.clock.now_ms()):
            self._put(at_ms, _Sending(message, lane))

    def stop(self) -> None:
        """Forget all that waits."""
        self.counts["dropped"] += self.waiting
        self._waiting.clear()
        for lane in self._lanes:
            lane.clear()

    async def run(self) -> None:
        """Carry until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._world.changed.clear()
                self._hand_out(group)
                await self._wait()

    # -- within ----------------------------------------------------------------------------------

    def _put(self, at_ms: int, sending: _Sending[M]) -> None:
        if self.waiting >= MOST_WAITING:
            self.counts["dropped"] += 1
            return
        heapq.heappush(self._waiting, (at_ms, next(self._numbers), sending))
        self._world.changed.set()

    def _hand_out(self, group: asyncio.TaskGroup) -> None:
        now_ms = self._world.clock.now_ms()
        while self._waiting and self._waiting[0][0] <= now_ms:
            sending = heapq.heappop(self._waiting)[2]
            self._lanes[sending.lane].append(sending)
        for lane, queue in enumerate(self._lanes):
            if queue and lane not in self._busy:
                self._busy.add(lane)
                group.create_task(self._work(lane))

    async def _wait(self) -> None:
        """Wait for the next that is due, for a new one, or for a move of the clock."""
        due_ms = self._waiting[0][0] if self._waiting else None
        seconds = None if due_ms is None else self._world.clock.seconds_until(due_ms)
        try:
            async with asyncio.timeout(seconds):
                await self._world.changed.wait()
        except TimeoutError:
            pass

    async def _work(self, lane: int) -> None:
        queue = self._lanes[lane]
        try:
            while queue:  # ends: nothing that was not taken comes back to it at once
                most = min(len(queue), self._pace().most_at_once)
                batch = [queue.popleft() for _ in range(most)]
                heard = await self._deliver([sending.message for sending in batch])
                self._settle(batch, heard)
        finally:
            self._busy.discard(lane)

    def _settle(self, batch: list[_Sending[M]], heard: Heard) -> None:
        self.counts["requests"] += 1
        if heard.taken:
            self.counts["taken"] += len(batch)
            return
        if heard.stop:
            self.counts["dropped"] += len(batch)
            self.stop()
            return
        retry_ms, now_ms = self._pace().retry_ms, self._world.clock.now_ms()
        for sending in batch:
            if sending.attempt > len(retry_ms):
                self.counts["given_up"] += 1
                self.given_up.append(sending.message)
                continue
            later_ms = max(retry_ms[sending.attempt - 1], heard.after_ms)
            sending.attempt += 1
            self.counts["retried"] += 1
            self._put(now_ms + later_ms, sending)
