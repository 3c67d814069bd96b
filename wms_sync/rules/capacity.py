"""What a warehouse takes over a day: a rate, other rates in shifts, and a burst.

Amounts are exact integers: an order is `ORDER` credits, and a warehouse of n orders a day that is
fed at s thousandths of that earns n * s credits a millisecond.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final

from msgspec import Struct

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
WHOLE: Final = 1_000  # the share of a capacity that is all of it, in thousandths
ORDER: Final = DAY_MS * WHOLE  # credits; any rate of whole orders a day earns whole credits
MOST_ORDERS_PER_DAY: Final = 100_000_000  # 1,157 a second: more than one database hands over
MOST_BURST: Final = 1_000_000  # so many orders' credits are below 2**63, what SQLite keeps
MOST_SHIFTS: Final = 24


class Shift(Struct, frozen=True):
    """A part of each day at another rate, which may be 0 (the warehouse is closed).

    `from_ms` and `to_ms` are times of the warehouse's day, 0 … 86,400,000; where `to_ms` is the
    smaller one the shift goes over midnight. `orders_per_day` is its rate: 750 an hour are 18,000.
    """

    from_ms: int
    to_ms: int
    orders_per_day: int


class Capacity(Struct, frozen=True):
    """The intake that a warehouse has named: never more than it, whatever the pace.

    `orders_per_day` outside shifts, 0 … 100,000,000. `burst` orders may leave at once after a quiet
    time, 1 … 1,000,000. Days begin at midnight of `utc_offset_ms` (China: 8 h).
    Raises ValueError for what is out of bounds, shifts that overlap, or no intake at all.
    """

    orders_per_day: int
    burst: int = 20
    shifts: tuple[Shift, ...] = ()
    utc_offset_ms: int = 0

    def __post_init__(self) -> None:
        rates = [self.orders_per_day, *(shift.orders_per_day for shift in self.shifts)]
        if not all(0 <= rate <= MOST_ORDERS_PER_DAY for rate in rates):
            raise ValueError(f"a warehouse takes 0 to {MOST_ORDERS_PER_DAY:,} orders a day")
        if not 1 <= self.burst <= MOST_BURST:
            raise ValueError(f"a burst is 1 to {MOST_BURST:,} orders")
        if len(self.shifts) > MOST_SHIFTS:
            raise ValueError(f"a day has at most {MOST_SHIFTS} shifts")
        if not -DAY_MS < self.utc_offset_ms < DAY_MS:
            raise ValueError("an offset from UTC is less than a day")
        for shift in self.shifts:
            inside = 0 <= shift.from_ms < DAY_MS and 0 <= shift.to_ms <= DAY_MS
            if not inside or shift.from_ms == shift.to_ms:
                raise ValueError("a shift goes from 0 … 86,399,999 ms to another time of the day")
        spans = sorted(_spans(self.shifts))
        if any(ends > starts for (_, ends, _), (starts, _, _) in pairwise(spans)):
            raise ValueError("two shifts overlap")
        if not _day(self).total:
            raise ValueError("a warehouse that takes nothing all day is no warehouse")

    def rate_at(self, at_ms: int) -> int:
        """Return the orders a day that are taken at an instant."""
        day = _day(self)
        return day.rates[bisect_right(day.starts, (at_ms + self.utc_offset_ms) % DAY_MS) - 1]

    def intake(self, from_ms: int, to_ms: int, share: int = WHOLE) -> int:
        """Return the credits earned from one instant to a later one, at a share in thousandths.

        Cost: O(log shifts), however long the time.
        """
        return (self._since_epoch(to_ms) - self._since_epoch(from_ms)) * share

    def pieces(self, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """Return `(since when, orders a day)` for a time, the first one since `from_ms`."""
        day = _day(self)
        found = [(from_ms, self.rate_at(from_ms))]
        if len(day.rates) == 1:
            return found
        midnight = (from_ms + self.utc_offset_ms) // DAY_MS * DAY_MS - self.utc_offset_ms
        while midnight < to_ms:
            for start, rate in zip(day.starts, day.rates, strict=True):
                if from_ms < midnight + start < to_ms and found[-1][1] != rate:
                    found.append((midnight + start, rate))
            midnight += DAY_MS
        return found

    def _since_epoch(self, at_ms: int) -> int:
        day = _day(self)
        days, time = divmod(at_ms + self.utc_offset_ms, DAY_MS)
        piece = bisect_right(day.starts, time) - 1
        return days * day.total + day.sums[piece] + day.rates[piece] * (time - day.starts[piece])


class _Day(Struct, frozen=True):
    """A day in pieces: where each starts, its rate, and what is earned before it."""

    starts: list[int]
    rates: list[int]
    sums: list[int]
    total: int


@lru_cache(maxsize=256)  # one for each warehouse, and what people try
def _day(capacity: Capacity) -> _Day:
    starts, rates = [], []
    reached = 0
    for start, end, rate in sorted(_spans(capacity.shifts)):
        if reached < start:
            starts.append(reached)
            rates.append(capacity.orders_per_day)
        starts.append(start)
        rates.append(rate)
        reached = end
    if reached < DAY_MS:
        starts.append(reached)
        rates.append(capacity.orders_per_day)
    lengths = [end - start for start, end in pairwise([*starts, DAY_MS])]
    earned = [rate * length for rate, length in zip(rates, lengths, strict=True)]
    sums = [0, *accumulate(earned)]
    return _Day(starts, rates, sums[:-1], sums[-1])


def _spans(shifts: tuple[Shift, ...]) -> list[tuple[int, int, int]]:
    """Return `(from, to, rate)` within one day: a shift over midnight is two of them."""
    spans = []
    for shift in shifts:
        if shift.from_ms < shift.to_ms:
            spans.append((shift.from_ms, shift.to_ms, shift.orders_per_day))
        else:
            spans.append((shift.from_ms, DAY_MS, shift.orders_per_day))
            if shift.to_ms:
                spans.append((0, shift.to_ms, shift.orders_per_day))
    return spans
