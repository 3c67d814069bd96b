"""The trials of settings: each one runs against one base, on a real service."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench import tuning
from loadtest.bench.run import Run
from reservation.config import Settings, load

NAMES = ("workers-2", "batch-100", "io-threads-2")


@pytest.mark.chaos  # it starts four services
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_each_kind_of_trial_is_compared_with_the_base(tmp_path: Path) -> None:
    """One of its processes, one of what it is asked, one of its store."""
    trials = [trial for trial in tuning.TRIALS if trial.key in NAMES]
    assert len(trials) == len(NAMES)
    steps: list[str] = []
    settings = load(data_dir=tmp_path, log_level="error")
    rows = tuning.measure(Run(settings, 1_000, 1, steps.append, 0.1), trials)
    assert [row.key for row in rows] == [f"tuning-{name}" for name in NAMES]
    assert all(row.a[0] > 0 and row.b[0] > 0 for row in rows)
    assert len(steps) == 2 * len(NAMES)


def test_trials_have_names_of_their_own() -> None:
    names = [trial.key for trial in tuning.TRIALS]
    assert len(set(names)) == len(names)


def test_the_base_is_named_for_what_it_sets_otherwise_than_the_default() -> None:
    """A reader would take "default" for what `holdfast up` does."""
    assert Settings.model_fields["log_level"].default == "info"
    assert "log_level warning" in tuning.BASE.name
    assert "durability memory" in tuning.BASE.name
    assert "default" not in tuning.BASE.name
