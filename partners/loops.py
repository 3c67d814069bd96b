"""Runs the loops of all partners side by side: what one of them meets is not the others' matter.

A bug in one is told loudly, and that one tried again after a pause, while the rest of the process
works on: other partners, and what else runs beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from reservation.background import repeat
from reservation.errors import ArchiveUnavailable, Overloaded, ScriptBug, StoreUnavailable

if TYPE_CHECKING:
    from prometheus_client import Counter

Work = Callable[[], Awaitable[float]]  # it answers how many seconds to pause before the next time
Loops = dict[tuple[str, str], Work]  # by job and partner, "" where it is done for all of them

FAULTS: Final = (ArchiveUnavailable, StoreUnavailable, Overloaded, ScriptBug)
FIRST_PAUSE_SECONDS: Final = 1.0  # after a bug, doubled after each further one in a row
LONGEST_PAUSE_SECONDS: Final = 60.0
# For a round that is under way when all ends. At a platform's own pace it may take minutes, and an
# hour where that wants to be left alone; whatever is not done by then is begun anew.
LAST_SECONDS: Final = 3.0

log = structlog.get_logger(__name__)


async def run_loops(
    loops: Mapping[tuple[str, str], Work],
    stop: asyncio.Event,
    *,
    kind: str,
    bugs: Counter,
    more_faults: tuple[type[Exception], ...] = (),
) -> None:
    """Run all until `stop` is set, and for `LAST_SECONDS` more at the most.

    `kind` says what partners are to us, and is the label of `bugs`, which counts them.
    """
    faults = (*FAULTS, *more_faults)
    running = {
        asyncio.create_task(
            repeat(
                _surviving(job, partner, work, kind=kind, bugs=bugs, faults=faults),
                name=f"{job} of {partner}" if partner else job,
                stop=stop,
                faults=faults,
            )
        )
        for (job, partner), work in loops.items()
    }
    try:
        await stop.wait()
        if running:
            await asyncio.wait(running, timeout=LAST_SECONDS)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _surviving(
    job: str,
    partner: str,
    work: Work,
    *,
    kind: str,
    bugs: Counter,
    faults: tuple[type[Exception], ...],
) -> Work:
    """Do the same, and let no bug out."""
    in_a_row, event = 0, f"{kind}_bug"

    async def survive() -> float:
        nonlocal in_a_row
        try:
            pause = await work()
        except faults:
            raise
        except Exception:
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * (1 << min(in_a_row, 10)))
            in_a_row += 1
            bugs.labels(**{kind: partner}).inc()
            log.exception(event, **{kind: partner}, job=job, again_in_seconds=pause)
        else:
            in_a_row = 0
        return pause

    return survive


async def end_soon(calls: set[asyncio.Task[Any]], seconds: float) -> None:
    """Wait a little for calls that are under way; what has no answer by then is given up."""
    if not calls:
        return
    _, late = await asyncio.wait(calls, timeout=seconds)
    calls.difference_update(late)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
