"""What the state machine does about health: the monitor looks, and levels come to its limits."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import rule

from reservation.health.monitor import HealthMonitor
from reservation.model import Line, Reserve, SetStock
from tests.model import Key
from tests.reservation.both_sides import BothSides
from tests.reservation.health.following import Following
from tests.reservation.strategies import CROWD, SKUS, TOO_MUCH, keys, offsets

LIMITS = (Fraction(3, 10), Fraction(1, 5))  # of the unshipped ratio: contract section 5


class HealthSteps(BothSides):
    """Rules that are part of the machine's."""

    def follow_health_anew(self) -> None:
        """Begin with a monitor and a model that have seen nothing."""
        self.monitor = HealthMonitor(self.bench.store, self.bench.settings)
        self.health = Following(self.bench.store, SKUS)

    @rule(what=st.sampled_from(("look", "look and read", "tidy", "another monitor")))
    def follow_health(self, what: str) -> None:
        """Compare what the health monitor notes and tells, and what is read."""
        match what:
            case "tidy":
                self.bench.run(self.monitor.tidy())
            case "another monitor":
                self.monitor = HealthMonitor(self.bench.store, self.bench.settings)
        if what == "look and read":
            self.bench.run(self.health.check(self.engine, self.monitor))
            self.time_moved = False
        else:
            self.bench.run(self.health.look(self.monitor, self.bench.now_ms))

    @rule(key=keys, limit=st.sampled_from(LIMITS), more=offsets)
    def bring_to_a_limit(self, key: Key, limit: Fraction, more: int) -> None:
        """Count and order so much that the unshipped ratio is at a limit, or just beside it."""
        stock = self.model.stock(key[0], self.bench.now_ms)
        buyers = [buyer for buyer in CROWD if buyer not in self.model.reservations]
        for level in stock.levels if stock else ():
            unshipped = level.held + level.committed
            wanted = max(limit.numerator, unshipped)
            available = math.floor(wanted / limit) + more
            if level.warehouse != key[1] or available >= TOO_MUCH or not buyers:
                continue
            self.set_stock(SetStock(*key, level.safety_stock + wanted + available))
            if wanted > unshipped:
                self._do(Reserve(buyers[0], (Line(*key, wanted - unshipped),), 300_000))
