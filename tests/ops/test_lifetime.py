"""How a process of ours ends what it has begun."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ops.lifetime import cancel


async def test_a_task_that_loses_the_first_word_is_told_once_more() -> None:
    """In Python 3.11 `wait_for` swallows what comes just as its call is done."""
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    async with asyncio.timeout(10):
        await cancel(task)
    assert task.cancelled()


async def test_the_fault_of_a_task_that_has_failed_is_raised() -> None:
    async def work() -> None:
        raise ValueError("broken")

    task = asyncio.create_task(work())
    await asyncio.wait({task})
    with pytest.raises(ValueError, match="broken"):
        await cancel(task)


async def test_a_task_that_has_ended_stays_so() -> None:
    async def work() -> None:
        pass

    task = asyncio.create_task(work())
    await cancel(task)
    await cancel(task)
    assert task.done()
