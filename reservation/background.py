"""A background loop: one piece of work, again and again, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

FAULT_SECONDS = 1.0  # before what failed is tried again


async def repeat(
    work: Callable[[], Awaitable[float]],
    *,
    name: str,
    stop: asyncio.Event,
    faults: tuple[type[Exception], ...],
    fault_seconds: float | None = None,
) -> None:
    """Do `work` until `stop` is set; it answers how many seconds to pause before the next time.

    What fails by one of `faults` is tried again, forever; the log tells a fault once, and when it
    is over. Anything else is a bug and is raised.
    """
    failing = ""
    stopped = asyncio.create_task(stop.wait(), name=f"end of {name}")  # one for all pauses
    try:
        while not stop.is_set():
            try:
                pause = await work()
                if failing:
                    log.info("loop_recovered", loop=name)
                failing = ""
            except faults as error:
                pause = FAULT_SECONDS if fault_seconds is None else fault_seconds
                if failing != str(error):
                    log.warning("loop_waits", loop=name, reason=str(error))
                failing = str(error)
            await asyncio.wait({stopped}, timeout=pause)
    finally:
        stopped.cancel()


class Every:
    """Say when something is due that is done only every so often."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_due(self) -> bool:
        """Say whether the time has come; if so, the next one is `seconds` later."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
