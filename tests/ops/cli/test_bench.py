"""`holdfast bench`: every suite runs to its end and says what it compared."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench.bars import BARS, GUARDED
from loadtest.bench.postgres import find_programs
from loadtest.bench.suites import SUITES
from reservation.errors import ConfigurationError
from tests.ops.service import environment, holdfast
from tests.waiting import alive, until

# suite -> orders of a short run, rows without a bar
SHORT = {
    "store": (1_000, 0),
    "verbs": (1_000, 0),
    "breaker": (1_000, 4),
    "engine": (3_000, 0),
    "http": (1_000, 1),
    "latency": (1_000, 0),
    "memory": (1_000, 2),
    "scale": (10_000, 0),
    "postgres": (1_000, 1),
}


# They start services and peers over and over.
LONG = ("verbs", "breaker", "engine", "http", "scale", "latency", "memory", "postgres")


@pytest.mark.parametrize(
    "suite",
    [pytest.param(name, marks=[pytest.mark.chaos] if name in LONG else []) for name in SHORT],
)
@pytest.mark.chaos
def test_a_suite_says_what_it_compared(suite: str) -> None:
    """A short run: its figures mean nothing, but they are all there."""
    if suite == "postgres":
        try:
            find_programs()
        except ConfigurationError as error:
            pytest.skip(str(error))
    orders, without_bar = SHORT[suite]
    ended = holdfast("bench", suite, "--orders", str(orders), "--repetitions", "1", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert set(told["machine"]) >= {"cpu", "python", "commit", "command", "baselines_sha256"}
    rows = {row["key"]: row for row in told["rows"]}
    assert set(rows) & set(BARS) == {key for key in BARS if key.partition("-")[0] == suite}
    assert len(rows.keys() - BARS.keys()) == without_bar
    for row in rows.values():
        assert row["a"]["median"] > 0
        assert row["b"] is None or row["b"]["median"] > 0
        assert row["verdict"] == ("not proven" if row["key"] in BARS else None)
        assert "others_busy_cores" in row["notes"]


def test_one_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ops", "bench", "store", "--orders", "1000000"]
    with subprocess.Popen(
        command, env=environment(TMPDIR=str(tmp_path)), stderr=subprocess.DEVNULL
    ) as running:
        until(lambda: list(tmp_path.rglob("store.conf")), "a store is there", seconds=30)
        server = until(lambda: _server_below(running.pid), "its server runs", seconds=30)
        running.terminate()
        assert running.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("holdfast-bench-*"))
    until(lambda: not alive(server), "the server is gone")


def _server_below(process_id: int) -> int:
    """Find the store's server: the guardian's child. 0 while it is not there."""
    try:
        guardian = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()[0]
        server = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()[0]
    except (OSError, IndexError):
        return 0
    return int(server)


def test_every_suite_has_a_short_run() -> None:
    assert {*SHORT, "tuning"} == set(
        SUITES
    )  # a service a trial: tests/loadtest/bench/test_tuning.py


def test_a_comparison_without_accepted_figures_ends_at_once(tmp_path: Path) -> None:
    ended = holdfast("bench", "guard", "--against", tmp_path / "none.json")
    assert ended.returncode == 2
    assert "--accept" in ended.stderr


@pytest.mark.chaos
def test_figures_that_got_worse_end_with_1(tmp_path: Path) -> None:
    """Accepted were ratios that nobody reaches; of one suite the others are missing too."""
    accepted = tmp_path / "accepted.json"
    machine = {"at": "then", "commit": "abc", "cpu": "another"}
    rows = {key: {"result": 1e6} for key in GUARDED}
    accepted.write_text(json.dumps({"machine": machine, "rows": rows}))
    ended = holdfast(
        *("bench", "store", "--orders", "1000", "--repetitions", "2", "--against", accepted)
    )
    assert ended.returncode == 1
    assert "worse" in ended.stdout
    assert "not measured" in ended.stdout
    assert "another machine" in ended.stdout
