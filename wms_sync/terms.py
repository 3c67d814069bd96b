"""What the settings of a warehouse mean to its connector and its relay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reservation.errors import ConfigurationError
from wms_sync.connector import Account
from wms_sync.reconciliation.rule import MINUTE_MS, Policy
from wms_sync.rules.capacity import HOUR_MS, Capacity, Shift
from wms_sync.rules.priority import PriorityPolicy
from wms_sync.rules.warehouse_breaker import BreakerPolicy

if TYPE_CHECKING:
    from reservation.warehouses import WarehouseSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a warehouse is fed."""

    name: str
    capacity: Capacity
    priority: PriorityPolicy = field(default_factory=PriorityPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    calls_in_flight: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StockTerms:
    """How what a warehouse has is compared with our levels."""

    name: str
    policy: Policy = field(default_factory=Policy)
    call_ms: int = 10_000  # from one question to the next
    pass_ms: int = 60 * MINUTE_MS  # from the beginning of a pass to that of the next, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTerms:
    """How units are locked for orders that wait. `valid_ms` 0: no lock is asked for."""

    name: str
    valid_ms: int = 30 * MINUTE_MS
    # Of calls: a bucket of as many as go in a second.
    capacity: Capacity = field(default_factory=lambda: Capacity(1_800 * 1_440, burst=30))
    calls_in_flight: int = 4

    @property
    def renewed_ms(self) -> int:
        """Say how long before its end a lock is renewed."""
        return self.valid_ms // 3


def account_of(name: str, system: WarehouseSystem) -> Account:
    """Say who we are at a warehouse."""
    return Account(
        warehouse=name,
        code=system.code,
        url=system.url,
        owner=system.owner,
        app_key=system.app_key,
        secrets=system.secrets,
        options=system.options,
    )


def stock_terms_of(name: str, system: WarehouseSystem) -> StockTerms | None:
    """Say how stock is compared; None where it is not."""
    if not system.stock_calls_per_minute:
        return None
    policy = Policy(
        looks=system.drift_looks,
        apart_ms=round(system.drift_apart_minutes * MINUTE_MS),
        repair_units=system.repair_units_at_most,
        repair_percent=system.repair_percent_at_most,
        repairs_a_day=system.repairs_per_day,
    )
    return StockTerms(
        name=name,
        policy=policy,
        call_ms=round(MINUTE_MS / system.stock_calls_per_minute),
        pass_ms=system.stock_pass_minutes * MINUTE_MS,
    )


def lock_terms_of(name: str, system: WarehouseSystem) -> LockTerms:
    """Say how units are locked."""
    calls = system.lock_calls_per_minute
    return LockTerms(
        name=name,
        valid_ms=round(system.lock_minutes * MINUTE_MS),
        capacity=Capacity(calls * 1_440, burst=max(1, calls // 60)),
        calls_in_flight=system.calls_in_flight,
    )


def terms_of(name: str, system: WarehouseSystem) -> Terms:
    """Say how a warehouse is fed. Raises ConfigurationError, which names it."""
    shifts = tuple(Shift(*shift.in_ms(), shift.orders_per_day) for shift in system.shifts)
    lanes = system.lanes
    try:
        capacity = Capacity(
            system.orders_per_day, system.burst, shifts, system.utc_offset_minutes * MINUTE_MS
        )
        priority = PriorityPolicy(
            lanes.rush_most,
            lanes.rush_of,
            lanes.horizon_hours * HOUR_MS,
            lanes.sample_ahead_minutes * MINUTE_MS,
        )
    except ValueError as error:
        raise ConfigurationError(f"wms.{name}: {error}") from error
    return Terms(
        name=name,
        capacity=capacity,
        priority=priority,
        calls_in_flight=system.calls_in_flight,
    )
