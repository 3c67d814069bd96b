"""Read the files of a run into columns: about a hundred bytes a call, however long the history.

Every interval is widened by half the error between clocks, so that from here on two records whose
intervals do not touch are certainly in that order.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from loadtest.history import (
    Balance,
    Call,
    HistoryFile,
    HistoryUnreadable,
    Record,
    Reservation,
    Run,
    Stock,
)

T = TypeVar("T")
Lines = tuple[tuple[int, int], ...]  # (number of the level, units), sorted
Progress = Callable[[str, int, int], None]  # what is done, so much, of so much

GRANTED, OK, UNKNOWN = "201", "200", "unknown"  # what was answered; a refusal is its slug
READ, MISSING = "read", "missing"  # a reservation read at the end: its answer is its state
NEVER = 1 << 60  # later than any time
# Refusals that say something of the reservation or of stock. The others (no key, no JSON, too
# many, overloaded) leave no effect and tell nothing.
TELLING = frozenset(
    {
        "insufficient-stock",
        "sku-suspended",
        "unknown-sku",
        "idempotency-key-reused",
        "reservation-not-found",
        "reservation-expired",
        "reservation-released",
        "reservation-fulfilled",
        "already-confirmed",
        "not-confirmed",
        "exceeds-reserved",
        "hold-limit-reached",
    }
)
_CONFIRM, _REINSTATE, _LATE = 1, 2, 4
_REPORT_EVERY = 8_192  # records between two looks at the progress bar


@dataclass(slots=True)
class Op:
    """A call that had or may have had an effect, a telling refusal, or a read at the end.

    The service decided between `start` and `latest`; the client knew at `end`.
    """

    row: int
    verb: str
    answer: str
    start: int
    end: int
    latest: int
    state: str  # in the answer, or empty
    expires: int | None  # in the answer
    ttl: int | None
    lines: Lines
    confirm: bool
    reinstate: bool
    part: str | None  # the fulfilment's id
    left: Lines  # of a read: what has left the warehouse

    @property
    def known(self) -> bool:
        """Say whether an answer was taken."""
        return self.answer != UNKNOWN

    @property
    def may_act(self) -> bool:
        """Say whether it did, or may have done, what it asked for."""
        return self.answer in _MAY_ACT


_MAY_ACT = frozenset({GRANTED, OK, UNKNOWN})


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


class Evidence:
    """All that the history says, by column; `ops` gathers what concerns one reservation."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.cut_off: list[str] = []  # the files that are
        self.counts: Counter[str] = Counter()
        self.ids: list[str] = []
        self.levels: list[tuple[str, str]] = []  # SKU, warehouse
        self.stock: dict[int, list[Seen]] = {}
        self.balances: dict[int, list[Seen]] = {}
        self.short: dict[int, tuple[tuple[str, str, int, int], ...]] = {}  # row -> as told
        self._files: list[str] = []
        self._id_numbers: dict[str, int] = {}
        self._level_numbers: dict[tuple[str, str], int] = {}
        self._lines = Numbering[Lines]()
        self._words = Numbering[str]()  # verbs, answers, states
        self._parts: dict[int, str] = {}
        self.clock_error = 0  # between two clients
        self._half_error = 0
        self._late = 0
        self._origin: int | None = None  # the first time: small numbers sort faster
        self._who, self._line, self._asked, self._left = (array("i") for _ in range(4))
        self._start, self._end, self._expires, self._ttl = (array("q") for _ in range(4))
        self._verb, self._answer, self._state, self._file = (array("h") for _ in range(4))
        self._flags = array("b")

    def read(self, paths: Sequence[Path], progress: Progress) -> None:
        """Take in all files of one run. Raises HistoryUnreadable."""
        files = [HistoryFile(path) for path in paths]
        if len({path.resolve() for path in paths}) < len(paths):
            raise HistoryUnreadable("a file is named twice")
        size, done = sum(file.size for file in files), 0
        for file in files:
            self._files.append(str(file.path))
            for number, record in file:
                self._take(number, record)
                if number % _REPORT_EVERY == 0:
                    progress("reading", done + file.position, size)
            done += file.size
            if not file.complete:
                self.cut_off.append(str(file.path))
        progress("reading", size, size)

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
        verb, answer = self._word(self._verb[row]), self._word(self._answer[row])
        start, end = self._start[row] + self._half_error, self._end[row] - self._half_error
        state = self._word(self._state[row])
        return (
            f"{self._files[self._file[row]]}:{self._line[row]} {verb} {self.ids[self._who[row]]}"
            f" -> {answer}{f' ({state})' if state and state != answer else ''}"
            f" [{self.at(start)}, {self.at(end)}]"
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
                yield before, sorted(gathered, key=_start)
                gathered = []
            before = who[row]
            gathered.append(self.op(row))
        if gathered:
            yield before, sorted(gathered, key=_start)

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
        flags, expires, ttl = self._flags[row], self._expires[row], self._ttl[row]
        lines, words = self._lines.values, self._words.values
        end = self._end[row]
        return Op(
            row,
            words[self._verb[row]],
            words[self._answer[row]],
            self._start[row],
            end,
            end + self._late if flags & _LATE else end,
            words[self._state[row]],
            expires if expires >= 0 else None,
            ttl if ttl >= 0 else None,
            lines[self._asked[row]],
            bool(flags & _CONFIRM),
            bool(flags & _REINSTATE),
            self._parts.get(row),
            lines[self._left[row]],
        )

    def _word(self, number: int) -> str:
        return self._words.values[number]

    def _take(self, number: int, record: Record) -> None:
        if type(record) is Call:
            self._take_call(number, record)
        elif type(record) is Reservation:
            self._take_read(number, record)
        elif type(record) is Run:
            self._take_run(record)
        elif isinstance(record, Stock | Balance):
            self._take_level(number, record)

    def _take_run(self, run: Run) -> None:
        first = self.runs[0] if self.runs else run
        if (run.scenario, run.started_at) != (first.scenario, first.started_at):
            raise HistoryUnreadable(f"{self._files[-1]} is of another run than {self._files[0]}")
        if (run.clock_error_us, run.late_us) != (first.clock_error_us, first.late_us):
            raise HistoryUnreadable(f"{self._files[-1]} has other clocks than {self._files[0]}")
        self.runs.append(run)
        self.clock_error = run.clock_error_us
        self._half_error = (run.clock_error_us + 1) // 2
        self._late = run.late_us

    def _take_level(self, number: int, record: Stock | Balance) -> None:
        self.counts["stock writes" if isinstance(record, Stock) else "balances read"] += 1
        kept = self.stock if isinstance(record, Stock) else self.balances
        start, end = self._interval(record.start, record.end)
        where = f"{self._files[-1]}:{number} {record}"
        level = self.level(record.sku, record.warehouse)
        kept.setdefault(level, []).append(Seen(where, record, start, end))

    def _take_call(self, number: int, call: Call) -> None:
        self.counts["calls"] += 1
        answer = _answer(call)
        if answer is None:
            self.counts["calls without effect"] += 1
            return
        if answer == UNKNOWN:
            self.counts["calls of unknown outcome"] += 1
        row = len(self._who)
        if call.short:
            self.short[row] = call.short
        if call.fulfilment_id is not None:
            self._parts[row] = call.fulfilment_id
        flags = _CONFIRM * call.confirm | _REINSTATE * call.reinstate
        if answer == UNKNOWN and call.lost != "thrown_away":
            flags |= _LATE
        self._append(number, call.id, call.op, answer)
        self._when(call.start, call.end)
        self._rest(call.state or "", call.expires_at_us, call.ttl_ms, flags)
        self._asked.append(self._lines.of(self._summed(call.lines)))
        self._left.append(self._lines.of(()))

    def _take_read(self, number: int, read: Reservation) -> None:
        self.counts["reservations read"] += 1
        self._append(number, read.id, READ, read.state)
        self._when(read.start, read.end)
        self._rest(read.state, read.expires_at_us, None, 0)
        lines, left = (
            self._summed((sku, warehouse, units[of]) for sku, warehouse, *units in read.lines)
            for of in (0, 1)
        )
        self._asked.append(self._lines.of(lines))
        self._left.append(self._lines.of(tuple(line for line in left if line[1])))

    def _append(self, number: int, name: str, verb: str, answer: str) -> None:
        who = self._id_numbers.get(name)
        if who is None:
            who = self._id_numbers[name] = len(self.ids)
            self.ids.append(name)
        self._who.append(who)
        self._file.append(len(self._files) - 1)
        self._line.append(number)
        self._verb.append(self._words.of(verb))
        self._answer.append(self._words.of(answer))

    def _when(self, start: int, end: int) -> None:
        start, end = self._interval(start, end)
        self._start.append(start)
        self._end.append(end)

    def _rest(self, state: str, expires: int | None, ttl: int | None, flags: int) -> None:
        self._state.append(self._words.of(state))
        self._expires.append(-1 if expires is None else max(0, expires - (self._origin or 0)))
        self._ttl.append(-1 if ttl is None else ttl * 1000)
        self._flags.append(flags)

    def _interval(self, start: int, end: int) -> tuple[int, int]:
        if self._origin is None:
            self._origin = start
        return start - self._origin - self._half_error, end - self._origin + self._half_error

    def _summed(self, lines: Iterable[tuple[str, str, int]]) -> Lines:
        summed: dict[int, int] = {}
        for sku, warehouse, units in lines:
            level = self.level(sku, warehouse)
            summed[level] = summed.get(level, 0) + units
        return tuple(sorted(summed.items()))


def _start(op: Op) -> int:
    return op.start


def _answer(call: Call) -> str | None:
    """Say what a call was told in a word; None where it tells nothing and had no effect."""
    status = call.status
    if status == 201:
        return GRANTED
    if status == 200:
        return OK
    if status is None or (status >= 500 and call.outcome != "not_applied"):
        return UNKNOWN
    return call.slug if call.slug in TELLING else None
