"""Which change is an order's own, and what an order lets be shipped. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reservation.model import State
from wms_sync.model import Lacking, StockChanged
from wms_sync.reports.reported import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reservation.model import Reservation
    from wms_sync.reports.reported import Said


def write_offs(of_order: Iterable[Said]) -> list[StockChanged]:
    """Pick what an order's changes take off the stock beside what it ships.

    A change by an order of ours is what `Shipped` tells, but where the warehouse has also told that
    just so many units lack: then they were not found, and never left. What more is reported
    adds to these, and takes none back.
    """
    reports = list(of_order)
    lacks = Counter(
        (sku, units) for one in reports if isinstance(one, Lacking) for sku, _, units in one.items
    )
    found = []
    for one in reports:
        if isinstance(one, StockChanged) and one.delta < 0 and lacks[one.sku, -one.delta] > 0:
            lacks[one.sku, -one.delta] -= 1
            found.append(one)
    return found


def remaining_of(reservation: Reservation, warehouse: str) -> dict[str, int]:
    """Count what of an order has not left a warehouse, by SKU."""
    return {
        line.sku: line.quantity - line.fulfilled
        for line in reservation.lines
        if line.warehouse == warehouse
    }


def planned(
    items: Iterable[tuple[str, int]], remaining: Mapping[str, int], *, is_reserved: bool
) -> Plan:
    """Divide what has left: within what an order has left to leave, and beyond it."""
    within, excess = dict[str, int](), dict[str, int]()
    for sku, units in items:
        inside = min(units, max(remaining.get(sku, 0), 0))
        if inside:
            within[sku] = inside
        if units > inside:
            excess[sku] = units - inside
    if is_reserved:
        return Plan(fulfil=within, excess=excess)
    return Plan(loose=within, excess=excess)


def is_reserved(reservation: Reservation) -> bool:
    """Say whether what has not left is still an order's."""
    return reservation.state in {State.CONFIRMED, State.FULFILLED}
