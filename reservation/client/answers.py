"""Answers read: status, headers and bytes as a result, a refusal or a fault. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from reservation.client.errors import (
    REFUSALS,
    OutcomeUnknown,
    Problem,
    Refused,
    Unavailable,
)
from reservation.client.results import (
    Availability,
    Breaker,
    Event,
    ImportReport,
    LevelHealth,
    Page,
    Proof,
    Reservation,
    SkuHealth,
    SkuLevels,
    SkuQuotas,
    Stock,
)
from reservation.model import Readiness

_Markable = TypeVar("_Markable", Reservation, Stock)

PROBLEM_TYPE: Final = "/problems/"
TOO_MANY_REQUESTS: Final = 429

# What reading bytes that are none of the service's may raise: no JSON, no UTF-8, a nest too deep.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# Python refuses to read a number of thousands of digits; more than these is longer than any call.
_RETRY_AFTER_DIGITS: Final = 9
_FOR_EVER_SECONDS: Final = 10**_RETRY_AFTER_DIGITS


class Reply(Struct, frozen=True, kw_only=True):
    """One answer as it came; `headers` have lower-case names.

    `doubted`: within the same call an earlier sending got no answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str = ""
    doubted: bool = False

    @property
    def replayed(self) -> bool:
        """Say whether the service marks the effect as one that was there before."""
        return self.headers.get("idempotent-replayed") == "true"

    @property
    def retry_after_seconds(self) -> int | None:
        """Read when to try again; None where the service does not say."""
        value = self.headers.get("retry-after", "")
        if not (value.isascii() and value.isdigit()):
            return None
        return int(value) if len(value) <= _RETRY_AFTER_DIGITS else _FOR_EVER_SECONDS


class _Result(Struct):
    """One result of a batch."""

    status: int
    reservation: Reservation | None = None
    problem: dict[str, Any] | None = None
    replayed: bool = False


class _Results(Struct):
    results: tuple[_Result, ...]


class _Breakers(Struct):
    items: tuple[Breaker, ...]


class _Ready(Struct):
    ready: bool
    warnings: tuple[str, ...] = ()


class _Clock(Struct):
    now: datetime


def reservation(reply: Reply) -> Reservation:
    """Read a reservation."""
    return _marked(msgspec.json.decode(reply.body, type=Reservation), reply)


def stock(reply: Reply) -> Stock:
    """Read a SKU's stock."""
    return _marked(msgspec.json.decode(reply.body, type=Stock), reply)


def breaker(reply: Reply) -> Breaker:
    """Read a SKU's breaker."""
    return msgspec.json.decode(reply.body, type=Breaker)


def breakers(reply: Reply) -> tuple[Breaker, ...]:
    """Read the breakers that were acted on."""
    return msgspec.json.decode(reply.body, type=_Breakers).items


def breaker_page(reply: Reply) -> Page[Breaker]:
    """Read a page of breakers."""
    return msgspec.json.decode(reply.body, type=Page[Breaker])


def level_page(reply: Reply) -> Page[SkuLevels]:
    """Read a page of SKUs with their levels."""
    return msgspec.json.decode(reply.body, type=Page[SkuLevels])


def reservation_page(reply: Reply) -> Page[Reservation]:
    """Read a page of reservations."""
    return msgspec.json.decode(reply.body, type=Page[Reservation])


def health_page(reply: Reply) -> Page[LevelHealth]:
    """Read a page of levels' health."""
    return msgspec.json.decode(reply.body, type=Page[LevelHealth])


def sku_health(reply: Reply) -> SkuHealth:
    """Read a SKU's health."""
    return msgspec.json.decode(reply.body, type=SkuHealth)


def ledger_page(reply: Reply) -> Page[Event]:
    """Read a page of a SKU's history."""
    return msgspec.json.decode(reply.body, type=Page[Event])


def proof(reply: Reply) -> Proof:
    """Read the proof of a SKU's balances."""
    return msgspec.json.decode(reply.body, type=Proof)


def availability(reply: Reply) -> Availability:
    """Read what may still be sold."""
    return msgspec.json.decode(reply.body, type=Availability)


