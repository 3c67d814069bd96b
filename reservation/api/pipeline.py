"""The way of a request: who asks, may they, how often, how much, and only then what.

The express lane takes most of the hot ones before, but none that would be refused here.

The order of the steps in `Resource` is the contract's order of precedence (section 4):
401, 403 role, 429, 413, 400, 422, 403 foreign channel on reserve, 404, and what the engine says.
"""

from __future__ import annotations

import contextlib
import time
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

import structlog
from msgspec import Struct
from msgspec.structs import replace

from reservation.api.exchange import (
    BODY_SECONDS,
    Answer,
    Exchange,
    HungUp,
    Stream,
    exchange_of,
)
from reservation.api.problems import Problem, Refused, Slug, invalid, retry_after
from reservation.api.refusals import archive_fault, fault, sku_not_found
from reservation.errors import ArchiveUnavailable, InvalidRequest, StoreUnavailable
from reservation.model import sku_problem
from reservation.security import Action, ApiKey, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from starlette.types import Receive, Send
    from starlette.types import Scope as AsgiScope

    from reservation.api.rate import RateLimit
    from reservation.api.sessions import Sessions
    from reservation.store.keyring import Keyring

log = structlog.get_logger("holdfast.api")

KEYED_PREFIX: Final = "/v1/"
CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="holdfast"'),)
_HEX: Final = frozenset("0123456789abcdefABCDEF")
CSRF_HEADER: Final = b"x-csrf-token"
LOOK_SECONDS: Final = 5.0  # between looks whether a stream may go on
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Call(Struct, frozen=True):
    """A request that has passed the gate: its exchange, its key, its body."""

    exchange: Exchange
    key: ApiKey | None
    body: bytes

    def identity(self) -> str:
        """Name the key that asks, by its id; "" where none was asked for."""
        return self.key.key_id if self.key is not None else ""

    def segment(self, name: str) -> str | None:
        """Decode a path parameter; None where it is no UTF-8 or not properly percent-encoded."""
        return decoded_segment(self.exchange.parameters[name])

    def sku(self) -> str:
        """Take the SKU of the path. Raises Refused (404) where it cannot be one."""
        sku = self.segment("sku")
        if sku is None or sku_problem(sku):
            raise Refused(sku_not_found("what cannot be a SKU"))
        return sku


class BodyRule(Struct, frozen=True):
    """What a body may be: its content type, its most bytes, how long it may take."""

    media_type: bytes | None  # None: whatever the sender calls it
    limit: int
    seconds: float = BODY_SECONDS
    empty_counts: bool = True  # an empty body is taken whatever its content type


class Endpoint(Struct, frozen=True):
    """One verb on one path. `action` None asks for no key; `documentation` feeds OpenAPI.

    `parameters` are those path parameters that the path spells out. `hot` is what is asked
    thousands of times a second: its path, with one parameter at most, needs no router.
    """

    work: Callable[[Call], Awaitable[Answer | Stream]]
    action: Action | None = None
    body: BodyRule | None = None
    documentation: Any = None
    parameters: Mapping[str, str] = {}
    hot: bool = False


