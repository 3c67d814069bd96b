"""The endpoints of reservations: reserve, read, confirm, release, extend, fulfil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reservation.api.decode import read_json
from reservation.api.exchange import CREATED, OK, Answer
from reservation.api.problems import Problem, Refused, Slug, invalid
from reservation.api.refusals import refusal, reservation_not_found
from reservation.api.views import reservation_bytes
from reservation.model import RESERVATION_ID, Reserve
from reservation.security import Action, ApiKey, Scope
from reservation.status import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.engine import Engine
    from reservation.model import Operation, Outcome

REPLAYED: Final = ((b"idempotent-replayed", b"true"),)


class Reservations:
    """Reservations over HTTP."""

    def __init__(self, engine: Engine, decoder: Decoder) -> None:
        self._engine = engine
        self.decoder = decoder

    async def reserve(self, call: Call) -> Answer:
        """Hold an order's lines, all or nothing.

        The id is the idempotency key: sent again with the same lines it answers 200 with the
        reservation as it is now. With `confirm: true` the stock is committed at once.
        """
        operation = self.decoder.reserve(call.body)
        refused = foreign(call.key, Action.RESERVE, operation.reservation_id)
        if refused is not None:
            raise Refused(refused)
        outcome = await self._engine.reserve(operation, call.exchange.origin)
        return answer_to(operation, outcome, self.decoder, call.body)

    async def read(self, call: Call) -> Answer:
        """Read a reservation as it is now."""
        reservation_id = self._known_id(call, Action.READ_RESERVATIONS)
        outcome = await self._engine.reservation(reservation_id)
        if outcome.reservation is None:
            raise Refused(reservation_not_found(reservation_id))
        return Answer(OK, reservation_bytes(outcome.reservation))

    async def confirm(self, call: Call) -> Answer:
        """Commit a hold.

        An expired one is refused, or with `if_expired: reinstate` takes its stock again where
        that is still free.
        """
        return await self._move(call, Action.CONFIRM, self.decoder.confirm, self._engine.confirm)

    async def release(self, call: Call) -> Answer:
        """Give back what has not left; releasing again changes nothing."""
        return await self._move(call, Action.RELEASE, self.decoder.release, self._engine.release)

    async def extend(self, call: Call) -> Answer:
        """Set a hold's deadline to now plus `ttl_seconds`, earlier or later than it was."""
        return await self._move(call, Action.EXTEND, self.decoder.extend, self._engine.extend)

    async def fulfil(self, call: Call) -> Answer:
        """Book goods as shipped: everything left, or one part under its own id."""
        return await self._move(call, Action.FULFIL, self.decoder.fulfil, self._engine.fulfil)

    async def _move(
        self,
        call: Call,
        action: Action,
        read: Callable[[bytes, str], Any],
        apply: Callable[[Any, Any], Awaitable[Outcome]],
    ) -> Answer:
        operation = read(call.body, call.segment("reservation_id") or "")
        self._known_id(call, action)
        outcome = await apply(operation, call.exchange.origin)
        return answer_to(operation, outcome, self.decoder, call.body)

    def _known_id(self, call: Call, action: Action) -> str:
        """Take the id of the path. Raises Refused (404) where it is none, or another channel's."""
        segment = call.segment("reservation_id")
        if segment is None or not RESERVATION_ID.fullmatch(segment):
            raise Refused(reservation_not_found(_shown(segment)))
        refused = foreign(call.key, action, segment)
        if refused is not None:
            raise Refused(refused)
        return segment


def answer_to(operation: Operation, outcome: Outcome, decoder: Decoder, body: bytes) -> Answer:
    """Answer one operation. Raises Refused where it was refused; `body` is what asked for it."""
    if not outcome.status.ok or outcome.reservation is None:
        raise Refused(problem_of(operation, outcome, decoder, lambda: read_json(body)))
    return Answer(
        status_of(operation, outcome),
        reservation_bytes(outcome.reservation),
        headers=REPLAYED if outcome.status is Status.REPLAYED else (),
    )


def foreign(key: ApiKey | None, action: Action, reservation_id: str) -> Problem | None:
    """Refuse a reservation of a channel that is not the key's own; its existence stays hidden."""
    channel = reservation_id.partition(":")[0]
    if key is None or key.scope(action) is not Scope.OWN or key.owns(channel):
        return None
    if action is Action.RESERVE:
        return Problem(
            Slug.FORBIDDEN,
            f"The key '{key.name}' reserves for {', '.join(key.channels)}, not for {channel}.",
        )
    return reservation_not_found(reservation_id)


def status_of(operation: Operation, outcome: Outcome) -> int:
    """Name the HTTP status of an operation that stands as asked."""
    is_new = isinstance(operation, Reserve) and outcome.status is Status.DONE
    return CREATED if is_new else OK


def problem_of(
    operation: Operation, outcome: Outcome, decoder: Decoder, raw: Callable[[], Any]
) -> Problem:
    """Explain a refused operation; `raw` reads its JSON again, in which pointers are found."""
    if outcome.status is Status.FOREIGN_LINE:
        return invalid(decoder.foreign_lines(raw(), outcome.lines))
    return refusal(outcome, operation.reservation_id)


def _shown(segment: str | None) -> str:
    """Name an impossible id in a sentence; it may be anything."""
    if segment is None or not segment.isprintable():
        return "of this form"
    return segment[:128]
