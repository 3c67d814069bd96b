"""Value types of the engine: lines, reservations, stock, requests and outcomes.

All quantities are integer units of a SKU, all times integer milliseconds since the epoch (UTC).
The values here are what the engine computes with; how they look on the wire is `api`'s business.
None of them can be part of a cycle, so the collector of cycles is not shown those that every
request makes (`gc=False`).
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from reservation.errors import InvalidRequest
from reservation.quota_model import QuotaExcess
from reservation.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANNEL = re.compile(r"[a-z][a-z0-9_-]{1,31}", re.ASCII)
LOCAL_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
RESERVATION_ID = re.compile(r"[a-z][a-z0-9_-]{1,31}:[A-Za-z0-9._-]{1,64}", re.ASCII)
WAREHOUSE = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)

MAX_SKU_CHARACTERS = 64
MAX_STOCK = 1_000_000_000  # contract section 3, PUT stock; sums stay far below 2^53 in Lua

# Cc control, Zl and Zp separators, Cs surrogates: contract section 1.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})

# Most SKUs: nothing in them has to be looked at character by character.
_PLAIN_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]*", re.ASCII)


class State(StrEnum):
    """Where a reservation is in its life (contract section 2)."""

    HELD = "held"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    RELEASED = "released"
    FULFILLED = "fulfilled"


LIVE_STATES = (State.HELD, State.CONFIRMED)  # in which a reservation claims units


class Line(Struct, frozen=True, gc=False):
    """So many units of one SKU in one warehouse; `fulfilled` of them have left."""

    sku: str
    warehouse: str
    quantity: int
    fulfilled: int = 0


class Reservation(Struct, frozen=True, gc=False):
    """One order's claim on stock, as a read saw it. Lines are sorted by SKU, then warehouse."""

    reservation_id: str
    state: State
    lines: tuple[Line, ...]
    created_at_ms: int
    expires_at_ms: int | None = None  # set only while held
    confirmed_at_ms: int | None = None
    ended_at_ms: int | None = None  # of an expired one: its deadline

    @property
    def channel(self) -> str:
        """Name the channel, the part of the id before the colon."""
        return self.reservation_id.partition(":")[0]


class StockLevel(Struct, frozen=True):
    """The balances of one SKU in one warehouse."""

    sku: str
    warehouse: str
    on_hand: int
    safety_stock: int
    held: int
    committed: int

    @property
    def available(self) -> int:
        """Count the units that may still be promised."""
        return max(0, self.on_hand - self.safety_stock - self.held - self.committed)

    @property
    def shortfall(self) -> int:
        """Count the units promised beyond what is there."""
        return max(0, self.held + self.committed - self.on_hand)


class BreakerState(StrEnum):
    """Whether a SKU may be ordered: open means suspended."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerPolicy(Struct, frozen=True):
    """When a SKU is suspended. `cool_down_seconds` 0 means that no clock reopens it."""

    threshold: int
    window_seconds: int
    cool_down_seconds: int
    exempt: bool = False


class Breaker(Struct, frozen=True):
    """The breaker of one SKU over all its warehouses and channels."""

    sku: str
    state: BreakerState
    failures: int
    policy: BreakerPolicy
    since_ms: int | None = None
    reason: str | None = None
    by: str | None = None
    retry_at_ms: int | None = None


class HealthStatus(StrEnum):
    """Whether so much of a level is promised and unshipped that it should be shown less."""

    HEALTHY = "healthy"
    AT_RISK = "at_risk"


class Stock(Struct, frozen=True):
    """All levels of one SKU and its breaker, as one read saw them."""

    sku: str
    levels: tuple[StockLevel, ...]
    breaker: Breaker
    version: str  # position in the event log, "<ms>-<seq>"
    as_of_ms: int


class Origin(Struct, frozen=True, gc=False):
    """Who asks: the acting key's name, the request's id, the caller's trace context."""

    actor: str
    request_id: str = ""
    traceparent: str = ""


SYSTEM = Origin(actor="system")


class Reserve(Struct, frozen=True, tag="reserve", tag_field="op", gc=False):
    """Hold the lines for `ttl_ms`, or commit them at once with `confirm`. Lines are canonical."""

    reservation_id: str
    lines: tuple[Line, ...]
    ttl_ms: int
    confirm: bool = False


class Confirm(Struct, frozen=True, tag="confirm", tag_field="op", gc=False):
    """Turn a hold into a commitment; with `reinstate` also an expired one whose stock is free."""

    reservation_id: str
    reinstate: bool = False


class Release(Struct, frozen=True, tag="release", tag_field="op", gc=False):
    """Give back what is not yet fulfilled."""

    reservation_id: str
    reason: str = ""


class Extend(Struct, frozen=True, tag="extend", tag_field="op", gc=False):
    """Set a hold's deadline to `ttl_ms` from now, earlier or later than it was."""

    reservation_id: str
    ttl_ms: int


class Fulfil(Struct, frozen=True, tag="fulfil", tag_field="op", gc=False):
    """Move goods out: the canonical lines of one part, or everything left when there are none."""

    reservation_id: str
    fulfilment_id: str = ""
    lines: tuple[Line, ...] = ()


Operation = Reserve | Confirm | Release | Extend | Fulfil


class SetStock(Struct, frozen=True):
    """Set a level to a count; what is None stays as it is, `if_on_hand` guards against races."""

    sku: str
    warehouse: str
    on_hand: int
    safety_stock: int | None = None
    if_on_hand: int | None = None


class AdjustStock(Struct, frozen=True):
    """Change a level by `delta`, once per `adjustment_id` within SKU and warehouse."""

    sku: str
    warehouse: str
    delta: int
    adjustment_id: str
    reason: str


