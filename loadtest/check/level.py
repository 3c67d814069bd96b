"""One stock level over time: what may have been promised, what was, and what was refused.

`room` is what the stock written allows to be out at once: on hand less safety, and what had left
when that stock was written, since what leaves is out for ever. It bounds every grant; a correction
may leave more out than it allows, but no grant adds to that.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from loadtest.check.intake import Seen
from loadtest.check.occupancy import Left, Span
from loadtest.check.op import NEVER
from loadtest.check.timeline import Timeline, added, in_force, most_in_force
from loadtest.history import Stock

UNKNOWN = 1 << 50  # more than any level: where no figure can be had, nothing is claimed


class Spans:
    """The spans of one level in columns, with the number of the id that each belongs to."""

    def __init__(self) -> None:
        self.who, self.units = array("i"), array("q")
        self.taken, self.start, self.until = array("q"), array("q"), array("q")

    def add(self, who: int, span: Span) -> None:
        """Keep a span."""
        self.who.append(who)
        self.units.append(span.units)
        self.taken.append(span.taken)
        self.start.append(span.start)
        self.until.append(span.until)

    def at(self, time: int) -> list[int]:
        """List the ids that are out at an instant, the last to come first. Cost: O(n)."""
        there = [n for n in range(len(self.who)) if self.start[n] <= time < self.until[n]]
        return [self.who[n] for n in sorted(there, key=self.start.__getitem__, reverse=True)]

    def changes(self) -> Iterator[tuple[int, int, int]]:
        """Yield time, units out from then on, and the span that begins, or -1 where one ends.

        At one instant what ends comes first. Cost: O(n log n).
        """
        count = len(self.who)
        # One integer an event, so that they sort without a tuple: time, what happens, span.
        width = count.bit_length() + 1
        begins = 1 << (width - 1)
        events = [start << width | begins | n for n, start in enumerate(self.start)]
        events += [until << width | n for n, until in enumerate(self.until) if until < NEVER]
        events.sort()
        out = 0
        for event in events:
            span = event & (begins - 1)
            if event & begins:
                out += self.units[span]
                yield event >> width, out, span
            else:
                out -= self.units[span]
                yield event >> width, out, -1


class Level:
    """What is known of one level. Cost of all questions together: O(n log n)."""

    def __init__(self, writes: list[Seen]) -> None:
        self.writes = sorted(writes, key=lambda seen: seen.start)
        self.certain, self.possible = Spans(), Spans()
        self._left_by: list[tuple[int, int]] = []
        self._left_after: list[tuple[int, int]] = []

    @property
    def is_unknown(self) -> bool:
        """Say whether nobody knows what was written: a write was given up."""
        return any(_stock(seen).outcome is not None for seen in self.writes)

    def note_left_by(self, part: Left) -> None:
        """Keep what a client knew to have left."""
        self._left_by.append((part.at, part.units))

    def note_left_after(self, part: Left) -> None:
        """Keep what may have left from then on."""
        self._left_after.append((part.at, part.units))

    def ready(self) -> None:
        """Compute what is asked for; everything is noted."""
        least, most = self._left_at_writes()
        written = [_stock(seen).on_hand for seen in self.writes]
        self.least_on_hand = [n + left for n, left in zip(written, least, strict=True)]
        self.most_on_hand = [n + left for n, left in zip(written, most, strict=True)]
        safety = [_stock(seen).safety_stock for seen in self.writes]
        upper = [n - kept for n, kept in zip(self.most_on_hand, safety, strict=True)]
        lower = [n - kept for n, kept in zip(self.least_on_hand, safety, strict=True)]
        self.most_room = Timeline(0, most_in_force(self.writes, upper))
        # No room is sure before a client knew that the level was there.
        first = min((seen.end for seen in self.writes), default=NEVER)
        missing = most_in_force(self.writes, [-value for value in lower])
        self._least_room_missing = Timeline(
            UNKNOWN, ((max(time, first), value) for time, value in missing)
        )
        self._most_free: Timeline | None = None
        self._most_taken: Timeline | None = None

    def overdrafts(self) -> Iterator[tuple[int, int, int]]:
        """Yield span, units out and room where a grant was beyond what the stock allowed.

        Of all that is out for certain when a client learns of a grant, the last was decided
        within that grant's interval or later, up to now; then all the others were out as well.
        """
        tightest = min(self.most_room.values[1:], default=0)
        written = self.writes[0].start if self.writes else NEVER
        for time, out, span in self.certain.changes():
            if span >= 0 and (out > tightest or time < written):
                room = self.most_room.largest(self.certain.taken[span], time)
                if out > room:
                    yield span, out, room

    def available(self, start: int, end: int) -> tuple[int, int]:
        """Bound what was available at a decision within the interval: least, most."""
        if self._most_free is None or self._most_taken is None:
            certain = Timeline(0, ((time, -out) for time, out, _ in self.certain.changes()))
            possible = Timeline(0, ((time, out) for time, out, _ in self.possible.changes()))
            self._most_free = added(self.most_room, certain)
            self._most_taken = added(possible, self._least_room_missing)
        least = -self._most_taken.largest(start, end)
        return max(0, least), max(0, self._most_free.largest(start, end))

    def exists_by(self, time: int) -> bool:
        """Say whether it had been written for certain."""
        return any(seen.end < time for seen in self.writes)

    def last_writes(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """List the writes that may be the last one within an interval.

        Each with its on hand and what had left by then, at least and at most, and its safety.
        """
        rows = zip(
            self.writes, in_force(self.writes), self.least_on_hand, self.most_on_hand, strict=True
        )
        return [
            (least, most, _stock(seen).safety_stock)
            for seen, until, least, most in rows
            if seen.start <= end and start < until
        ]

    def _left_at_writes(self) -> tuple[list[int], list[int]]:
        by, after = _sums(self._left_by), _sums(self._left_after)
        least = [by[1][bisect_left(by[0], seen.start)] for seen in self.writes]
        most = [after[1][bisect_right(after[0], seen.end)] for seen in self.writes]
        return least, most


def _stock(seen: Seen) -> Stock:
    assert isinstance(seen.record, Stock)
    return seen.record


def _sums(events: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the times in order, and the sums before each and after the last."""
    events.sort()
    sums = [0]
    for _, units in events:
        sums.append(sums[-1] + units)
    return [time for time, _ in events], sums
