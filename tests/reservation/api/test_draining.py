"""A server that ends: what it has taken is answered, and no connection keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from reservation.api import connection, hardening
from reservation.engine import Engine
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.reservation.api.wire import Serving, Wire, body, head, serving

pytestmark = pytest.mark.usefixtures("stocked")


class Brake:
    """Holds calls of the store up until it is let go."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived, self.let_go = asyncio.Event(), asyncio.Event()
        self._run = store.run
        monkeypatch.setattr(store, "run", self._slow)

    async def _slow(self, *arguments: Any, deadline: float) -> Any:
        self.arrived.set()
        await self.let_go.wait()
        return await self._run(*arguments, deadline=deadline)


@pytest.mark.usefixtures("lane")
async def test_a_connection_that_comes_while_the_server_ends_has_one_answer(
    app: FastAPI, store: Store, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept open, a busy one would be served until the time is up, and then be cut."""
    brake = Brake(store, monkeypatch)
    content = body()
    async with serving(app) as server:
        slow = await Wire.open(server.port)
        await slow.send(head(token, f"Content-Length: {len(content)}") + content)
        await brake.arrived.wait()
        ending = await begin_to_end(server)
        async with late(server) as port:
            wire = await Wire.open(port)
            await wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers, _ = await wire.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await wire.ended()
        brake.let_go.set()
        status, headers, _ = await slow.answer()
        assert (status, headers["connection"]) == (201, "close")
        await ending
        wire.close()
        slow.close()


@pytest.mark.usefixtures("lane")
async def test_an_idle_connection_has_one_more_answer_or_is_soon_closed(
    app: FastAPI, token: str
) -> None:
    """Its client may be sending just now, and would not know what became of its request."""
    content = body()
    async with serving(app) as server:
        busy, idle = await Wire.open(server.port), await Wire.open(server.port)
        for wire in (busy, idle):
            await wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert "connection" not in (await wire.answer())[1]
        ending = await begin_to_end(server)
        await busy.send(head(token, f"Content-Length: {len(content)}") + content)
        status, headers, _ = await busy.answer()
        assert (status, headers["connection"]) == (201, "close")
        assert await busy.ended()
        assert await idle.ended()
        await ending
        busy.close()
        idle.close()


async def test_a_connection_that_comes_late_and_says_nothing_is_soon_closed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LATE_HEAD_SECONDS", 0.01)
    async with serving(app) as server, late(server) as port:
        server.server.server_state.ending = True
        wire = await Wire.open(port)
        assert await wire.ended()
        wire.close()


@pytest.mark.usefixtures("lane")
async def test_who_is_cut_off_while_the_store_works_hears_that_it_is_unknown(
    app: FastAPI, store: Store, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    brake = Brake(store, monkeypatch)
    content = body()
    async with serving(app, timeout_graceful_shutdown=0) as server:
        wire = await Wire.open(server.port)
        await wire.send(head(token, f"Content-Length: {len(content)}") + content)
        await brake.arrived.wait()
        await server.end()
        status, headers, problem = await wire.answer()
    assert (status, problem["type"]) == (503, "/problems/store-unavailable")
    assert (problem["outcome"], headers["connection"]) == ("unknown", "close")
    assert "is ending" in problem["detail"]
    assert headers["retry-after"] == "1"
    wire.close()
    brake.let_go.set()


async def test_who_is_cut_off_in_its_body_hears_that_nothing_was_done(
    app: FastAPI, token: str
) -> None:
    async with serving(app, timeout_graceful_shutdown=0) as server:
        wire = await Wire.open(server.port)
        await wire.send(head(token, "Content-Length: 100") + b"{")
        while not server.server.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        await server.end()
        status, _, problem = await wire.answer()
    assert (status, problem["outcome"]) == (503, "not_applied")
    wire.close()


async def test_a_body_that_does_not_come_does_not_hold_up_the_end(
    app: FastAPI, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was waited for as long as at any other time."""
    monkeypatch.setattr(hardening, "LATE_BODY_SECONDS", 0.05)
    async with serving(app, timeout_graceful_shutdown=20) as server:
        wire = await Wire.open(server.port)
        await wire.send(head(token, "Content-Length: 100") + b"{")
        while not server.server.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await server.end()
        status, headers, problem = await wire.answer()
    assert (status, problem["outcome"], headers["retry-after"]) == (503, "not_applied", "1")
    assert headers["connection"] == "close"
    wire.close()


@pytest.mark.parametrize("dry", [False, True])
async def test_an_import_that_is_cut_off_tells_how_far_it_came(
    app: FastAPI,
    engine: Engine,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
    *,
    dry: bool,
) -> None:
    _, token = await keyring.create(Role.OPS)
    arrived = asyncio.Event()

    async def slow(*_: Any, progress: Any, **__: Any) -> None:
        progress(200, 400)
        arrived.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(engine, "import_stock", slow)
    file = b"sku,warehouse,on_hand,safety_stock\nA,main,1,0\n"
    async with serving(app, timeout_graceful_shutdown=0) as server:
        wire = await Wire.open(server.port)
        path = "/v1/stock/import" + ("?dry_run=true" if dry else "")
        asked = head(token, f"Content-Length: {len(file)}", path=path)
        await wire.send(asked.replace(b"application/json", b"text/csv") + file)
        await arrived.wait()
        await server.end()
        status, _, problem = await wire.answer()
    expected = ("not_applied", 0) if dry else ("unknown", 200)
    assert (status, problem["outcome"], problem["rows_applied"]) == (503, *expected)
    wire.close()


async def test_what_waits_is_taken_while_the_port_is_still_open(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(app) as server:
        taken = []

        async def take_last() -> None:
            (await Wire.open(server.port)).close()
            taken.append(server.server.server_state.ending)

        monkeypatch.setattr(server.server, "take_last", take_last)
        await server.end()
    assert taken == [True]


async def begin_to_end(server: Serving) -> asyncio.Task[None]:
    """Let a server begin to drain."""
    ending = asyncio.create_task(server.end())
    while not server.server.server_state.ending:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0)
    return ending


@asynccontextmanager
async def late(server: Serving) -> AsyncIterator[int]:
    """Give a port whose connections are new to a server that has closed its own."""

    def protocol() -> asyncio.Protocol:
        return connection.BoundedHttp(
            config=server.server.config,
            server_state=server.server.server_state,
            app_state={},
        )

    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    yield listener.sockets[0].getsockname()[1]
    listener.close()
