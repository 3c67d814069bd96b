"""What follows from the rows of a day, by hand."""

from __future__ import annotations

from ops.day.books import Row
from ops.day.course import STEP_MS, course_of, errors_of, most_within, rush_waits
from ops.day.foresight import Estimate
from wms_sync.rules.capacity import HOUR_MS

BEGINS_MS = 1_801_929_600_000
ENDS_MS = BEGINS_MS + 24 * HOUR_MS


def row(code: str, entered_hour: float, sent_hour: float | None, lane: str = "normal") -> Row:
    """Make a delivery by the hours of the day."""
    sent_ms = None if sent_hour is None else BEGINS_MS + round(sent_hour * HOUR_MS)
    entered_ms = BEGINS_MS + round(entered_hour * HOUR_MS)
    return Row(code, code, lane, "accepted", entered_ms, sent_ms, sent_ms, "", "", "")


def test_what_waits_is_what_entered_and_has_not_left() -> None:
    """Depth, age, arrivals and hand-overs of a day of three orders."""
    rows = [row("a", 1, 3), row("b", 2, None), row("c", 2, 2.5, "rush")]
    course = course_of(rows, BEGINS_MS, ENDS_MS)
    at = {hour: round(hour * HOUR_MS / STEP_MS) for hour in (0, 1, 2, 2.5, 3, 24)}
    assert [course.waiting["normal"][step] for step in at.values()] == [0, 1, 2, 2, 1, 1]
    assert [course.waiting["rush"][step] for step in at.values()] == [0, 0, 1, 0, 0, 0]
    ages = [course.oldest_ms[step] / HOUR_MS for step in at.values()]
    assert ages == [0, 0, 1, 1.5, 1, 22]
    assert sum(course.handed) * STEP_MS == 2 * HOUR_MS
    assert sum(course.came) * STEP_MS == 3 * HOUR_MS


def test_the_first_breach_is_of_whoever_waited_for_eight_hours_first() -> None:
    """One that left in time is none, one that left after that is, and so is one that waits."""
    rows = [row("a", 1, 8.9), row("b", 2, 10.5), row("c", 1.5, None)]
    assert course_of(rows, BEGINS_MS, ENDS_MS).first_breach_ms == BEGINS_MS + 9.5 * HOUR_MS
    assert course_of(rows[:1], BEGINS_MS, ENDS_MS).first_breach_ms is None


def test_an_hour_may_be_laid_anywhere() -> None:
    """Not only hours of the clock count: two halves of different hours make one."""
    minutes = [50, 55, 59, 60, 65, 109, 110]
    times = [BEGINS_MS + minute * 60_000 for minute in minutes]
    assert most_within(times, HOUR_MS) == 6  # (49, 109], while (50, 110] lacks the first
    assert most_within([], HOUR_MS) == 0


def test_a_rush_order_that_still_waits_has_waited_until_now() -> None:
    """Whoever never leaves does not make the figures better."""
    rows = [row("a", 1, 1.5, "rush"), row("b", 20, None, "rush"), row("c", 1, 9)]
    assert rush_waits(rows, ENDS_MS) == [HOUR_MS // 2, 4 * HOUR_MS]


def test_an_estimate_is_judged_by_its_wait() -> None:
    """Off by an hour of four is a quarter; what left at once or later is not judged."""
    rows = [row("a", 0, 5), row("b", 0, 1.1), row("c", 0, None)]
    said = BEGINS_MS + HOUR_MS
    estimates = [Estimate(code, said, BEGINS_MS + 6 * HOUR_MS) for code in "abc"]
    assert errors_of(estimates, rows, ENDS_MS) == [0.25]
