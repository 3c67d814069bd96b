"""What is said of a day of which something is missing."""

from __future__ import annotations

from dataclasses import replace

from loadtest.slo import Verdict
from ops.day.books import Books, Row
from ops.day.buyers import Bought
from ops.day.course import course_of
from ops.day.foresight import Estimate, Foresights, Look
from ops.day.verdicts import Day, verdicts_of
from reservation.model import State
from wms_sync.rules.capacity import HOUR_MS

BEGINS_MS = 1_801_929_600_000
ENDS_MS = BEGINS_MS + 24 * HOUR_MS


def day_of(orders: int = 200, *, entered: int | None = None) -> Day:
    """Make a day whose orders each waited for two hours, and were foreseen to."""
    names = [f"tmall:{number}" for number in range(orders)]
    rows = {
        name: Row(
            f"{name}@main",
            name,
            "normal",
            "accepted",
            BEGINS_MS,
            BEGINS_MS + 2 * HOUR_MS,
            BEGINS_MS + 2 * HOUR_MS,
            "",
            "",
            "",
        )
        for name in names[:entered]
    }
    books = Books(
        platforms={name: {} for name in names},
        reservations=dict.fromkeys(names, State.CONFIRMED),
        rows=rows,
        house={"intake": {"most_taken_in_an_hour": 0}},
    )
    said = [Estimate(row.code, BEGINS_MS, BEGINS_MS + 2 * HOUR_MS) for row in rows.values()]
    look = Look(ENDS_MS, 0, 0, 0, 0, None, 0, None, 0)
    course = course_of(rows.values(), BEGINS_MS, ENDS_MS)
    return Day(
        BEGINS_MS,
        ENDS_MS,
        300.0,
        18_000,
        orders,
        1,
        60.0,
        Bought(),
        Foresights([look], said),
        books,
        course,
        [60_000] * len(rows),
        settled=True,
        still_came=False,
    )


def verdict(day: Day, rule: str) -> Verdict:
    """Find one."""
    return next(one for one in verdicts_of(day) if one.rule == rule)


def test_estimates_of_which_none_was_kept_are_not_kept() -> None:
    """Where many waited for long; of a day on which few did there is nothing to say."""
    rule = "estimates off by, median"
    assert verdict(day_of(), rule).kept
    blind = verdict(replace(day_of(), foresights=Foresights(day_of().foresights.looks)), rule)
    assert (blind.measured, blind.kept) == ("none to judge of 200 that waited", False)
    few = day_of(99)
    assert verdict(replace(few, foresights=Foresights(few.foresights.looks)), rule).kept


def test_a_speed_at_which_no_order_came_was_not_carried() -> None:
    rule = "paid to queued, p99"
    assert verdict(day_of(), rule).kept
    none = verdict(replace(day_of(), late_ms=[]), rule)
    assert (none.measured, none.kept) == ("no order to judge", False)


def test_what_is_not_in_the_outbox_is_said_to_be_late_or_gone() -> None:
    """Neither is kept: which of the two it is, is in the words."""
    rule = "orders lost"
    assert verdict(day_of(), rule).measured == "0"
    gone = verdict(day_of(3, entered=1), rule)
    assert not gone.kept
    assert gone.measured == "2; 2 not in the outbox, and none came for 60 s: tmall:1, tmall:2"
    late = verdict(replace(day_of(3, entered=2), still_came=True), rule)
    assert not late.kept
    assert late.measured == (
        "1; 1 not in the outbox after 30 more minutes, and some still came: tmall:2"
    )
    strange = day_of(1)
    strange.books.platforms.clear()
    assert verdict(strange, rule).measured == "1; 1 that no platform has: tmall:0"
