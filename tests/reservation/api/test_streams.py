"""How many streams a process serves at once: exactly so many, and each gives its place back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI

from reservation.api.board import Boards
from reservation.api.history import KEEP_ALIVE_SECONDS
from reservation.api.streams import Places
from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import StoreUnavailable
from tests.reservation.api.conftest import Caller
from tests.reservation.api.wire import serving
from tests.waiting import happens

MOST = 3
EVENTS, BOARD = "/v1/events", "/v1/board/stream"

pytestmark = pytest.mark.usefixtures("agents")


@pytest.fixture
async def streams(
    app: FastAPI, engine: Engine, ops: Caller, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Streams]:
    """Run a real server with places for few."""
    monkeypatch.setattr("reservation.api.streams.MAX_STREAMS", MOST)
    async with serving(app) as server:
        headers = {"authorization": f"Bearer {ops.token}"}
        url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
            yield Streams(client, engine)
        engine.feed.close()


class Streams:
    """Whoever opens streams."""

    def __init__(self, client: httpx.AsyncClient, engine: Engine) -> None:
        self.client = client
        self._feed = engine.feed

    async def at_once(self, path: str, count: int, stack: AsyncExitStack) -> list[int]:
        """Open so many at the same time; returns their statuses, sorted."""
        answers = await asyncio.gather(
            *(stack.enter_async_context(self.client.stream("GET", path)) for _ in range(count))
        )
        return sorted(answer.status_code for answer in answers)

    async def all_are_free(self) -> None:
        """Wait until as many as there may be can be opened again, and nobody follows for nobody.

        Sooner than a stream would say something by itself.
        """

        async def opens() -> bool:
            async with AsyncExitStack() as stack:
                return await self.at_once(EVENTS, MOST, stack) == [200] * MOST

        async def nobody_follows() -> bool:
            return self._feed.followers == 0

        async with asyncio.timeout(KEEP_ALIVE_SECONDS / 2):
            await happens(opens)
            await happens(nobody_follows)


@pytest.mark.parametrize("path", [EVENTS, BOARD])
async def test_who_come_at_once_do_not_pass_the_limit_together(streams: Streams, path: str) -> None:
    """The place is taken before anything is waited for; events and boards share the places."""
    async with AsyncExitStack() as stack:
        statuses = await streams.at_once(path, MOST + 4, stack)
        assert statuses == [200] * MOST + [503] * 4
        for other in (EVENTS, BOARD):
            async with streams.client.stream("GET", other) as refused:
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                assert b"/problems/overloaded" in await refused.aread()
    await streams.all_are_free()


async def test_a_key_leaves_places_to_others(
    streams: Streams, viewer: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that lost its streams closed the board to every operator."""
    monkeypatch.setattr("reservation.api.streams.MAX_STREAMS_OF_A_KEY", MOST - 1)
    async with AsyncExitStack() as stack:
        assert await streams.at_once(EVENTS, MOST, stack) == [200] * (MOST - 1) + [503]
        headers = {"authorization": f"Bearer {viewer.token}"}
        async with streams.client.stream("GET", BOARD, headers=headers) as board:
            assert board.status_code == 200


@pytest.mark.parametrize("path", [EVENTS, BOARD])
async def test_whose_stream_never_begins_leaves_no_trace(
    streams: Streams, engine: Engine, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away, only the head is asked for, or nobody waits for the first piece."""

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away", effect="not_applied")

    with monkeypatch.context() as fault:
        fault.setattr(engine.feed, "follow", away)
        statuses = [(await streams.client.get(path)).status_code for _ in range(2 * MOST)]
    assert statuses == [503] * (2 * MOST)
    for _ in range(2 * MOST):
        assert (await streams.client.head(path)).status_code == 200
    port = streams.client.base_url.port
    for _ in range(2 * MOST):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        key = streams.client.headers["authorization"]
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n"
        writer.write(request.encode())
        await writer.drain()
        writer.close()
    await streams.all_are_free()


async def test_a_board_whose_state_cannot_be_read_gives_its_place_back(
    streams: Streams, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise StoreUnavailable("it is away", effect="not_applied")

    with monkeypatch.context() as fault:
        fault.setattr(engine.health, "every", away)
        statuses = [(await streams.client.get(BOARD)).status_code for _ in range(2 * MOST)]
    assert statuses == [503] * (2 * MOST)
    await streams.all_are_free()


async def test_a_board_ends_although_a_cancellation_was_lost(
    engine: Engine, settings: Settings
) -> None:
    """What reads the store may swallow one; the board does not wait for ever then."""

    async def deaf() -> AsyncGenerator[None, None]:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(0.01)
                yield None
        while True:
            await asyncio.sleep(0.01)
            yield None

    pieces = Boards(engine, Places(), settings)._pieces({}, deaf())
    for _ in range(3):  # how soon to come again, the state, a change
        await anext(pieces)
    closing = asyncio.create_task(pieces.aclose())
    done, _ = await asyncio.wait({closing}, timeout=5)
    closing.cancel()
    assert done
