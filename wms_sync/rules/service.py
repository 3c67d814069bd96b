"""How fast each side of the queue is served: the rush lane, and all others.

A fluid picture of `priority.choose`: orders are amounts, hand-overs flow. It is exact for long
queues and off by an order or two for short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wms_sync.rules.capacity import ORDER
from wms_sync.rules.curve import Curve, spans

PRECISION_MS: Final = 1_000  # of an estimate where later orders may overtake


@dataclass(frozen=True, slots=True)
class Side:
    """What one side is served while it waits, and who may still overtake on it.

    `served` counts from now on; `overtakers` are `(slack, curve)` of the arrivals on this side.
    """

    now_ms: int
    served: Curve
    overtakers: Sequence[tuple[int, Curve]]

    def handed_at(self, ahead: int, turn_ms: int, *, unused: int = 0) -> int | None:
        """Return when an order is handed over that has so many `ahead` of it now.

        `unused` credits of `served` pass by before it comes. None: not before the curve's end.
        What enters later with an earlier turn overtakes it. Cost: O(log pieces).
        """
        served = self.served
        before = (ahead + 1) * ORDER + unused
        earliest = served.when(before)
        coming = [
            (curve, turn_ms - slack_ms)
            for slack_ms, curve in self.overtakers
            if turn_ms - slack_ms > self.now_ms
        ]
        if earliest is None or not coming:
            return earliest
        latest = served.when(before + sum(curve.at(last) for curve, last in coming))
        if latest is None:
            latest = served.end_ms
            if served.at(latest) < before + sum(c.at(min(latest, last)) for c, last in coming):
                return None
        while latest - earliest > PRECISION_MS:
            middle = (earliest + latest) // 2
            if served.at(middle) >= before + sum(c.at(min(middle, last)) for c, last in coming):
                latest = middle
            else:
                earliest = middle
        return latest

    def before(self, ahead: int, turn_ms: int, by_ms: int) -> int:
        """Return the credits that must be served by an instant for an order to have gone."""
        overtaking = sum(curve.at(min(by_ms, turn_ms - slack)) for slack, curve in self.overtakers)
        return (ahead + 1) * ORDER + overtaking


def left_by(
    other: Sequence[Curve], backlog: int, intake: Curve, credit: int, *, most: int, of: int
) -> Curve:
    """Return what is served to a side that waits all the time, beside one that goes first.

    The other side has a `backlog` (credits) and comes as its curves say; while it waits it takes
    `most` of `of` parts of the intake, at most. `credit` may leave at once.
    """
    first = min(backlog, credit * most // of)
    backlog -= first
    pieces: list[tuple[int, int]] = []
    for begin, end, (rate, *coming) in spans([intake, *other], intake.end_ms):
        start, comes, share = begin, sum(coming), rate * most // of
        if backlog and share > comes:
            emptied = start - (-backlog // (share - comes))
            if emptied < end:
                pieces.append((start, rate - share))
                backlog, start = 0, emptied
        taken = share if backlog else min(share, comes)
        pieces.append((start, rate - taken))
        backlog = max(backlog + (comes - taken) * (end - start), 0)
    return Curve.of(pieces, intake.end_ms, amount=credit - first)
