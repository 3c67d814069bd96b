"""One request and its answer: who asks, what the head says, the body within its limits."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
from msgspec import Struct

from reservation import metrics
from reservation.api.problems import Problem, Refused, Slug
from reservation.model import Origin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

    from reservation.api.sessions import Session
    from reservation.security import ApiKey

SCOPE_KEY: Final = "holdfast.exchange"
# What our own server offers beside the messages of ASGI; see `Whole`.
WHOLE: Final = "holdfast.whole"

# A body that trickles in holds a connection; a whole batch needs far less on any real network.
BODY_SECONDS: Final = 10.0
IMPORT_BODY_SECONDS: Final = 60.0

# A body that nobody reads is discarded by the server up to here; beyond, the connection is closed.
_DISCARDED_BYTES: Final = 1 << 16
# A client that is still sending loses an answer that closes at once: it gets this long to read it.
_LINGER_SECONDS: Final = 1.0
_LINGER_BYTES: Final = 32 << 20
_CANCEL_AGAIN_SECONDS: Final = 0.1

REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT: Final = re.compile(
    rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(-[ -{}~]{0,64})?"
)

_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "3"})
# With two of these, programs on the way could read two different requests in one.
_SINGLE: Final = frozenset({b"host", b"authorization", b"content-type", b"content-encoding"})

JSON: Final = b"application/json"
PROBLEM_JSON: Final = b"application/problem+json"
HTML: Final = b"text/html; charset=utf-8"

OK: Final = 200
CREATED: Final = 201
NO_CONTENT: Final = 204

Headers = tuple[tuple[bytes, bytes], ...]


class Whole(Protocol):
    """What a server may offer in `extensions`: body and answer in one piece, without waiting.

    Whoever uses it falls back on the messages of ASGI where it declines.
    """

    def whole_body(self) -> bytes | None:
        """Show the body; None where it has not all come in, or the client has left."""

    def whole_answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Send an answer whose header fields are written already; False where it cannot be."""


class HungUp(Exception):
    """The client closed its connection before its body was complete."""


class Answer(Struct, frozen=True):
    """What is sent back."""

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: Headers = ()


class Stream(Struct, frozen=True):
    """What is sent piece by piece, until it ends or the client hangs up.

    `ended` is called once in any case, also where no piece was ever asked for.
    """

    pieces: AsyncGenerator[bytes, None]
    media_type: bytes
    headers: Headers
    ended: Callable[[], None]


def json_answer(status: int, document: Any, headers: Headers = ()) -> Answer:
    """Answer with JSON."""
    return Answer(status, orjson.dumps(document), JSON, headers)


