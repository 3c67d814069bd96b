"""The post: carries what a simulated partner writes to us, and what is said to it there."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser
from yarl import URL

# Of a connection that nobody uses: many servers close theirs after 5.
IDLE_SECONDS: Final = 4.0
MOST_ANSWER_BYTES: Final = 8 << 20
_PORTS: Final = {"http": 80, "https": 443}
_IN_ONE_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_IN_ONE_WORD: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. Names of headers are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Post:
    """Sends over HTTP, from a running event loop on; a redirection is not followed."""

    def __init__(self) -> None:
        self._idle: defaultdict[_Place, list[_Line]] = defaultdict(list)

    async def send(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        method: str = "POST",
    ) -> Said | None:
        """Send once; None where nobody answers within a time, or the address is none."""
        try:
            place, request = _written(method, url, body, headers)
            async with asyncio.timeout(seconds):
                line = self._kept(place) or await _open(place)
                try:
                    said = await line.ask(request)
                except BaseException:
                    line.close()
                    raise
        except (OSError, HttpParserError, ValueError):
            return None
        if line.is_open:
            self._idle[place].append(line)
        return said

    async def aclose(self) -> None:
        """Close the connections."""
        for lines in self._idle.values():
            for line in lines:
                line.close()
        self._idle.clear()

    def _kept(self, place: _Place) -> _Line | None:
        """Give the connection that was used last, if it is open and was used just now."""
        lines, now = self._idle[place], asyncio.get_running_loop().time()
        while lines:
            line = lines.pop()
            if line.is_open and now - line.used_at < IDLE_SECONDS:
                return line
            line.close()
        return None


_Place = tuple[str, str, int]  # scheme, host, port


def _written(
    method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> tuple[_Place, bytes]:
    """Write a request, and say where it goes. Raises ValueError."""
    parts = urlsplit(url if url.isascii() else str(URL(url)))
    host, port = parts.hostname, parts.port
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if parts.scheme not in _PORTS or not host or not _IN_ONE_WORD.fullmatch(host + target):
        raise ValueError("the address is none")
    lines = [
        f"{method} {target} HTTP/1.1",
        f"host: {parts.netloc.rpartition('@')[2]}",
        f"content-length: {len(body)}",
        "accept: */*",
    ]
    for name, text in headers.items():
        if not _IN_ONE_WORD.fullmatch(name) or not _IN_ONE_LINE.fullmatch(text):
            raise ValueError("a header has more than a line")
        lines.append(f"{name}: {text}")
    head = "\r\n".join(lines)
    return (parts.scheme, host, port or _PORTS[parts.scheme]), f"{head}\r\n\r\n".encode() + body


async def _open(place: _Place) -> _Line:
    scheme, host, port = place
    loop = asyncio.get_running_loop()
    tls = True if scheme == "https" else None
    _, line = await loop.create_connection(_Line, host, port, ssl=tls)
    return line


class _Line(asyncio.Protocol):
    """A connection: a request, its answer, and then the next."""

    def __init__(self) -> None:
        self.is_open, self.used_at = False, 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport
        self._heard: asyncio.Future[Said] | None = None
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._in_body = False

    def ask(self, request: bytes) -> asyncio.Future[Said]:
        """Send a request; the future raises OSError or HttpParserError."""
        self._heard = self._loop.create_future()
        self._transport.write(request)
        return self._heard

    def close(self) -> None:
        """Close it, whatever is under way."""
        self.is_open = False
        self._transport.abort()

    # -- what the event loop calls ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer whose length was not told is whole now."""
        self.is_open = False
        if self._in_body and exc is None and not self._headers.keys() & _LENGTHS:
            self.on_message_complete()
        self._fail(exc or ConnectionError("it closed before its answer"))

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(error)
            self.close()

    # -- what the parser finds -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin an answer."""
        self._headers, self._body, self._in_body = {}, bytearray(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a field of its head."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Read a part of the body."""
        self._body += body
        if len(self._body) > MOST_ANSWER_BYTES:
            self._fail(ConnectionError("its answer has no end"))
            self.close()

    def on_message_complete(self) -> None:
        """Hand it over; one that only says to go on is none."""
        self._in_body = False
        status = self._parser.get_status_code()
        if status < 200:
            return
        if not self._parser.should_keep_alive():
            self.close()
        self.used_at = self._loop.time()
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(Said(status, bytes(self._body), self._headers))

    def _fail(self, error: Exception) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_exception(error)


_LENGTHS: Final = frozenset({"content-length", "transfer-encoding"})
