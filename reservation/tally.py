"""What is counted during one turn of the event loop, written to its series together.

A series that many processes sum up lies in a mapped file, behind a lock: writing it once a turn
instead of once a request is a tenth of the work where many requests end in one turn.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter as Frequency
from typing import TYPE_CHECKING

from prometheus_client import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import Counter, Gauge


class TalliedHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe each amount; a test holds the result against `observe`, one by one."""
        if len(amounts) == 1:
            self.observe(amounts[0])
            return
        self._sum.inc(sum(amounts))
        bounds = self._upper_bounds
        for bucket, count in Frequency(bisect_left(bounds, amount) for amount in amounts).items():
            self._buckets[bucket].inc(count)


class Tally:
    """Count now, write at the end of this turn of the loop. One thread's, the loop's.

    Who reads the series calls `write` first. What a process has not written when it is killed is
    lost: at most one turn.
    """

    def __init__(self) -> None:
        self._sums: dict[Counter | Gauge, float] = {}
        self._amounts: dict[TalliedHistogram, list[float]] = {}
        self._scheduled_in: asyncio.AbstractEventLoop | None = None

    def count(self, series: Counter | Gauge, amount: float = 1) -> None:
        """Add to a counter or a gauge."""
        sums = self._sums
        if series in sums:
            sums[series] += amount
        else:
            sums[series] = amount
            self._schedule()

    def observe(self, series: TalliedHistogram, amount: float) -> None:
        """Observe an amount."""
        amounts = self._amounts.get(series)
        if amounts is None:
            self._amounts[series] = [amount]
            self._schedule()
        else:
            amounts.append(amount)

    def write(self) -> None:
        """Write all that was counted since the last time."""
        self._scheduled_in = None
        sums, self._sums = self._sums, {}
        for series, amount in sums.items():
            if amount:
                series.inc(amount)
        observed, self._amounts = self._amounts, {}
        for histogram, amounts in observed.items():
            histogram.observe_all(amounts)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if self._scheduled_in is not loop:  # another one has ended before it came to writing
            self._scheduled_in = loop
            loop.call_soon(self.write)
