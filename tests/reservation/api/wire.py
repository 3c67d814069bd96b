"""A real server on loopback, and a connection that sends bytes as they are."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from reservation.api.hardening import BoundedServer, server_options

SKU = "CATFOOD-10KG"


class Serving:
    """A server that runs."""

    def __init__(self, app: FastAPI, **options: Any) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.server = BoundedServer(uvicorn.Config(app, **server_options(), **options))
        self.running: asyncio.Task[None]

    async def start(self) -> None:
        """Serve from now on."""
        self.running = asyncio.create_task(self.server._serve(sockets=[self.listener]))
        while not self.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Drain, and wait for the end."""
        self.server.should_exit = True
        await self.running
        self.listener.close()


@asynccontextmanager
async def serving(app: FastAPI, **options: Any) -> AsyncIterator[Serving]:
    """Run a real server on loopback; `options` go to uvicorn."""
    server = Serving(app, **options)
    await server.start()
    yield server
    await server.end()


class Wire:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Wire:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Read one answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        status, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers, json.loads(body) if body else None

    async def ended(self) -> bool:
        """Whether the server closes the connection, reading whatever is left."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10) is not None
        except ConnectionError:
            return True

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


def head(token: str, *headers: str, path: str = "/v1/reservations") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def body(reservation_id: str = "tmall:1") -> bytes:
    lines = [{"sku": SKU, "quantity": 1}]
    return json.dumps({"reservation_id": reservation_id, "lines": lines}).encode()
