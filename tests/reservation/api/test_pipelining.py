"""Requests behind each other on one connection wait within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

from reservation.api.connection import MAX_PIPELINED
from tests.reservation.api.wire import Wire, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Gated:
    """An application that answers one request whenever it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; its body is received first."""
        del scope
        while (await receive()).get("more_body"):
            pass
        await self.let.acquire()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def test_nothing_more_is_read_while_several_wait() -> None:
    """An answer makes room for no further piece until nearly all that was read is worked on."""
    app = Gated()
    async with serving(app) as server:  # type: ignore[arg-type]
        wire = await Wire.open(server.port)
        await wire.send(GET * 20)
        (connection,) = server.server.server_state.connections
        while len(connection.pipeline) < 19:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0)
        flow = connection.flow  # type: ignore[union-attr]
        for waiting in range(18, 1, -1):
            app.let.release()
            while len(connection.pipeline) > waiting:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert flow.read_paused
        for _ in range(3):
            app.let.release()
        for _ in range(20):
            await wire.reader.readuntil(b"\r\n\r\n")
        await wire.send(GET)
        app.let.release()
        assert await wire.reader.readuntil(b"\r\n\r\n")
        wire.close()


async def test_the_last_of_those_that_wait_may_lack_its_body() -> None:
    """It is read when its turn has come."""
    app = Gated()
    body = b"x" * 100_000
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(app) as server:  # type: ignore[arg-type]
        wire = await Wire.open(server.port)
        await wire.send(GET + GET + head + body[:10])
        for _ in range(3):
            app.let.release()
        await wire.send(body[10:] + GET)
        app.let.release()
        for _ in range(4):
            assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        wire.close()


async def test_beyond_the_bound_the_connection_ends_behind_its_answers() -> None:
    """What was not read was not done; a client sends it again on another connection."""
    app = Gated()
    async with serving(app) as server:  # type: ignore[arg-type]
        wire = await Wire.open(server.port)
        await wire.send(GET * 3 * MAX_PIPELINED)
        for _ in range(MAX_PIPELINED + 1):
            app.let.release()
        heads = [await wire.reader.readuntil(b"\r\n\r\n") for _ in range(MAX_PIPELINED + 1)]
        assert b"connection: close" in heads[-1]
        assert b"connection: close" not in heads[-2]
        assert await wire.ended()
        wire.close()
