"""A TCP proxy in front of a server's socket: loses replies, holds bytes, answers in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SCRIPT_CALL = b"EVALSHA"


class Proxy:
    """Pass bytes both ways until told otherwise. Commands are told by the bytes of one read."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.refusing = False
        self.script_calls = 0  # sent by clients
        self.lose_replies = 0  # of so many next script calls: the connection closes instead
        self.answers: list[bytes] = []  # to the next script calls, which do not reach the server
        self.passing = asyncio.Event()  # cleared: everything that the server says is held
        self.passing.set()
        self.held = asyncio.Event()  # something is being held

    @property
    def url(self) -> str:
        """Name the address for a client."""
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen on a free port, the same one again after a stop."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and end those that there are."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuse(self) -> None:
        """End every connection and close each new one."""
        self.refusing = True
        self.cut()

    def cut(self) -> None:
        """End every connection."""
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_unix_connection(str(self._upstream))
        self._writers |= {writer, up_writer}
        losing: list[bool] = []  # for each script call on the way, whether its reply is lost
        ways = (
            self._requests(reader, up_writer, writer, losing),
            self._replies(up_reader, writer, losing),
        )
        tasks = [asyncio.create_task(way) for way in ways]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
                self._tasks.discard(task)
            for each in (writer, up_writer):
                each.close()
                self._writers.discard(each)

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        losing: list[bool],
    ) -> None:
        while chunk := await reader.read(1 << 20):
            if SCRIPT_CALL in chunk:
                self.script_calls += 1
                if self.answers:
                    writer.write(self.answers.pop(0))
                    continue
                losing.append(self.lose_replies > 0)
                self.lose_replies = max(0, self.lose_replies - 1)
            up_writer.write(chunk)
            await up_writer.drain()

    async def _replies(
        self, up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: list[bool]
    ) -> None:
        while chunk := await up_reader.read(1 << 20):
            if losing and losing.pop(0):
                return
            if not self.passing.is_set():
                self.held.set()
                await self.passing.wait()
            writer.write(chunk)
            await writer.drain()


@asynccontextmanager
async def proxied(upstream: Path) -> AsyncIterator[Proxy]:
    """Run a proxy."""
    proxy = Proxy(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        proxy.passing.set()
        await proxy.stop()