class TripBreaker(Struct, frozen=True):
    """Suspend a SKU on all channels by hand, until a hand resets it."""

    sku: str
    reason: str


class ResetBreaker(Struct, frozen=True):
    """Close a SKU's breaker and forget its failures."""

    sku: str
    reason: str


class SetBreakerPolicy(Struct, frozen=True):
    """Give a SKU a policy of its own; what is None stays as it is."""

    sku: str
    threshold: int | None = None
    window_seconds: int | None = None
    cool_down_seconds: int | None = None
    exempt: bool | None = None


class RejectLock(Struct, frozen=True):
    """Count a lock that was refused elsewhere, by the warehouse, as a failed lock of the SKU."""

    sku: str
    reservation_id: str


BreakerAct = TripBreaker | ResetBreaker | SetBreakerPolicy | RejectLock


class BreakerOutcome(Struct, frozen=True):
    """What became of an act on a breaker: DONE, with the breaker after it, or UNKNOWN_SKU."""

    status: Status
    breaker: Breaker | None = None
    changed: bool = False  # of RejectLock: it has opened the breaker


class Shortage(Struct, frozen=True):
    """One line that could not be covered."""

    sku: str
    warehouse: str
    requested: int
    available: int


class Suspension(Struct, frozen=True):
    """A SKU that may not be ordered, since when and why; `retry_at_ms` where a clock reopens it."""

    sku: str
    since_ms: int
    reason: str
    retry_at_ms: int | None = None


class Outcome(Struct, frozen=True, gc=False):
    """What became of one operation on a reservation; the fields that its status fills are set.

    `reservation` stands for DONE and REPLAYED and for the refusals by state.
    """

    status: Status
    reservation: Reservation | None = None
    shortages: tuple[Shortage, ...] = ()  # INSUFFICIENT_STOCK: every short line
    opened: tuple[str, ...] = ()  # INSUFFICIENT_STOCK: SKUs that this failure suspended
    suspensions: tuple[Suspension, ...] = ()  # SKU_SUSPENDED
    excesses: tuple[QuotaExcess, ...] = ()  # CHANNEL_QUOTA_EXCEEDED: every such line
    lines: tuple[tuple[str, str], ...] = ()  # UNKNOWN_SKU, FOREIGN_LINE, EXCEEDS_RESERVED
    as_of_ms: int = 0  # SKU_SUSPENDED: the store's time, which `retry_at_ms` counts from


class StockOutcome(Struct, frozen=True):
    """What became of a stock write; `stock` is the SKU after it, None where it has no level."""

    status: Status
    stock: Stock | None = None
    created: bool = False  # the level is new
    changed: bool = False  # the level differs from what it was
    on_hand: int | None = None  # STALE_STOCK, STOCK_BELOW_ZERO: as it is; None: no level


class AvailabilityItem(Struct, frozen=True):
    """What may still be sold of one SKU in one warehouse."""

    sku: str
    warehouse: str
    available: int
    ordering: str  # "open", "suspended", or "unknown": no such level


class Availability(Struct, frozen=True):
    """An answer about up to `max_availability_skus` SKUs, exact at `version`."""

    items: tuple[AvailabilityItem, ...]
    version: str
    as_of_ms: int


class ImportCounts(Struct, frozen=True):
    """How many levels an import made, changed and left as they were."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0


class Readiness(Struct, frozen=True):
    """Whether requests can be served; `findings` says in sentences what is wrong and until when."""

    ready: bool
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def sku_problem(sku: str) -> str | None:
    """Say in a sentence what is wrong with a SKU, or None where it is well-formed."""
    if not 1 <= len(sku) <= MAX_SKU_CHARACTERS:
        return f"a SKU has 1 to {MAX_SKU_CHARACTERS} characters"
    return _problem_of_characters(sku)


@lru_cache(maxsize=16_384)  # the same SKUs come again and again
def _problem_of_characters(sku: str) -> str | None:
    if (sku.isalnum() and sku.isascii()) or _PLAIN_SKU.fullmatch(sku):
        return None
    if sku in {".", ".."}:
        return "a SKU cannot be '.' or '..'"
    if sku != sku.strip():
        return "a SKU has no blank at either end"
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in sku):
        return "a SKU has no control characters, line separators or lone surrogates"
    return None


def canonical_lines(lines: Iterable[Line], *, max_quantity: int) -> tuple[Line, ...]:
    """Sum lines that name the same SKU and warehouse and sort them bytewise.

    Two orders are the same exactly when their canonical lines are equal.

    Raises InvalidRequest where a sum exceeds `max_quantity`; the pointer is `/lines`.
    """
    lines = tuple(lines)
    if len(lines) == 1:
        return lines
    sums: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line.sku, line.warehouse)
        sums[key] = sums.get(key, 0) + line.quantity
    excessive = [key for key, quantity in sums.items() if quantity > max_quantity]
    if excessive:
        raise InvalidRequest(
            [
                ("/lines", f"{sku} in {warehouse} sums to more than {max_quantity} units")
                for sku, warehouse in excessive
            ]
        )
    ordered = sorted(sums, key=lambda key: f"{key[0]}@{key[1]}".encode())
    return tuple(Line(sku, warehouse, sums[sku, warehouse]) for sku, warehouse in ordered)


def level_key(sku: str, warehouse: str) -> str:
    """Name a level as the store does; `split_level_key` is the inverse."""
    return f"{sku}@{warehouse}"


def split_level_key(key: str) -> tuple[str, str]:
    """Split at the last `@`: a SKU may contain one, a warehouse may not."""
    sku, _, warehouse = key.rpartition("@")
    return sku, warehouse
