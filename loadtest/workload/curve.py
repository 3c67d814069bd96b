"""Arrival times along a curve: a festival day with two peaks, a livestream's rush, a steady rate.

Arrivals do not wait for anyone: a time is drawn for each, before the first is sent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from random import Random

STEPS_PER_KNOT = 60  # the density between two knots is taken as so many level steps

# Orders by the hour of a festival day, relative to each other: the density at each full hour, and
# straight lines between them. Two peaks, at 10:00 and, the higher one, at 20:00, when the evening's
# offers open; 2.4 times the day's average there. The shape is ours, the total is requirement R02's.
FESTIVAL_DAY = (
    *(0.9, 0.5, 0.3, 0.2, 0.2, 0.3, 0.7, 1.5),  # 00:00 to 07:00
    *(2.8, 4.4, 5.2, 4.6, 3.5, 3.0, 3.0, 3.2),  # 08:00 to 15:00
    *(3.4, 3.7, 4.4, 5.8, 7.0, 6.4, 4.0, 2.1),  # 16:00 to 23:00
)

# A livestream's buyers after the link is shown: a rush in the first third, then a tail.
RUSH = (1.0, 1.8, 1.7, 1.4, 1.2, 1.0, 0.8, 0.7, 0.6, 0.5, 0.4)

STEADY = (1.0, 1.0)


def arrivals(count: int, span_us: int, knots: Sequence[float], random: Random) -> list[int]:
    """Draw `count` arrivals in [0, span) by a density given at equal distances.

    Shapes: `knots` are relative densities at the start, at the end and between, at least two, none
    negative; a day is closed by its first hour (`day`). Returns microseconds, ascending: a Poisson
    process of that density whose number of arrivals is known.
    """
    levels = _levels(knots)
    reached = list(accumulate(levels))
    total, width = reached[-1], span_us / len(levels)
    moments = []
    for drawn in sorted(random.random() * total for _ in range(count)):
        step = bisect_right(reached, drawn)
        within = (drawn - (reached[step] - levels[step])) / levels[step]
        moments.append(min(span_us - 1, int((step + within) * width)))
    return moments


def day(knots: Sequence[float]) -> tuple[float, ...]:
    """Close a day's hours: midnight stands at both ends."""
    return (*knots, knots[0])


def _levels(knots: Sequence[float]) -> list[float]:
    """Cut the straight lines between the knots into level steps."""
    levels = []
    for left, right in pairwise(knots):
        for step in range(STEPS_PER_KNOT):
            levels.append(left + (right - left) * (step + 0.5) / STEPS_PER_KNOT)
    return levels
