"""How many orders a warehouse takes in, and the evidence of how many it was sent.

A bucket of `burst` orders, full at first, fills evenly at the intake: over any time no more are
taken than intake + burst. In exact integers: an order is `period_ms` drops, each ms brings `most`.
"""

from __future__ import annotations

from collections import deque
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Rush:
    """The most that came within any hour, however it is laid: (t − 1 h, t]."""

    def __init__(self) -> None:
        self.total = 0
        self.most = 0
        self._within = 0
        self._came: deque[tuple[int, int]] = deque()  # (ms, how many), the youngest last

    def came(self, number: int, now_ms: int) -> None:
        """Note that some came; times never go back."""
        self.total += number
        self._within += number
        if self._came and self._came[-1][0] == now_ms:
            number += self._came.pop()[1]
        self._came.append((now_ms, number))
        while self._came[0][0] <= now_ms - HOUR_MS:  # ends: the youngest is now's
            self._within -= self._came.popleft()[1]
        self.most = max(self.most, self._within)


class Intake:
    """What one setting of the intake has seen since it began; `most` 0 is no limit."""

    def __init__(self, most: int, period_ms: int, burst: int, now_ms: int) -> None:
        self.since_ms = now_ms
        self.refused = 0  # for being too many
        self.above = 0  # taken although they were too many
        self.sent = Rush()  # orders in calls that were right, whatever became of them
        self.taken = Rush()  # orders that are new
        self._most, self._order, self._full = most, period_ms, burst * period_ms
        self._drops, self._at_ms = self._full, now_ms

    @property
    def most_an_hour(self) -> int | None:
        """The bound of what is taken within any hour; None where there is none."""
        if not self._most:
            return None
        return (self._full + self._most * HOUR_MS) // self._order

    def has_room(self, number: int, now_ms: int) -> bool:
        """Say whether so many orders can be taken now."""
        self._fill(now_ms)
        return not self._most or self._drops >= number * self._order

    def take(self, number: int, now_ms: int) -> None:
        """Take some in; without room they are taken all the same, and counted."""
        if not self.has_room(number, now_ms):
            self.above += number
        self._drops = max(0, self._drops - number * self._order)
        self.taken.came(number, now_ms)

    def wait_ms(self, number: int, now_ms: int) -> int:
        """Say after how long there is room for so many, if nobody else comes."""
        if self.has_room(number, now_ms):
            return 0
        return -(-(number * self._order - self._drops) // self._most)

    def _fill(self, now_ms: int) -> None:
        if now_ms > self._at_ms:
            self._drops = min(self._full, self._drops + (now_ms - self._at_ms) * self._most)
            self._at_ms = now_ms
