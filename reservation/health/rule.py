"""What a level's balances make of its health. Pure: contract section 5, "Unshipped ratio".

The status falls at once and rises late: only below a lower limit, and not before a while has
passed since status or weight last fell. So neither flickers, and a livestream is not told to show
more of what is running out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reservation.config import HealthBase
from reservation.health.level import Health
from reservation.model import HealthStatus

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.events.entries import Balance


@dataclass(frozen=True, slots=True)
class HealthRule:
    """Limits of the unshipped ratio, and for how long nothing rises after a fall."""

    at_risk_above: float
    restored_below: float
    dwell_ms: int
    base: HealthBase

    @classmethod
    def of(cls, settings: Settings) -> HealthRule:
        """Take the rule from the settings."""
        return cls(
            settings.health_at_risk_above,
            settings.health_restored_below,
            settings.health_dwell_seconds * 1000,
            settings.health_base,
        )


def unshipped_ratio(balance: Balance, rule: HealthRule) -> float:
    """Divide what is promised and has not left by what is still there; infinite where none is."""
    on_hand, safety, held, committed = balance
    unshipped = held + committed
    if unshipped <= 0:
        return 0.0
    base = on_hand if rule.base is HealthBase.ON_HAND else on_hand - safety - held - committed
    return unshipped / base if base > 0 else math.inf


def judged(health: Health, ratio: float, now_ms: int, rule: HealthRule) -> Health:
    """Judge a level anew: by its ratio, and by how long ago it fell."""
    status = health.status
    may_rise = now_ms - health.fell_at_ms >= rule.dwell_ms
    if status is HealthStatus.HEALTHY and ratio > rule.at_risk_above:
        status = HealthStatus.AT_RISK
    elif status is HealthStatus.AT_RISK and ratio < rule.restored_below and may_rise:
        status = HealthStatus.HEALTHY
    weight = 1.0 if status is HealthStatus.HEALTHY else _weight(ratio, rule)
    fell = weight < health.weight or (
        status is HealthStatus.AT_RISK and health.status is HealthStatus.HEALTHY
    )
    if fell:
        return replace(health, status=status, weight=weight, fell_at_ms=now_ms)
    if not may_rise:
        weight = health.weight
    if status is health.status and weight == health.weight:
        return health
    return replace(health, status=status, weight=weight)


def rises_at_ms(health: Health, rule: HealthRule) -> int | None:
    """Say before when nothing rises; None where nothing has fallen."""
    if health.status is HealthStatus.HEALTHY and health.weight >= 1:
        return None
    return health.fell_at_ms + rule.dwell_ms


def _weight(ratio: float, rule: HealthRule) -> float:
    """Say how much of a level a livestream should show, from 0 to 1."""
    span = 1 - rule.restored_below
    return round(min(1.0, max(0.0, 1 - (ratio - rule.restored_below) / span)), 4)
