"""One connection: HTTP/1.1 as uvicorn speaks it, with bounds for all that comes in before its body.

It speaks nothing else: a client that offers to go on in another protocol is served in this one
(RFC 9110, 7.8). Requests that came in whole are answered whatever comes behind them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from reservation.api.cycle import Cycle
from reservation.api.http_messages import refused, request_head, scope_of
from reservation.api.problems import Problem, Slug, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


log = structlog.get_logger("holdfast.api")

# A head is sent in one piece by any real client; this is what a mobile network may need.
HEAD_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 32 << 10
# The same for a connection that was accepted when the server had begun to end.
LATE_HEAD_SECONDS: Final = 1.0
# A server that ends leaves a kept connection open so long: its client may be sending just now.
LAST_REQUEST_SECONDS: Final = 0.25
# What frames a body (sizes of chunks, extensions, trailers) may be so many times as large as it.
MOST_FRAMING: Final = 8
# Who is refused while it is still sending has so long to read why.
LINGER_SECONDS: Final = 1.0
# Longer than the 5 s for which clients commonly keep an idle connection, so that they close first.
KEEP_ALIVE_SECONDS: Final = 15
# Requests that wait behind one that is worked on, on one connection; clients hardly ever do so.
MAX_PIPELINED: Final = 128
# A connection costs about 20 kB; more of them than this are not order gateways.
MAX_CONNECTIONS: Final = 8_192


class _Flow(FlowControl):
    """What is read and written of a connection; nothing more is read while several wait."""

    def __init__(self, transport: asyncio.Transport, pipeline: Collection[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Read on where at most one request waits: it may lack its body, or be the last."""
        if len(self._pipeline) <= 1:
            super().resume_reading()


