"""A measurement of two sides in turn: medians, spreads, the interval, and the bar it is held to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from loadtest.bench.bars import BARS, Bar

# Student's t, two-sided 95 %, by degrees of freedom from 1; beyond the last one it hardly falls.
T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)

Interval = tuple[float, float]
A = TypeVar("A")
B = TypeVar("B")


class Kind(StrEnum):
    """What is made of a repetition's two sides."""

    RATIO = "a / b"
    DIFFERENCE = "a - b"
    VALUE = "a"


class Verdict(StrEnum):
    """What the interval says of a bar."""

    MET = "met"
    NOT_MET = "not met"
    NOT_PROVEN = "not proven"  # the interval straddles the bar, or a condition was not kept


@dataclass(slots=True)
class Measure:
    """Both sides of one row, a value a repetition each; `a[i]` and `b[i]` were taken in turn.

    `key` names the row for good: in `bars.py`, in docs/benchmarks.md and among the accepted
    figures. `broken` lists the conditions that were not kept: the bar is then not proven.
    """

    key: str
    name: str
    unit: str
    a_name: str
    b_name: str = ""
    kind: Kind = Kind.RATIO
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def results(self) -> list[float]:
        """Give each repetition's ratio, difference or value."""
        if self.kind is Kind.VALUE:
            return list(self.a)
        pairs = zip(self.a, self.b, strict=True)
        if self.kind is Kind.RATIO:
            return [a / b for a, b in pairs]
        return [a - b for a, b in pairs]

    def interval(self) -> Interval | None:
        """Give the 95 % interval of the result; None of a single repetition."""
        return interval_95(self.results(), logarithmic=self.kind is not Kind.DIFFERENCE)

    def note_most(self, name: str, value: float) -> None:
        """Note the largest of the values seen under a name."""
        self.notes[name] = round(max(value, self.notes.get(name, 0.0)), 3)

    def summary(self) -> dict[str, Any]:
        """Tell the row as `holdfast bench --json` does."""
        interval, bar = self.interval(), BARS.get(self.key)
        told: dict[str, Any] = {
            "key": self.key,
            "name": self.name,
            "unit": self.unit,
            "a": _side(self.a_name, self.a),
            "b": _side(self.b_name, self.b) if self.b else None,
            "kind": self.kind.value,
            "result": statistics.median(self.results()),
            "interval_95": interval,
            "bar": None,
            "verdict": None,
            "conditions_not_kept": list(dict.fromkeys(self.broken)),
            "notes": self.notes,
        }
        if bar is not None:
            told["bar"] = {"requirement": bar.requirement, "limit": bar.text()}
            told["verdict"] = judge(bar, interval, broken=bool(self.broken)).value
        return told


def interval_95(values: Sequence[float], *, logarithmic: bool) -> Interval | None:
    """Give Student's 95 % interval; of ratios and sizes it is that of their logarithms."""
    if len(values) < 2:
        return None
    if logarithmic:
        low, high = _student([math.log(value) for value in values])
        return math.exp(low), math.exp(high)
    return _student(values)


def _student(values: Sequence[float]) -> Interval:
    middle = statistics.fmean(values)
    t = T_95[min(len(values) - 1, len(T_95)) - 1]
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return middle - half, middle + half


def judge(bar: Bar, interval: Interval | None, *, broken: bool = False) -> Verdict:
    """Say whether a bar is met: only where the whole interval is on one side of it."""
    if interval is None or broken:
        return Verdict.NOT_PROVEN
    low, high = interval
    if bar.at_least is not None:
        low_is_good, high_is_good = low >= bar.at_least, high >= bar.at_least
    else:
        assert bar.at_most is not None
        low_is_good, high_is_good = low <= bar.at_most, high <= bar.at_most
    if low_is_good and high_is_good:
        return Verdict.MET
    return Verdict.NOT_PROVEN if low_is_good or high_is_good else Verdict.NOT_MET


def in_turn(
    run_a: Callable[[], A],
    run_b: Callable[[], B],
    *,
    repetitions: int,
    progress: Callable[[], None],
) -> tuple[list[A], list[B]]:
    """Run both sides in the order A B B A, so that a drift of the machine hits both alike."""
    of_a: list[A] = []
    of_b: list[B] = []
    for repetition in range(repetitions):
        a_first = repetition % 2 == 0
        for is_a in (a_first, not a_first):
            if is_a:
                of_a.append(run_a())
            else:
                of_b.append(run_b())
            progress()
    return of_a, of_b


def in_slices(
    sides: Sequence[Callable[[Sequence[str]], float]], orders: Sequence[str], size: int
) -> list[float]:
    """Let each side take the same orders slice by slice, A B B A; return each side's mean.

    A shared machine changes its pace within a second: what is compared is to be close in time.
    """
    sums = [0.0] * len(sides)
    turn = list(enumerate(sides))
    for first in range(0, len(orders), size):
        part = orders[first : first + size]
        for number, side in turn:
            sums[number] += side(part) * len(part)
        turn.reverse()
    return [total / len(orders) for total in sums]


def _side(name: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        "name": name,
        "median": statistics.median(values),
        "spread": [min(values), max(values)],
        "values": list(values),
    }
