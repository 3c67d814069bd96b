"""One connection to a simulator: HTTP/1.1 in whole requests and whole answers, for uvicorn.

A request is handed to the application when all of it is here, and its answer leaves in one piece.
That is all that a simulator needs, and takes a third of what uvicorn's own way takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from starlette.types import Message, Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

MOST_BODY_BYTES: Final = 4 << 20  # each partner has a bound of its own below it
# As many a server has it: a client that keeps a connection for longer meets a closed one.
IDLE_SECONDS: Final = 5.0
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One connection. Requests that come before the answer to an earlier one wait for it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        del app_state  # no simulator has any
        self.app: Any = config.loaded_app
        self.server_state = server_state
        self.gone = asyncio.Event()
        self.transport: asyncio.Transport
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        self._waiting: deque[_Exchange] = deque()
        self._answering = self._ending = False
        self._of_connection: dict[str, Any] = {}
        self._url, self._fields, self._body = b"", list[tuple[bytes, bytes]](), bytearray()
        self._used_at = 0.0

    # -- what the event loop calls ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self.transport = cast("asyncio.Transport", transport)
        self.server_state.connections.add(self)  # type: ignore[arg-type]
        client, server = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self._of_connection = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": "http",
            "root_path": "",
            "client": client and tuple(client[:2]),
            "server": server and tuple(server[:2]),
        }
        self._used_at = self._loop.time()
        self._loop.call_later(IDLE_SECONDS, self._look_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection; what waits for an answer is dropped."""
        del exc
        self.server_state.connections.discard(self)
        self._waiting.clear()
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        """Read what has come in."""
        self._used_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._ending = True  # it is served in this protocol, and then no more is read
        except HttpParserError:
            self._refuse(400)

    def shutdown(self) -> None:
        """Close behind what is being answered."""
        self._ending = True
        if not self._answering:
            self.transport.close()

    def _look_if_idle(self) -> None:
        """Close it where nothing was asked for a while. One timer is for all requests."""
        if self.transport.is_closing():
            return
        left = self._used_at + IDLE_SECONDS - self._loop.time()
        if left > 0 or self._answering:
            self._loop.call_later(max(left, 1.0), self._look_if_idle)
        else:
            self.transport.close()

    # -- what the parser finds -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url, self._fields, self._body = b"", [], bytearray()

    def on_url(self, url: bytes) -> None:
        """Read its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a field of its head."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.transport.write(_GO_ON)
        self._fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Read a part of its body."""
        self._body += body
        if len(self._body) > MOST_BODY_BYTES:
            self._refuse(413)

    def on_message_complete(self) -> None:
        """Hand it on, or let it wait for the one before."""
        if self._ending:
            return
        method = self._parser.get_method().decode("ascii")
        target = parse_url(self._url)  # what says nothing is refused as no HTTP
        raw_path = target.path or b"/"
        path = raw_path.decode("ascii")
        scope = {
            **self._of_connection,
            "http_version": self._parser.get_http_version(),
            "method": method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": target.query or b"",
            "headers": self._fields,
        }
        keeps = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._waiting.append(_Exchange(self, scope, bytes(self._body), keeps=keeps))
        if self._answering:
            self.transport.pause_reading()
            return
        self._answering = True
        task = self._loop.create_task(self._answer())
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    # -- within ----------------------------------------------------------------------------------

    async def _answer(self) -> None:
        """Answer what waits, one after another."""
        while self._waiting:  # ends: with others waiting no more is read
            exchange = self._waiting.popleft()
            try:
                await self.app(exchange.scope, exchange.receive, exchange.send)
            except Exception:
                log.exception("no answer to %(method)s %(path)s", exchange.scope)
                exchange.fail()
            self.server_state.total_requests += 1
            if not exchange.end() or (self._ending and not self._waiting):
                self._waiting.clear()
                self.transport.close()
        self._answering = False
        self._used_at = self._loop.time()
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _refuse(self, status: int) -> None:
        """Say that a request is not taken, and read no more."""
        self._ending = True
        if not self._answering:
            head = f"HTTP/1.1 {status} {_PHRASES[status]}\r\ncontent-length: 0\r\n"
            self.transport.write(f"{head}connection: close\r\n\r\n".encode())
            self.transport.close()


class _Exchange:
    """A request and its answer. `receive` and `send` are what ASGI calls so."""

    def __init__(self, connection: Connection, scope: Scope, body: bytes, *, keeps: bool) -> None:
        self.scope = scope
        self._connection, self._request, self._keeps = connection, body, keeps
        self._read = self._whole = False
        self._start: Message | None = None
        self._body = b""

    async def receive(self) -> Message:
        """Give the body, and then wait until the client leaves."""
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self._request, "more_body": False}
        await self._connection.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Gather the answer; when it is whole it leaves."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            self._whole = True
            self._write()

    def fail(self) -> None:
        """Say that the simulator is at fault, unless an answer has left."""
        if not self._whole:
            self._start, self._body, self._keeps = {"status": 500, "headers": []}, b"", False
            self._whole = True
            self._write()

    def end(self) -> bool:
        """Say whether the connection goes on; of a cut answer its head has left."""
        if not self._whole:
            self._write()
        return self._whole and self._keeps

    def _write(self) -> None:
        connection = self._connection
        if self._start is None or connection.transport.is_closing():
            return
        status = self._start["status"]
        parts = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode()]
        unmeasured = status not in {204, 304}  # these two have no body, and no length
        for name, value in (*connection.server_state.default_headers, *self._start["headers"]):
            parts += (name, b": ", value, b"\r\n")
            unmeasured = unmeasured and name != b"content-length"
            if name == b"connection" and value == b"close":
                self._keeps = False
        if unmeasured:
            parts.append(b"content-length: %d\r\n" % len(self._body))
        if not self._keeps:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            parts.append(self._body)
        connection.transport.write(b"".join(parts))
