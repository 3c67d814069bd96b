"""What the service answers, as values: the wire's members, times as aware datetimes (UTC).

Members that a newer service adds are passed over, so that an older client keeps working.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct

from reservation.model import (
    AvailabilityItem,
    BreakerPolicy,
    BreakerState,
    HealthStatus,
    Line,
    State,
)

T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some items of a list; `next` is the `after` of the next page, None at the end.

    The items are as they were at `as_of`; None where the list does not say.
    """

    items: tuple[T, ...]
    next: str | None
    as_of: datetime | None = None


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


class SkuLevels(Struct, frozen=True, kw_only=True):
    """All levels of one SKU."""

    sku: str
    warehouses: tuple[StockLevel, ...]

    def level(self, warehouse: str) -> StockLevel | None:
        """Find the level in one warehouse, None where there is none."""
        return next((level for level in self.warehouses if level.warehouse == warehouse), None)


class Stock(SkuLevels, frozen=True, kw_only=True):
    """All levels of one SKU and its breaker, as one read saw them; `replayed` of an adjustment."""

    breaker: Breaker
    version: str
    as_of: datetime
    replayed: bool = False
    doubted: bool = False


class Availability(Struct, frozen=True, kw_only=True):
    """What may still be sold, exact at `version`."""

    items: tuple[AvailabilityItem, ...]
    version: str
    as_of: datetime


class Quota(Struct, frozen=True):
    """What is kept of a level for a channel, and how much it may have at once, in units.

    No bound where `ceiling` is None. It ends at `until`, an aware time.
    """

    channel: str
    floor: int = 0
    ceiling: int | None = None
    until: datetime | None = None


class QuotaUse(Quota, frozen=True, kw_only=True):
    """A quota, whether its time has passed, what its channel has and may take now, in units."""

    ended: bool
    used: int
    available: int


class OthersUse(Struct, frozen=True, kw_only=True):
    """What channels without a quota have together, and what each of them may take now."""

    used: int
    available: int


class LevelQuotas(Struct, frozen=True, kw_only=True):
    """The quotas of one SKU in one warehouse.

    Not `in_force`: they were never counted to the end, nothing is enforced; set them again.
    """

    warehouse: str
    in_force: bool
    quotas: tuple[QuotaUse, ...]
    others: OthersUse


class SkuQuotas(Struct, frozen=True, kw_only=True):
    """The quotas of all levels of a SKU, exact at `version`."""

    sku: str
    warehouses: tuple[LevelQuotas, ...]
    version: str
    as_of: datetime

    def level(self, warehouse: str) -> LevelQuotas | None:
        """Find the level in one warehouse, None where there is none."""
        return next((level for level in self.warehouses if level.warehouse == warehouse), None)


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


class WarehouseHealth(Struct, frozen=True, kw_only=True):
    """How much of a level is promised and has not left, and what follows for a livestream."""

    warehouse: str
    held: int
    committed: int
    available: int
    unshipped_ratio: float | None  # (held + committed) / available; None: infinite
    status: HealthStatus
    exposure_weight: float  # from 1, show it as ever, to 0
    sold_out_in_seconds: int | None = None  # at the pace of the last minutes; None: no pace


class LevelHealth(WarehouseHealth, frozen=True, kw_only=True):
    """The health of one SKU in one warehouse."""

    sku: str


class SkuHealth(Struct, frozen=True, kw_only=True):
    """The health of a SKU's levels, exact at `version`."""

    sku: str
    warehouses: tuple[WarehouseHealth, ...]
    version: str
    as_of: datetime


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, as a CloudEvent; `data` depends on its `type`.

    `id` is unique and ordered within `source`; `subject` is the reservation's id, or the SKU.
    """

    id: str
    source: str
    type: str  # io.holdfast.reservation.held, io.holdfast.stock.changed, …
    subject: str
    time: datetime
    data: dict[str, Any]
    traceparent: str | None = None  # of the request that did it


class Reset(Struct, frozen=True, kw_only=True):
    """Events are missing: the position asked for is no longer kept, the oldest kept come next."""

    oldest: str  # the id of the event that comes next


class Balance(Struct, frozen=True, kw_only=True):
    """What one way of counting says of a level, in units."""

    on_hand: int
    safety_stock: int
    held: int
    committed: int


class Claims(Struct, frozen=True, kw_only=True):
    """What live reservations claim of a level, in units."""

    held: int
    committed: int


class ProvenLevel(Struct, frozen=True, kw_only=True):
    """One warehouse, counted three ways."""

    warehouse: str
    counters: Balance
    history: Balance
    reservations: Claims


class Proof(Struct, frozen=True, kw_only=True):
    """A SKU's balances, counted three ways at `version`, and whether all three agree."""

    sku: str
    agree: bool
    version: str
    warehouses: tuple[ProvenLevel, ...]
