"""The batch endpoint: many operations in one request, each judged alone, in order."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from reservation import metrics
from reservation.api.decode import OPERATIONS
from reservation.api.exchange import OK, Answer
from reservation.api.pipeline import explain, forbidden_role
from reservation.api.problems import Problem, invalid
from reservation.api.reservations import foreign, problem_of, status_of
from reservation.api.views import reservation_text
from reservation.errors import InvalidRequest, StoreError
from reservation.model import Confirm, Extend, Fulfil, Operation, Release, Reserve
from reservation.security import Action, ApiKey, Scope
from reservation.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.engine import Engine
    from reservation.store.waiting import Result

_ACTIONS = {verb: Action(verb) for verb in OPERATIONS}
_ACTIONS_BY_KIND: dict[type, Action] = {
    Reserve: Action.RESERVE,
    Confirm: Action.CONFIRM,
    Release: Action.RELEASE,
    Extend: Action.EXTEND,
    Fulfil: Action.FULFIL,
}


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
        judged = self._judged(call)
        operations = [item for item in judged if not isinstance(item, Problem)]
        outcomes: Sequence[Result] = ()
        if operations:
            outcomes = await self._engine.apply(operations, call.exchange.origin, checked=True)
        results = ",".join(self._results(call, judged, iter(outcomes)))
        return Answer(OK, f'{{"results":[{results}]}}'.encode())

    # -- before ----------------------------------------------------------------------------------

    def _judged(self, call: Call) -> list[Operation | Problem]:
        """Judge each operation as its own endpoint would: role, form, channel."""
        key = call.key
        assert key is not None  # noqa: S101 - a batch always asks for a key
        valid = self.decoder.valid_batch(call.body)
        if valid is None:
            return [self._judge(key, item) for item in self.decoder.batch(call.body)]
        scopes = {kind: key.scope(action) for kind, action in _ACTIONS_BY_KIND.items()}
        return [
            operation
            if (scope := scopes[type(operation)]) is Scope.ANY
            or (scope is Scope.OWN and key.owns(operation.reservation_id.partition(":")[0]))
            else _permitted(key, operation)
            for operation in valid
        ]

    def _judge(self, key: ApiKey, raw: Any) -> Operation | Problem:
        """Judge one operation of a batch in which not all are valid."""
        verb = raw.get("op") if isinstance(raw, dict) else None
        action = _ACTIONS.get(verb) if isinstance(verb, str) else None
        if action is not None and key.scope(action) is Scope.NONE:
            return forbidden_role(key, action)
        try:
            return _permitted(key, self.decoder.operation(raw))
        except InvalidRequest as error:
            return invalid(error.errors)

    # -- after -----------------------------------------------------------------------------------

    def _results(
        self, call: Call, judged: Sequence[Operation | Problem], outcomes: Iterator[Result]
    ) -> Iterator[str]:
        """Write what became of each operation, as JSON."""
        request_id = call.exchange.request_id
        raw = cache(lambda: self.decoder.batch(call.body))  # read anew once, however many need it
        for index, item in enumerate(judged):
            if isinstance(item, Problem):
                yield _refused(item, request_id)
                continue
            outcome = next(outcomes)
            if isinstance(outcome, StoreError):
                yield _refused(explain(outcome), request_id)
            elif not outcome.status.ok or outcome.reservation is None:
                problem = problem_of(item, outcome, self.decoder, lambda at=index: raw()[at])  # type: ignore[misc]
                yield _refused(problem, request_id)
            else:
                replayed = ',"replayed":true' if outcome.status is Status.REPLAYED else ""
                written = reservation_text(outcome.reservation)
                status = status_of(item, outcome)
                yield f'{{"status":{status},"reservation":{written}{replayed}}}'


def _permitted(key: ApiKey, operation: Operation) -> Operation | Problem:
    """Pass an operation that the key's role may do, on a channel that is its own."""
    action = _ACTIONS_BY_KIND[type(operation)]
    if key.scope(action) is Scope.NONE:
        return forbidden_role(key, action)
    return foreign(key, action, operation.reservation_id) or operation


def _refused(problem: Problem, request_id: str) -> str:
    metrics.REFUSALS.labels(slug=problem.slug).inc()
    refused = {"status": problem.status, "problem": problem.document(request_id)}
    return orjson.dumps(refused).decode()
