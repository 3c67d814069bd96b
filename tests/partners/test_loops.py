"""What one loop meets is not the others' matter, and an end waits for none of them for long."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from partners import loops
from partners.loops import FAULTS, LONGEST_PAUSE_SECONDS, Work
from reservation import metrics
from reservation.errors import StoreUnavailable
from reservation.metrics import REGISTRY


async def run_loops(works: dict[tuple[str, str], Work], stop: asyncio.Event) -> None:
    """Run loops of channels."""
    await loops.run_loops(works, stop, kind="channel", bugs=metrics.CHANNEL_BUGS)


def bugs(channel: str) -> float:
    """Read how many bugs are counted for a channel; 0 before the first look for one, too."""
    return REGISTRY.get_sample_value("holdfast_channel_bugs_total", {"channel": channel}) or 0.0


async def test_a_bug_in_one_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with its cause, counted, and that one tried again."""
    monkeypatch.setattr(loops, "FIRST_PAUSE_SECONDS", 0.0)
    stop, left, others = asyncio.Event(), [KeyError("a bug"), KeyError("a bug"), None], 0
    before = bugs("buggy")

    async def buggy() -> float:
        fault = left.pop(0)
        if fault is not None:
            raise fault
        stop.set()
        return 60.0

    async def sound() -> float:
        nonlocal others
        others += 1
        return 0.0

    with capture_logs() as told:
        await run_loops({("mover", "buggy"): buggy, ("mover", "sound"): sound}, stop)
    assert others >= 2
    assert bugs("buggy") == before + 2
    events = [line for line in told if line["event"] == "channel_bug"]
    assert [(line["channel"], line["job"]) for line in events] == [("buggy", "mover")] * 2
    assert all(line["log_level"] == "error" and line["exc_info"] for line in events)


async def test_after_a_bug_there_are_ever_longer_pauses() -> None:
    """Within bounds, and the first one anew once it went well."""
    fails = True

    async def work() -> float:
        if fails:
            raise KeyError("a bug")
        return 7.0

    survive = loops._surviving(
        "mover", "buggy", work, kind="channel", bugs=metrics.CHANNEL_BUGS, faults=FAULTS
    )
    pauses = [await survive() for _ in range(8)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    fails = False
    assert await survive() == 7.0
    fails = True
    assert await survive() == 1.0


async def test_a_fault_is_no_bug() -> None:
    """A store that is away is waited for, and told once."""
    stop, left, before = asyncio.Event(), 2, bugs("tmall")

    async def work() -> float:
        nonlocal left
        left -= 1
        if left:
            asyncio.get_running_loop().call_soon(stop.set)
            raise StoreUnavailable("away", effect="not_applied")
        return 0.0

    with capture_logs() as told:
        await run_loops({("mover", "tmall"): work}, stop)
    assert [(line["event"], line["loop"]) for line in told] == [("loop_waits", "mover of tmall")]
    assert bugs("tmall") == before


async def test_an_end_waits_only_so_long_for_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends in time ends by itself, one that does not is broken off."""
    monkeypatch.setattr(loops, "LAST_SECONDS", 0.1)
    stop, ended = asyncio.Event(), []

    async def quick() -> float:
        stop.set()
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        ended.append("quick")
        return 0.0

    async def endless() -> float:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")
        return 0.0

    async with asyncio.timeout(5):
        await run_loops({("mover", "tmall"): endless, ("fetcher", "tmall"): quick}, stop)
    assert ended == ["quick", "endless"]


async def test_where_there_are_none_the_end_is_waited_for() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(5):
        await run_loops({}, stop)
    assert stop.is_set()
