"""Read the files of a run into columns, some dozens of bytes a call, however long the history.

Every interval is widened by half the error between clocks, so that from here on two records whose
intervals do not touch are certainly in that order.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Generic, TypeVar

from loadtest.check.answers import fault_of
from loadtest.check.op import READ, Kind, Lines, Op, kind_of_call, kind_of_read
from loadtest.check.rules import MAX_SHOWN
from loadtest.history import (
    Balance,
    Call,
    Head,
    HistoryFile,
    HistoryUnreadable,
    Record,
    Reservation,
    Stock,
)

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # what is done, so much, of so much

_TELLS_NOTHING = -1  # no kind
_BY_START = attrgetter("start")
_REPORT_EVERY = 8_192  # records between two looks at the progress bar


@dataclass(frozen=True, slots=True)
class Seen:
    """A stock or balance record, with its place and its widened interval."""

    where: str
    record: Stock | Balance
    start: int
    end: int


class Numbering(Generic[T]):
    """Gives equal values one number and keeps one of them."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def of(self, value: T) -> int:
        """Return the value's number, a new one where it is new."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number


class Columns:
    """All that the history says, by column; `ops` gathers what concerns one reservation."""

    def __init__(self) -> None:
        self.runs: list[Head] = []
        self.cut_off: list[str] = []  # the files that are
        self.counts: Counter[str] = Counter()
        self.ids: list[str] = []
        self.levels: list[tuple[str, str]] = []  # SKU, warehouse
        self.stock: dict[int, list[Seen]] = {}
        self.balances: dict[int, list[Seen]] = {}
        self.short: dict[int, tuple[tuple[str, str, int, int], ...]] = {}  # row -> as told
        self._files: list[tuple[int, str]] = []  # its first row, its path
        self._id_numbers: dict[str, int] = {}
        self._level_numbers: dict[tuple[str, str], int] = {}
        self._lines = Numbering[Lines]()
        self._kinds = Numbering[Kind]()
        self._kind_of_call: dict[tuple[object, ...], tuple[int, str]] = {}
        self.faults: list[tuple[str, str]] = []  # what an answer may not say, and where it does
        self.unjudged: Counter[str] = Counter()  # refusals that tell nothing, by slug
        self._parts: dict[int, str] = {}  # row -> the fulfilment's id
        self._left: dict[int, Lines] = {}  # row of a read -> what has left
        self.clock_error = 0  # between two clients
        self._half_error = 0
        self._late = 0
        self._origin: int | None = None  # the first time: small numbers sort faster
        self._who, self._line, self._kind, self._asked = (array("i") for _ in range(4))
        self._start, self._end, self._expires = (array("q") for _ in range(3))

    def read(self, paths: Sequence[Path], progress: Progress) -> None:
        """Take in all files of one run. Raises HistoryUnreadable."""
        files = [HistoryFile(path) for path in paths]
        if len({path.resolve() for path in paths}) < len(paths):
            raise HistoryUnreadable("a file is named twice")
        size, done = sum(file.size for file in files), 0
        for file in files:
            self._files.append((len(self._who), str(file.path)))
            for number, record in file:
                self._take(number, record)
                if number % _REPORT_EVERY == 0:
                    progress("reading", done + file.position, size)
            done += file.size
            if not file.complete:
                self.cut_off.append(str(file.path))
        progress("reading", size, size)
        self._count()

    def _count(self) -> None:
        for number, count in Counter(self._kind).items():
            kind = self._kinds.values[number]
            self.counts["reservations read" if kind.verb == READ else "calls"] += count
            if not kind.known:
                self.counts["calls of unknown outcome"] += count
        self.counts["calls"] += self.counts["calls without effect"]

    def level(self, sku: str, warehouse: str) -> int:
        """Return the number of a level."""
        name = (sku, warehouse)
        number = self._level_numbers.get(name)
        if number is None:
            number = self._level_numbers[name] = len(self.levels)
            self.levels.append(name)
        return number

    def level_name(self, level: int) -> str:
        """Name a level as the store does."""
        return "@".join(self.levels[level])

    def where(self, row: int) -> str:
        """Say where a row stands and what it says, in a line."""
        kind = self._kinds.values[self._kind[row]]
        path = self._files[bisect_right(self._files, row, key=itemgetter(0)) - 1][1]
        start, end = self._start[row] + self._half_error, self._end[row] - self._half_error
        state = f" ({kind.state})" if kind.state not in {"", kind.answer} else ""
        return (
            f"{path}:{self._line[row]} {kind.verb} {self.ids[self._who[row]]}"
            f" -> {kind.answer}{state} [{self.at(start)}, {self.at(end)}]"
        )

    def at(self, time: int) -> str:
        """Write a time of the columns as it stands in the history."""
        return str(time + (self._origin or 0))

    def __len__(self) -> int:
        return len(self._who)

    def reservations(self) -> Iterator[tuple[int, list[Op]]]:
        """Yield each id's number and what concerns it, by start. Cost: O(n log n)."""
        who = self._who
        gathered: list[Op] = []
        before = -1
        for row in sorted(range(len(who)), key=who.__getitem__):
            if who[row] != before and gathered:
                yield before, sorted(gathered, key=_BY_START)
                gathered = []
            before = who[row]
            gathered.append(self.op(row))
        if gathered:
            yield before, sorted(gathered, key=_BY_START)

    def grants_of(self, who: set[int]) -> list[str]:
        """Say where the first record of each of some ids stands. Cost: O(n), for evidence only."""
        found: list[str] = []
        for row, number in enumerate(self._who):
            if number in who:
                who = who - {number}
                found.append(self.where(row))
        return found

    def op(self, row: int) -> Op:
        """Put a row together."""
        kind, expires = self._kinds.values[self._kind[row]], self._expires[row]
        end = self._end[row]
        return Op(
            row,
            self._start[row],
            end,
            end + self._late if kind.late else end,
            expires if expires >= 0 else None,
            self._lines.values[self._asked[row]],
            self._parts.get(row) if self._parts else None,
            self._left.get(row, ()) if self._left else (),
            *kind,
        )

    def _take(self, number: int, record: Record) -> None:
        if type(record) is Call:
            self._take_call(number, record)
        elif type(record) is Reservation:
            self._take_read(number, record)
        elif type(record) is Head:
            self._take_run(record)
        elif isinstance(record, Stock | Balance):
            self._take_level(number, record)

    def _take_run(self, run: Head) -> None:
        first, path = self.runs[0] if self.runs else run, self._files[-1][1]
        if (run.scenario, run.started_at) != (first.scenario, first.started_at):
            raise HistoryUnreadable(f"{path} is of another run than {self._files[0][1]}")
        if (run.clock_error_us, run.late_us) != (first.clock_error_us, first.late_us):
            raise HistoryUnreadable(f"{path} has other clocks than {self._files[0][1]}")
        if run.seed != first.seed:
            raise HistoryUnreadable(f"{path} has another seed than {self._files[0][1]}")
        told = {each.files for each in (*self.runs, run)} - {0}
        if len(told) > 1:
            raise HistoryUnreadable(f"{path} tells of another number of files than those before")
        self.runs.append(run)
        self.clock_error = run.clock_error_us
        self._half_error = (run.clock_error_us + 1) // 2
        self._late = run.late_us

    def _take_level(self, number: int, record: Stock | Balance) -> None:
        self.counts["stock writes" if isinstance(record, Stock) else "balances read"] += 1
        kept = self.stock if isinstance(record, Stock) else self.balances
        start, end = self._interval(record.start, record.end)
        where = f"{self._files[-1][1]}:{number} {record}"
        level = self.level(record.sku, record.warehouse)
        kept.setdefault(level, []).append(Seen(where, record, start, end))

    def _take_call(self, number: int, call: Call) -> None:
        # All that the kind depends on: few calls differ in it, so it is worked out once.
        key = (
            call.op,
            call.status,
            call.slug,
            call.lost,
            call.state,
            call.ttl_ms,
            call.confirm,
            call.reinstate,
            call.outcome,
            call.fulfilment_id is None,
            call.replayed,
            call.expires_at_us is None,
        )
        sorted_ = self._kind_of_call.get(key)
        if sorted_ is None:
            found = kind_of_call(call)
            kind = _TELLS_NOTHING if found is None else self._kinds.of(found)
            sorted_ = self._kind_of_call[key] = kind, fault_of(call)
        kind, fault = sorted_
        if fault:
            # No more than are listed are kept with their place.
            listed = len(self.faults) < MAX_SHOWN
            where = f"{self._files[-1][1]}:{number} {call}" if listed else ""
            self.faults.append((f"{call.id}: {fault}" if listed else "", where))
        if kind == _TELLS_NOTHING:
            self.counts["calls without effect"] += 1
            if not fault:
                self.unjudged[call.slug or ""] += 1
            return
        if call.short:
            self.short[len(self._who)] = call.short
        if call.fulfilment_id is not None:
            self._parts[len(self._who)] = call.fulfilment_id
        self._append(number, call, kind, self._summed(call.lines))

    def _take_read(self, number: int, read: Reservation) -> None:
        lines = self._summed([line[:3] for line in read.lines])
        left = self._summed([(*line[:2], line[3]) for line in read.lines if line[3]])
        if left:
            self._left[len(self._who)] = left
        self._append(number, read, self._kinds.of(kind_of_read(read.state)), lines)

    def _append(self, number: int, record: Call | Reservation, kind: int, lines: Lines) -> None:
        who = self._id_numbers.get(record.id)
        if who is None:
            who = self._id_numbers[record.id] = len(self.ids)
            self.ids.append(record.id)
        start, end = self._interval(record.start, record.end)
        expires = record.expires_at_us
        self._who.append(who)
        self._line.append(number)
        self._kind.append(kind)
        self._asked.append(self._lines.of(lines))
        self._start.append(start)
        self._end.append(end)
        self._expires.append(-1 if expires is None else max(0, expires - (self._origin or 0)))

    def _interval(self, start: int, end: int) -> tuple[int, int]:
        if self._origin is None:
            self._origin = start
        return start - self._origin - self._half_error, end - self._origin + self._half_error

    def _summed(self, lines: Sequence[tuple[str, str, int]]) -> Lines:
        if len(lines) == 1:
            sku, warehouse, units = lines[0]
            return ((self.level(sku, warehouse), units),)
        summed: dict[int, int] = {}
        for sku, warehouse, units in lines:
            level = self.level(sku, warehouse)
            summed[level] = summed.get(level, 0) + units
        return tuple(sorted(summed.items()))
