"""Fixtures: both clients, against the real service, or through a server that loses answers."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from reservation.client import AsyncClient, Client, Retry
from reservation.client.synchronous_events import Events
from tests.conftest import RunningService
from tests.reservation.client.unreliable import Unreliable, unreliable_server

_numbers = itertools.count(1)


class InThread:
    """Make a `Client` awaitable, so that one test tells the story of both clients."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not inspect.ismethod(method):
            return method

        @functools.wraps(method)
        async def call(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(method, *arguments, **named)

        return call

    def every(self, ask: Any, *arguments: Any, **named: Any) -> AsyncGenerator[Any, None]:
        """Walk a list; `ask` is one of the methods made awaitable here."""
        return _in_thread(self._client.every(ask.__wrapped__, *arguments, **named))

    def events(self, **named: Any) -> AsyncGenerator[Any, None]:
        """Follow the events."""
        return _in_thread(self._client.events(**named))

    def with_options(self, **options: Any) -> InThread:
        """Wrap the view as well."""
        return InThread(self._client.with_options(**options))


async def _in_thread(
    iterator: Events | Generator[Any, None, None],
) -> AsyncGenerator[Any, None]:
    """Wait for each item in a thread."""
    end = object()
    try:
        while (item := await asyncio.to_thread(next, iterator, end)) is not end:
            yield item
    finally:
        iterator.close()


class Waits:
    """A clock that only moves when somebody pauses; it remembers each pause."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    def pause(self, seconds: float) -> None:
        """Pass the time."""
        self.pauses.append(seconds)
        self.now += seconds

    async def pause_asynchronously(self, seconds: float) -> None:
        """Pass the time for a task."""
        self.pause(seconds)


@pytest.fixture
def waits() -> Waits:
    """Give a clock without real pauses."""
    return Waits()


@pytest.fixture(params=["asynchronous", "synchronous"])
async def connect(
    request: pytest.FixtureRequest, waits: Waits
) -> AsyncIterator[Callable[..., AsyncClient]]:
    """Make clients of one kind: the synchronous one looks like the other to a test."""
    opened: list[Any] = []

    def open_client(url: str, key: str, **options: Any) -> Any:
        options = {"retry": Retry(draw=lambda: 1.0), "clock": waits.clock, **options}
        made: Any
        if request.param == "asynchronous":
            made = AsyncClient(url, key, sleep=waits.pause_asynchronously, **options)
            opened.append(made.aclose)
        else:
            made = InThread(Client(url, key, sleep=waits.pause, **options))
            opened.append(made.close)
        return made

    yield open_client
    for close in opened:
        await close()


@pytest.fixture
def holdfast(connect: Callable[..., AsyncClient], service: RunningService) -> AsyncClient:
    """Open a client of the real service, with the admin key."""
    return connect(service.url, service.admin_key)


@pytest.fixture
def unreliable(service: RunningService) -> Iterator[Unreliable]:
    """Run a server in front of the real service that does what it is told to."""
    with unreliable_server(service.url) as running:
        yield running


@pytest.fixture
def client(
    connect: Callable[..., AsyncClient], unreliable: Unreliable, service: RunningService
) -> AsyncClient:
    """Open a client of the service behind the unreliable server."""
    return connect(unreliable.url, service.admin_key)


@pytest.fixture
def name() -> str:
    """Make a name that no other test uses: the service keeps what tests leave."""
    return f"n{next(_numbers)}"


@pytest.fixture
async def sku(holdfast: AsyncClient, name: str) -> str:
    """Make a SKU of which ten are on hand."""
    made = f"猫粮 10kg/{name}"
    await holdfast.set_stock(made, 10)
    return made
