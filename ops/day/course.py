"""The course of the day, from what the outbox noted: what came, waited and left. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.outlook import STUCK_MS
from wms_sync.rules.priority import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops.day.books import Row
    from ops.day.foresight import Estimate, Look

STEP_MS: Final = HOUR_MS // 12  # of the pictures
LEAST_WAIT_MS: Final = HOUR_MS // 2  # of an estimate that is judged: less is told in minutes


@dataclass(frozen=True, slots=True)
class Course:
    """The day, every `STEP_MS` from its beginning."""

    times: Sequence[int]
    waiting: dict[str, list[int]]  # by lane
    oldest_ms: list[int]  # of what waits
    came: list[int]  # orders an hour
    handed: list[int]  # orders an hour
    most_in_an_hour: int  # that left within any hour, however it is laid
    first_breach_ms: int | None  # when an order had waited for eight hours


def course_of(rows: Iterable[Row], begins_ms: int, ends_ms: int) -> Course:
    """Follow the day. Cost: O(rows + steps)."""
    rows = sorted(rows, key=lambda row: row.entered_ms)
    times = list(range(begins_ms, ends_ms + 1, STEP_MS))
    waiting = {
        lane.value: _depth([row for row in rows if row.lane == lane], times) for lane in Lane
    }
    sent = sorted(row.sent_ms for row in rows if row.sent_ms is not None and row.sent_ms < ends_ms)
    breaches = [
        row.entered_ms + STUCK_MS
        for row in rows
        if (ends_ms if row.gone_ms is None else min(row.gone_ms, ends_ms))
        > row.entered_ms + STUCK_MS
    ]
    return Course(
        times,
        waiting,
        _oldest(rows, times),
        _per_hour([row.entered_ms for row in rows], times),
        _per_hour(sent, times),
        most_within(sent, HOUR_MS),
        min(breaches, default=None),
    )


def most_within(times: Sequence[int], span_ms: int) -> int:
    """Count the most of ascending times within any (t - span, t]."""
    most = first = 0
    for last, at_ms in enumerate(times):
        while times[first] <= at_ms - span_ms:  # ends: `at_ms` itself is above
            first += 1
        most = max(most, last - first + 1)
    return most


def _depth(rows: Sequence[Row], times: Sequence[int]) -> list[int]:
    moves: Counter[int] = Counter()
    for row in rows:
        moves[row.entered_ms] += 1
        if row.gone_ms is not None:
            moves[row.gone_ms] -= 1
    depths, waits = list[int](), 0
    pending = sorted(moves.items(), reverse=True)
    for at_ms in times:
        while pending and pending[-1][0] <= at_ms:
            waits += pending.pop()[1]
        depths.append(waits)
    return depths


def _oldest(rows: Sequence[Row], times: Sequence[int]) -> list[int]:
    """Say how old the oldest that waits is; `rows` by when they entered."""
    oldest, first = list[int](), 0
    gone = [row.gone_ms for row in rows]
    for at_ms in times:
        # Who has left stays so: what is passed over is never looked at again.
        while first < len(rows) and gone[first] is not None and (gone[first] or 0) <= at_ms:
            first += 1
        waits = first < len(rows) and rows[first].entered_ms <= at_ms
        oldest.append(at_ms - rows[first].entered_ms if waits else 0)
    return oldest


def _per_hour(moments: Iterable[int], times: Sequence[int]) -> list[int]:
    counts = Counter((at_ms - times[0]) // STEP_MS for at_ms in moments)
    return [counts[step] * HOUR_MS // STEP_MS for step in range(len(times))]


def rush_waits(rows: Iterable[Row], ends_ms: int) -> list[int]:
    """Say how long rush orders waited for their hand-over, ascending; one that waits, till now."""
    return sorted(
        (ends_ms if row.gone_ms is None else row.gone_ms) - row.entered_ms
        for row in rows
        if row.lane == Lane.RUSH
    )


def errors_of(estimates: Iterable[Estimate], rows: Iterable[Row], ends_ms: int) -> list[float]:
    """Say by what part of the wait estimates were wrong, of orders that left within the day."""
    sent = {row.code: row.sent_ms for row in rows}
    errors = []
    for one in estimates:
        handed_ms = sent.get(one.code)
        if handed_ms is None or handed_ms > ends_ms or handed_ms - one.said_ms < LEAST_WAIT_MS:
            continue
        errors.append(abs(one.handed_ms - handed_ms) / (handed_ms - one.said_ms))
    return errors


def median_of(values: Sequence[float]) -> float | None:
    """Return the median, None of none."""
    return median(values) if values else None


def first_warning(looks: Iterable[Look]) -> Look | None:
    """Return the first look that foresaw an order waiting for too long."""
    return next((look for look in looks if look.first_breach_ms is not None), None)
