"""What a run counts, second by second: answers, latencies, lateness. Those of generators add up.

Latency runs from the time when the plan wanted a call sent, so that what a slow service holds up
is counted as slow and not left out. Lateness is the part of it that passed before the call was
sent. Neither knows the warm-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log
from pathlib import Path

import msgspec
from msgspec import Struct, field

from loadtest.workload.plan import SECOND_US
from loadtest.workload.scenarios import Sizes

# Latencies are kept in buckets whose bounds grow by 2 %: a percentile is off by 1 % at most.
GROWTH = 1.02
_PER_E_FOLD = 1 / log(GROWTH)

Buckets = dict[int, int]  # bucket -> how many


class Cell(Struct):
    """One verb in one second, by the second in which its calls were due."""

    second: int
    verb: str
    outcomes: dict[str, int] = field(default_factory=dict)
    latency: Buckets = field(default_factory=dict)


class Moment(Struct):
    """How a generator was in one second."""

    second: int
    lateness: Buckets = field(default_factory=dict)
    cpu: float = 0.0  # of one core
    starved: float = 0.0  # of the second: it could have run, but no core was free
    free_users: int = 0  # at the second's end
    queued: int = 0  # acts that came due while no user was free


class ServiceSample(Struct):
    """How the service was in one second, as it says itself."""

    second: int
    store_bytes: float | None = None
    event_log_bytes: float | None = None
    in_flight: float | None = None
    feed_lag_seconds: float | None = None


class Figures(Struct):
    """All of it, for one generator or for several."""

    cells: list[Cell] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    service: list[ServiceSample] = field(default_factory=list)
    given_up: int = 0  # requests that found no usable answer, however often they were sent
    generators: int = 1
    users: int = 0
    orders: int = 0  # those that were sent, without the warm-up's
    # Into the counted part, below 0 in the warm-up: where the run was ended before its plan was.
    cut_off_seconds: float | None = None
    unsent: int = 0  # calls that were due by then, and had not been sent
    zero_us: int = 0  # when the counted part began
    seconds: float = 0.0  # from there to the last answer
    sizes: Sizes | None = None  # what was played; the leader knows
    started_at: str = ""
    cores: int = 0  # of the leader's machine
    host: str = ""


class Counting:
    """Counts while a generator runs."""

    def __init__(self, zero_us: int) -> None:
        self._zero_us = zero_us
        self._cells: dict[tuple[int, str], Cell] = {}
        self._moments: dict[int, Moment] = {}
        self.last_us = zero_us

    def count(self, verb: str, outcome: str, due_us: int, start_us: int, end_us: int) -> None:
        """Count one call; one that was due in the warm-up does not count."""
        if due_us < self._zero_us:
            return
        second = (due_us - self._zero_us) // SECOND_US
        cell = self._cells.get((second, verb))
        if cell is None:
            cell = self._cells[second, verb] = Cell(second, verb)
        cell.outcomes[outcome] = cell.outcomes.get(outcome, 0) + 1
        where = bucket(end_us - due_us)
        cell.latency[where] = cell.latency.get(where, 0) + 1
        late = self.moment(second).lateness
        where = bucket(start_us - due_us)
        late[where] = late.get(where, 0) + 1
        self.last_us = max(self.last_us, end_us)

    def moment(self, second: int) -> Moment:
        """Return the second's record of the generator."""
        found = self._moments.get(second)
        if found is None:
            found = self._moments[second] = Moment(second)
        return found

    def figures(self) -> Figures:
        """Give what was counted."""
        return Figures(
            cells=sorted(self._cells.values(), key=lambda cell: (cell.second, cell.verb)),
            moments=sorted(self._moments.values(), key=lambda moment: moment.second),
            zero_us=self._zero_us,
            seconds=(self.last_us - self._zero_us) / SECOND_US,
        )


def bucket(microseconds: int) -> int:
    """Say into which bucket a time falls."""
    return int(log(microseconds) * _PER_E_FOLD) if microseconds > 1 else 0


def milliseconds(number: int) -> float:
    """Give the middle of a bucket."""
    return float(GROWTH ** (number + 0.5)) / 1000


def percentile(buckets: Buckets, share: float) -> float | None:
    """Give the time in milliseconds that this share of the calls did not exceed."""
    total = sum(buckets.values())
    if not total:
        return None
    rank, seen = share * total, 0
    for number in sorted(buckets):
        seen += buckets[number]
        if seen >= rank:
            return milliseconds(number)
    return milliseconds(max(buckets))


def summed(buckets: Iterable[Buckets]) -> Buckets:
    """Add buckets up."""
    total: Counter[int] = Counter()
    for some in buckets:
        total.update(some)
    return dict(total)


def merge(parts: Iterable[Figures]) -> Figures:
    """Add the figures of several generators up; what each did on its own core stays apart."""
    parts = list(parts)
    whole = Figures(generators=len(parts))
    cells: dict[tuple[int, str], Cell] = {}
    for part in parts:
        for cell in part.cells:
            into = cells.setdefault((cell.second, cell.verb), Cell(cell.second, cell.verb))
            into.outcomes = dict(Counter(into.outcomes) + Counter(cell.outcomes))
            into.latency = summed((into.latency, cell.latency))
        whole.moments += part.moments
        whole.service += part.service
        whole.given_up += part.given_up
        whole.users += part.users
        whole.orders += part.orders
        whole.unsent += part.unsent
        whole.zero_us = part.zero_us
        whole.seconds = max(whole.seconds, part.seconds)
    cut_off = [part.cut_off_seconds for part in parts if part.cut_off_seconds is not None]
    whole.cut_off_seconds = max(cut_off, default=None)
    whole.cells = [cells[key] for key in sorted(cells)]
    whole.moments.sort(key=lambda moment: moment.second)
    return whole


def write(path: Path, figures: Figures) -> None:
    """Keep the figures beside the history."""
    path.write_bytes(msgspec.json.encode(figures))


def read(path: Path) -> Figures:
    """Read kept figures. Raises OSError and msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Figures)
