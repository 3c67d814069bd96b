"""What the service answers, as values: the wire's members, times as aware datetimes (UTC).

Members that a newer service adds are passed over, so that an older client keeps working.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from reservation.model import (
    AvailabilityItem,
    BreakerPolicy,
    BreakerState,
    Line,
    State,
)


class Reservation(Struct, frozen=True, kw_only=True):
    """One order's claim on stock, as it was when the service answered.

    `replayed`: the effect was there before the sending that was answered. `doubted`: within this
    call an earlier sending got no answer, so a replay may be of this call's own effect.
    """

    reservation_id: str
    channel: str
    state: State
    lines: tuple[Line, ...]
    created_at: datetime
    expires_at: datetime | None  # set only while held
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None  # of an expired one: its deadline
    replayed: bool = False
    doubted: bool = False


class StockLevel(Struct, frozen=True, kw_only=True):
    """The balances of one SKU in one warehouse, in units."""

    warehouse: str
    on_hand: int
    safety_stock: int
    held: int
    committed: int
    available: int
    shortfall: int


class Breaker(Struct, frozen=True, kw_only=True):
    """Whether a SKU may be ordered: open means suspended on all channels."""

    sku: str
    state: BreakerState
    failures: int
    policy: BreakerPolicy
    since: datetime | None = None
    reason: str | None = None
    by: str | None = None
    retry_at: datetime | None = None


class Stock(Struct, frozen=True, kw_only=True):
    """All levels of one SKU and its breaker, as one read saw them; `replayed` of an adjustment."""

    sku: str
    warehouses: tuple[StockLevel, ...]
    breaker: Breaker
    version: str
    as_of: datetime
    replayed: bool = False
    doubted: bool = False

    def level(self, warehouse: str) -> StockLevel | None:
        """Find the level in one warehouse, None where there is none."""
        return next((level for level in self.warehouses if level.warehouse == warehouse), None)


class BreakerPage(Struct, frozen=True, kw_only=True):
    """A page of breakers, by SKU; `next` is the `after` of the next page, None at the end."""

    items: tuple[Breaker, ...]
    next: str | None


class Availability(Struct, frozen=True, kw_only=True):
    """What may still be sold, exact at `version`."""

    items: tuple[AvailabilityItem, ...]
    version: str
    as_of: datetime


class RowError(Struct, frozen=True, kw_only=True):
    """Why a row of an import is bad; row 1 is the first line after the header, 0 the whole file."""

    row: int
    reason: str
    column: str | None = None


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import did, or would do: its rows, and how many levels it made or changed."""

    rows: int
    created: int
    changed: int
    unchanged: int
    applied: bool
    errors: tuple[RowError, ...] = ()


class Suspension(Struct, frozen=True, kw_only=True):
    """A SKU that may not be ordered; `retry_at` where a clock reopens it."""

    sku: str
    since: datetime
    reason: str
    retry_at: datetime | None = None


class LevelName(Struct, frozen=True, kw_only=True):
    """A level that a request named and that does not exist."""

    sku: str
    warehouse: str


class FormError(Struct, frozen=True, kw_only=True):
    """A broken rule of form and the JSON pointer of its place in the request."""

    pointer: str
    detail: str
