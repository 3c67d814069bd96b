"""How uvicorn is to be run: bounded heads, connections and idle times; refusals as problems.

It speaks HTTP/1.1 and nothing else: a client that offers to go on in another protocol is served
in this one (RFC 9110, 7.8).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog
import uvicorn
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from reservation.api.problems import Problem, Slug

if TYPE_CHECKING:
    import asyncio
    import socket

log = structlog.get_logger("holdfast.api")

# A head is sent in one piece by any real client; this is what a mobile network may need.
HEAD_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 32 << 10
# The same for a connection that was accepted when the server had begun to end.
LATE_HEAD_SECONDS: Final = 1.0
# A server that ends leaves a kept connection open so long: its client may be sending just now.
LAST_REQUEST_SECONDS: Final = 0.25
# Longer than the 5 s for which clients commonly keep an idle connection, so that they close first.
KEEP_ALIVE_SECONDS: Final = 15
# A connection costs about 20 kB; more of them than this are not order gateways.
MAX_CONNECTIONS: Final = 8_192
BACKLOG: Final = 2_048


def server_options() -> dict[str, Any]:
    """Name the arguments of `uvicorn.Config` that keep a server within its bounds.

    The caller adds address, workers and the time for a graceful end.
    """
    return {
        "http": BoundedHttp,
        "loop": "uvloop",
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "access_log": False,  # the entrance writes one line a request, with its id
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "backlog": BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    }


class ServingState(ServerState):
    """What the server and its connections share; `ending` as soon as the server drains."""

    ending = False


class BoundedServer(uvicorn.Server):
    """uvicorn's server; while it ends, each connection has one more answer, and is closed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state: ServingState = ServingState()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain: uvicorn tells this to the connections that it has, we to those still to come."""
        self.server_state.ending = True
        await super().shutdown(sockets)


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with a time and a size for the head of a request."""

    server_state: ServingState
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _piece_bytes = 0
    _deaf = False  # a request was refused here; what comes behind it is not read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            log.warning("connection refused", connections=len(self.connections))
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come in, as long as the head stays within its bounds."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._piece_bytes = len(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
        try:
            self._parse(data)
        except HttpParserError:
            self.send_400_response("The request is no HTTP.")
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_long_head()

    def _parse(self, data: bytes) -> None:
        """Feed the parser, which stops behind a head that asks for another protocol.

        It gives no body of such a request, and would take the body for the next request. So the
        head is parsed once more, without the offer; each round is done with at least one head.
        """
        rest = memoryview(data)
        while not self._deaf:
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as stop:
                rest = rest[stop.args[0] :]
            else:
                return
            head = self._head_without_upgrade()
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """Begin a request; on a kept connection this is where its head starts."""
        super().on_message_begin()
        if self._head_timer is None and not self._deaf:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Hand a request on, unless its head is too long or it asks for a tunnel."""
        self._end_head()
        if self._deaf or self._is_long_head():
            return
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("CONNECT is not served.")
        elif not self.parser.should_upgrade():
            super().on_headers_complete()
            if self.server_state.ending:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Collect the body of a request that was handed on."""
        if not self._deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request that was handed on."""
        if not self._deaf and not self.parser.should_upgrade():
            super().on_message_complete()

    def shutdown(self) -> None:
        """Close the connection after one more answer, or soon where nothing is asked."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            LAST_REQUEST_SECONDS, self.timeout_keep_alive_handler
        )

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as a problem, and close the connection.

        A whole request before it, still worked on, has its answer first and is told the close.
        """
        self._end_head()
        if self._deaf:
            return
        self._deaf = True
        before = self.cycle
        if before is None or before.response_complete:
            self.transport.write(_refusal(msg))
        elif not before.more_body:
            before.keep_alive = False
            return
        elif not before.response_started and not self.pipeline:
            self.transport.write(_refusal(msg))  # it is this one whose body is no HTTP
        self.transport.close()

    def _is_long_head(self) -> bool:
        """Measure the head, where so much came in with it that it may be too long."""
        if max(self._piece_bytes, self._head_bytes) <= MAX_HEAD_BYTES:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse_long_head()
        return self._deaf

    def _refuse_long_head(self) -> None:
        self.send_400_response(f"The request's head has more than {MAX_HEAD_BYTES} bytes.")

    def _await_head(self) -> None:
        self._head_bytes = 0
        seconds = LATE_HEAD_SECONDS if self.server_state.ending else HEAD_SECONDS
        self._head_timer = self.loop.call_later(seconds, self._head_is_late)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


def _refusal(message: str) -> bytes:
    request_id = os.urandom(10).hex()
    detail = f"{message} Send HTTP/1.1."
    body = orjson.dumps(Problem(Slug.MALFORMED_REQUEST, detail).document(request_id))
    head = (
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
