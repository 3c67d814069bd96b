"""The largest of a stretch, and figures over time, against the plain way to compute them."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.check.ranges import Largest
from loadtest.check.timeline import Timeline, added


@settings(deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 3_000))
def test_the_largest_of_any_stretch(seed: int, size: int):
    """Every stretch of every list has the largest value that `max` finds."""
    draw = Random(seed)
    values = draw.choices(range(-1_000, 1_000), k=size)
    largest = Largest(values)
    for _ in range(50):
        start = draw.randrange(size)
        stop = draw.randint(start + 1, size)
        assert largest.of(start, stop) == max(values[start:stop])


CHANGES = st.dictionaries(st.integers(0, 30), st.integers(-5, 5), max_size=12).map(
    lambda changes: sorted(changes.items())
)


def _at(before: int, changes: list[tuple[int, int]], time: int) -> int:
    return ([before] + [value for at, value in changes if at <= time])[-1]


@given(st.integers(-5, 5), CHANGES, CHANGES, st.integers(-1, 31), st.integers(0, 31))
def test_a_sum_of_two_figures_over_time(
    before: int,
    one: list[tuple[int, int]],
    other: list[tuple[int, int]],
    start: int,
    length: int,
):
    """The most that a sum is within an interval is the most over its instants."""
    total = added(Timeline(before, one), Timeline(0, other))
    expected = max(
        _at(before, one, time) + _at(0, other, time) for time in range(start, start + length + 1)
    )
    assert total.largest(start, start + length) == expected
