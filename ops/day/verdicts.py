"""What the day must show, beside what it showed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.slo import Verdict
from ops.day.arrival import LONGEST_SECONDS, QUIET_SECONDS
from ops.day.course import (
    LEAST_WAIT_MS,
    Course,
    errors_of,
    first_warning,
    median_of,
    rush_waits,
)
from ops.day.partners import BENCH, BURST, CHECK, TRANSIT
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.outlook import STUCK_MS
from wms_sync.rules.priority import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.day.books import Books
    from ops.day.buyers import Bought
    from ops.day.foresight import Foresights

MINUTE_MS: Final = 60_000
RUSH_MS: Final = 4 * HOUR_MS  # p99 of a rush order's hand-over
ESTIMATE: Final = 0.15  # of the wait, median
# From payment to the outbox: real seconds that the speed makes long. Above it the speed was too
# high for the machine, and what is measured is the machine.
LATE_MS: Final = HOUR_MS
NAMED: Final = 3  # orders of a finding
# So many waited long enough within the day that some of their estimates must have been kept: of one
# order in eight some are.
MANY: Final = 100
LONG_MS: Final = 2 * LEAST_WAIT_MS

KNOWN: Final = frozenset(DeliveryState)


@dataclass(frozen=True, slots=True)
class Day:
    """All that a day has left behind. Times in ms of the warehouse's clock."""

    begins_ms: int
    ends_ms: int
    speed: float
    capacity: int  # orders a day
    orders: int  # that were planned
    seed: int
    took_seconds: float
    bought: Bought
    foresights: Foresights
    books: Books
    course: Course
    late_ms: Sequence[int]  # from payment to the outbox, ascending
    settled: bool  # nothing was on its way any more when stock was compared
    still_came: bool  # orders still entered the outbox when that was waited for long enough

    def hour(self, at_ms: int) -> str:
        """Write a time of the day."""
        minutes = (at_ms - self.begins_ms) // MINUTE_MS
        days, minutes = divmod(minutes, 1_440)
        return f"{'+' * bool(days)}{minutes // 60:02}:{minutes % 60:02}"


def quantile(ascending: Sequence[int], share: float) -> int:
    """Return a quantile of some, 0 of none."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))] if ascending else 0


def verdicts_of(day: Day) -> list[Verdict]:
    """Judge the day."""
    return [
        _all_placed(day),
        _none_lost(day),
        _all_known(day),
        _none_refused(day),
        _none_oversold(day),
        _stock_equal(day),
        _audit(day),
        _pace(day),
        _warehouse_pace(day),
        _warned(day),
        _rush(day),
        _samples(day),
        _estimates(day),
        _in_time(day),
    ]


def _all_placed(day: Day) -> Verdict:
    placed = len(day.bought.placed)
    return Verdict("orders placed", f"{day.orders:,}", f"{placed:,}", placed == day.orders)


def _none_lost(day: Day) -> Verdict:
    """Each order that a platform has is here, and none is here that no platform has.

    What is not here may be late only: the words say whether more were still coming.
    """
    books = day.books
    lost = [name for name in books.platforms if name not in books.rows]
    lost += [name for name in day.bought.placed if name not in books.platforms]
    strange = [name for name in books.rows if name not in books.platforms]
    parts = [f"{len(lost) + len(strange):,}"]
    if lost and day.still_came:
        late = f"{len(lost):,} not in the outbox after {LONGEST_SECONDS / 60:.0f} more minutes"
        parts.append(f"{late}, and some still came")
    elif lost:
        parts.append(f"{len(lost):,} not in the outbox, and none came for {QUIET_SECONDS:.0f} s")
    if strange:
        parts.append(f"{len(strange):,} that no platform has")
    named = ", ".join([*lost, *strange][:NAMED])
    measured = "; ".join(parts) + (f": {named}" if named else "")
    return Verdict("orders lost", "0", measured, not lost and not strange)


def _all_known(day: Day) -> Verdict:
    """Each order is in a state, and what waits has an estimate."""
    last = day.foresights.looks[-1] if day.foresights.looks else None
    unknown = sum(row.state not in KNOWN for row in day.books.rows.values())
    undetailed = sum(row.state == DeliveryState.UNDETAILED for row in day.books.rows.values())
    without = unknown + undetailed + (last.without_estimate if last else 1)
    return Verdict("queued without an estimate", "0", f"{without:,}", without == 0)


def _none_refused(day: Day) -> Verdict:
    """Judge whether the warehouse takes all of them: nothing of this day is wrong with any."""
    left = [row for row in day.books.rows.values() if row.anomaly]
    told = ", ".join(f"{row.code} {row.anomaly}" for row in left[:NAMED])
    measured = f"{len(left):,}{f': {told}' if told else ''}"
    return Verdict("left to people", "0", measured, not left)


def _none_oversold(day: Day) -> Verdict:
    short = {
        sku: held + committed - on_hand
        for sku, (on_hand, held, committed) in day.books.levels.items()
        if held + committed > on_hand
    }
    return Verdict("units oversold", "0", f"{sum(short.values()):,}", not short)


def _stock_equal(day: Day) -> Verdict:
    books = day.books
    wrong = [sku for sku, level in books.levels.items() if books.there[sku][0] != level[0]]
    wrong += books.wrong_there
    measured = "equal" if not wrong else f"{len(wrong)} differ: {', '.join(wrong[:NAMED])}"
    if not day.settled:
        measured += "; reports were still on their way"
    return Verdict("stock on both sides", "equal", measured, not wrong)


def _audit(day: Day) -> Verdict:
    findings = day.books.findings
    measured = findings[0] if findings else "every invariant holds"
    return Verdict("audit of the store", "every invariant holds", measured, not findings)


def _pace(day: Day) -> Verdict:
    """Judge what left, by what the outbox noted before each call."""
    most, bound = day.course.most_in_an_hour, day.capacity // 24 + BURST
    return Verdict("left within any hour", f"at most {bound:,}", f"{most:,}", most <= bound)


def _warehouse_pace(day: Day) -> Verdict:
    """Judge what came there; our machine's delays are part of it."""
    intake = day.books.house["intake"]
    most, bound = intake["most_taken_in_an_hour"], day.capacity // 24 + BURST + TRANSIT
    return Verdict("taken within any hour", f"at most {bound:,}", f"{most:,}", most <= bound)


