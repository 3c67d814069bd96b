"""How uvicorn is to be run: bounded heads, connections and idle times; refusals as problems."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reservation.api.problems import Problem, Slug

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger("holdfast.api")

# A head is sent in one piece by any real client; this is what a mobile network may need.
HEAD_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 32 << 10
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


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with a time and a size for the head of a request."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

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
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response(f"The request's head has more than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin a request; on a kept connection this is where its head starts."""
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Hand a request on, unless it asks for another protocol.

        The parser gives no body of such a request: taken for empty, `fulfil` would ship all.
        """
        self._end_head()
        if self.parser.should_upgrade():
            if self.cycle is not None and not self.cycle.response_complete:
                self.transport.close()  # an answer now would be read as that of the one before
            else:
                self.send_400_response("Connection: Upgrade (h2c, websocket) is not served.")
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Collect the body of a request that was handed on."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request that was handed on."""
        if not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as a problem."""
        self._end_head()
        if self.transport.is_closing():
            return
        request_id = os.urandom(10).hex()
        detail = f"{msg} Send HTTP/1.1."
        body = orjson.dumps(Problem(Slug.MALFORMED_REQUEST, detail).document(request_id))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