class ServingState(ServerState):
    """What the server and its connections share; `ending` as soon as the server drains."""

    ending = False


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with a time and a size for a request's head, and a size for its body's framing."""

    server_state: ServingState
    _in_head = False  # a head is awaited or coming in
    _head_timer: asyncio.TimerHandle | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _idle_since = 0.0  # in the loop's time
    _head_bytes = 0  # of the head that comes in: at least so many
    _head_at_most = 0  # and with what came in one piece with its beginning
    _piece_bytes = 0
    _held: dict[str, Any] | None = None  # the head of a request whose work has not started
    _held_body: bytes | bytearray = b""  # what has come of its body
    _in_body = False  # a head is complete, and its body is not
    _body_bytes = 0
    _framing_bytes = 0
    _keep_alive = True  # as far as that request decides
    _previous: RequestResponseCycle | None = None  # the one before the last request
    _deaf = False  # what comes in from now on is not read
    _between = True  # what comes in next begins a request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) > MAX_CONNECTIONS:
            log.warning("connection refused", connections=len(self.connections))
            transport.abort()
            return
        self._begin_head(0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._end_head()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come in, as long as it stays within its bounds."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._between and self._is_known(data):
            return
        self._piece_bytes = len(data)
        if self._in_head:
            self._head_bytes += len(data)
            self._head_at_most += len(data)
        if self._in_body:
            self._framing_bytes += len(data)
        is_http = _is_sound(self._parse, data)
        if self._held is not None:  # its body is still to come
            is_http = _is_sound(self._hand_on, self._held) and is_http
        if not is_http:
            self.send_400_response("The request is no HTTP.")
        self._keep_bounds()

    def _keep_bounds(self) -> None:
        """Refuse what has grown too long; give a head that is not complete its time."""
        if self._in_head:
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_long_head()
            elif self._head_timer is None:  # nearly every head comes in one piece, and needs none
                self._await_head()
        elif self._framing_bytes > MAX_HEAD_BYTES + MOST_FRAMING * self._body_bytes:
            self.send_400_response("The body's framing (extensions, trailers) is too large.")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what came in whole, although its client sends no more; else close."""
        self._deaf = True
        return self._answers_come_first(begun=False)

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
            if not self._deaf:
                fields = [field for field in self.headers if field[0] != b"upgrade"]
                version = self.parser.get_http_version()
                head = request_head(self.parser.get_method(), self.url, version, fields)
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(head)

    # -- what the parser finds -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request; on a kept connection this is where its head starts."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._between = False
        if not self._in_head and not self._deaf:
            self._begin_head(self._piece_bytes)

    def on_headers_complete(self) -> None:
        """Hold a request until its body has come in, or the piece that it came in ends."""
        self._end_head()
        if self._deaf or self._is_long_head():
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._end_with(_TOO_MANY)  # behind the answers to those that wait
            return
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("CONNECT is not served.")
        elif not self.parser.should_upgrade():
            self._in_body, self._body_bytes, self._framing_bytes = True, 0, 0
            self._held_body = b""
            self._held = {
                "method": self.parser.get_method().decode("ascii"),
                "http_version": self.parser.get_http_version(),
                "headers": self.headers,
            }
            self._keep_alive = self._held["http_version"] != "1.0" and (
                self.parser.should_keep_alive() and not self.server_state.ending
            )
            self.headers = []  # fields behind the body mean nothing here

    def _hand_on(self, head: dict[str, Any]) -> None:
        """Hand a request to the application, as uvicorn does, in a cycle of ours."""
        self._held, self._in_body, was_in_body = None, False, self._in_body
        head = scope_of(self.url, self.root_path) | head
        self._in_body = was_in_body  # its target is sound
        self._previous = self.cycle
        self.cycle = cycle = Cycle.begun(self, head, keep_alive=self._keep_alive)
        if self._held_body:
            super().on_body(bytes(self._held_body))
        if self._previous is None or self._previous.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            # Until the body of the one before is received; one on the lane has been.
            if self.pipeline or isinstance(self._previous, Cycle):
                self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    # What a quicker way may take instead (`ExpressHttp`):

    def _is_known(self, data: bytes) -> bool:
        """Take a piece that begins a request, unparsed; False: it is to be parsed."""
        del data
        return False

    def _is_taken(self, head: dict[str, Any]) -> bool:
        """Take a request that is here as a whole; False: it is to be handed on."""
        del head
        return False

    def on_body(self, body: bytes) -> None:
        """Collect the body of a request: held, or of its cycle where it was handed on."""
        if not self._deaf:
            self._body_bytes += len(body)
            self._framing_bytes -= len(body)
            if self._held is not None:
                self._hold(body)
            else:
                super().on_body(body)

    def _hold(self, body: bytes) -> None:
        """Keep a piece of a body; nearly always it is the whole."""
        if not self._held_body:
            self._held_body = body
            return
        if isinstance(self._held_body, bytes):
            self._held_body = bytearray(self._held_body)
        self._held_body += body

    def on_message_complete(self) -> None:
        """End a request: one that is held is here as a whole, and is taken or handed on."""
        if not self._deaf and not self.parser.should_upgrade():
            self._in_body, self._framing_bytes = False, 0
            self._between = self._keep_alive
            if self._held is not None:
                if self._is_taken(self._held):
                    return
                self._hand_on(self._held)
            super().on_message_complete()

    # -- between requests ------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it for a while, by one timer for all waits."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_if_idle)

    def _look_if_idle(self) -> None:
        self._idle_timer = None
        if self._in_head or not self.cycle.response_complete:
            return  # the end of the answer will begin another wait
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_if_idle)
        else:
            self.timeout_keep_alive_handler()

    # -- how it ends -----------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Close the connection after one more answer, or soon where nothing is asked."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            LAST_REQUEST_SECONDS, self.timeout_keep_alive_handler
        )

    def end_late_body(self) -> None:
        """Refuse a request whose body is still coming in while the server ends."""
        if self._in_body and not self._deaf:
            self._end_with(_ENDING)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as a problem, and close the connection."""
        self._end_head()
        if not self._deaf:
            self._end_with(Problem(Slug.MALFORMED_REQUEST, f"{msg} Send HTTP/1.1."))

    def _end_with(self, problem: Problem) -> None:
        """Read no more; say why, unless whole requests before it are still to be answered."""
        self._deaf = True
        if self._answers_come_first(begun=True):
            return
        if not self._in_body:
            self.transport.write(refused(problem))
        else:
            if not self.cycle.response_started:
                self.transport.write(refused(problem))
            self.cycle.disconnected = True  # who works on it has nobody to answer any more
            self.cycle.message_event.set()
        self._hang_up()

    def _hang_up(self) -> None:
        """Close when the client has, or soon: at once would reset it, and lose it the answer."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _answers_come_first(self, *, begun: bool) -> bool:
        """Let the connection close behind the last request that came in whole; say if there is one.

        With `begun` also behind one whose answer has begun. The request that is not whole is
        dropped where nobody works on it yet.
        """
        last = self.cycle
        if self._in_body:
            if not self.pipeline or self.pipeline[0][0] is not last:
                return False
            self.pipeline.popleft()
            last = self._previous  # type: ignore[assignment]
        if last is None or last.response_complete or (last.response_started and not begun):
            return False
        last.keep_alive = False
        return True

    def _is_long_head(self) -> bool:
        """Measure the head, where so much came in with it that it may be too long."""
        if self._head_at_most <= MAX_HEAD_BYTES:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse_long_head()
        return self._deaf

    def _refuse_long_head(self) -> None:
        self.send_400_response(f"The request's head has more than {MAX_HEAD_BYTES} bytes.")

    def _begin_head(self, at_most: int) -> None:
        self._in_head = True
        self._head_bytes, self._head_at_most = 0, at_most

    def _await_head(self) -> None:
        seconds = LATE_HEAD_SECONDS if self.server_state.ending else HEAD_SECONDS
        self._head_timer = self.loop.call_later(seconds, self._head_is_late)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


_ENDING: Final = Problem(
    Slug.STORE_UNAVAILABLE,
    "The service is ending and the body has not come; nothing was applied. Send the same request "
    "again.",
    {"outcome": "not_applied"},
    retry_after(1),
)

_TOO_MANY: Final = Problem(
    Slug.OVERLOADED,
    f"More than {MAX_PIPELINED} requests wait on this connection; send the rest on another.",
    {"outcome": "not_applied"},
    retry_after(1),
)


def _is_sound(step: Callable[[Any], None], what: Any) -> bool:
    """Take a step of reading, and say whether what it met was HTTP."""
    try:
        step(what)
    except HttpParserError:
        return False
    return True
