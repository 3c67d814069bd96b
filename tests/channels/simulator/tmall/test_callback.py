"""Calls of the platform to us: as its own SDK would check them, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, unquote

import pytest

from tests.channels.simulator.conftest import Desk


class Listener:
    """A server of ours that writes down what it is sent."""

    def __init__(self) -> None:
        self.query: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.body = b""
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.query = parse_qsl(head[0].split(" ")[1].partition("?")[2], keep_blank_values=True)
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        self.body = await reader.readexactly(int(self.headers["content-length"]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()


@pytest.fixture
async def ours() -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/messages"
    async with server:
        yield listener


async def test_a_call_to_us_is_signed(desk: Desk, ours: Listener) -> None:
    """Over the listed headers, the query and the raw body, at the simulated time."""
    body = '{"tid":"4701000000000000001", "备注":"✓"}'
    status, answer = await desk.ask(
        "POST",
        "/tmall/callback",
        {
            "url": ours.url,
            "method": "qimen.demo.order.push",
            "body": body,
            "headers": {"X-Shop": "旗舰店"},
        },
    )
    assert (status, answer) == (200, {"status": 200, "body": "{}"})
    assert ours.body == body.encode()
    query = dict(ours.query)
    sign = query.pop("sign")
    assert query == {
        "app_key": "12345678",
        "method": "qimen.demo.order.push",
        "sign_method": "md5",
        "timestamp": "2026-01-22 18:00:00",
        "v": "2.0",
    }
    listed = ours.headers["top-sign-list"].split(",")
    pairs = query | {name: unquote(ours.headers[name]) for name in listed}
    text = "".join(name + pairs[name] for name in sorted(pairs))
    expected = hashlib.md5(  # noqa: S324 (the platform's own)
        b"helloworld" + text.encode() + ours.body + b"helloworld"
    ).hexdigest()
    assert sign == expected.upper()
    assert listed == ["x-shop"]


async def test_without_headers_none_are_listed(desk: Desk, ours: Listener) -> None:
    """A call signs its query and body then."""
    await desk.ask("POST", "/tmall/callback", {"url": ours.url, "method": "a", "body": ""})
    assert "top-sign-list" not in ours.headers
    assert ours.body == b""
