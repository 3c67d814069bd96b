"""An amount that grows over time in straight pieces, as intakes and arrivals do."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Curve:
    """An amount from the first of `starts` (ms) to `end_ms`, in credits (`capacity.ORDER`).

    Piece i grows from `amounts[i]` at `starts[i]` by `rates[i]` credits a millisecond, 0 or more.
    """

    starts: list[int]
    amounts: list[int]
    rates: list[int]
    end_ms: int

    @classmethod
    def of(cls, pieces: Iterable[tuple[int, int]], end_ms: int, *, amount: int = 0) -> Self:
        """Make a curve of `(since when, rate)`, ascending, that starts at `amount`."""
        starts: list[int] = []
        amounts: list[int] = []
        rates: list[int] = []
        for start, rate in pieces:
            if starts:
                amount += rates[-1] * (start - starts[-1])
            starts.append(start)
            amounts.append(amount)
            rates.append(rate)
        return cls(starts, amounts, rates, end_ms)

    def at(self, at_ms: int) -> int:
        """Return the amount at an instant; before the first one what it starts with."""
        if at_ms <= self.starts[0]:
            return self.amounts[0]
        piece = bisect_right(self.starts, at_ms) - 1
        return self.amounts[piece] + self.rates[piece] * (at_ms - self.starts[piece])

    def rate_at(self, at_ms: int) -> int:
        """Return the credits a millisecond at an instant; before the first one 0."""
        piece = bisect_right(self.starts, at_ms) - 1
        return self.rates[piece] if piece >= 0 else 0

    def when(self, amount: int) -> int | None:
        """Return the first instant with at least this amount, None where it ends below."""
        piece = max(bisect_left(self.amounts, amount) - 1, 0)
        missing = amount - self.amounts[piece]
        if missing <= 0:
            return self.starts[piece]
        if not self.rates[piece]:
            return None  # only the last piece: another one's successor would start below `amount`
        at_ms = self.starts[piece] - (-missing // self.rates[piece])
        return at_ms if at_ms <= self.end_ms else None


def spans(curves: Sequence[Curve], end_ms: int) -> list[tuple[int, int, list[int]]]:
    """Return `(from, to, the rate of each curve)` for every time in which no rate changes.

    It begins with the first curve's beginning.
    """
    begin_ms = curves[0].starts[0]
    edges = sorted({at for curve in curves for at in curve.starts if begin_ms <= at < end_ms})
    return [
        (start, end, [curve.rate_at(start) for curve in curves])
        for start, end in zip(edges, [*edges[1:], end_ms], strict=True)
    ]
