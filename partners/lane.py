"""A lane: the calls of one kind to one partner leave one by one, at its pace."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count
from typing import Final

# What a late timer has kept back leaves at once, as far as it is no later than this: a twentieth of
# a second's calls more within a second, at most.
CATCH_UP_SECONDS: Final = 0.05


class Lane:
    """Gives each call its turn: the urgent ones before the others, else as they came."""

    def __init__(self, calls_per_second: float) -> None:
        self._spacing = 1 / calls_per_second
        self._next = 0.0  # when the next call may leave, in loop time
        self._numbers = count()
        # Whether it is not urgent, its number, and what is set when its turn has come.
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool = False) -> bool:
        """Wait until the call may leave; say whether that was not at once."""
        loop = asyncio.get_running_loop()
        if not self._waiting and loop.time() >= self._next:
            self._next = loop.time() + self._spacing
            return False
        called = loop.create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._numbers), called))
        self._wait()
        await called
        return True

    def close_until(self, when: float) -> None:
        """Let nothing leave before a time of the loop."""
        self._next = max(self._next, when)

    def _wait(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_at(self._next, self._call)

    def _call(self) -> None:
        """Let the first one leave, where the lane was not closed for longer meanwhile."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while now >= self._next and self._waiting:
            *_, called = heapq.heappop(self._waiting)
            if not called.done():  # else whoever waited has gone
                called.set_result(None)
                # A timer that was late does not make the lane slower.
                self._next = max(self._next + self._spacing, now - CATCH_UP_SECONDS)
        self._wait()
