"""How long the end of the day waits for orders that are still on their way into the outbox. Pure.

A machine that is too slow for the speed is late, which is no loss: so it is waited for as long as
more come.
"""

from __future__ import annotations

from typing import Final

QUIET_SECONDS: Final = 60.0  # without any that comes: what is not there then does not come
LONGEST_SECONDS: Final = 1_800.0  # however many still come


class Arrival:
    """Follows the orders that enter from the instant `began` on, in seconds of any clock."""

    def __init__(self, wanted: int, began: float) -> None:
        self.still_come = False  # whether more still came when it was waited for long enough
        self._wanted = wanted
        self._ends = began + LONGEST_SECONDS
        self._moved = began
        self._most = -1

    def ends(self, entered: int, undetailed: int, now: float) -> bool:
        """Say whether the wait is over: all are there and known, or no more come, or too long."""
        known = entered + entered - undetailed  # each order moves it twice, and never back
        if known > self._most:
            self._most, self._moved = known, now
        if entered >= self._wanted and not undetailed:
            return True
        self.still_come = now >= self._ends
        return self.still_come or now - self._moved >= QUIET_SECONDS
