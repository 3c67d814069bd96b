"""How a partner's messages are carried, and what is understood of the answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from partners.simulation import post
from partners.simulation.post import Post, Said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SECONDS = 20.0


class Listener:
    """Reads requests, and says to each what it is told to."""

    def __init__(self, answer: bytes, *, closes: bool) -> None:
        self.url = ""
        self.heard: list[bytes] = []
        self.connections = 0
        self.tasks = set[asyncio.Task[None] | None]()
        self._answer, self._closes = answer, closes

    async def listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.heard.append(head + await reader.readexactly(int(length)))
                writer.write(self._answer)
                if self._closes:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def listening(answer: bytes = OK, *, closes: bool = False) -> AsyncIterator[Listener]:
    """Serve on loopback."""
    listener = Listener(answer, closes=closes)
    server = await asyncio.start_server(listener.listen, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield listener
    finally:
        server.close()
        await asyncio.gather(*filter(None, listener.tasks))


async def _send(url: str, headers: dict[str, str] | None = None) -> Said | None:
    async with contextlib.aclosing(Post()) as sender:
        return await sender.send(url, b"<a/>", headers or {}, seconds=SECONDS)


async def test_a_message_goes_as_it_was_signed() -> None:
    """Its query is as it was written, its body byte for byte."""
    async with listening() as there:
        said = await _send(f"{there.url}/in?b=%E4%BD%A0+1&a=#there", {"x-sign": "ABC"})
    assert said == Said(200, b"ok", {"content-length": "2"})
    head, _, body = there.heard[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /in?b=%E4%BD%A0+1&a= HTTP/1.1"
    assert {f"host: {there.url[7:]}", "content-length: 4", "x-sign: ABC"} <= set(lines)
    assert body == b"<a/>"


async def test_what_is_written_in_chinese_is_encoded() -> None:
    """An address that somebody typed."""
    async with listening() as there:
        await _send(f"{there.url}/你?a=好")
    assert there.heard[0].startswith(b"POST /%E4%BD%A0?a=%E5%A5%BD HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200, b"ab"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil it closes", 200, b"until it closes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ],
)
async def test_an_answer_has_many_forms(answer: bytes, status: int, body: bytes) -> None:
    """Also one that leads elsewhere, which is not followed."""
    async with listening(answer, closes=True) as there:
        said = await _send(there.url)
    assert said is not None
    assert (said.status, said.body) == (status, body)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nless"]
)
async def test_half_an_answer_is_none(answer: bytes) -> None:
    """Nobody knows what became of the message."""
    async with listening(answer, closes=True) as there:
        assert await _send(there.url) is None


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1/", {}),
        ("http://127.0.0.1:no/", {}),
        ("ftp://127.0.0.1/", {}),
        ("http://", {}),
        ("{}/a b", {}),
        ("{}/", {"x": "a\r\nb: c"}),
        ("{}/", {"x\r\n": "a"}),
    ],
)
async def test_what_cannot_be_sent_is_not_answered(url: str, headers: dict[str, str]) -> None:
    """Nobody listens there, it is no address, or it would be another request."""
    async with listening() as there:
        assert await _send(url.format(there.url), headers) is None
    assert there.heard == []


async def test_who_says_nothing_is_waited_for_so_long() -> None:
    """And its late answer is not taken for that to the next message."""
    async with listening(b"") as there, contextlib.aclosing(Post()) as sender:
        assert await sender.send(there.url, b"", {}, seconds=0.05) is None
        assert await sender.send(there.url, b"", {}, seconds=0.05) is None
    assert there.connections == 2


async def test_a_connection_is_used_again() -> None:
    """Until the other side closes it."""
    async with listening() as there, contextlib.aclosing(Post()) as sender:
        for _ in range(3):
            assert await sender.send(there.url, b"", {}, seconds=SECONDS) is not None
        assert there.connections == 1
    async with listening(closes=True) as there, contextlib.aclosing(Post()) as sender:
        for _ in range(2):
            assert await sender.send(there.url, b"", {}, seconds=SECONDS) is not None
            await asyncio.sleep(0.05)
        assert there.connections == 2


async def test_a_connection_that_was_not_used_for_long_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its other side may be closing it just now."""
    monkeypatch.setattr(post, "IDLE_SECONDS", 0.0)
    async with listening() as there, contextlib.aclosing(Post()) as sender:
        for _ in range(2):
            assert await sender.send(there.url, b"", {}, seconds=SECONDS) is not None
        assert there.connections == 2


async def test_an_answer_without_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound nothing more is read."""
    monkeypatch.setattr(post, "MOST_ANSWER_BYTES", 1)
    async with listening() as there:
        assert await _send(there.url) is None
