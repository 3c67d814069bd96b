"""One call to a partner: what it answers, and each way of not answering."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response as Answer
from starlette.responses import StreamingResponse
from starlette.routing import Route

from partners.connection import MOST_ANSWER_BYTES, Connection
from partners.errors import PartnerFault
from partners.model import Request
from partners.simulation.serving import beside
from partners.simulation.simulator import Cut

PART_BYTES = 1 << 20


async def echo(asked: Asked) -> Answer:
    """Say what was asked."""
    headers = {"X-Agent": asked.headers["user-agent"], "X-Word": asked.headers.get("x-word", "")}
    return Answer(await asked.body(), 418, headers)


async def cut(_: Asked) -> Cut:
    """Break off."""
    return Cut()


async def silent(asked: Asked) -> Answer:
    """Say nothing until the caller has gone."""
    await asked.body()
    await asked.receive()
    return Answer()


async def endless(_: Asked) -> StreamingResponse:
    """Say more than is read."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(1 + MOST_ANSWER_BYTES // PART_BYTES):
            yield bytes(PART_BYTES)

    return StreamingResponse(parts())


@asynccontextmanager
async def connected(timeout_seconds: float = 10.0) -> AsyncIterator[tuple[str, Connection]]:
    """A partner, and the way to it."""
    faces = (echo, cut, silent, endless)
    routes = [Route(f"/{face.__name__}", face, methods=["GET", "POST"]) for face in faces]
    async with beside(Starlette(routes=routes)) as url:
        connection = Connection(url, timeout_seconds=timeout_seconds)
        try:
            yield url, connection
        finally:
            await connection.close()


async def fault_of(connection: Connection, url: str) -> PartnerFault:
    """Make a call that cannot end well."""
    with pytest.raises(PartnerFault) as raised:
        await connection.send(Request("GET", url))
    return raised.value


async def test_any_status_is_an_answer() -> None:
    """What was written arrives byte for byte; names of headers come in lower case."""
    async with connected() as (url, connection):
        request = Request("POST", f"{url}/echo", b"\x00\xff", {"x-word": "tea"})
        response = await connection.send(request)
    assert (response.status, response.body) == (418, b"\x00\xff")
    assert (response.headers["x-word"], response.headers["x-agent"]) == ("tea", "holdfast")


async def test_an_answer_that_breaks_off_is_unknown() -> None:
    """The call may have been done, and may be made again."""
    async with connected() as (url, connection):
        fault = await fault_of(connection, f"{url}/cut")
    assert (fault.code, fault.again, fault.unknown) == ("lost", True, True)


async def test_an_answer_that_does_not_come_is_unknown() -> None:
    """It is waited for so long and no longer."""
    async with connected(0.05) as (url, connection):
        fault = await fault_of(connection, f"{url}/silent")
    assert fault.code in {"timeout", "lost"}  # whichever of two clocks is first
    assert (fault.again, fault.unknown) == (True, True)


async def test_who_is_not_there_has_done_nothing() -> None:
    """The call never left."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    connection = Connection(url)
    fault = await fault_of(connection, url)
    await connection.close()
    assert (fault.code, fault.again, fault.unknown) == ("unreachable", True, False)


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    """It is no use to ask again; what the call has done nobody knows."""
    async with connected() as (url, connection):
        fault = await fault_of(connection, f"{url}/endless")
    assert (fault.code, fault.again, fault.unknown) == ("too-large", False, True)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("http://[::1", {}),
        ("/echo", {"authorization": "Bearer \u2026"}),
        ("/echo", {"authorization": "Bearer a\nb"}),
    ],
)
async def test_what_cannot_be_sent_never_left(path: str, headers: dict[str, str]) -> None:
    """It cannot the next time either."""
    async with connected() as (url, connection):
        where = path if path.startswith("http") else url + path
        with pytest.raises(PartnerFault) as raised:
            await connection.send(Request("GET", where, headers=headers))
    fault = raised.value
    assert (fault.code, fault.again, fault.unknown) == ("unsendable", False, False)
