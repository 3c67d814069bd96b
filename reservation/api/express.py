"""The express lane: a reserve, confirm or release that is in order is answered without a task.

It only ever says yes. A request whose head, key, body or channel are not plainly in order, or for
which something would have to be waited for, is left untouched to the ordinary way (`entrance`,
`pipeline`), which judges it from the start: so the order of refusals has one place. A test sends
the same requests both ways and compares what comes back. See ADR 011.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from reservation.api.exchange import JSON, Answer, Exchange
from reservation.api.known_heads import KnownHeads
from reservation.api.pipeline import explain
from reservation.api.reservations import answer_to, foreign
from reservation.errors import StoreUnavailable
from reservation.model import RESERVATION_ID, Operation
from reservation.security import Action, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.api.decode import Decoder
    from reservation.api.entrance import Entrance
    from reservation.api.known_heads import KnownHead
    from reservation.api.pipeline import Gate
    from reservation.engine import Engine
    from reservation.security import ApiKey
    from reservation.store.waiting import Result

log = structlog.get_logger("holdfast.api")

_RESERVATIONS: Final = b"/v1/reservations"
# Headers that ask for more than the lane does.
_UNUSUAL: Final = frozenset({b"content-encoding", b"transfer-encoding", b"expect", b"cookie"})
# What a known head is a head of.
_POST: Final = {"method": "POST", "http_version": "1.1"}


class _Verb(NamedTuple):
    """One hot verb: its route, what a key must be allowed, how its body is read."""

    route: str
    action: Action
    read: Callable[[bytes, str], Operation | None]


class Express:
    """Take hot requests, and answer them when the engine has."""

    def __init__(
        self, engine: Engine, gate: Gate, decoder: Decoder, entrance: Entrance, max_body_bytes: int
    ) -> None:
        self.engine = engine
        self.decoder = decoder
        self.entrance = entrance
        self.known_heads = KnownHeads()
        self._gate = gate
        self._max_body_bytes = max_body_bytes
        quick, path = decoder.one_pass, _RESERVATIONS.decode()
        self._reserve = _Verb(path, Action.RESERVE, lambda body, _path_id: quick.reserve(body))
        move = f"{path}/{{reservation_id}}/"
        self._moves = {
            b"confirm": _Verb(f"{move}confirm", Action.CONFIRM, quick.confirm),
            b"release": _Verb(f"{move}release", Action.RELEASE, quick.release),
        }

    def take(
        self, url: bytes, head: dict[str, Any], body: bytes, fields: bytes | None = None
    ) -> Taken | None:
        """Begin a POST that has come in whole; None where it must go the ordinary way.

        `head` is as much of an ASGI scope as `Exchange` reads; `fields` its bytes behind the
        first line, where it is to be known from now on.
        """
        found = self._verb(url)
        if found is None or self.entrance.is_full or not self._gate.admits_all:
            return None
        started = time.perf_counter()
        exchange = Exchange(head, _nothing, _nothing)
        headers = exchange.headers
        if (
            not _UNUSUAL.isdisjoint(headers)
            or (body and headers.get(b"content-type") != JSON)
            or len(body) > self._max_body_bytes
            or exchange.malformed_head() is not None
        ):
            return None
        key = self._gate.at_hand(exchange)
        taken = self._begin(found, exchange, key, body, started)
        if taken is not None and key is not None and fields is not None:
            self.known_heads.learn(fields, headers, len(body), key.sha256)
        return taken

    def take_known(self, url: bytes, known: KnownHead, body: bytes) -> Taken | None:
        """Begin a POST whose head is known; None as in `take`."""
        found = self._verb(url)
        if found is None or self.entrance.is_full or not self._gate.admits_all:
            return None
        started = time.perf_counter()
        exchange = Exchange(_POST, _nothing, _nothing, headers=known.headers)
        key = self._gate.at_hand_by_digest(exchange, known.digest)
        return self._begin(found, exchange, key, body, started)

    def _begin(
        self,
        found: tuple[_Verb, str],
        exchange: Exchange,
        key: ApiKey | None,
        body: bytes,
        started: float,
    ) -> Taken | None:
        """Begin what has a sound head: its key, its body, its channel, its place in the queue."""
        verb, path_id = found
        if key is None or key.scope(verb.action) is Scope.NONE:
            return None
        operation = verb.read(body, path_id)
        if operation is None or foreign(key, verb.action, operation.reservation_id) is not None:
            return None
        taken = Taken(self, exchange, operation, body, started)
        if not self.engine.begin(operation, exchange.origin, taken.tell):
            return None
        exchange.route, exchange.body_seen = verb.route, True
        self.entrance.begin()
        return taken

    def _verb(self, url: bytes) -> tuple[_Verb, str] | None:
        """Find the verb of a path, and the id in it where it names one that may exist."""
        if url == _RESERVATIONS:
            return self._reserve, ""
        place, _, name = url.rpartition(b"/")
        verb = self._moves.get(name)
        collection, _, local = place.rpartition(b"/")
        if verb is None or collection != _RESERVATIONS:
            return None
        # Many a client escapes the colon, which need not be.
        reservation_id = local.replace(b"%3A", b":").decode("latin-1")
        return (verb, reservation_id) if RESERVATION_ID.fullmatch(reservation_id) else None


class _NobodyWaits:
    """An event that nobody waits for."""

    def set(self) -> None:
        """Tell nobody."""


class Taken:
    """A request on the lane until it is answered; to its connection, a cycle as uvicorn's."""

    __slots__ = (
        "_body",
        "_exchange",
        "_express",
        "_operation",
        "_started",
        "disconnected",
        "keep_alive",
        "response_complete",
        "send",
    )

    message_event = _NobodyWaits()

    def __init__(
        self,
        express: Express,
        exchange: Exchange,
        operation: Operation,
        body: bytes,
        started: float,
    ) -> None:
        self._express = express
        self._exchange = exchange
        self._operation = operation
        self._body = body
        self._started = started
        self.disconnected = False  # nobody is there to be answered
        self.keep_alive = True
        self.response_complete = False
        self.send: Callable[[Taken, int, bytes, bytes], None]

    @property
    def response_started(self) -> bool:
        """An answer is sent in one piece."""
        return self.response_complete

    def tell(self, result: Result) -> None:
        """Answer, now that the engine has. Never raises: others wait for their own answers."""
        if self.response_complete:
            return  # the server ended, and did not wait for this
        try:
            outcome = self._express.engine.outcome(self._operation, result)
            answer = answer_to(self._operation, outcome, self._express.decoder, self._body)
        except Exception as error:  # noqa: BLE001 - the last resort is to answer, and to log
            answer = self._exchange.refusal(explain(error))
        self._answer(answer)

    def cancel(self, msg: str | None = None) -> None:
        """Wait no longer: the server ends. Whoever calls is going through all that it waits for."""
        del msg
        error = StoreUnavailable("the service is ending", effect="unknown")
        asyncio.get_running_loop().call_soon(self.tell, error)

    def _answer(self, answer: Answer) -> None:
        exchange = self._exchange
        exchange.status = answer.status
        self.response_complete = True
        try:
            self.send(self, answer.status, exchange.fields(answer), answer.body)
        except Exception:  # a transport that is closed, of which nobody told us
            log.exception("an answer could not be sent")
        self._express.entrance.end(exchange, self._started)


async def _nothing(*_: Any) -> Any:
    """Stand where the messages of ASGI would be received and sent: none are."""
    raise AssertionError
