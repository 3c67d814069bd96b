"""What opens a platform: asked for first, renewed before its end or where it is refused, once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from channels.errors import PlatformFault, TokenRefused
from channels.model import PlatformOrder
from channels.registry import adapter_of
from channels.transport import RENEW_MS, Platform
from reservation.shops import Shop
from tests.channels.bazaar import NOW_MS, BazaarServer


class Opened:
    """A platform, and a clock that the test moves."""

    def __init__(self, bazaar: BazaarServer, token: str = "", **options: str) -> None:
        self.now_ms = NOW_MS
        shop = Shop(platform="tests.channels.bazaar:Bazaar", url=bazaar.url, options=options)
        self.platform = Platform(adapter_of("bazaar", shop), token, now_ms=lambda: self.now_ms)

    async def order(self) -> PlatformOrder | None:
        """Ask for an order."""
        adapter = self.platform.adapter
        return await self.platform.ask(lambda at: adapter.detail("1", at), adapter.read_detail)


@pytest.fixture
async def opened(bazaar: BazaarServer) -> AsyncIterator[Opened]:
    """Open a platform whose tokens end."""
    bazaar.tell("1", NOW_MS)
    bazaar.tokens = set()
    made = Opened(bazaar, tokens="end")
    yield made
    await made.platform.close()


async def test_a_token_is_asked_for_once(bazaar: BazaarServer, opened: Opened) -> None:
    for _ in range(3):
        assert await opened.order() is not None
    assert bazaar.refreshes == [""]


async def test_a_refused_token_is_renewed_and_the_call_made_again(
    bazaar: BazaarServer, opened: Opened
) -> None:
    """By what came with the one before."""
    await opened.order()
    bazaar.tokens = set()
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_a_new_token_that_is_refused_is_not_renewed_at_once(
    bazaar: BazaarServer, opened: Opened
) -> None:
    """Whoever asks next tries again."""
    await opened.order()
    asked: list[str] = []

    def shut(path: str) -> None:
        asked.append(path.partition("?")[0])
        if path.startswith("/orders"):
            bazaar.tokens = set()

    bazaar.before = shut
    with pytest.raises(TokenRefused):
        await opened.order()
    assert asked == ["/orders/1", "/token", "/orders/1"]


async def test_callers_that_are_refused_together_renew_once(
    bazaar: BazaarServer, opened: Opened
) -> None:
    await opened.order()
    bazaar.tokens = set()
    together = threading.Barrier(3)
    calls: list[str] = []

    def meet(path: str) -> None:
        if path.startswith("/orders"):
            calls.append(path)
            if len(calls) <= 3:
                together.wait(5)

    bazaar.before = meet
    found = await asyncio.gather(*(opened.order() for _ in range(3)))
    assert None not in found
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_a_caller_that_is_refused_late_takes_the_token_that_there_is_by_then(
    bazaar: BazaarServer, opened: Opened
) -> None:
    """Its own had been renewed by another one while the platform refused it."""
    await opened.order()
    bazaar.tokens = set()
    orders: list[str] = []
    renewed = threading.Event()

    def hold(path: str) -> None:
        if path.startswith("/orders"):
            orders.append(path)
            match len(orders):
                case 2:
                    assert renewed.wait(5)
                case 3:
                    renewed.set()

    bazaar.before = hold
    found = await asyncio.gather(opened.order(), opened.order())
    assert None not in found
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_a_token_is_renewed_before_its_end(bazaar: BazaarServer, opened: Opened) -> None:
    """So that no call of an order fails for it."""
    bazaar.token_until_ms = NOW_MS + 3_600_000
    await opened.order()
    opened.now_ms = bazaar.token_until_ms - RENEW_MS - 1
    await opened.order()
    assert bazaar.refreshes == [""]
    opened.now_ms += 1
    bazaar.token_until_ms = 1 << 62
    await opened.order()
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_what_refreshes_may_run_out_too(bazaar: BazaarServer, opened: Opened) -> None:
    """After two weeks of rest, say: then it begins as the first time."""
    await opened.order()
    bazaar.tokens = set()
    bazaar.before = lambda path: bazaar.faults.extend([(403, {})] * path.endswith("refresh-1"))
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", ""]


async def test_a_platform_that_is_busy_is_no_reason_to_begin_anew(
    bazaar: BazaarServer, opened: Opened
) -> None:
    await opened.order()
    bazaar.tokens = set()
    asked: list[str] = []

    def busy(path: str) -> None:
        if path.startswith("/token"):
            asked.append(path)
            bazaar.faults.append((503, {}))

    bazaar.before = busy
    with pytest.raises(PlatformFault, match="503"):
        await opened.order()
    assert asked == ["/token?refresh=refresh-1"]
    bazaar.before = lambda path: None
    assert await opened.order() is not None
    assert bazaar.refreshes == ["", "refresh-1"]


async def test_where_no_token_can_be_asked_for_refused_stays_refused(bazaar: BazaarServer) -> None:
    """The account's own is taken again once it opens again."""
    bazaar.tell("1", NOW_MS)
    bazaar.tokens = {"mine"}
    opened = Opened(bazaar, "mine")
    assert await opened.order() is not None
    bazaar.tokens = set()
    calls: list[str] = []
    bazaar.before = calls.append
    for _ in range(2):
        with pytest.raises(TokenRefused):
            await opened.order()
    assert calls == ["/orders/1"] * 2
    bazaar.tokens = {"mine"}
    assert await opened.order() is not None
    await opened.platform.close()
