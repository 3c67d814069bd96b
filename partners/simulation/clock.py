"""A clock that can be set, frozen, and run faster than the world's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

LATEST_MS: Final = (
    253_402_214_400_000  # the last day of the year 9999: beyond it no date is written
)
FASTEST: Final = 100_000.0  # a day in less than a second


class WrongTime(ValueError):
    """A time or a speed that a clock cannot have; the text says the bounds."""


class Clock:
    """The time of a simulated world, ms since 1970 in UTC; from real time on unless set.

    `tick_ns` is where passing time is read from; it never goes back.
    """

    def __init__(
        self,
        now_ms: int | None = None,
        *,
        speed: float = 1.0,
        tick_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._tick_ns = tick_ns
        self._since_ns = tick_ns()
        self._origin_ms = _checked(time.time_ns() // 1_000_000 if now_ms is None else now_ms)
        self._speed = _checked_speed(speed)

    @property
    def speed(self) -> float:
        """How many of its seconds pass in one; 0 is frozen."""
        return self._speed

    def now_ms(self) -> int:
        """Tell the time."""
        passed_ns = self._tick_ns() - self._since_ns
        return min(self._origin_ms + int(passed_ns * self._speed) // 1_000_000, LATEST_MS)

    def set(self, now_ms: int) -> None:
        """Set it, also back; frozen it stays frozen. Raises WrongTime."""
        self._origin_ms, self._since_ns = _checked(now_ms), self._tick_ns()

    def advance(self, by_ms: int) -> None:
        """Let so much time pass at once. Raises WrongTime."""
        self.set(self.now_ms() + by_ms)

    def run(self, speed: float = 1.0) -> None:
        """Go on from here so many times faster; 0 freezes. Raises WrongTime."""
        speed = _checked_speed(speed)
        self.set(self.now_ms())
        self._speed = speed

    def freeze(self) -> None:
        """Stand still."""
        self.run(0.0)

    def seconds_until(self, at_ms: int) -> float | None:
        """Say how many real seconds are left; 0 where it has come, None where it never comes."""
        left_ms = at_ms - self.now_ms()
        if left_ms <= 0:
            return 0.0
        return left_ms / 1000 / self._speed if self._speed else None


def _checked(now_ms: int) -> int:
    if not 0 <= now_ms <= LATEST_MS:
        raise WrongTime(f"a time is 0 to {LATEST_MS} ms since 1970, not {now_ms}")
    return now_ms


def _checked_speed(speed: float) -> float:
    if not 0 <= speed <= FASTEST:  # a NaN is in no range
        raise WrongTime(f"a speed is 0 (frozen) to {FASTEST:.0f}, not {speed}")
    return float(speed)
