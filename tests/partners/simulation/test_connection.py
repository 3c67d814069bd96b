"""How a simulator is spoken with over HTTP/1.1, byte for byte."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from partners.simulation import connection
from partners.simulation.serving import served
from tests.partners.simulation.echo import Echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.routing import BaseRoute

    from partners.simulation.simulator import World

SECONDS = 20.0


class Reader(Echo):
    """Says what it was sent; of `/broken` it knows nothing to say."""

    def face(self) -> Sequence[BaseRoute]:
        """Read a body, or break."""

        async def read(request: Request) -> Response:
            body = await request.body()
            return PlainTextResponse(f"{request.url.query} {body.decode()}")

        async def broken(_: Request) -> Response:
            raise RuntimeError("it is broken")

        async def pieces(_: Request) -> Response:
            async def each() -> AsyncIterator[bytes]:
                yield b"ab"
                yield b"cd"

            return StreamingResponse(each())

        read_it = Route("/read", read, methods=["GET", "POST"])
        return [*super().face(), read_it, Route("/broken", broken), Route("/pieces", pieces)]


async def _said(world: World, sent: bytes) -> bytes:
    """Send bytes, and give all that comes back until the other side closes."""
    async with served(Reader(world)) as url, asyncio.timeout(SECONDS):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        said = await reader.read()
        writer.close()
        return said


def _bodies(said: bytes) -> list[bytes]:
    """Give the texts of answers that each end with their body."""
    return [each.partition(b"\r\n\r\n")[2] for each in said.split(b"HTTP/1.1 ")[1:]]


async def test_requests_in_one_piece_are_answered_in_their_order(world: World) -> None:
    """The second waits for the first, and the connection closes behind the one that asks it to."""
    one = b"POST /read?%s HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n%s\r\nabc"
    said = await _said(world, one % (b"1", b"") + one % (b"2", b"connection: close\r\n"))
    assert _bodies(said) == [b"1 abc", b"2 abc"]


async def test_a_body_comes_in_chunks(world: World) -> None:
    """Its pieces are one body, and a client that asks whether to send it is told to go on."""
    head = b"POST /read HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n"
    said = await _said(
        world, head + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\n\r\n abc")


async def test_a_head_alone_is_answered_with_one(world: World) -> None:
    """HEAD is told the length of what GET would be given."""
    said = await _said(world, b"HEAD /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b"content-length: 1\r\n" in said
    assert said.endswith(b"\r\n\r\n")


async def test_who_offers_another_protocol_is_served_in_this(world: World) -> None:
    """Some clients offer HTTP/2 with every request."""
    head = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    said = await _said(world, head)
    assert _bodies(said) == [b"hello"]
    assert b"connection: close\r\n" in said


async def test_an_answer_in_pieces_leaves_as_one(world: World) -> None:
    """With its length, so that whoever reads it knows its end."""
    said = await _said(world, b"GET /pieces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b"content-length: 4\r\n" in said
    assert _bodies(said) == [b"abcd"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /hello HTTP/1.1\r\n: x\r\n\r\n", b"400 Bad Request"),
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET /broken HTTP/1.1\r\nhost: x\r\n\r\n", b"500 Internal Server Error"),
    ],
)
async def test_what_cannot_be_answered_ends_the_connection(
    world: World, sent: bytes, status: bytes
) -> None:
    """What is no HTTP, and what a simulator breaks at."""
    said = await _said(world, sent)
    assert said.startswith(b"HTTP/1.1 " + status)


async def test_a_body_without_end_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a bound nothing more is read."""
    monkeypatch.setattr(connection, "MOST_BODY_BYTES", 2)
    said = await _said(world, b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc")
    assert said.startswith(b"HTTP/1.1 413 ")


async def test_a_connection_that_nobody_uses_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any server does after a while."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    assert _bodies(await _said(world, b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")) == [b"hello"]
