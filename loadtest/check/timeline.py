"""A figure that changes now and then: its value from each change to the next."""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator

from loadtest.check.intake import Seen
from loadtest.check.op import NEVER
from loadtest.check.ranges import Largest

Change = tuple[int, int]  # time, value from then on


class Timeline:
    """A piecewise constant figure with `before` ahead of its first change."""

    def __init__(self, before: int, changes: Iterable[Change]) -> None:
        self.times = array("q", [-NEVER])
        self.values = array("q", [before])
        for time, value in changes:
            if time == self.times[-1]:
                self.values[-1] = value
            elif value != self.values[-1]:
                self.times.append(time)
                self.values.append(value)
        self._largest: Largest | None = None

    def largest(self, start: int, end: int) -> int:
        """Return the most it is within [start, end]. Cost: O(log n), O(n) the first time."""
        if self._largest is None:
            self._largest = Largest(self.values)
        first = bisect_right(self.times, start) - 1
        return self._largest.of(first, bisect_right(self.times, end, lo=first))


def added(one: Timeline, other: Timeline) -> Timeline:
    """Add two figures, at every instant."""
    return Timeline(one.values[0] + other.values[0], _sums(one, other))


def _sums(one: Timeline, other: Timeline) -> Iterator[Change]:
    mine = theirs = 0
    times, others = one.times, other.times
    while True:
        after = times[mine + 1] if mine + 1 < len(times) else NEVER
        after_other = others[theirs + 1] if theirs + 1 < len(others) else NEVER
        time = min(after, after_other)
        if time >= NEVER:
            return
        mine += after == time
        theirs += after_other == time
        yield time, one.values[mine] + other.values[theirs]


def in_force(writes: list[Seen]) -> list[int]:
    """Return until when each write may have been the last one, exclusive.

    That is until a client knew of another that had certainly begun after it.
    """
    starts = sorted((seen.start, seen.end) for seen in writes)
    first_end = [NEVER] * (len(starts) + 1)  # the first to end of this one and those after it
    for at in range(len(starts) - 1, -1, -1):
        first_end[at] = min(starts[at][1], first_end[at + 1])
    return [first_end[bisect_right(starts, (seen.end, NEVER))] + 1 for seen in writes]


def most_in_force(writes: list[Seen], values: list[int]) -> Iterator[Change]:
    """Yield the largest value among the writes that may be the last one, as it changes."""
    events = sorted(
        event
        for seen, until, value in zip(writes, in_force(writes), values, strict=True)
        for event in ((seen.start, 1, value), (until, 0, value))
    )
    active: list[int] = []
    for time, begins, value in events:
        if begins:
            insort(active, value)
        else:
            active.remove(value)
        if active:
            yield time, active[-1]
