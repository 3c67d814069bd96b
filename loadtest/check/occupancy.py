"""When the units of one reservation were out: certainly, and possibly.

Out is what may not be promised again: held, committed, or gone to the buyer. The certain spans
begin where a client knew of the grant and end before the first call that may have ended it, or
its earliest expiry. The possible spans begin with the first call that may have granted and end
where a client knew that it was over, or with the latest expiry. A span is half open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from loadtest.check.life import LIVE, due
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
        self._ops = ops
        self._skew = skew
        self.reads = [op for op in ops if op.verb == READ]
        acts = [op for op in ops if op.may_act]
        self._releases = [op for op in acts if op.verb == "release"]
        self._confirms = [op for op in acts if op.verb == "confirm"]
        self.fulfils = [op for op in acts if op.verb == "fulfil"]
        self._extends = [op for op in acts if op.verb == "extend"]
        self._grants = [op for op in acts if op.verb == "reserve"]
        self._reinstates = [op for op in self._confirms if op.reinstate]
        self._new = [op for op in self._grants if op.answer == GRANTED]
        self._live = [op for op in ops if op.shown in LIVE]
        # Whether an answer shows that it was granted.
        self.exists = bool(self._live) or any(op.shown in {"released", "expired"} for op in ops)
        self.lines = self._known_lines()
        # From here on nothing that was sent changes it but the clock.
        self.settled = max((op.latest for op in acts), default=-NEVER)
        self.deadline = self._deadline()

    @property
    def may_exist(self) -> bool:
        """Say whether it may have been granted."""
        absent = any(read.state == MISSING for read in self.reads)
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
        if not self._live or self.lines is None:
            return []
        held = [op for op in self._live if op.shown == "held"]
        kept = [op for op in self._live if op.shown != "held"]
        taken = min((op.start for op in self._new or self._grants), default=-NEVER)
        until = max((self._hold_end(op) for op in held), default=-NEVER)
        kept_until = max((max(op.start, self._first_release(op)) for op in kept), default=-NEVER)
        if self._reinstates and kept:
            # It may have lapsed in between: two spans, unless they touch.
            again = min(op.end for op in kept)
            spans = [(min((op.end for op in held), default=NEVER), until), (again, kept_until)]
            if spans[0][1] >= again:
                spans = [(min(spans[0][0], again), max(until, kept_until))]
        else:
            spans = [(min(op.end for op in self._live), max(until, kept_until))]
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
        start = min((op.start for op in self._new or self._grants), default=-NEVER)
        released = min((op.end for op in self._ops if op.shown == "released"), default=NEVER)
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

    def _deadline(self) -> tuple[int, int]:
        """Bound its last deadline as a hold."""
        for read in reversed(self.reads):
            if read.expires is not None and read.start > self.settled:
                return read.expires - self._skew, read.expires + self._skew
        named = [
            (op.expires - self._skew, op.expires + self._skew)
            for op in self._live
            if op.shown == "held" and op.expires is not None
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

    def _known_lines(self) -> Lines | None:
        for op in self._ops:
            if op.answer == GRANTED:
                return op.lines
        for op in reversed(self._ops):
            if op.verb == READ and op.state != MISSING:
                return op.lines
            if op.verb == "reserve" and op.answer == OK:
                return op.lines
        asked = {op.lines for op in self._grants}
        return asked.pop() if len(asked) == 1 else None

    def _first_release(self, shown: Op) -> int:
        """Find when a release may first have ended what an answer showed live."""
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
        over = min((op.end for op in self._ops if op.shown == "expired"), default=NEVER)
        latest = self.deadline[1]
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


def _summed(parts: Iterable[Left]) -> Lines:
    summed: dict[int, int] = {}
    for part in parts:
        summed[part.level] = summed.get(part.level, 0) + part.units
    return tuple(summed.items())
