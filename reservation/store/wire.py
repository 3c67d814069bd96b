"""Connections for script calls: bytes written, answers read, no layer between.

The client library makes each connection (addresses, TLS, credentials, RESP3) and hands its
transport over. It spends far longer on a call than writing it and reading the answer does, which
small batches pay whole; see ADR 011. Everything that is not a script call stays with the library.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import hiredis
from redis import exceptions

_INCOMPLETE = object()
# Answers whose class tells `link` more than their text does.
_CLASSES: dict[str, type[exceptions.RedisError]] = {
    "NOSCRIPT": exceptions.NoScriptError,
    "LOADING": exceptions.BusyLoadingError,
    "NOAUTH": exceptions.AuthenticationError,
    "WRONGPASS": exceptions.AuthenticationError,
    "NOPERM": exceptions.NoPermissionError,
}


def packed(command: tuple[Any, ...]) -> bytes:
    """Encode a command. Raises UnicodeError and TypeError for what cannot be encoded."""
    return cast("bytes", hiredis.pack_command(command))


class Wire(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self, *, encoding: str, errors: str) -> None:
        self._reader = hiredis.Reader(
            encoding=encoding,
            errors=errors,
            replyError=_error,
            protocolError=exceptions.InvalidResponse,
            notEnoughData=_INCOMPLETE,
        )
        self._writer: asyncio.StreamWriter
        self._answers: list[Any] = []
        self._expected = 0
        self._done: asyncio.Future[list[Any]] | None = None
        self.lost = False  # nothing can be exchanged any more
        self.ended = asyncio.Event()  # and the transport has let go of its socket

    @classmethod
    async def open(cls, connection: Any) -> Wire:
        """Let a connection of the client library connect, and take its transport over.

        Raises what the library raises while it connects.
        """
        try:
            await connection.connect()
        except BaseException:  # a cancellation too: nobody else knows of the connection
            await connection.disconnect(nowait=True)
            raise
        encoder = connection.encoder
        wire = cls(encoding=encoder.encoding, errors=encoder.encoding_errors)
        writer, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001 (it has no public way to let go)
        wire._writer = writer
        wire._writer.transport.set_protocol(wire)
        wire.lost = wire._writer.transport.is_closing()
        return wire

    async def exchange(self, data: bytes, answers: int, *, timeout_seconds: float) -> list[Any]:
        """Send commands that were packed and return so many answers, errors among them.

        Whatever else ends it, a cancellation too, closes the connection: an answer that comes
        late must not be taken for the next one's.

        Raises ConnectionError, TimeoutError and InvalidResponse of the client library.
        """
        loop = asyncio.get_running_loop()
        self._answers, self._expected = [], answers
        done: asyncio.Future[list[Any]] = loop.create_future()
        self._done = done
        late = loop.call_later(timeout_seconds, self._fail, exceptions.TimeoutError())
        answered = False
        try:
            self._writer.transport.write(data)
            found = await done
            answered = True
        finally:
            late.cancel()
            self._done = None
            if not answered:  # also where the answer and a cancellation came together
                self.close()
        return found

    def close(self) -> None:
        """End the connection at once."""
        self.lost = True
        self._writer.transport.abort()

    # -- what the transport tells ------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Collect answers."""
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not _INCOMPLETE:
                self._take(answer)
        except exceptions.RedisError as error:
            self._fail(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that no answer will come."""
        self.lost = True
        self.ended.set()
        self._fail(exceptions.ConnectionError(str(exc or "closed by the server")))

    def _take(self, answer: Any) -> None:
        if isinstance(answer, hiredis.PushNotification):
            return  # nobody asked for it
        self._answers.append(answer)
        done = self._done
        if done is None or len(self._answers) > self._expected:
            message = "an answer that nobody asked for"
            raise exceptions.InvalidResponse(message)
        if len(self._answers) == self._expected and not done.done():
            done.set_result(self._answers)

    def _fail(self, error: Exception) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


def _error(text: str) -> exceptions.RedisError:
    code = text.partition(" ")[0]
    return _CLASSES.get(code, exceptions.ResponseError)(text)
