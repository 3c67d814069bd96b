"""A reservation's way through its events: what each of them makes of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from reservation.events.entries import LoggedEvent, units_of
from reservation.model import Line, Reservation, State, split_level_key

# The kinds that are about a reservation.
KINDS_OF_LIFE: Final = frozenset("HDCIERXF")


def reservation_after(
    before: Reservation | None, event: LoggedEvent, at_ms: int
) -> Reservation | None:
    """Say what an event made of a reservation; None where its beginning is not known.

    `at_ms` is the time of the event. An id whose receipt was forgotten may begin anew.
    """
    if event.kind in "HD":
        return _begun(event, at_ms)
    if before is None or event.kind not in KINDS_OF_LIFE:
        return before
    return _MOVES[event.kind](before, event, at_ms)


def _confirmed(before: Reservation, _event: LoggedEvent, at_ms: int) -> Reservation:
    return msgspec.structs.replace(
        before,
        state=State.CONFIRMED,
        expires_at_ms=None,
        confirmed_at_ms=at_ms,
        ended_at_ms=None,
    )


def _extended(before: Reservation, event: LoggedEvent, _at_ms: int) -> Reservation:
    return msgspec.structs.replace(before, expires_at_ms=int(event.extra))


def _expired(before: Reservation, event: LoggedEvent, _at_ms: int) -> Reservation:
    deadline = int(event.extra)
    return msgspec.structs.replace(
        before, state=State.EXPIRED, expires_at_ms=None, ended_at_ms=deadline
    )


def _released(before: Reservation, _event: LoggedEvent, at_ms: int) -> Reservation:
    # One that had expired keeps the end that it had.
    ended = at_ms if before.ended_at_ms is None else before.ended_at_ms
    return msgspec.structs.replace(
        before, state=State.RELEASED, expires_at_ms=None, ended_at_ms=ended
    )


def _begun(event: LoggedEvent, at_ms: int) -> Reservation:
    lines = tuple(Line(*split_level_key(level), quantity=units) for level, units in units_of(event))
    if event.kind == "H":
        deadline = at_ms + int(event.extra)
        return Reservation(event.subject, State.HELD, lines, at_ms, expires_at_ms=deadline)
    return Reservation(event.subject, State.CONFIRMED, lines, at_ms, confirmed_at_ms=at_ms)


def _fulfilled(before: Reservation, event: LoggedEvent, at_ms: int) -> Reservation:
    left = {split_level_key(level): units for level, units in units_of(event)}
    lines = tuple(
        msgspec.structs.replace(
            line, fulfilled=line.fulfilled + left.get((line.sku, line.warehouse), 0)
        )
        for line in before.lines
    )
    if event.extra.startswith("whole"):
        return msgspec.structs.replace(
            before, lines=lines, state=State.FULFILLED, ended_at_ms=at_ms
        )
    return msgspec.structs.replace(before, lines=lines)


_MOVES: Final[dict[str, Callable[[Reservation, LoggedEvent, int], Reservation]]] = {
    "C": _confirmed,
    "I": _confirmed,
    "E": _extended,
    "X": _expired,
    "R": _released,
    "F": _fulfilled,
}
