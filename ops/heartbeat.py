"""A process whose event loop stands still ends itself: the supervisor starts another."""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager

BEAT_SECONDS = 1.0
HANG_SECONDS = 15.0  # longer than any pause of ours by far, and than a request waits


@contextmanager
def ended_where_it_hangs(
    *, hang_seconds: float = HANG_SECONDS, beat_seconds: float = BEAT_SECONDS
) -> Iterator[None]:
    """Watch the running loop: one that does not turn for `hang_seconds` ends the process.

    Every thread's stack goes to standard error, the status is 1. The watch is a thread in C:
    nothing that holds the interpreter can hold it up.
    """

    async def beat() -> None:
        while True:
            faulthandler.dump_traceback_later(hang_seconds, exit=True)
            await asyncio.sleep(beat_seconds)

    beating = asyncio.create_task(beat(), name="heartbeat")
    try:
        yield
    finally:
        beating.cancel()
        faulthandler.cancel_dump_traceback_later()