class Exchange:
    """What the pipeline knows of one request; filled as it passes."""

    __slots__ = (
        "body_seen",
        "headers",
        "key",
        "method",
        "parameters",
        "problem",
        "query",
        "receive",
        "request_id",
        "route",
        "scope",
        "send",
        "session",
        "status",
        "traceparent",
        "whole",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        whole: Whole | None = None,
        *,
        headers: dict[bytes, bytes] | None = None,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.headers = dict(scope["headers"]) if headers is None else headers
        self.query: bytes = scope.get("query_string", b"")
        self.whole = whole
        self.request_id = _request_id(self.headers.get(b"x-request-id"))
        self.traceparent = _trace(self.headers.get(b"traceparent"))
        self.parameters: dict[str, str] = {}
        self.route = "unknown"
        self.key: ApiKey | None = None
        self.session: Session | None = None  # of a browser that has signed in
        self.status = 0
        self.problem: Slug | None = None
        self.body_seen = False  # whether the whole body has been received

    def malformed_head(self) -> str | None:
        """Say what RFC 9112 forbids in the head; None where it is sound."""
        version = self.scope["http_version"]
        if version not in _VERSIONS:
            return f"HTTP/{version} is not served."
        if b"host" not in self.headers and version != "1.0":
            return "The Host header is missing."
        encoding = self.headers.get(b"transfer-encoding")
        if encoding is not None and encoding.lower() != b"chunked":
            return "A Transfer-Encoding other than chunked is not taken."
        given = self.scope["headers"]
        if len(given) != len(self.headers):
            names = [name for name, _ in given]
            for name in sorted(_SINGLE):
                if names.count(name) > 1:
                    return f"The header {name.decode()} is there {names.count(name)} times."
        return None

    @property
    def origin(self) -> Origin:
        """Say who asks, for the event."""
        actor = "" if self.key is None else self.key.name
        return Origin(actor, self.request_id, self.traceparent)

    async def read_body(self, limit: int, seconds: float) -> bytes:
        """Receive the body, at most `limit` bytes within `seconds`.

        Raises Refused (413 as soon as it is too large, 400 where it does not arrive) and HungUp.
        """
        if self._declared_length() > limit:
            raise Refused(_too_large(limit))
        body = None if self.whole is None else self.whole.whole_body()
        if body is not None:
            self.body_seen = True
            if len(body) > limit:
                raise Refused(_too_large(limit))
            return body
        try:
            async with asyncio.timeout(seconds):
                return await self._receive_all(limit)
        except TimeoutError:
            detail = f"The body did not arrive within {seconds:.0f} s; send it in one piece."
            raise Refused(Problem(Slug.MALFORMED_REQUEST, detail)) from None

    async def _receive_all(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise HungUp
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise Refused(_too_large(limit))
            parts.append(part)
            if not message.get("more_body", False):
                self.body_seen = True
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _declared_length(self) -> int:
        value = self.headers.get(b"content-length", b"0")
        return int(value) if value.isdigit() else 0

    async def refuse(self, problem: Problem) -> None:
        """Send a problem and count it."""
        await self.answer(self.refusal(problem))

    def refusal(self, problem: Problem) -> Answer:
        """Write a problem and count it."""
        self.problem = problem.slug
        metrics.REFUSALS.labels(slug=problem.slug).inc()
        body = orjson.dumps(problem.document(self.request_id))
        return Answer(problem.status, body, PROBLEM_JSON, problem.headers)

    async def answer(self, answer: Answer) -> None:
        """Send an answer; where the client is still sending its body, let it read that first."""
        self.status = answer.status
        if self.body_seen and self._is_sent_whole(answer):
            return
        headers = [(b"cache-control", b"no-store"), *answer.headers]
        if answer.status != NO_CONTENT:
            headers.append((b"content-type", answer.media_type))
            headers.append((b"content-length", b"%d" % len(answer.body)))
        headers.append((b"x-request-id", self.request_id.encode()))
        lingers = not self.body_seen and self._sends_much()
        if lingers:
            headers.append((b"connection", b"close"))
        await self.send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        body = b"" if self.method == "HEAD" else answer.body
        if lingers:
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            await self._linger()
            body = b""
        await self.send({"type": "http.response.body", "body": body})

    def fields(self, answer: Answer) -> bytes:
        """Write the header fields of an answer that has a body."""
        fields = b"cache-control: no-store\r\n"
        for name, value in answer.headers:
            fields += b"%b: %b\r\n" % (name, value)
        return fields + b"content-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n" % (
            answer.media_type,
            len(answer.body),
            self.request_id.encode(),
        )

    def _is_sent_whole(self, answer: Answer) -> bool:
        """Send an answer in one piece; False where the server does not take it so."""
        if self.whole is None or answer.status == NO_CONTENT or self.method == "HEAD":
            return False
        return self.whole.whole_answer(answer.status, self.fields(answer), answer.body)

    async def stream(self, stream: Stream) -> None:
        """Send pieces as they come; a client that hangs up ends it."""
        self.status = OK
        headers = [
            (b"cache-control", b"no-store"),
            (b"content-type", stream.media_type),
            *stream.headers,
            (b"x-request-id", self.request_id.encode()),
        ]
        try:
            await self.send({"type": "http.response.start", "status": OK, "headers": headers})
            if self.method != "HEAD":
                await self._send_pieces(stream.pieces)
        finally:
            stream.ended()
        await self.send({"type": "http.response.body", "body": b""})

    async def _send_pieces(self, pieces: AsyncGenerator[bytes, None]) -> None:
        hung_up = asyncio.ensure_future(self._hang_up())
        coming: asyncio.Future[bytes | None]
        try:
            while True:  # until the pieces end, or whoever takes them leaves
                coming = asyncio.ensure_future(anext(pieces, None))
                await asyncio.wait({coming, hung_up}, return_when=asyncio.FIRST_COMPLETED)
                piece = coming.result() if coming.done() else None
                if piece is None:
                    return
                await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            hung_up.cancel()
            # What runs cannot be closed. A cancellation may get lost on the way: Python 3.11's
            # `wait_for`, under which the store's client sends, swallows one that comes as it ends.
            while not coming.done():
                coming.cancel()
                await asyncio.wait({coming}, timeout=_CANCEL_AGAIN_SECONDS)
            await pieces.aclose()  # where it stands at a piece that nobody takes

    async def _hang_up(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def _sends_much(self) -> bool:
        if self.headers.get(b"expect", b"").lower() == b"100-continue":
            return True
        chunked = b"transfer-encoding" in self.headers
        return chunked or self._declared_length() > _DISCARDED_BYTES

    async def _linger(self) -> None:
        """Discard what still comes in, within bounds: closing at once would reset the connection.

        A client that waits for '100 Continue' sends nothing, and is not asked to.
        """
        if self.headers.get(b"expect", b"").lower() == b"100-continue":
            return
        discarded = 0
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while discarded < _LINGER_BYTES:
                    message = await self.receive()
                    discarded += len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return


def exchange_of(scope: Scope) -> Exchange:
    """Find the exchange that the entrance has put into a request's scope."""
    exchange: Exchange = scope[SCOPE_KEY]
    return exchange


def _too_large(limit: int) -> Problem:
    return Problem(
        Slug.REQUEST_TOO_LARGE,
        f"The body has more than the {limit} bytes that are taken here; split it.",
    )


def _request_id(given: bytes | None) -> str:
    if given is not None and REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{random.getrandbits(80):020x}"


def _trace(given: bytes | None) -> str:
    if given is not None and _TRACEPARENT.fullmatch(given):
        return given.decode()
    return ""
