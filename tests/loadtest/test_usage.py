"""The CPU of our own service, as parts of a core, second by second."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from loadtest import usage
from loadtest.usage import shares, watched
from tests.waiting import until

ZERO = 1_800_000_000_000_000


def test_shares_are_parts_of_a_core() -> None:
    """Of the time that passed between two samples; who started later began at nothing."""
    samples = [
        (ZERO, {"api": 1.0, "store": 0.5}),
        (ZERO + 1_000_000, {"api": 1.9, "store": 0.5}),
        (ZERO + 3_000_000, {"api": 3.9, "store": 1.0, "agents": 0.4}),
    ]
    told = {
        kind: [round(part, 6) for part in line]
        for kind, line in shares(samples, ZERO, range(3)).items()
    }
    assert told == {"agents": [0, 0, 0.2], "api": [0.9, 0, 1.0], "store": [0, 0, 0.25]}


def test_nothing_sampled_is_nothing_shown(tmp_path: Path) -> None:
    """Another's service is not ours to see."""
    assert shares(usage.read(tmp_path / "none.json"), ZERO, range(3)) == {}


def test_a_process_is_watched(tmp_path: Path) -> None:
    """By what it and those below it spend; the file is there when the watch ends."""
    path = tmp_path / "usage.json"
    with watched(os.getpid(), path) as samples:
        until(lambda: len(samples) >= 2, "two samples")
    (before_us, before), (at_us, spent) = usage.read(path)[:2]
    assert at_us - before_us > 500_000
    assert 0 < before["supervisor"] <= spent["supervisor"]


def test_what_has_no_name_counts_to_who_began_it(tmp_path: Path) -> None:
    """A store rewrites its log in a child that calls itself by no name of ours."""
    spin = "import time; ends = time.monotonic() + 20\nwhile time.monotonic() < ends: pass"
    nameless = f"os.execl(sys.executable, 'x', '-c', {spin!r})"
    begin = f"import os, sys\nif os.fork() == 0: {nameless}\nos.wait()"
    store = subprocess.Popen([sys.executable, "-c", begin, "a-server"], start_new_session=True)
    try:
        with watched(os.getpid(), tmp_path / "usage.json") as samples:
            until(lambda: any(spent.get("store", 0.0) > 0.5 for _, spent in samples), "its CPU")
            (child,) = psutil.Process(store.pid).children()
            child.kill()
            count = len(samples)
            until(lambda: len(samples) >= count + 2, "samples without it")
        used = [spent.get("store", 0.0) for _, spent in samples]
        assert used == sorted(used)  # what it has used it did use
    finally:
        os.killpg(store.pid, 9)
        store.wait()
