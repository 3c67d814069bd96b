"""What a run counts: from the due time, second by second, without the warm-up."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from loadtest import figures
from loadtest.figures import Counting, Figures, Moment, bucket, merge, milliseconds, percentile

ZERO = 1_800_000_000_000_000


def test_latency_counts_from_when_a_call_was_due() -> None:
    """One that left a second late and took 10 ms was slow by 1,010 ms."""
    counting = Counting(ZERO)
    counting.count("reserve", "done", ZERO, ZERO + 1_000_000, ZERO + 1_010_000)
    (cell,) = counting.figures().cells
    latency = percentile(cell.latency, 0.99)
    lateness = percentile(counting.moment(0).lateness, 0.99)
    assert latency == pytest.approx(1_010, rel=0.01)
    assert lateness == pytest.approx(1_000, rel=0.01)


def test_the_warm_up_is_not_counted() -> None:
    """It is done, and that is all."""
    counting = Counting(ZERO)
    counting.count("reserve", "done", ZERO - 1, ZERO + 5, ZERO + 9)
    assert counting.figures().cells == []


def test_a_call_belongs_to_the_second_in_which_it_was_due() -> None:
    """However late it was answered."""
    counting = Counting(ZERO)
    counting.count("confirm", "done", ZERO + 1_999_999, ZERO + 2_000_001, ZERO + 9_000_000)
    (cell,) = counting.figures().cells
    assert (cell.second, cell.verb, cell.outcomes) == (1, "confirm", {"done": 1})
    assert counting.figures().seconds == 9


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_a_percentile_is_off_by_two_percent_at_most(share: float) -> None:
    """Against the times themselves."""
    draw = random.Random(4)
    times = sorted(int(draw.lognormvariate(9, 1.2)) for _ in range(20_000))
    buckets: dict[int, int] = {}
    for time in times:
        buckets[bucket(time)] = buckets.get(bucket(time), 0) + 1
    exact = times[int(share * len(times)) - 1] / 1000
    assert percentile(buckets, share) == pytest.approx(exact, rel=0.02)


def test_nothing_has_no_percentile() -> None:
    """It is told as nothing, not as 0."""
    assert percentile({}, 0.99) is None


@pytest.mark.parametrize("microseconds", [-5, 0, 1, 2, 1_000_000_000])
def test_every_time_has_a_bucket(microseconds: int) -> None:
    """Also one that a clock has turned back."""
    assert milliseconds(bucket(microseconds)) == pytest.approx(
        max(1, microseconds) / 1000, rel=0.02
    )


def test_figures_of_generators_add_up(tmp_path: Path) -> None:
    """Counts by second and verb; how each generator was stays apart. They survive a file."""
    one, other = Counting(ZERO), Counting(ZERO)
    one.count("reserve", "done", ZERO + 10, ZERO + 20, ZERO + 5_000)
    other.count("reserve", "sku-suspended", ZERO + 30, ZERO + 40, ZERO + 5_000)
    other.count("reserve", "done", ZERO + 50, ZERO + 60, ZERO + 2_000_000)
    parts = [one.figures(), other.figures()]
    for part in parts:
        part.orders, part.users, part.given_up = 3, 8, 1
    figures.write(tmp_path / "f.json", merge(parts))
    whole = figures.read(tmp_path / "f.json")
    (cell,) = whole.cells
    assert cell.outcomes == {"done": 2, "sku-suspended": 1}
    assert sum(cell.latency.values()) == 3
    assert (whole.generators, whole.orders, whole.users, whole.given_up) == (2, 6, 16, 2)
    assert whole.seconds == 2
    assert [moment.second for moment in whole.moments] == [0, 0]


def test_figures_tell_where_a_run_was_cut_off() -> None:
    """Where any generator was: the last of them; of a whole run there is nothing to tell."""
    parts = [Figures(cut_off_seconds=-1.5, unsent=2), Figures(), Figures(cut_off_seconds=-0.5)]
    whole = merge(parts)
    assert (whole.cut_off_seconds, whole.unsent) == (-0.5, 2)
    assert merge([Figures()]).cut_off_seconds is None


def test_a_run_of_nothing_is_told_as_such() -> None:
    """No cells, no seconds."""
    assert merge([]) == Figures(generators=0)
    assert Moment(3).lateness == {}
