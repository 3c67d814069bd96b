"""The statistics of a measurement, with figures made up by hand."""

from __future__ import annotations

import math

import pytest

from loadtest.bench.bars import BARS, GUARDED, Bar
from loadtest.bench.measure import (
    Kind,
    Measure,
    Verdict,
    in_slices,
    in_turn,
    interval_95,
    judge,
)

AT_LEAST, AT_MOST = Bar("T0", at_least=2.0), Bar("T0", at_most=2.0)

# interval -> verdict of a bar `at least 2`, of one `at most 2`
VERDICTS = [
    ((2.1, 2.5), Verdict.MET, Verdict.NOT_MET),
    ((2.0, 2.5), Verdict.MET, Verdict.NOT_PROVEN),
    ((1.9, 2.1), Verdict.NOT_PROVEN, Verdict.NOT_PROVEN),
    ((1.5, 2.0), Verdict.NOT_PROVEN, Verdict.MET),
    ((1.5, 1.9), Verdict.NOT_MET, Verdict.MET),
    (None, Verdict.NOT_PROVEN, Verdict.NOT_PROVEN),
]


@pytest.mark.parametrize(("interval", "at_least", "at_most"), VERDICTS)
def test_a_bar_is_met_where_the_whole_interval_is_beyond_it(interval, at_least, at_most) -> None:
    assert judge(AT_LEAST, interval) is at_least
    assert judge(AT_MOST, interval) is at_most


def test_where_a_condition_was_not_kept_nothing_is_proven() -> None:
    assert judge(AT_LEAST, (3.0, 4.0), broken=True) is Verdict.NOT_PROVEN
    assert judge(AT_LEAST, (0.1, 0.2), broken=True) is Verdict.NOT_PROVEN


def test_the_interval_is_students() -> None:
    """Of 1 … 5: mean 3, deviation 1.5811, t of four degrees 2.776."""
    half = 2.776 * math.sqrt(2.5) / math.sqrt(5)
    assert interval_95([1, 2, 3, 4, 5], logarithmic=False) == pytest.approx((3 - half, 3 + half))


def test_the_interval_of_a_ratio_is_that_of_its_inverse() -> None:
    ratios = [1.8, 2.0, 2.4, 2.1]
    low, high = interval_95(ratios, logarithmic=True)
    inverse = interval_95([1 / ratio for ratio in ratios], logarithmic=True)
    assert inverse == pytest.approx((1 / high, 1 / low))


def test_a_drift_that_hits_both_sides_leaves_no_trace() -> None:
    """The machine gets three times slower: the sides differ by 2 in every pair."""
    row = Measure("x", "x", "µs", "a", "b", a=[2.0, 4.0, 6.0], b=[1.0, 2.0, 3.0])
    assert row.results() == [2, 2, 2]
    assert row.interval() == pytest.approx((2, 2))


def test_a_row_tells_both_sides_and_its_bar() -> None:
    row = Measure("store-hot", "x", "µs", "a", "b", a=[10.8, 11.2, 11.0], b=[2.0, 2.0, 2.0])
    told = row.summary()
    assert told["a"] == {
        "name": "a",
        "median": 11.0,
        "spread": [10.8, 11.2],
        "values": [10.8, 11.2, 11.0],
    }
    assert told["result"] == 5.5
    assert told["bar"] == {"requirement": "T1", "limit": "≥ 4.5"}
    assert told["verdict"] == "met"


def test_differences_and_values_are_told_as_such() -> None:
    difference = Measure("x", "x", "ms", "a", "b", Kind.DIFFERENCE, a=[3.0, 4.0], b=[1.0, 1.0])
    value = Measure("x", "x", "bytes", "a", kind=Kind.VALUE, a=[100.0, 102.0])
    assert difference.results() == [2, 3]
    assert value.summary()["result"] == 101
    assert value.summary()["b"] is None


def test_sides_run_in_the_order_a_b_b_a() -> None:
    ran: list[str] = []
    told: list[None] = []

    def run(name: str) -> int:
        ran.append(name)
        return len(ran)

    a, b = in_turn(
        lambda: run("a"), lambda: run("b"), repetitions=3, progress=lambda: told.append(None)
    )
    assert "".join(ran) == "abbaab"
    assert (a, b) == ([1, 4, 5], [2, 3, 6])
    assert len(told) == 6


def test_slices_run_in_turn_too_and_count_by_their_size() -> None:
    ran: list[str] = []

    def side(name: str, cost: float):
        def run(part):
            ran.append(name * len(part))
            return cost * len(part)

        return run

    costs = in_slices([side("a", 1.0), side("b", 3.0)], list("12345"), 2)
    assert ran == ["aa", "bb", "bb", "aa", "a", "b"]
    # Means over the orders: two slices of two at 2 x cost, one of one at 1 x cost.
    assert costs == pytest.approx([9 / 5, 27 / 5])


def test_every_guarded_row_has_a_bar() -> None:
    """Which direction is worse is read off its bar."""
    assert set(GUARDED) <= set(BARS)
