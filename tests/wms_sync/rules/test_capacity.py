"""What a warehouse takes over time, in exact credits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wms_sync.rules.capacity import DAY_MS, HOUR_MS, ORDER, Capacity, Shift

CHINA_MS = 8 * HOUR_MS
NIGHT = Shift(22 * HOUR_MS, 6 * HOUR_MS, 6_000)
LUNCH = Shift(12 * HOUR_MS, 13 * HOUR_MS, 0)


def test_eighteen_thousand_a_day_are_an_order_each_4800_ms():
    """What is earned in 4.8 s is one order exactly, in a millisecond less it is none."""
    capacity = Capacity(18_000)
    assert capacity.intake(1_000, 5_800) == ORDER
    assert capacity.intake(1_000, 5_799) < ORDER
    assert capacity.intake(7, 7 + HOUR_MS) == 750 * ORDER
    assert capacity.intake(7, 7 + HOUR_MS, 500) == 375 * ORDER


@pytest.mark.parametrize(
    ("hour", "rate"),
    [(0, 6_000), (5.99, 6_000), (6, 18_000), (12, 0), (13, 18_000), (21.99, 18_000), (22, 6_000)],
)
def test_a_shift_over_midnight_and_one_at_noon(hour: float, rate: int):
    """Shifts are of the warehouse's day, whatever the day of UTC."""
    capacity = Capacity(18_000, shifts=(NIGHT, LUNCH), utc_offset_ms=CHINA_MS)
    assert capacity.rate_at(20_000 * DAY_MS - CHINA_MS + int(hour * HOUR_MS)) == rate


@st.composite
def capacities(draw: st.DrawFn) -> Capacity:
    """Draw capacities with up to three shifts that do not overlap, one perhaps over midnight."""
    edges = sorted(draw(st.sets(st.integers(0, DAY_MS - 1), min_size=6, max_size=6)))
    if draw(st.booleans()):
        edges = [*edges[1:], edges[0]]  # the last shift goes over midnight
    rates = st.one_of(st.just(0), st.integers(1, 1_000_000))
    shifts = tuple(
        Shift(start, end, draw(rates)) for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
    return Capacity(
        draw(st.integers(1, 1_000_000)),
        burst=draw(st.integers(1, 100)),
        shifts=shifts[: draw(st.integers(0, 3))],
        utc_offset_ms=draw(st.integers(-14, 14)) * HOUR_MS,
    )


TIMES = st.integers(20_000 * DAY_MS, 20_003 * DAY_MS)


@given(capacities(), TIMES, st.integers(0, 3 * DAY_MS))
def test_the_intake_is_the_sum_of_its_pieces(capacity: Capacity, start: int, length: int):
    """Every rate is what is taken at that time, and all of them make up the intake."""
    end = start + length
    pieces = [*capacity.pieces(start, end), (end, 0)]
    assert capacity.intake(start, end) == sum(
        rate * (until - since) * 1_000 for (since, rate), (until, _) in pairwise(pieces)
    )
    for (since, rate), (until, _) in pairwise(pieces):
        if since < until:
            assert capacity.rate_at(since) == capacity.rate_at(until - 1) == rate


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"orders_per_day": -1}, "0 to 100,000,000"),
        ({"orders_per_day": 100_000_001}, "0 to 100,000,000"),
        ({"orders_per_day": 0}, "no warehouse"),
        ({"orders_per_day": 0, "shifts": (LUNCH,)}, "no warehouse"),
        ({"orders_per_day": 1, "burst": 0}, "a burst is"),
        ({"orders_per_day": 1, "burst": 1_000_001}, "a burst is"),
        ({"orders_per_day": 1, "utc_offset_ms": DAY_MS}, "offset"),
        ({"orders_per_day": 1, "shifts": (Shift(0, 0, 1),)}, "another time"),
        ({"orders_per_day": 1, "shifts": (Shift(-1, 5, 1),)}, "another time"),
        ({"orders_per_day": 1, "shifts": (Shift(0, DAY_MS + 1, 1),)}, "another time"),
        ({"orders_per_day": 1, "shifts": (Shift(0, 5, -1),)}, "0 to 100,000,000"),
        ({"orders_per_day": 1, "shifts": (NIGHT, Shift(5 * HOUR_MS, DAY_MS, 1))}, "overlap"),
        ({"orders_per_day": 1, "shifts": (LUNCH,) * 25}, "at most 24"),
    ],
)
def test_what_is_no_capacity(arguments: dict[str, object], reason: str):
    """Each is refused with its reason."""
    with pytest.raises(ValueError, match=reason):
        Capacity(**arguments)  # type: ignore[arg-type]
