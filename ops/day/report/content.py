"""What the report shows, computed from the day. Pure."""

from __future__ import annotations

import os
import platform
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ops.day.course import STEP_MS
from ops.day.plan import CHANNELS
from ops.day.verdicts import quantile, stuck
from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.outlook import STUCK_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.day.verdicts import Day

MOST_LOOKS: Final = 24  # rows of what was foreseen


def charts(day: Day) -> dict[str, Any]:
    """Gather the points of the pictures; their x is the real second, which the script dates."""
    course = day.course
    steps = range(len(course.times))
    looks = {round((look.at_ms - day.begins_ms) / STEP_MS): look for look in day.foresights.looks}
    breaches = [
        None
        if (look := looks.get(step)) is None or look.first_breach_ms is None
        else (look.first_breach_ms - day.begins_ms) / HOUR_MS
        for step in steps
    ]
    hours = [age_ms / HOUR_MS for age_ms in course.oldest_ms]
    return {
        "speed": day.speed,
        "seconds": [step * STEP_MS / 1000 / day.speed for step in steps],
        "kinds": {"queue": {"stacked": True}, "foreseen": {"gaps": True}},
        "queue": course.waiting,
        "oldest": {
            "oldest that waits, hours": hours,
            "8 h": [STUCK_MS / HOUR_MS for _ in steps],
        },
        "rate": {
            "handed over": course.handed,
            "capacity": [day.capacity // 24 for _ in steps],
            "came": course.came,
        },
        "foreseen": {"first breach, hour of the day": breaches},
    }


def tiles(day: Day) -> list[tuple[str, str, str]]:
    """Name the figures that stand first."""
    books, fates = day.books, day.books.fates
    handed = sum(
        row.sent_ms is not None and row.sent_ms < day.ends_ms for row in books.rows.values()
    )
    return [
        ("orders", f"{len(books.platforms):,}", f"at {len(CHANNELS)} platforms"),
        ("handed over", f"{handed:,}", f"of {day.capacity:,} that the warehouse takes"),
        ("still waiting", f"{fates['pending']:,}", f"{stuck(day):,} for more than 8 h"),
        ("oldest", f"{max(day.course.oldest_ms) / HOUR_MS:.1f} h", "that waited within the day"),
        ("paid to queued", f"{quantile(day.late_ms, 0.5) / day.speed:.0f} ms", "real time, p50"),
        ("speed", f"{day.speed:g}×", f"{day.took_seconds:.0f} s in all"),
    ]


def fates(day: Day) -> list[Sequence[str]]:
    """Count the orders of each platform by state."""
    by_channel = {channel: Counter[str]() for channel in CHANNELS}
    for name in day.books.platforms:
        by_channel[name.partition(":")[0]][day.books.fate(name)] += 1
    return [
        (fate, *(f"{by_channel[channel][fate]:,}" for channel in CHANNELS), f"{count:,}")
        for fate, count in day.books.fates.most_common()
    ]


def lanes(day: Day) -> list[Sequence[str]]:
    """Tell how long orders of each lane waited that were handed over within the day."""
    rows: list[Sequence[str]] = []
    for lane in day.course.waiting:
        of_lane = [row for row in day.books.rows.values() if row.lane == lane]
        waits = sorted(
            row.sent_ms - row.entered_ms
            for row in of_lane
            if row.sent_ms is not None and row.sent_ms < day.ends_ms
        )
        times = [f"{quantile(waits, share) / HOUR_MS:.2f} h" for share in (0.5, 0.9, 0.99, 1.0)]
        rows.append((lane, f"{len(of_lane):,}", f"{len(waits):,}", *times))
    return rows


def foreseen(day: Day) -> list[Sequence[str]]:
    """Tell what was foreseen, some times in the day."""
    looks = day.foresights.looks
    return [
        (
            day.hour(look.at_ms),
            f"{look.waiting:,}",
            f"{look.stuck:,}",
            f"{look.will_break:,}",
            "–" if look.first_breach_ms is None else day.hour(look.first_breach_ms),
            f"{look.needed_per_hour:,}",
            "–" if look.emptied_ms is None else day.hour(look.emptied_ms),
        )
        for look in looks[:: max(1, len(looks) // MOST_LOOKS)]
    ]


def setting(day: Day) -> list[tuple[str, str]]:
    """Say what was played where."""
    house = day.books.house
    return [
        ("orders", f"{day.orders:,}, seed {day.seed}"),
        ("capacity", f"{day.capacity:,} a day, {day.capacity // 24:,} an hour"),
        ("speed", f"{day.speed:g}, {day.took_seconds:.0f} s from the first process to the books"),
        (
            "machine",
            f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        ),
        ("calls at the warehouse", _counts(house["calls"])),
        ("its reports", _counts(house["reported"])),
        ("handed over again", f"{day.books.sent_twice:,}"),
        ("turned away by a platform", f"{len(day.bought.turned_away):,}"),
    ]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
