"""Which step an order needs: where it is with us, compared with where its platform says it is.

Pure. A message only says that something has happened; the step follows from the two states alone.
So duplicates, reordering, late and lost messages all end alike. Steps are taken one at a time and
the states compared anew, until none is left.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING

from channels.model import OrderLine, OrderState, PlatformOrder
from reservation.model import LIVE_STATES, Confirm, Fulfil, Line, Release, Reserve, State
from reservation.shops import DeductsAt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reservation.model import Reservation


class Anomaly(StrEnum):
    """Why an order cannot be where its platform says it is: a person has to look."""

    SHORT = "short"  # paid, and there is not enough
    SUSPENDED = "suspended"  # paid, and a SKU of it is not sold at present
    REJECTED = "rejected"  # paid, and its platform was told that it cannot be covered
    UNKNOWN_SKU = "unknown-sku"  # a line that is nothing of ours
    UNKNOWN_WORD = "unknown-word"  # the platform says something that is in no table
    RELEASED = "released"  # paid or shipped, and its stock was given back by hand
    LINES_DIFFER = "lines-differ"  # paid for other lines than are held
    INVALID = "invalid"  # the platform's figures can be no reservation


@dataclass(frozen=True, slots=True)
class Conflict:
    """No step leads to what the platform says; `text` tells which figures do not fit."""

    anomaly: Anomaly
    text: str


Step = Reserve | Confirm | Release | Fulfil | Conflict | None


def state_of(order: PlatformOrder) -> OrderState:
    """Say where an order is by its lines; what is closed of it counts only if all of it is."""
    live = [line.state for line in order.lines if line.state is not OrderState.CLOSED]
    if not live:
        return OrderState.CLOSED
    if all(state is OrderState.SHIPPED for state in live):
        return OrderState.SHIPPED
    if all(state is OrderState.UNPAID for state in live):
        return OrderState.UNPAID
    return OrderState.PAID


def next_step(
    order: PlatformOrder,
    ours: Reservation | None,
    *,
    reservation_id: str,
    warehouse_of: Callable[[str], str],
    ttl_ms: int,
    begun_ms: int = 0,
    spent: bool = False,
) -> Step:
    """Say what is to be done next, None where the two agree.

    Every line's `sku` is ours, and lies in the warehouse that `warehouse_of` names. `spent` says
    that this order was committed or had its end here before: a reservation that is not known any
    more is none that never was. `begun_ms` is since when its channel's orders are moved here.
    """
    state = state_of(order)
    if ours is None:
        if spent or not _claims(order, state) or _left_before(order, state, begun_ms):
            return None
        paid = state is not OrderState.UNPAID
        return Reserve(reservation_id, _lines(_live(order), warehouse_of), ttl_ms, confirm=paid)
    if state is OrderState.CLOSED:
        live = ours.state in LIVE_STATES
        return Release(reservation_id, "closed by the platform") if live else None
    if state is OrderState.UNPAID or ours.state is State.FULFILLED:
        return None
    if ours.state is State.RELEASED:
        return _of_released(order, ours)
    return _of_paid(order, ours, state, warehouse_of)


def _of_released(order: PlatformOrder, ours: Reservation) -> Step:
    """Stand by a release of what was closed; what was shipped before it is out."""
    if _left(order, ours):
        return None
    return Conflict(Anomaly.RELEASED, f"{order.word}, and its stock was given back")


def _of_paid(
    order: PlatformOrder,
    ours: Reservation,
    state: OrderState,
    warehouse_of: Callable[[str], str],
) -> Step:
    """Commit, let out what has left, then give back what was closed."""
    if extra := _beyond(order, ours, warehouse_of):
        return Conflict(Anomaly.LINES_DIFFER, f"beyond what is held: {extra}")
    if ours.state is not State.CONFIRMED:
        return Confirm(ours.reservation_id, reinstate=True)
    shipped = [line for line in order.lines if line.state is OrderState.SHIPPED]
    gone = _by_sku(shipped)
    out = [
        Line(line.sku, line.warehouse, gone[line.sku] - line.fulfilled)
        for line in ours.lines
        if line.warehouse == warehouse_of(line.sku) and gone[line.sku] > line.fulfilled
    ]
    if out:
        whole = all(
            line.warehouse == warehouse_of(line.sku) and gone[line.sku] >= line.quantity
            for line in ours.lines
        )
        return Fulfil(ours.reservation_id) if whole else _part(ours, shipped, out)
    if state is OrderState.SHIPPED:
        return Release(ours.reservation_id, "the rest was closed by the platform")
    return None


def _part(ours: Reservation, shipped: Iterable[OrderLine], out: list[Line]) -> Fulfil:
    """Name a part by the lines that have left by then, so that a repetition is the same part."""
    ids = "\n".join(sorted(line.line_id for line in shipped)).encode()
    return Fulfil(ours.reservation_id, blake2b(ids, digest_size=12).hexdigest(), tuple(out))


def units_wanted(order: PlatformOrder) -> Mapping[str, int]:
    """Sum what an order wants of each SKU, without what is closed of it."""
    return _by_sku(_live(order))


def _claims(order: PlatformOrder, state: OrderState) -> bool:
    """Say whether an order takes stock in a state."""
    if state is OrderState.UNPAID:
        return order.deducts_at is DeductsAt.ORDER
    return state is not OrderState.CLOSED


def _left_before(order: PlatformOrder, state: OrderState, begun_ms: int) -> bool:
    """Say whether an order that was never here had left the shelf when it was counted."""
    return state is OrderState.SHIPPED and order.created_at_ms < begun_ms


def _live(order: PlatformOrder) -> list[OrderLine]:
    return [line for line in order.lines if line.state is not OrderState.CLOSED]


def _by_sku(lines: Iterable[OrderLine]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line.sku] += line.quantity
    return units


def _lines(lines: Iterable[OrderLine], warehouse_of: Callable[[str], str]) -> tuple[Line, ...]:
    """Sum lines to what a reservation has, in its order."""
    units = _by_sku(lines)
    return tuple(Line(sku, warehouse_of(sku), units[sku]) for sku in sorted(units))


def _beyond(order: PlatformOrder, ours: Reservation, warehouse_of: Callable[[str], str]) -> str:
    """Name what the platform has sold beyond what is ours, "" where there is nothing."""
    have = Counter({(line.sku, line.warehouse): line.quantity for line in ours.lines})
    want = units_wanted(order)
    return ", ".join(
        f"{sku} {units} of {have[sku, warehouse_of(sku)]}"
        for sku, units in sorted(want.items())
        if units > have[sku, warehouse_of(sku)]
    )


def _left(order: PlatformOrder, ours: Reservation) -> bool:
    """Say whether all that the platform has shipped is out, and nothing else is wanted."""
    if any(line.state is not OrderState.SHIPPED for line in _live(order)):
        return False
    gone = Counter({line.sku: line.fulfilled for line in ours.lines})
    return all(gone[sku] >= units for sku, units in _by_sku(_live(order)).items())
