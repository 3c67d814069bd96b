"""Runs that end before their plan does, by who waits for them or by a generator that is gone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from loadtest.evidence import load
from loadtest.history import Call
from loadtest.processes import free_port
from tests.conftest import RunningService
from tests.loadtest.conftest import Start
from tests.waiting import until

SOME_CALLS_BYTES = 20_000  # of a history: so much is on disk once it plays


@pytest.mark.parametrize(
    ("number", "generators"),
    [
        (signal.SIGTERM, 1),
        pytest.param(signal.SIGINT, 1, marks=pytest.mark.chaos),
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.chaos),
    ],
)
@pytest.mark.chaos
def test_a_run_that_is_cut_off_ends_in_proof(
    number: signal.Signals, generators: int, service: RunningService, tmp_path: Path, start: Start
) -> None:
    """What was played until then is read, proven and told; no further scenario is begun.

    Takes some seconds: a run's first ones, and its holds.
    """
    sizes = ("--orders", 6_000, "--seconds", 60, "--users", 32, "--generators", generators)
    named = ("--host", service.url, "--out", tmp_path)
    process = start("run", "hot_sku", "mixed", *sizes, *named)

    def plays() -> bool:
        written = (*tmp_path.glob("*/history-w*.ndjson"), *tmp_path.glob("*/sent-w*.ndjson"))
        return sum(path.stat().st_size > SOME_CALLS_BYTES for path in written) == generators

    until(plays, "it plays", seconds=60)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    (directory,) = tmp_path.iterdir()
    evidence = load(directory)
    told = re.search(r"cut off (?:after [\d.]+ s of 60\.0 s|in the warm-up)", said)
    assert told is not None, said
    assert told[0] in (directory / "report.html").read_text()
    assert evidence.proofs.check is not None
    assert evidence.proofs.check["ok"]
    sent = {record.id for record in evidence.history() if isinstance(record, Call)}
    assert 0 < len(sent) < len(evidence.plan.orders)
    assert evidence.proofs.check["counts"]["reservations read"] == len(sent)
    assert re.search(r"orders sent +6,000 .* NOT KEPT", said)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.chaos)]
)
@pytest.mark.chaos
def test_who_is_impatient_does_not_wait_for_the_proof(
    number: signal.Signals, tmp_path: Path, temporary: Path, start: Start
) -> None:
    """A second Ctrl-C ends generator and service at once, a third one too; no report."""
    process = start("run", "hot_sku", "--out", tmp_path)
    until(lambda: list(tmp_path.glob("*/history-w0.ndjson")), "it plays", seconds=60)
    for _ in range(3):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"what there is so far is in {tmp_path}" in said
    assert not list(tmp_path.glob("*/report.html"))
    assert list(temporary.iterdir()) == []


@pytest.mark.chaos
def test_a_generator_that_leaves_ends_the_run(
    service: RunningService, tmp_path: Path, temporary: Path, start: Start
) -> None:
    """Politely too: nobody would send what was its to send. The next run is not disturbed."""
    port = free_port()
    sizes = ("--orders", 500, "--seconds", 60)
    remote = ("--generators", 2, "--remote", "--port", port)
    leader = start(
        *("run", "hot_sku", "--host", service.url, "--out", tmp_path / "out", *sizes, *remote)
    )
    joined = [start("join", "127.0.0.1", "--port", port) for _ in range(2)]
    until(lambda: list(temporary.glob("*/sent-w*.ndjson")), "they play", seconds=60)
    os.killpg(joined[0].pid, signal.SIGINT)
    said, _ = leader.communicate(timeout=60)
    assert leader.returncode == 3
    assert "is gone" in said
    for process in joined:
        process.wait(60)


@pytest.mark.chaos
def test_a_generator_whose_key_does_not_open_ends_the_run(
    service: RunningService, tmp_path: Path, start: Start
) -> None:
    """Before the first order: its share would be nothing but refusals."""
    port, unknown = free_port(), "hf_unknown-key-of-somebody"
    remote = ("--generators", 1, "--remote", "--port", port)
    leader = start("run", "hot_sku", "--host", service.url, "--out", tmp_path / "out", *remote)
    start("join", "127.0.0.1", "--port", port, key=unknown)
    said, _ = leader.communicate(timeout=60)
    assert leader.returncode == 3
    assert "generator 0: " in said
    assert "playing" not in said
