"""A way to a partner that can be shut: refused, or taken and never answered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from enum import Enum, auto
from urllib.parse import urlsplit

HOST = "127.0.0.1"
CHUNK = 65_536


class Way(Enum):
    """How it is."""

    OPEN = auto()
    REFUSES = auto()  # nobody listens
    HANGS = auto()  # what is sent is taken, and nothing is said


class Gate:
    """Passes bytes on to a partner, as long as it is open."""

    def __init__(self) -> None:
        self._partner: tuple[str | None, int | None] = (None, None)
        self._way = Way.REFUSES
        self._server: asyncio.Server | None = None
        self._met: set[asyncio.StreamWriter] = set()
        with socket.create_server((HOST, 0)) as free:
            self._port: int = free.getsockname()[1]

    async def open_to(self, url: str) -> str:
        """Open the way to a partner; returns its address at the gate."""
        parts = urlsplit(url)
        self._partner = (parts.hostname, parts.port)
        await self.set(Way.OPEN)
        return f"http://{HOST}:{self._port}{parts.path}"

    async def set(self, way: Way) -> None:
        """Change how it is; what was connected is cut off."""
        self._way = way
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._met):
            writer.transport.abort()
        if way is not Way.REFUSES:
            self._server = await asyncio.start_server(self._meet, HOST, self._port)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._met.add(writer)
        with contextlib.suppress(OSError):
            if self._way is Way.HANGS:
                while await reader.read(CHUNK):
                    pass
            else:
                await self._pass(reader, writer)
        self._met.discard(writer)
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._partner)
        self._met.add(forth)
        ways = [
            asyncio.create_task(_carry(reader, forth)),
            asyncio.create_task(_carry(back, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        self._met.discard(forth)
        forth.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
