"""Waiting for what happens in another process: polls against a deadline, never a fixed sleep."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

POLL_SECONDS = 0.01

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, seconds: float = 10.0) -> T:
    """Call `condition` until it is true and return its value; fail naming `what` it waited for."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(POLL_SECONDS)
    return value


def alive(pid: int) -> bool:
    """Say whether a process runs; one that ended but is not yet reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()


async def happens(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 (what another task does has no event)
            await asyncio.sleep(0.005)
