"""How long a process of ours works: until a signal, or a fault that is not its own to mend."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

AGAIN_SECONDS: Final = 0.5  # before a task that has not ended is told to once more


async def together(*loops: Coroutine[Any, Any, None]) -> None:
    """Run loops until all have ended; the fault of one ends the others, and is raised."""
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop)


def on_end(action: Callable[[], object]) -> None:
    """Do `action` when SIGTERM or SIGINT asks us to leave."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, action)


def leave_on_fault(leave: Callable[[], None]) -> Callable[[asyncio.Task[None]], None]:
    """Make a task whose fault ends the process: the supervisor logs it and starts us anew."""

    def done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            leave()

    return done


async def cancel(task: asyncio.Task[None]) -> None:
    """End a task and take its fault, which is raised here where it has one.

    It is told so until it ends: in Python 3.11 `wait_for`, under a call to the store, may lose it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)
    if not task.cancelled():
        task.result()
