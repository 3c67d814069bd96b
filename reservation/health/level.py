"""The health of a level as it is noted: status, weight, and the pace of its sales. Pure."""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reservation.model import HealthStatus

# The pace of sales is a mean over about so long, of which the newest count most.
PACE_MS: Final = 300_000
# A burst that has just begun is not taken for its pace over the first instants.
LEAST_PACE_MS: Final = 10_000
# One order, however large, is no pace: there is one once sales have been seen for so long.
LEAST_SELLING_MS: Final = 5_000
# What has not sold for so long has no pace, and nothing is kept of it.
QUIET_MS: Final = 6 * PACE_MS
LONGEST_FORECAST_SECONDS: Final = 30 * 86_400


class Health(Struct, frozen=True, gc=False):
    """The health of a level. What nothing has been noted of is as this is made.

    `sold` is the sum of units that orders have taken, each discounted by its age at `sold_at_ms`.
    """

    status: HealthStatus = HealthStatus.HEALTHY
    weight: float = 1.0
    fell_at_ms: int = 0  # when status or weight last fell
    sold: float = 0.0
    sold_at_ms: int = 0
    selling_since_ms: int = 0

    def is_quiet(self, now_ms: int) -> bool:
        """Say whether there is nothing to be noted."""
        idle = now_ms - self.sold_at_ms >= QUIET_MS
        return self.status is HealthStatus.HEALTHY and self.weight >= 1 and idle

    def sold_out_in_seconds(self, available: int, now_ms: int) -> int | None:
        """Say when the pace of sales will have taken all; None where there is no pace to speak of.

        A forecast for people: it takes the pace of the last minutes to go on as it is.
        """
        if available == 0:
            return 0
        if self.sold_at_ms - self.selling_since_ms < LEAST_SELLING_MS:
            return None
        age_ms = max(now_ms - self.selling_since_ms, LEAST_PACE_MS)
        discounted = _discounted(self.sold, self.sold_at_ms, now_ms)
        # Of a mean over the whole past only the part since sales began has been seen.
        pace = discounted / (PACE_MS / 1000 * (1 - math.exp(-age_ms / PACE_MS)))
        if pace * LONGEST_FORECAST_SECONDS < available:
            return None
        return math.ceil(available / pace)


def sold(health: Health, units: int, at_ms: int) -> Health:
    """Add units that orders have taken, or less than none where they gave some back."""
    since = health.selling_since_ms
    if at_ms - health.sold_at_ms >= QUIET_MS or since == 0:
        since = at_ms
    total = _discounted(health.sold, health.sold_at_ms, at_ms) + units
    return replace(health, sold=max(0.0, total), sold_at_ms=at_ms, selling_since_ms=since)


def _discounted(total: float, at_ms: int, now_ms: int) -> float:
    return total * math.exp(-max(0, now_ms - at_ms) / PACE_MS)


# What a unit of an order's event takes from what can be sold; shipping and counting take none.
_TAKEN: Final = {"H": 1, "D": 1, "I": 1, "X": -1, "RH": -1, "RC": -1}


def taken(kind: str, extra: str) -> int:
    """Say what a unit of an event takes: 1, none, or -1 where it is given back."""
    return _TAKEN.get(kind + extra[:1] if kind == "R" else kind, 0)


def pack(health: Health) -> str:
    """Write a level's health as the store keeps it."""
    return (
        f"{health.status} {health.weight} {health.fell_at_ms} {health.sold:.6g} "
        f"{health.sold_at_ms} {health.selling_since_ms}"
    )


def unpack(text: str | None) -> Health:
    """Read what `pack` wrote; what is not there, or not readable, is as if nothing were noted."""
    if not text:
        return Health()
    try:
        status, weight, fell_at, total, sold_at, since = text.split(" ")
        return Health(
            HealthStatus(status),
            float(weight),
            int(fell_at),
            float(total),
            int(sold_at),
            int(since),
        )
    except ValueError:
        return Health()
