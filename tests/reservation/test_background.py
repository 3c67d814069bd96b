"""The shape that all background loops share."""

import asyncio

import pytest
import structlog

from reservation.background import Every, repeat


class Trouble(Exception):
    """A fault that a loop lives through."""


async def test_what_fails_is_tried_again_and_told_once() -> None:
    """A fault is logged once however often it comes, and once more when it is over."""
    stop, left = asyncio.Event(), [Trouble("away"), Trouble("away"), Trouble("slow"), None]

    async def work() -> float:
        fault = left.pop(0)
        if fault is None:
            stop.set()
            return 0.0
        raise fault

    with structlog.testing.capture_logs() as told:
        await repeat(work, name="relay", stop=stop, faults=(Trouble,), fault_seconds=0.0)
    assert [(line["event"], line["loop"], line.get("reason")) for line in told] == [
        ("loop_waits", "relay", "away"),
        ("loop_waits", "relay", "slow"),
        ("loop_recovered", "relay", None),
    ]


async def test_a_bug_ends_the_loop() -> None:
    """What is none of the named faults is raised: the supervisor starts the process anew."""

    async def work() -> float:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await repeat(work, name="relay", stop=asyncio.Event(), faults=(Trouble,))


async def test_a_pause_ends_with_the_stop() -> None:
    """A loop that pauses for an hour ends at once when it is told to."""
    stop = asyncio.Event()

    async def work() -> float:
        asyncio.get_running_loop().call_soon(stop.set)
        return 3600.0

    async with asyncio.timeout(5):
        await repeat(work, name="relay", stop=stop, faults=(Trouble,))


async def test_what_is_done_now_and_then_is_due_at_first() -> None:
    """The first time is now, the next one only after the interval."""
    every = Every(3600.0)
    assert [every.is_due(), every.is_due()] == [True, False]
