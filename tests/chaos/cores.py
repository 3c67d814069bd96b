"""A server alone on its core, and what it used of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def _pin(pid: int, cores: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(task.name), cores)


def _schedule(pid: int, policy: int, priority: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError, PermissionError):  # needs CAP_SYS_NICE
            os.sched_setscheduler(int(task.name), policy, os.sched_param(priority))


@contextlib.contextmanager
def apart(server: int) -> Iterator[None]:
    """Keep a server on one core and ourselves off it; with a single core do nothing.

    Where we may, the server also runs before whatever else is on that core.
    """
    ours = os.sched_getaffinity(0)
    if len(ours) < 2:
        yield
        return
    first, *others = sorted(ours)
    _pin(server, {first})
    _pin(os.getpid(), set(others))
    _schedule(server, os.SCHED_FIFO, 1)
    try:
        yield
    finally:
        _pin(os.getpid(), ours)
        _pin(server, ours)
        _schedule(server, os.SCHED_OTHER, 0)


def waited_ms(pid: int) -> float:
    """Say how long a process's main thread was ready to run but had no core (schedstat), in ms.

    Where this grows during a measurement, others were on the core.
    """
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e6


class ScriptTimes:
    """The server's own times of every script call, by its slow log."""

    MAX_ENTRIES = 1_000_000

    def __init__(self, client: Any) -> None:
        self._client = client

    async def start(self) -> None:
        """Log every command from now on."""
        await self._client.config_set("slowlog-max-len", self.MAX_ENTRIES)
        await self._client.config_set("slowlog-log-slower-than", 0)
        await self._client.slowlog_reset()

    async def stop(self) -> list[tuple[float, str]]:
        """Return (ms, sha) of every script call since, the longest first."""
        await self._client.config_set("slowlog-log-slower-than", -1)
        entries = await self._client.slowlog_get(self.MAX_ENTRIES)
        calls = []
        for entry in entries:
            command = entry["command"]
            words = (command if isinstance(command, str) else command.decode()).split(" ", 2)
            if words[0].upper() == "EVALSHA":
                calls.append((entry["duration"] / 1000, words[1]))
        return sorted(calls, reverse=True)


def quantile(calls: list[tuple[float, str]], share: float) -> float:
    """Read a quantile off calls that are sorted, the longest first."""
    return calls[min(len(calls) - 1, int(len(calls) * (1 - share)))][0]
