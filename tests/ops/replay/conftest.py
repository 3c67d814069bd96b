"""Fixtures: a gateway to the real service in this process, and time that passes by itself."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from ops.replay.gateway import Gateway
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.conftest import Clock

ADMIN_KEY = "an-admin-key-of-the-tests"
URL = "http://127.0.0.1"
IDLE_TURNS = 25  # turns of the loop without a request: nothing is left to happen at this instant


class Wire(httpx.AsyncBaseTransport):
    """The way to the service; a test may let it lose what goes over it."""

    def __init__(self, below: httpx.AsyncBaseTransport) -> None:
        self._below = below
        self.under_way = 0
        self.requests = 0
        # Called with each request's number; answers "request" or "answer" where that is lost.
        self.loses: Callable[[int, httpx.Request], str | None] = lambda _number, _request: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, or lose it before or after the service has acted on it."""
        self.requests += 1
        lost = self.loses(self.requests, request)
        if lost == "request":
            raise httpx.ConnectError("refused")
        self.under_way += 1
        try:
            response = await self._below.handle_async_request(request)
        finally:
            self.under_way -= 1
        if lost == "answer":
            raise httpx.ReadError("connection lost")
        return response


class IdleClock:
    """Passes time as soon as nothing is under way, here and in the store alike."""

    def __init__(self, store_clock: Clock, wire: Wire) -> None:
        self._store_clock = store_clock
        self._wire = wire
        self._now = 0.0
        self._store_ms = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Tell the time."""
        return self._now

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Wait for virtual time to pass, or for `stop`."""
        if seconds <= 0 or stop.is_set():
            return
        waking = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), waking))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({waking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    async def _drive(self) -> None:
        while self._sleepers:
            await self._until_idle()
            self._now = max(self._now, self._sleepers[0][0])
            behind_ms = round(self._now * 1000) - self._store_ms
            if behind_ms > 0:
                await self._store_clock.advance(behind_ms / 1000)
                self._store_ms += behind_ms
            while self._sleepers and self._sleepers[0][0] <= self._now:
                waking = heapq.heappop(self._sleepers)[2]
                if not waking.done():
                    waking.set_result(None)

    async def _until_idle(self) -> None:
        turns, seen = 0, self._wire.requests
        while turns < IDLE_TURNS:
            await asyncio.sleep(0)
            quiet = not self._wire.under_way and self._wire.requests == seen
            turns, seen = (turns + 1 if quiet else 0), self._wire.requests


@pytest.fixture
async def wire(engine: Engine, store: Store, settings: Settings) -> AsyncIterator[Wire]:
    """Lead to the service over a real engine, whose admin key is ADMIN_KEY."""
    keyring = Keyring(store.client)
    await keyring.ensure_admin(ADMIN_KEY)
    yield Wire(httpx.ASGITransport(create_app(engine, keyring, settings)))
    await keyring.close()


@pytest.fixture
async def gateway(wire: Wire) -> AsyncIterator[Gateway]:
    """Make a gateway that may act for every channel."""
    async with Gateway(URL, ADMIN_KEY, transport=wire) as made:
        yield made


@pytest.fixture
async def idle_clock(clock: Clock, wire: Wire) -> IdleClock:
    """Pass the time of a replay and of the store under it."""
    return IdleClock(clock, wire)