def _warned(day: Day) -> Verdict:
    warning, breach = first_warning(day.foresights.looks), day.course.first_breach_ms
    wanted = "before the first order has waited 8 h"
    if breach is None:
        text = "no order waited for 8 h"
        text += "; no warning" if warning is None else f"; warned at {day.hour(warning.at_ms)}"
        return Verdict("warning", wanted, text, kept=True)
    if warning is None:
        return Verdict("warning", wanted, f"none; breach at {day.hour(breach)}", kept=False)
    ahead = (breach - warning.at_ms) / HOUR_MS
    text = f"at {day.hour(warning.at_ms)}, {ahead:.1f} h before it ({day.hour(breach)})"
    return Verdict("warning", wanted, text, warning.at_ms < breach)


def _rush(day: Day) -> Verdict:
    waits = rush_waits(day.books.rows.values(), day.ends_ms)
    p99 = quantile(waits, 0.99)
    text = f"{p99 / HOUR_MS:.2f} h of {len(waits):,}"
    return Verdict("rush hand-over, p99", f"under {RUSH_MS // HOUR_MS} h", text, p99 < RUSH_MS)


def _samples(day: Day) -> Verdict:
    """Judge whether samples carry bench and inspection, and nothing else does."""
    placed, wrong = day.bought.placed, 0
    for name, row in day.books.rows.items():
        order = placed.get(name)
        if order is None or row.state == DeliveryState.UNDETAILED:
            continue
        sample = order.lane is Lane.SAMPLE
        wanted = (BENCH, CHECK) if sample else ("", "")
        wrong += row.lane != order.lane or (row.bench, row.quality_check) != wanted
    return Verdict("wrong lane, bench or inspection", "0", f"{wrong:,}", wrong == 0)


def _estimates(day: Day) -> Verdict:
    errors = errors_of(day.foresights.estimates, day.books.rows.values(), day.ends_ms)
    middle = median_of(errors)
    waited = sum(
        row.sent_ms is not None
        and row.sent_ms <= day.ends_ms
        and row.sent_ms - row.entered_ms >= LONG_MS
        for row in day.books.rows.values()
    )
    text = f"none to judge of {waited:,} that waited"
    if middle is not None:
        text = f"{middle:.1%} of {len(errors):,}"
    kept = waited < MANY if middle is None else middle < ESTIMATE
    return Verdict("estimates off by, median", f"under {ESTIMATE:.0%} of the wait", text, kept)


def _in_time(day: Day) -> Verdict:
    """Whether the machine carried this speed."""
    wanted = f"within {LATE_MS // MINUTE_MS} min"
    if not day.late_ms:
        return Verdict("paid to queued, p99", wanted, "no order to judge", kept=False)
    p99 = quantile(day.late_ms, 0.99)
    real = p99 / 1000 / day.speed
    text = f"{p99 / MINUTE_MS:.0f} min ({real:.1f} s of real time)"
    return Verdict("paid to queued, p99", wanted, text, p99 <= LATE_MS)


def stuck(day: Day) -> int:
    """Count what had waited too long at the end of the day."""
    return sum(
        row.gone_ms is None and day.ends_ms - row.entered_ms > STUCK_MS
        for row in day.books.rows.values()
    )
