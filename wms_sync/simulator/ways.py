"""How a warehouse works: what can be set, by command, by control side, by tests."""

from __future__ import annotations

from typing import Final, Literal

from partners.simulation.forms import Settings
from wms_sync.simulator.intake import DAY_MS, HOUR_MS

MOST_INTAKE: Final = 100_000_000  # orders an hour or a day
MOST_STEP_MS: Final = 30 * DAY_MS
PERIOD_MS: Final = {"hour": HOUR_MS, "day": DAY_MS}


class Ways(Settings):
    """Its intake, its times, and what goes wrong in its aisles."""

    intake: int = 0  # orders in each `per`; 0: as many as come
    per: Literal["hour", "day"] = "day"
    burst: int = 10  # at once, after a pause
    above: Literal["refuse", "take"] = "refuse"  # what comes above the intake; taken, it is counted
    short: Literal["refuse", "accept"] = "refuse"  # an order for more than is there
    accept_ms: int = 60_000  # until an order that came is accepted
    pick_ms: int = 1_800_000  # then until it is picked: until here it can be cancelled
    ship_ms: int = 1_800_000  # then until it leaves
    part_ms: int = 3_600_000  # then until the rest of it leaves, where it leaves in parts
    spread: float = 0.0  # each of these is longer or shorter by up to this share
    rejects: float = 0.0  # of the orders, when they would be accepted
    lacks: float = 0.0  # of the orders, units that are not found when they are picked
    parts: float = 0.0  # of the orders with more than one unit, sent in two parts
    several_packages: float = 0.0  # of what is sent with more than one unit

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""
        if not 0 <= self.intake <= MOST_INTAKE:
            raise ValueError(f"intake is 0 to {MOST_INTAKE}, not {self.intake}")
        if not 1 <= self.burst <= MOST_INTAKE:
            raise ValueError(f"burst is 1 to {MOST_INTAKE}, not {self.burst}")
        for name in ("accept_ms", "pick_ms", "ship_ms", "part_ms"):
            if not 0 <= getattr(self, name) <= MOST_STEP_MS:
                raise ValueError(f"{name} is 0 to {MOST_STEP_MS}, not {getattr(self, name)}")
        for name in ("spread", "rejects", "lacks", "parts", "several_packages"):
            if not 0 <= getattr(self, name) <= 1:  # a NaN is in no range
                raise ValueError(f"{name} is 0 to 1, not {getattr(self, name)}")
