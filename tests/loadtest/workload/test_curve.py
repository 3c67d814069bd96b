"""When orders arrive: as many as asked, by the curve, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from loadtest.workload.curve import FESTIVAL_DAY, RUSH, STEADY, arrivals, day

HOURS = 24
SPAN = 24_000_000


def by_hour(seed: int = 1, count: int = 47_000) -> list[int]:
    """Count a day's arrivals by its hours."""
    moments = arrivals(count, SPAN, day(FESTIVAL_DAY), Random(seed))
    hours = Counter(moment * HOURS // SPAN for moment in moments)
    return [hours[hour] for hour in range(HOURS)]


@pytest.mark.parametrize("count", [0, 1, 47_000])
@pytest.mark.parametrize("knots", [day(FESTIVAL_DAY), RUSH, STEADY])
def test_as_many_arrive_as_asked(count: int, knots: tuple[float, ...]) -> None:
    """In order, and none outside of the span."""
    moments = arrivals(count, SPAN, knots, Random(3))
    assert len(moments) == count
    assert moments == sorted(moments)
    assert all(0 <= moment < SPAN for moment in moments)


def test_a_festival_day_has_two_peaks() -> None:
    """One in the forenoon and the higher one in the evening, with less between and at night."""
    hours = by_hour()
    peaks = [
        hour
        for hour in range(1, HOURS - 1)
        if hours[hour] == max(hours[max(0, hour - 2) : hour + 3]) and hours[hour] > 47_000 / HOURS
    ]
    assert len(peaks) == 2
    forenoon, evening = peaks
    assert forenoon in {9, 10}
    assert evening in {19, 20}
    assert hours[evening] > hours[forenoon] > 1.4 * hours[13]
    assert min(hours) == min(hours[2:6])


def test_hours_hold_what_the_curve_says() -> None:
    """The share of each hour is the area under its two straight lines, but for chance."""
    curve, hours = day(FESTIVAL_DAY), by_hour()
    areas = [(left + right) / 2 for left, right in pairwise(curve)]
    for hour, area in enumerate(areas):
        wanted = 47_000 * area / sum(areas)
        assert abs(hours[hour] - wanted) < 5 * wanted**0.5  # five standard deviations


def test_the_same_seed_gives_the_same_arrivals() -> None:
    """Another one does not."""
    first, second, other = (arrivals(500, SPAN, RUSH, Random(seed)) for seed in ("1", "1", "2"))
    assert first == second != other
