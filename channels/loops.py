"""Runs the loops of all channels side by side: what one of them meets is not the others' matter.

A bug in one is told loudly, and that one tried again after a pause, while the rest of the process
works on: other channels, and what else runs beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from channels.intake.collector import FolderUnavailable
from reservation import metrics
from reservation.background import repeat
from reservation.errors import ArchiveUnavailable, Overloaded, ScriptBug, StoreUnavailable

Work = Callable[[], Awaitable[float]]  # it answers how many seconds to pause before the next time
Loops = dict[tuple[str, str], Work]  # by job and channel, "" where it is done for all of them

FAULTS: Final = (ArchiveUnavailable, FolderUnavailable, StoreUnavailable, Overloaded, ScriptBug)
FIRST_PAUSE_SECONDS: Final = 1.0  # after a bug, doubled after each further one in a row
LONGEST_PAUSE_SECONDS: Final = 60.0
# For a round that is under way when all ends. At a platform's own pace it may take minutes, and an
# hour where that wants to be left alone; whatever is not done by then is begun anew.
LAST_SECONDS: Final = 3.0

log = structlog.get_logger(__name__)


async def run_loops(loops: Mapping[tuple[str, str], Work], stop: asyncio.Event) -> None:
    """Run all until `stop` is set, and for `LAST_SECONDS` more at the most."""
    running = {
        asyncio.create_task(
            repeat(
                _surviving(job, channel, work),
                name=f"{job} of {channel}" if channel else job,
                stop=stop,
                faults=FAULTS,
            )
        )
        for (job, channel), work in loops.items()
    }
    try:
        await stop.wait()
        if running:
            await asyncio.wait(running, timeout=LAST_SECONDS)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _surviving(job: str, channel: str, work: Work) -> Work:
    """Do the same, and let no bug out."""
    bugs = 0  # in a row

    async def survive() -> float:
        nonlocal bugs
        try:
            pause = await work()
        except FAULTS:
            raise
        except Exception:
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * (1 << min(bugs, 10)))
            bugs += 1
            metrics.CHANNEL_BUGS.labels(channel=channel).inc()
            log.exception("channel_bug", channel=channel, job=job, again_in_seconds=pause)
        else:
            bugs = 0
        return pause

    return survive