class Gate:
    """Who may pass: the steps before the body, shared by all paths."""

    def __init__(self, keyring: Keyring, rate: RateLimit, sessions: Sessions) -> None:
        self._keyring = keyring
        self._rate = rate
        self._sessions = sessions

    @property
    def admits_all(self) -> bool:
        """Say whether no rate is limited."""
        return not self._rate.is_on

    def at_hand(self, exchange: Exchange) -> ApiKey | None:
        """Find the key of a request where nothing has to be waited for; else `identify` must."""
        credentials = exchange.headers.get(b"authorization")
        if credentials is None or not credentials.startswith(b"Bearer "):
            return None
        key = exchange.key = self._keyring.at_hand(credentials[7:])
        return key

    def at_hand_by_digest(self, exchange: Exchange, digest: str) -> ApiKey | None:
        """Find the key of a request as `at_hand` does, where its digest is known."""
        key = exchange.key = self._keyring.at_hand_by_digest(digest)
        return key

    async def identify(self, exchange: Exchange) -> ApiKey:
        """Find the key of a request, or of a browser's session.

        Raises Refused (401; 403 for a change without its session's token) and StoreUnavailable.
        """
        if b"authorization" not in exchange.headers and b"cookie" in exchange.headers:
            key = await self._of_session(exchange)
            if key is not None:
                return key
        scheme, _, token = exchange.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not token.strip():
            detail = "The request carries no key; send 'Authorization: Bearer <key>'."
            raise Refused(Problem(Slug.UNAUTHENTICATED, detail, headers=CHALLENGE))
        key = await self._keyring.authenticate(token.strip().decode("latin-1"))
        if key is None:
            detail = "The key is unknown or revoked; make one with 'holdfast keys create'."
            raise Refused(Problem(Slug.UNAUTHENTICATED, detail, headers=CHALLENGE))
        exchange.key = key
        return key

    async def _of_session(self, exchange: Exchange) -> ApiKey | None:
        session = self._sessions.read(exchange.headers[b"cookie"])
        if session is None:
            return None
        key = await self._keyring.of_session(session.key_id, session.session_id)
        if key is None:
            return None
        exchange.key, exchange.session = key, session
        token = exchange.headers.get(CSRF_HEADER, b"")
        if exchange.method not in _SAFE and not compare_digest(token, session.csrf.encode()):
            detail = "A change needs the session's token in the header X-CSRF-Token; sign in again."
            raise Refused(Problem(Slug.FORBIDDEN, detail))
        return key

    def permit(self, key: ApiKey, action: Action) -> None:
        """Ask the role table. Raises Refused (403)."""
        if key.scope(action) is Scope.NONE:
            raise Refused(forbidden_role(key, action))

    def admit(self, key: ApiKey) -> None:
        """Count the request against the key's rate. Raises Refused (429)."""
        seconds = self._rate.wait_seconds(key)
        if seconds:
            detail = f"The key's rate is used up; wait {seconds} s, or send batches."
            raise Refused(Problem(Slug.TOO_MANY_REQUESTS, detail, headers=retry_after(seconds)))

    async def while_valid(
        self, exchange: Exchange, pieces: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """Pass a stream's pieces on, until the key is revoked or the session has ended."""
        looked_at = time.monotonic()
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if time.monotonic() - looked_at >= LOOK_SECONDS:
                    looked_at = time.monotonic()
                    if not await self._is_valid(exchange):
                        return
                yield piece

    async def _is_valid(self, exchange: Exchange) -> bool:
        session, key = exchange.session, exchange.key
        if session is not None and self._sessions.has_ended(session):
            return False
        with contextlib.suppress(StoreUnavailable):  # it ends what it has to end by itself
            if session is not None:
                found = await self._keyring.of_session(session.key_id, session.session_id)
                return found is not None
            return key is None or await self._keyring.active(key.key_id) is not None
        return True

    async def turn_away(self, exchange: Exchange, problem: Problem) -> Problem:
        """Say that a path or method does not exist, to those who may know."""
        if exchange.scope["path"].startswith(KEYED_PREFIX):
            self.admit(await self.identify(exchange))
        return problem


class Resource:
    """A path with its methods, as an ASGI application."""

    def __init__(self, gate: Gate, path: str, endpoints: Mapping[str, Endpoint]) -> None:
        self.path = path
        self.endpoints = dict(endpoints)
        self._gate = gate
        methods = {*endpoints, "OPTIONS"} | ({"HEAD"} if "GET" in endpoints else set())
        self._allow = ((b"allow", ", ".join(sorted(methods)).encode()),)

    @property
    def is_hot(self) -> bool:
        """Say whether any of its endpoints is."""
        return any(endpoint.hot for endpoint in self.endpoints.values())

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request that the router has led here."""
        del receive, send  # the exchange has them
        exchange = exchange_of(scope)
        exchange.parameters = scope.get("path_params", {})
        await self.serve(exchange)

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request; its path's parameters are in the exchange."""
        exchange.route = self.path
        try:
            answer = await self._work(exchange)
        except HungUp:
            raise
        except Exception as error:  # noqa: BLE001 - the last resort is to answer, and to log
            await exchange.refuse(explain(error))
        else:
            if isinstance(answer, Stream):
                await exchange.stream(answer)
            else:
                await exchange.answer(answer)

    async def _work(self, exchange: Exchange) -> Answer | Stream:
        method = "GET" if exchange.method == "HEAD" else exchange.method
        endpoint = self.endpoints.get(method)
        if endpoint is None:
            return await self._other_method(exchange)
        key = None
        if endpoint.action is not None:
            key = self._gate.at_hand(exchange) or await self._gate.identify(exchange)
            self._gate.permit(key, endpoint.action)
            self._gate.admit(key)
        if endpoint.parameters:
            exchange.parameters = {**exchange.parameters, **endpoint.parameters}
        body = b"" if endpoint.body is None else await _body(exchange, endpoint.body)
        answer = await endpoint.work(Call(exchange, key, body))
        if isinstance(answer, Stream):
            return replace(answer, pieces=self._gate.while_valid(exchange, answer.pieces))
        return answer

    async def _other_method(self, exchange: Exchange) -> Answer:
        allow = self._allow
        problem = Problem(
            Slug.METHOD_NOT_ALLOWED,
            f"{self.path} is not served with this method; use {allow[0][1].decode()}.",
            headers=allow,
        )
        problem = await self._gate.turn_away(exchange, problem)
        if exchange.method == "OPTIONS":
            return Answer(204, b"", headers=allow)
        raise Refused(problem)


class Nowhere:
    """What the router finds where no path fits, as an ASGI application."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Refuse one request."""
        del receive, send  # the exchange has them
        exchange = exchange_of(scope)
        detail = "Nothing is served at this path; /docs lists what is."
        try:
            problem = await self._gate.turn_away(exchange, Problem(Slug.NOT_FOUND, detail))
        except Exception as error:  # noqa: BLE001 - as for a resource
            problem = explain(error)
        await exchange.refuse(problem)


async def _body(exchange: Exchange, rule: BodyRule) -> bytes:
    """Receive the body and judge its content type (413 before 400)."""
    body = await exchange.read_body(rule.limit, rule.seconds)
    if not body and rule.empty_counts:
        return body
    encoding = exchange.headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        detail = "The body has a Content-Encoding; send it as it is, without compression."
        raise Refused(Problem(Slug.MALFORMED_REQUEST, detail))
    declared = exchange.headers.get(b"content-type", b"")
    if rule.media_type is None or declared == rule.media_type:
        return body
    media_type, _, parameters = declared.partition(b";")
    if media_type.strip().lower() != rule.media_type or not _is_utf8(parameters):
        wanted = rule.media_type.decode()
        detail = f"The content type is not {wanted} (in UTF-8); send 'Content-Type: {wanted}'."
        raise Refused(Problem(Slug.MALFORMED_REQUEST, detail))
    return body


def _is_utf8(parameters: bytes) -> bool:
    for parameter in parameters.split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset":
            return value.strip().strip(b'"').lower() in {b"utf-8", b"utf8", b"us-ascii"}
    return True


def explain(error: Exception) -> Problem:
    """Turn whatever ended the work on a request into a problem; what nobody foresaw is logged."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, InvalidRequest):
        return invalid(error.errors)
    if isinstance(error, StoreUnavailable):
        return fault(error)
    if isinstance(error, ArchiveUnavailable):
        return archive_fault(error)
    log.error("unhandled exception", exc_info=error)
    return Problem(
        Slug.INTERNAL_ERROR,
        "The service met something that it was not built for; report the request id. "
        "Sending a request with the same id again is safe.",
    )


def forbidden_role(key: ApiKey, action: Action) -> Problem:
    """Say that a role may not do something."""
    verb = action.value.replace("_", " ")
    return Problem(
        Slug.FORBIDDEN,
        f"A key of the role '{key.role}' may not {verb}; use a key of a role that may.",
    )


def decoded_segment(raw: str) -> str | None:
    """Decode one percent-encoded path segment strictly; None where it is malformed."""
    if "%" not in raw:
        return raw
    for escape in raw.split("%")[1:]:
        digits = escape[:2]
        if len(digits) < 2 or not all(digit in _HEX for digit in digits):
            return None
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
