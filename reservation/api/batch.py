"""The batch endpoint: many operations in one request, each judged alone, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reservation import metrics
from reservation.api.decode import OPERATIONS
from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.pipeline import explain, forbidden_role
from reservation.api.problems import Problem, invalid
from reservation.api.reservations import foreign, problem_of, status_of
from reservation.api.views import reservation_json
from reservation.errors import InvalidRequest, StoreError
from reservation.model import Operation, Outcome
from reservation.security import Action, ApiKey, Scope
from reservation.status import Status

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.engine import Engine

_ACTIONS = {verb: Action(verb) for verb in OPERATIONS}


class Batches:
    """Batches over HTTP."""

    def __init__(self, engine: Engine, decoder: Decoder) -> None:
        self._engine = engine
        self.decoder = decoder

    async def apply(self, call: Call) -> Answer:
        """Run up to a thousand operations, in order; each is granted or refused alone.

        The answer is 200 with one result each: a status as the single endpoint would answer it,
        with the reservation or with the problem. Pointers are relative to the operation.
        """
        assert call.key is not None  # noqa: S101 - a batch always asks for a key
        raw = self.decoder.batch(call.body)
        judged = [self._judge(call.key, item) for item in raw]
        operations = [item for item in judged if not isinstance(item, Problem)]
        outcomes = iter(
            await self._engine.apply(operations, call.exchange.origin) if operations else ()
        )
        request_id = call.exchange.request_id
        results = [
            _refused(item, request_id)
            if isinstance(item, Problem)
            else self._result(item, next(outcomes), source, request_id)
            for item, source in zip(judged, raw, strict=True)
        ]
        return json_answer(OK, {"results": results})

    def _judge(self, key: ApiKey, raw: Any) -> Operation | Problem:
        """Judge one operation as its own endpoint would: role, form, channel."""
        verb = raw.get("op") if isinstance(raw, dict) else None
        action = _ACTIONS.get(verb) if isinstance(verb, str) else None
        if action is not None and key.scope(action) is Scope.NONE:
            return forbidden_role(key, action)
        try:
            operation = self.decoder.operation(raw)
        except InvalidRequest as error:
            return invalid(error.errors)
        if action is not None:
            return foreign(key, action, operation.reservation_id) or operation
        return operation

    def _result(
        self,
        operation: Operation,
        outcome: Outcome | StoreError,
        raw: Any,
        request_id: str,
    ) -> dict[str, Any]:
        if isinstance(outcome, StoreError):
            return _refused(explain(outcome), request_id)
        if not outcome.status.ok or outcome.reservation is None:
            return _refused(problem_of(operation, outcome, self.decoder, raw), request_id)
        result: dict[str, Any] = {
            "status": status_of(operation, outcome),
            "reservation": reservation_json(outcome.reservation),
        }
        if outcome.status is Status.REPLAYED:
            result["replayed"] = True
        return result


def _refused(problem: Problem, request_id: str) -> dict[str, Any]:
    metrics.REFUSALS.labels(slug=problem.slug).inc()
    return {"status": problem.status, "problem": problem.document(request_id)}
