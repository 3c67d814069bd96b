"""Where a figure was taken, and what of the machine a process used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reservation.errors import ConfigurationError

BASELINES = Path(__file__).parent.parent / "baselines"
LIBRARIES = ("redis", "hiredis", "uvicorn", "uvloop", "fastapi", "pydantic", "orjson", "msgspec")
SYNCS = 200
SYNCED_BYTES = 300  # about a call of one in the append-only file
FIRST = -20  # niceness
QUIET_CORES = 0.1  # that others may use while a figure is taken
FAST_SYNC_MS = 0.3  # rows that wait for the disk hold up to here
FIXED_WORK = 10_000  # additions: about 0.3 ms
PACES = 4_000  # of it: a second or two
STEADY = 2.0  # rows that look at the slowest hold up to here


def describe(directory: Path) -> dict[str, Any]:
    """Describe where this runs, as far as it matters for a figure; data goes to `directory`."""
    libraries: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = None
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": libraries,
        "commit": _commit(),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "command": " ".join(["holdfast", *sys.argv[1:]]),
        "fdatasync_p50_ms": round(fdatasync_p50_ms(directory), 3),
        "baselines_sha256": baseline_hashes(),
    }


def baseline_hashes() -> dict[str, str]:
    """Hash the texts that we compare ourselves with."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(BASELINES.iterdir())
        if path.suffix in {".lua", ".py", ".sql"} and path.name != "__init__.py"
    }


def fdatasync_p50_ms(directory: Path) -> float:
    """Measure how long the disk takes to keep a few bytes."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(SYNCS):
            file.write(b"." * SYNCED_BYTES)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno()) if hasattr(os, "fdatasync") else os.fsync(file.fileno())
            took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def unevenness() -> float:
    """Divide the p99 of a fixed piece of work by its median: how much the machine itself waits.

    A machine of one's own gives hardly more than 1; one that shares its cores with others' may
    stop for milliseconds, and whatever runs on it shows that in its own p99.
    """
    took = []
    for _ in range(PACES):
        started = time.perf_counter()
        sum(range(FIXED_WORK))
        took.append(time.perf_counter() - started)
    took.sort()
    return took[int(len(took) * 0.99)] / statistics.median(took)


def go_first(process_id: int) -> None:
    """Let a process run before whatever else wants its core, and what it starts too; root may.

    A session has a niceness of its own on Linux, which a process's does not reach beyond.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process_id, FIRST)
        Path(f"/proc/{process_id}/autogroup").write_text(f"{FIRST}\n")


def pin(process_id: int, core: int) -> None:
    """Keep a process and all its threads on one core, and first there, where the system can."""
    go_first(process_id)
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{process_id}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def unpin(process_id: int) -> None:
    """Let a process and all its threads run on any core."""
    if hasattr(os, "sched_setaffinity"):
        for thread in Path(f"/proc/{process_id}/task").iterdir():
            os.sched_setaffinity(int(thread.name), range(os.cpu_count() or 1))


def cpu_seconds(process_id: int) -> float:
    """Read how much CPU a process has used, user and system, ended threads included.

    Linux names every process's CPU clock so (clock_getcpuclockid(3)): finer than /proc's ticks.
    Raises ConfigurationError elsewhere, but for ourselves.
    """
    if process_id == os.getpid():
        return time.process_time()
    if sys.platform != "linux":
        raise ConfigurationError("another process's CPU can be read on Linux only: run this there")
    return time.clock_gettime((~process_id << 3) | 2)


class Busy:
    """Share of the time inside the block that a process, by default this one, was on a core."""

    def __init__(self, process_id: int | None = None) -> None:
        self._process_id = process_id or os.getpid()
        self.cpu = self.seconds = 0.0

    def __enter__(self) -> Self:
        self._cpu, self._started = cpu_seconds(self._process_id), time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return  # nothing was measured; and a process that is gone has no clock
        self.seconds += time.perf_counter() - self._started
        self.cpu += cpu_seconds(self._process_id) - self._cpu

    @property
    def share(self) -> float:
        """Give CPU ÷ time."""
        return self.cpu / self.seconds if self.seconds else 0.0


class Others:
    """How many cores were in use inside the block by what neither we nor our children did.

    Children count once they have ended. What the machine under ours took away counts as others'.
    """

    def __enter__(self) -> Self:
        self._ours, self._all = _our_cpu_seconds(), _machine_cpu_seconds()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        used = _machine_cpu_seconds() - self._all - (_our_cpu_seconds() - self._ours)
        self.cores = max(0.0, used / seconds)


def _our_cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _machine_cpu_seconds() -> float:
    """Read the time that all cores were not idle, stolen time included; 0 without /proc."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _io_wait, *interrupts_and_stolen = ticks
    return (user + nice + system + sum(interrupts_and_stolen)) / os.sysconf("SC_CLK_TCK")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        rows = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        return next((value.strip() for name, _, value in rows if "model name" in name), "")
    return platform.processor()


def _commit() -> str | None:
    """Name the commit that runs, where this is a checkout; `+` where files differ from it."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 (wherever it is)
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
