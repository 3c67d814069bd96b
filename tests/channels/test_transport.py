"""Calls to a platform: when they leave, what they are signed with, and whose fault a bug is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from channels.adapter import At
from channels.registry import adapter_of
from channels.transport import Platform
from partners.errors import PartnerFault, UnknownWord
from partners.model import Request, Response
from reservation.metrics import REGISTRY
from reservation.shops import Shop
from tests.channels.corner import CornerShop
from tests.waiting import happens

NOW_MS = 1_700_000_000_000


class Bed:
    """A shop, the way to it at some pace, and a wall clock that the test moves."""

    def __init__(self, shop: CornerShop) -> None:
        self.shop, self.now_ms = shop, NOW_MS
        shop.tell("1", "settled", ("A", 1))
        settled = Shop(platform="tests.channels.corner:Corner", url=shop.url, secrets=("s",))
        self.adapter = adapter_of("corner", settled)
        self.platform = Platform(self.adapter, now_ms=lambda: self.now_ms)

    async def ask(self, lane: str = "in") -> str:
        """Ask for an order; returns its word."""
        order = await self.platform.ask(
            lambda at: self.adapter.detail("1", at), self.adapter.read_detail, lane=lane
        )
        assert order is not None
        return order.word


@pytest.fixture
async def bed(shop: CornerShop) -> AsyncIterator[Bed]:
    made = Bed(shop)
    yield made
    await made.platform.close()


def counted(name: str, **labels: str) -> float:
    """Read a counter of the corner shop's."""
    return REGISTRY.get_sample_value(name, {"channel": "corner", **labels}) or 0.0


def raises(error: Exception) -> Callable[[object], None]:
    """Make a function that only raises."""

    def raising(_: object) -> None:
        raise error

    return raising


@pytest.mark.parametrize("where", ["write", "read"])
async def test_a_bug_of_an_adapter_is_a_fault_of_its_call(bed: Bed, where: str) -> None:
    """It is told with its cause, counted, and not tried again by itself."""
    before = counted("holdfast_channel_bugs_total")
    write: Callable[[At], Request | None] = lambda at: bed.adapter.detail("1", at)  # noqa: E731
    read: Callable[[Response], object] = bed.adapter.read_detail
    buggy = raises(KeyError("no such field"))
    call = (buggy, read) if where == "write" else (write, buggy)
    with capture_logs() as told, pytest.raises(PartnerFault) as raised:
        await bed.platform.ask(*call)
    assert (raised.value.code, raised.value.again) == ("bug", False)
    assert "no such field" in str(raised.value)
    assert isinstance(raised.value.__cause__, KeyError)
    assert counted("holdfast_channel_bugs_total") == before + 1
    (line,) = told
    assert (line["event"], line["log_level"], line["channel"]) == ("channel_bug", "error", "corner")
    assert line["exc_info"]
    assert await bed.ask() == "settled"


async def test_an_unknown_word_stays_one(bed: Bed) -> None:
    """It is no bug: somebody has to put it into a table."""
    before = counted("holdfast_channel_bugs_total")
    bed.shop.tell("1", "eaten", ("A", 1))
    with pytest.raises(UnknownWord):
        await bed.ask()
    assert counted("holdfast_channel_bugs_total") == before


async def test_what_a_platform_does_not_do_is_counted(bed: Bed) -> None:
    """Whatever it was asked, by whether it is asked again."""
    name = "holdfast_channel_faults_total"
    before = [counted(name, again=again) for again in ("true", "false")]
    bed.shop.faults = [(503, {}), (403, {}), (503, {})]
    for _ in range(3):
        with pytest.raises(PartnerFault):
            await bed.ask("out")
    after = [counted(name, again=again) for again in ("true", "false")]
    assert [after[0] - before[0], after[1] - before[1]] == [2, 1]


async def test_who_wants_to_be_left_alone_is(bed: Bed) -> None:
    """In every lane: in those that there were, and in one that is new."""
    loop = asyncio.get_running_loop()
    assert await bed.ask("in") == "settled"
    began = loop.time()
    bed.platform.be_quiet(0.2)
    bed.platform.be_quiet(0.01)  # of two wishes the longer one counts
    await bed.ask("new")
    assert loop.time() - began >= 0.2 - 0.001  # a loop may wake a clock's tick early
    await bed.ask("in")
    assert len(bed.shop.asked) == 3


async def test_a_wish_to_be_left_alone_reaches_who_waits_already(bed: Bed) -> None:
    assert await bed.ask() == "settled"
    bed.platform.be_quiet(30)
    waits = asyncio.create_task(bed.ask("in"))
    new = asyncio.create_task(bed.ask("new"))
    await asyncio.sleep(0)
    done, _ = await asyncio.wait({waits, new}, timeout=0.05)
    assert not done
    assert bed.shop.asked == ["1"]
    for task in (waits, new):
        task.cancel()
    await asyncio.gather(waits, new, return_exceptions=True)


@pytest.mark.parametrize(("later_ms", "again"), [(600_000, True), (999, False)])
async def test_a_call_is_signed_when_it_leaves(bed: Bed, later_ms: int, *, again: bool) -> None:
    """What waited for its turn carries the time of that, to the second."""
    written: list[int] = []

    def write(at: At) -> Request:
        written.append(at.now_ms)
        return Request("GET", f"{bed.shop.url}/orders/1")

    await bed.platform.ask(write, bed.adapter.read_done)
    bed.platform.be_quiet(0.05)
    waits = asyncio.create_task(bed.platform.ask(write, bed.adapter.read_done))

    async def is_written() -> bool:
        return len(written) == 2

    await happens(is_written)
    bed.now_ms += later_ms
    await waits
    assert written == [NOW_MS, NOW_MS] + [NOW_MS + later_ms] * again