def quotas(reply: Reply) -> SkuQuotas:
    """Read the quotas of a SKU."""
    return msgspec.json.decode(reply.body, type=SkuQuotas)


def import_report(reply: Reply) -> ImportReport:
    """Read what an import did."""
    return msgspec.json.decode(reply.body, type=ImportReport)


def readiness(reply: Reply) -> Readiness:
    """Read whether the service can serve; it says no as a problem."""
    problem = problem_of(reply)
    if problem is None:
        answer = msgspec.json.decode(reply.body, type=_Ready)
        return Readiness(ready=answer.ready, warnings=answer.warnings)
    findings = problem.member("findings", tuple[str, ...], ())
    return Readiness(ready=False, findings=findings or (problem.detail or problem.title,))


def clock(reply: Reply) -> datetime:
    """Read where the test clock stands."""
    return msgspec.json.decode(reply.body, type=_Clock).now


def batch(reply: Reply, *, operations: int) -> list[Reservation | Refused | Unavailable]:
    """Read the results of a batch, in order; refusals and faults are values here.

    Raises ValidationError where there is not one result for each operation: which is whose is
    then not known.
    """
    decoded = msgspec.json.decode(reply.body, type=_Results)
    if len(decoded.results) != operations:
        raise msgspec.ValidationError(f"{len(decoded.results)} results for {operations} operations")
    return [_result(result, reply) for result in decoded.results]


def _result(result: _Result, reply: Reply) -> Reservation | Refused | Unavailable:
    if result.reservation is not None:
        return msgspec.structs.replace(
            result.reservation, replayed=result.replayed, doubted=reply.doubted
        )
    if result.problem is None or not _is_problem(result.problem):
        # To call it a refusal would promise that nothing changed.
        raise msgspec.ValidationError("a result that is neither a reservation nor a problem")
    problem = problem_from(result.problem, result.status, reply)
    if problem.status < 500:
        return refusal(problem)
    return fault(problem)


def _marked(value: _Markable, reply: Reply) -> _Markable:
    if not (reply.replayed or reply.doubted):
        return value
    return msgspec.structs.replace(value, replayed=reply.replayed, doubted=reply.doubted)


def problem_of(reply: Reply) -> Problem | None:
    """Read an answer as one of the service's problems; None where it is something else."""
    try:
        document = msgspec.json.decode(reply.body, type=dict[str, Any])
    except UNREADABLE:
        return None
    if not _is_problem(document):
        return None
    return problem_from(document, reply.status, reply)


def _is_problem(document: Mapping[str, Any]) -> bool:
    return str(document.get("type", "")).startswith(PROBLEM_TYPE)


def problem_from(document: dict[str, Any], status: int, reply: Reply) -> Problem:
    """Take a problem's document apart."""
    members = dict(document)
    known = {name: str(members.pop(name, "")) for name in ("type", "title", "detail", "instance")}
    members.pop("status", None)
    return Problem(
        slug=known["type"].removeprefix(PROBLEM_TYPE),
        status=status,
        title=known["title"],
        detail=known["detail"],
        request_id=known["instance"] or reply.request_id,
        retry_after_seconds=reply.retry_after_seconds,
        doubted=reply.doubted,
        members=members,
    )


def refusal(problem: Problem) -> Refused:
    """Make the exception of a problem's slug."""
    return REFUSALS.get(problem.slug, Refused)(problem)


def is_not_applied(problem: Problem) -> bool:
    """Say whether the service is certain that a request it could not serve has changed nothing.

    An import that was interrupted has applied some of its rows even then.
    """
    if problem.status == TOO_MANY_REQUESTS:
        return True
    return problem.members.get("outcome") == "not_applied" and not problem.members.get(
        "rows_applied"
    )


def fault(problem: Problem) -> Unavailable:
    """Make the exception of one operation that the service could not serve."""
    kind = Unavailable if is_not_applied(problem) and not problem.doubted else OutcomeUnknown
    return kind(
        problem.detail,
        request_id=problem.request_id,
        status=problem.status,
        retry_after_seconds=problem.retry_after_seconds,
    )
