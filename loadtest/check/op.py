"""A call as the judge sees it: what was asked, what was told, and between which times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from loadtest.history import Call

Lines = tuple[tuple[int, int], ...]  # (number of the level, units), sorted

GRANTED, OK, UNKNOWN = "201", "200", "unknown"  # what was answered; a refusal is its slug
READ, MISSING = "read", "missing"  # a reservation read at the end: its answer is its state
NEVER = 1 << 60  # later than any time
# Refusals that say something of the reservation or of stock, with the state that they show. The
# others (no key, no JSON, too many, overloaded) leave no effect and tell nothing.
_TELLING = {
    "insufficient-stock": "",
    "sku-suspended": "",
    "channel-quota-exceeded": "",
    "unknown-sku": "",
    "idempotency-key-reused": "",
    "exceeds-reserved": "",
    "reservation-not-found": MISSING,
    "reservation-expired": "expired",
    "reservation-released": "released",
    "reservation-fulfilled": "fulfilled",
    "already-confirmed": "confirmed",
    "not-confirmed": "held",
    "hold-limit-reached": "held",
}
_SHOWN_BY_SUCCESS = {"confirm": "confirmed", "release": "released", "extend": "held"}


class Kind(NamedTuple):
    """All of a call but its place, times and content: few calls differ in it."""

    verb: str
    answer: str
    state: str  # in the answer, or empty
    ttl: int | None
    confirm: bool
    reinstate: bool
    late: bool  # it may have been decided after the client gave up
    known: bool  # an answer was taken
    may_act: bool  # it did, or may have done, what it asked for
    shown: str  # the state that the answer shows, or empty
    replayed: bool  # so marked


@dataclass(slots=True)
class Op:
    """A call that had or may have had an effect, a telling refusal, or a read at the end.

    The service decided between `start` and `latest`; the client knew at `end`. What follows
    `left` is as in `Kind`.
    """

    row: int
    start: int
    end: int
    latest: int
    expires: int | None  # in the answer
    lines: Lines
    part: str | None  # the fulfilment's id
    left: Lines  # of a read: what has left the warehouse
    verb: str
    answer: str
    state: str
    ttl: int | None
    confirm: bool
    reinstate: bool
    late: bool
    known: bool
    may_act: bool
    shown: str
    replayed: bool


def kind_of_call(call: Call) -> Kind | None:
    """Sort a call; None where it tells nothing and had no effect."""
    answer = _answer(call)
    if answer is None:
        return None
    state = call.state or ""
    return Kind(
        call.op,
        answer,
        state,
        None if call.ttl_ms is None else call.ttl_ms * 1000,
        call.confirm,
        call.reinstate,
        late=answer == UNKNOWN and call.lost != "thrown_away",
        known=answer != UNKNOWN,
        may_act=answer in {GRANTED, OK, UNKNOWN},
        shown=state or _shown(call, answer),
        replayed=call.replayed,
    )


def kind_of_read(state: str) -> Kind:
    """Sort a read at the end."""
    return Kind(
        READ,
        state,
        state,
        None,
        confirm=False,
        reinstate=False,
        late=False,
        known=True,
        may_act=False,
        shown=state,
        replayed=False,
    )


def _answer(call: Call) -> str | None:
    status = call.status
    if status == 201:
        return GRANTED
    if status == 200:
        return OK
    if status is None or (status >= 500 and call.outcome != "not_applied"):
        return UNKNOWN
    return call.slug if call.slug in _TELLING else None


def _shown(call: Call, answer: str) -> str:
    if answer == GRANTED:
        return "confirmed" if call.confirm else "held"
    if answer == OK:
        whole = call.op == "fulfil" and call.fulfilment_id is None
        return "fulfilled" if whole else _SHOWN_BY_SUCCESS.get(call.op, "")
    if answer == "insufficient-stock" and call.op == "confirm":
        return "expired"
    return _TELLING.get(answer, "")
