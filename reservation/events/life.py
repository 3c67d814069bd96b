"""What an event makes of a reservation: its record tells it, but of a fulfilment. Pure."""

from __future__ import annotations

import msgspec

from reservation.events.entries import LoggedEvent, units_of
from reservation.model import Reservation, State, split_level_key
from reservation.store.records import unpack_reservation

FULFILLED = "F"  # the one event of a reservation that its record does not tell


def reservation_after(
    before: Reservation | None, event: LoggedEvent, at_ms: int
) -> Reservation | None:
    """Say what an event made of a reservation; None where that is not known.

    `at_ms` is the time of the event. Only of a fulfilment it matters what was `before`.
    """
    if event.record:
        return unpack_reservation(event.subject, event.record)
    if event.kind == FULFILLED and before is not None:
        return after_fulfilment(before, event, at_ms)
    return before


def after_fulfilment(before: Reservation, event: LoggedEvent, at_ms: int) -> Reservation:
    """Say what a fulfilment made of a reservation."""
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
