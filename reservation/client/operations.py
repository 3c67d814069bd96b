"""What can be asked of a reservation, and how each verb is written on the wire.

A single call and an operation of a batch are the same value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from reservation.model import Line


class OrderLine(Struct, frozen=True):
    """So many units of one SKU; None leaves the warehouse to the service's configuration."""

    sku: str
    quantity: int
    warehouse: str | None = None


# What a line may be given as: (sku, quantity), (sku, quantity, warehouse), an OrderLine, or a line
# that the service answered.
LineLike = tuple[str, int] | tuple[str, int, str] | OrderLine | Line


class Reserve(Struct, frozen=True):
    """Hold all lines or none for `ttl_seconds`; with `confirm` commit them at once."""

    reservation_id: str
    lines: Iterable[LineLike]
    ttl_seconds: int | None = None
    confirm: bool = False


class Confirm(Struct, frozen=True):
    """Commit a hold; with `reinstate` also an expired one whose stock is still free."""

    reservation_id: str
    reinstate: bool = False


class Release(Struct, frozen=True):
    """Give back what has not left."""

    reservation_id: str
    reason: str | None = None


class Extend(Struct, frozen=True):
    """Set a hold's deadline to now plus `ttl_seconds`, earlier or later than it was."""

    reservation_id: str
    ttl_seconds: int


class Fulfil(Struct, frozen=True):
    """Book goods as shipped: everything left, or the `lines` of one part under `fulfilment_id`."""

    reservation_id: str
    fulfilment_id: str | None = None
    lines: Iterable[LineLike] | None = None


Operation = Reserve | Confirm | Release | Extend | Fulfil

VERBS: Final[dict[type[Operation], str]] = {
    Reserve: "reserve",
    Confirm: "confirm",
    Release: "release",
    Extend: "extend",
    Fulfil: "fulfil",
}


def members(operation: Operation) -> dict[str, Any]:
    """Write an operation's members but for its id; what is not given is left out, never null."""
    match operation:
        case Reserve(lines=lines, ttl_seconds=ttl_seconds, confirm=confirm):
            written = given(lines=[_line(line) for line in lines], ttl_seconds=ttl_seconds)
            return {**written, "confirm": True} if confirm else written
        case Confirm(reinstate=reinstate):
            return {"if_expired": "reinstate"} if reinstate else {}
        case Release(reason=reason):
            return given(reason=reason)
        case Extend(ttl_seconds=ttl_seconds):
            return {"ttl_seconds": ttl_seconds}
        case Fulfil(fulfilment_id=fulfilment_id, lines=lines):
            parts = None if lines is None else [_line(line) for line in lines]
            return given(fulfilment_id=fulfilment_id, lines=parts)


def given(**values: Any) -> dict[str, Any]:
    """Keep the members that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def _line(line: LineLike) -> dict[str, Any]:
    if isinstance(line, tuple):
        line = OrderLine(*line)
    return given(sku=line.sku, quantity=line.quantity, warehouse=line.warehouse)
