"""When the units of one reservation were out: certainly, and possibly.

Out is what may not be promised again: held, committed, or gone to the buyer. The certain spans
begin where a client knew of the grant and end before the first call that may have ended it, or
its earliest expiry. The possible spans begin with the first call that may have granted and end
where a client knew that it was over, or with the latest expiry. A span is half open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from loadtest.check.life import due
from loadtest.check.op import GRANTED, MISSING, NEVER, OK, READ, Lines, Op


class Span(NamedTuple):
    """So many units of a level are out in [start, until); taken no earlier than `taken`."""

    level: int
    units: int
    taken: int
    start: int
    until: int


class Left(NamedTuple):
    """So many units of a level left the warehouse."""

    level: int
    units: int
    at: int


class Occupancy:
    """What the calls of one reservation, in order of their start, show of its units."""

    def __init__(self, ops: list[Op], skew: int) -> None:
        self._skew = skew
        self.reads: list[Op] = []
        self.fulfils: list[Op] = []
        self._grants: list[Op] = []
        self._confirms: list[Op] = []
        self._releases: list[Op] = []
        self._extends: list[Op] = []
        self._held: list[Op] = []  # whose answer shows it held; confirmed or fulfilled
        self._kept: list[Op] = []
        self._first_live = self._released = self._expired = NEVER  # known, at the first
        # From here on nothing that was sent changes it but the clock.
        self.settled = -NEVER
        for op in ops:
            self._sort(op)
        self._reinstates = [op for op in self._confirms if op.reinstate]
        self._new = [op for op in self._grants if op.answer == GRANTED]
        # Whether an answer shows that it was granted.
        self.exists = min(self._first_live, self._released, self._expired) < NEVER
        self.lines = self._new[0].lines if self._new else _told_lines(ops, self._grants)

    def _sort(self, op: Op) -> None:
        if op.may_act:
            self._of(op.verb).append(op)
            self.settled = max(self.settled, op.latest)
        elif op.verb == READ:
            self.reads.append(op)
        shown = op.shown
        if shown == "held":
            self._held.append(op)
        elif shown in {"confirmed", "fulfilled"}:
            self._kept.append(op)
        elif shown == "released":
            self._released = min(self._released, op.end)
            return
        elif shown == "expired":
            self._expired = min(self._expired, op.end)
            return
        else:
            return
        self._first_live = min(self._first_live, op.end)

    def _of(self, verb: str) -> list[Op]:
        if verb == "reserve":
            return self._grants
        if verb == "confirm":
            return self._confirms
        if verb == "release":
            return self._releases
        return self._extends if verb == "extend" else self.fulfils

    @property
    def may_exist(self) -> bool:
        """Say whether it may have been granted."""
        # A call that was lost may still grant after a read that found nothing.
        absent = any(read.state == MISSING and read.start > self.settled for read in self.reads)
        return self.exists or (bool(self._grants) and not absent)

    def possible_lines(self) -> dict[int, int]:
        """Return the most that it may hold of each level."""
        if self.lines is not None:
            return dict(self.lines)
        most: dict[int, int] = {}
        for op in self._grants:
            for level, units in op.lines:
                most[level] = max(units, most.get(level, 0))
        return most

    def certain(self) -> list[Span]:
        """List when its units were out for certain."""
        if self._first_live == NEVER or self.lines is None:
            return []
        kept_until = -NEVER
        for op in self._kept:
            kept_until = max(kept_until, op.start, self._first_release(op))
        until = -NEVER
        if kept_until < NEVER or self._reinstates:
            until = max((self._hold_end(op) for op in self._held), default=until)
        if self._reinstates and self._kept:
            # It may have lapsed in between: two spans, unless they touch.
            held = min((op.end for op in self._held), default=NEVER)
            again = min(op.end for op in self._kept)
            spans = [(held, until), (again, kept_until)]
            if until >= again:
                spans = [(min(held, again), max(until, kept_until))]
        else:
            spans = [(self._first_live, max(until, kept_until))]
        taken = self._first_grant()
        gone = dict(self._gone_for_certain())
        certain = []
        for number, (start, end) in enumerate(spans, 1):
            for level, units in self.lines:
                parted = min(units, gone.get(level, 0)) if number == len(spans) else 0
                if parted:
                    certain.append(Span(level, parted, taken, start, NEVER))
                if start < end and parted < units:
                    certain.append(Span(level, units - parted, taken, start, end))
        return certain

    def possible(self) -> list[Span]:
        """List when its units may have been out."""
        if not self.may_exist:
            return []
        start, released = self._first_grant(), self._released
        over, again = self._lapse()
        spans = [(start, min(released, over))]
        if again < released:
            spans = [(start, released)] if again <= over else [*spans, (again, released)]
        gone = dict(self._may_be_gone())
        possible = []
        for number, (begin, end) in enumerate(spans, 1):
            for level, units in self.possible_lines().items():
                parted = min(units, gone.get(level, 0)) if number == len(spans) else 0
                if parted:
                    possible.append(Span(level, parted, begin, begin, NEVER))
                if parted < units:
                    possible.append(Span(level, units - parted, begin, begin, end + 1))
        return possible

    @cached_property
    def deadline(self) -> tuple[int, int]:
        """Bound its last deadline as a hold."""
        for read in reversed(self.reads):
            if read.expires is not None and read.start > self.settled:
                return read.expires - self._skew, read.expires + self._skew
        named = [
            (op.expires - self._skew, op.expires + self._skew)
            for op in self._held
            if op.expires is not None
        ]
        if not named:
            named = [due(op, self._skew) for op in self._grants]
        named += [due(op, self._skew) for op in self._extends if op.expires is None]
        if not named:
            return -NEVER, NEVER
        return min(due_from for due_from, _ in named), max(until for _, until in named)

    def left_by(self) -> list[Left]:
        """List what had left the warehouse for certain, and by when a client knew."""
        told = [op for op in self.fulfils if op.known]
        return list(self._parted(sorted(told, key=lambda op: op.end), lambda op: op.end))

    def left_after(self) -> list[Left]:
        """List what may have left the warehouse, and when it may have at the earliest."""
        return list(self._parted(self.fulfils, lambda op: op.start))

    def _parted(self, fulfils: Iterable[Op], when: Callable[[Op], int]) -> Iterable[Left]:
        gone: dict[int, int] = {}
        parts: set[tuple[str | None, Lines]] = set()
        for op in fulfils:
            # Sent again; with other lines, either of the two may have been the one that left.
            if (op.part, op.lines) in parts:
                continue
            parts.add((op.part, op.lines))
            for level, units in self.lines or ():
                moved = units if op.part is None else dict(op.lines).get(level, 0)
                moved = min(moved, units - gone.get(level, 0))
                gone[level] = gone.get(level, 0) + moved
                if moved:
                    yield Left(level, moved, when(op))

    def _first_grant(self) -> int:
        grants = self._new or self._grants
        return grants[0].start if grants else -NEVER  # they stand by their start

    def _first_release(self, shown: Op) -> int:
        """Find when a release may first have ended what an answer showed live."""
        if not self._releases:
            return NEVER
        return min((op.start for op in self._releases if op.latest >= shown.start), default=NEVER)

    def _hold_end(self, shown: Op) -> int:
        """Find until when a hold that an answer showed was there for certain."""
        ends = [due(op, self._skew)[0] for op in self._extends if op.latest >= shown.start]
        if shown.expires is not None or (shown.answer == GRANTED and shown.ttl is not None):
            ends.append(due(shown, self._skew)[0])
        else:
            ends.append(shown.start)
        return max(shown.start, min(*ends, self._first_release(shown)))

    def _lapse(self) -> tuple[int, int]:
        """Find when the hold was over at the latest, and when it may have been retaken."""
        if self._kept and not self._reinstates:
            return self._expired, NEVER  # it was confirmed in time
        over, latest = self._expired, self.deadline[1]
        in_time = any(op.start <= latest for op in self._confirms)
        if not in_time and not any(op.confirm for op in self._grants):
            over = min(over, latest)
        again = min((op.start for op in self._reinstates), default=NEVER)
        return over, again

    def _gone_for_certain(self) -> Lines:
        for read in reversed(self.reads):
            if read.state != MISSING:
                return read.left
        return _summed(self.left_by())

    def _may_be_gone(self) -> Lines:
        for read in reversed(self.reads):
            if read.state != MISSING and read.start > self.settled:
                return read.left
        return _summed(self.left_after())


def _told_lines(ops: list[Op], grants: list[Op]) -> Lines | None:
    """Find the lines of a reservation whose grant nobody saw; None where it may have several."""
    for op in reversed(ops):
        if (op.verb == READ and op.state != MISSING) or (op.verb == "reserve" and op.answer == OK):
            return op.lines
    asked = {op.lines for op in grants}
    return asked.pop() if len(asked) == 1 else None


def _summed(parts: Iterable[Left]) -> Lines:
    summed: dict[int, int] = {}
    for part in parts:
        summed[part.level] = summed.get(part.level, 0) + part.units
    return tuple(summed.items())
