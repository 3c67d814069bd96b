"""Watches the CPU of a service of our own, process by process, while a run goes on."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil

INTERVAL_SECONDS = 1.0

# Microseconds since the epoch, and the CPU seconds so far by kind of process.
Sample = tuple[int, Mapping[str, float]]
# What each process had used when it was last there, with its kind: one that has ended has used it.
Seen = dict[psutil.Process, tuple[str, float]]
ROOT = "supervisor"
# How a word of the command line ends, and what kind of process it tells.
_KINDS = {"guardian.py": "guardian", "-server": "store", "api": "api", "agents": "agents"}


@contextmanager
def watched(process_id: int, path: Path) -> Iterator[list[Sample]]:
    """Sample a process and all below it; yields the samples and writes them down at the end."""
    samples: list[Sample] = []
    stop = threading.Event()

    def watch() -> None:
        kinds: dict[int, str] = {}
        seen: Seen = {}
        while not stop.wait(INTERVAL_SECONDS):
            with contextlib.suppress(psutil.Error):
                samples.append((time.time_ns() // 1000, _spent(process_id, kinds, seen)))

    thread = threading.Thread(target=watch, name="usage", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
        path.write_text(json.dumps(samples))


def read(path: Path) -> list[Sample]:
    """Read what was sampled; nothing where the service was none of ours."""
    try:
        return [(at_us, spent) for at_us, spent in json.loads(path.read_text())]
    except (OSError, ValueError):
        return []


def shares(samples: Sequence[Sample], zero_us: int, seconds: range) -> dict[str, list[float]]:
    """Turn samples into parts of a core, second by second from the start of the counted part."""
    kinds = sorted({kind for _, spent in samples for kind in spent})
    lines = {kind: [0.0] * len(seconds) for kind in kinds}
    for (before_us, before), (at_us, spent) in pairwise(samples):
        second = ((before_us + at_us) // 2 - zero_us) // 1_000_000
        if second in seconds:
            for kind in kinds:
                used = spent.get(kind, 0.0) - before.get(kind, 0.0)
                lines[kind][second - seconds.start] = used * 1e6 / max(1, at_us - before_us)
    return {kind: line for kind, line in lines.items() if max(line, default=0.0) > 0.005}


def _spent(process_id: int, kinds: dict[int, str], seen: Seen) -> dict[str, float]:
    root = psutil.Process(process_id)
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            if process.pid not in kinds:  # the child by which a store rewrites its log has no name
                kinds[process.pid] = _kind(process.cmdline()) or kinds.get(process.ppid(), ROOT)
            seen[process] = (kinds[process.pid], times.user + times.system)
    spent: dict[str, float] = {}
    for kind, used in seen.values():
        spent[kind] = spent.get(kind, 0.0) + used
    return spent


def _kind(command: Sequence[str]) -> str | None:
    for ending, kind in _KINDS.items():
        if any(word.endswith(ending) for word in command):
            return kind
    return None
