"""What health must be, written from the contract alone: section 5, "Unshipped ratio"."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

DWELL_MS = 60_000


def ratio_of(on_hand: int, safety: int, held: int, committed: int) -> Fraction | None:
    """Divide what is unshipped by what is available; None is infinite."""
    available = max(0, on_hand - safety - held - committed)
    if held + committed <= 0:
        return Fraction(0)
    return Fraction(held + committed, available) if available else None


@dataclass
class ModelHealth:
    """The health of one level, seen at instants in order."""

    at_risk: bool = False
    weight: Fraction = Fraction(1)
    last_fall_ms: int | None = None

    def see(self, ratio: Fraction | None, now_ms: int) -> None:
        """Take in a ratio at a time."""
        calm = self.last_fall_ms is None or now_ms - self.last_fall_ms >= DWELL_MS
        at_risk, weight = self.at_risk, Fraction(1)
        if not at_risk and (ratio is None or ratio > Fraction(30, 100)):
            at_risk = True
        if at_risk and calm and self.at_risk and ratio is not None and ratio < Fraction(20, 100):
            at_risk = False
        if at_risk and ratio is None:
            weight = Fraction(0)
        elif at_risk and ratio is not None:
            weight = 1 - (ratio - Fraction(20, 100)) / Fraction(80, 100)
            weight = min(Fraction(1), max(Fraction(0), weight))
        if weight < self.weight or (at_risk and not self.at_risk):
            self.last_fall_ms = now_ms
            self.at_risk, self.weight = at_risk, weight
        elif calm:
            self.at_risk, self.weight = at_risk, weight
