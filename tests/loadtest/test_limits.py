"""Who was the limit of a run."""

from __future__ import annotations

import pytest

from loadtest.figures import Figures, Moment, bucket
from loadtest.limits import limit

ZERO = 1_800_000_000_000_000


def seconds(late_ms: int, *, cpu: float, starved: float = 0.0, queued: int = 0) -> Figures:
    """Make a run of ten seconds on two cores, in each of which a generator was so."""
    late = {bucket(late_ms * 1000): 5}
    moments = [
        Moment(n, late, cpu=cpu, starved=starved, free_users=0, queued=queued) for n in range(10)
    ]
    return Figures(moments=moments, users=64, seconds=10.0, cores=2, zero_us=ZERO)


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        (seconds(3, cpu=0.99), ""),
        (seconds(400, cpu=0.95), "The generator was the limit"),
        (seconds(400, cpu=0.3, starved=0.65), "The machine was the limit"),
        (seconds(400, cpu=0.2, queued=7), "The service was the limit"),
        (seconds(400, cpu=0.95, queued=7), "The generator was the limit"),
        (seconds(400, cpu=0.2), "The cause is not clear"),
    ],
)
def test_the_report_says_who_was_the_limit(figures: Figures, told: str) -> None:
    """By lateness, by the generator's core, and by whether all users were waiting."""
    assert limit(figures).startswith(told)
    assert bool(limit(figures)) == bool(told)


@pytest.mark.parametrize(
    ("api", "told"), [(1.55, "The machine was the limit"), (0.99, "The service was the limit")]
)
def test_a_service_of_our_own_shares_the_machine(api: float, told: str) -> None:
    """Two cores that both use up are the limit of neither; whose they were is told."""
    usage = [(ZERO + n * 1_000_000, {"api": n * api, "store": n * 0.1}) for n in range(12)]
    said = limit(seconds(400, cpu=0.25, queued=7), usage)
    assert said.startswith(told)
    assert f"api {api:.2f}, generator 0.25, store 0.10" in said


def test_generators_on_one_machine_use_it_together() -> None:
    """Two that use a third of a core each leave the service no two cores; one of them is late."""
    usage = [(ZERO + n * 1_000_000, {"api": n * 1.2}) for n in range(12)]
    figures = seconds(400, cpu=0.35, queued=7)
    figures.moments += [Moment(n, {bucket(1_000): 5}, cpu=0.35) for n in range(10)]
    said = limit(figures, usage)
    assert said.startswith("The machine was the limit")
    assert "api 1.20, generator 0.70" in said
