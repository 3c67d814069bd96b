"""Which of the waiting orders go next: lanes, the earliest ship-by first, and nothing starves.

An order's place never changes while it waits, so it is a column, `turn_ms`, and an index finds the
first ones (`delivery_turn` in `outbox.file`; an order's id is its `code` there):

    SELECT … FROM delivery WHERE state = 'pending' AND warehouse = ? AND lane = ?
        ORDER BY turn_ms, entered_ms, code LIMIT ?;     -- once for each lane, then `choose`

The rules (ADR 019 has the reasons):
- Rush goes first, but takes at most its share of what leaves while others wait.
- Of the others the earliest turn goes first: the ship-by, which counts as no earlier than the
  entry and no later than `horizon_ms` after it; a sample order is `sample_ahead_ms` ahead.

So what enters more than `horizon_ms + sample_ahead_ms` after an order never overtakes it but by the
rush lane's share; and of n orders in a row that leave while both wait, with a cap of a in b, rush
has at most `a * (n + b - a) / b` and at least `a * (n - b + a) / b`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from operator import attrgetter

from msgspec import Struct

from wms_sync.rules.capacity import HOUR_MS


class Lane(StrEnum):
    """The lane of an order: its type, or what a customer's tier made of it."""

    RUSH = "rush"
    SAMPLE = "sample"
    NORMAL = "normal"


class Waiting(Struct, frozen=True, gc=False):
    """An order that waits for its hand-over, as `enter` made it. Times in ms since the epoch."""

    order_id: str
    lane: Lane
    ship_by_ms: int
    entered_ms: int
    turn_ms: int


class PriorityPolicy(Struct, frozen=True):
    """The rules' figures.

    Rush has at most `rush_most` of `rush_of` orders that leave while others wait, less than all.
    Raises ValueError where it has none or all, or a time is negative.
    """

    rush_most: int = 1
    rush_of: int = 2
    horizon_ms: int = 48 * HOUR_MS  # what platforms give a shop to ship
    sample_ahead_ms: int = 2 * HOUR_MS

    def __post_init__(self) -> None:
        if not 0 < self.rush_most < self.rush_of:
            raise ValueError("rush has a part of what leaves, neither nothing nor all")
        if min(self.horizon_ms, self.sample_ahead_ms) < 0:
            raise ValueError("nothing ages backwards")


class Turns(Struct, frozen=True):
    """What the rush lane owes the others; keep it with what was chosen, in one transaction.

    `owed` is 0 … `rush_most * (rush_of - rush_most)`: an order of the rush lane that leaves before
    others adds `rush_of - rush_most`, one of theirs takes `rush_most` off.
    """

    owed: int = 0


PLACE = attrgetter("turn_ms", "entered_ms", "order_id")  # a lane's order; ties by age


def enter(
    order_id: str, lane: Lane, *, ship_by_ms: int, entered_ms: int, policy: PriorityPolicy
) -> Waiting:
    """Give an order its turn. Keep it: with another policy the same order has another turn."""
    urgent_ms = min(max(ship_by_ms, entered_ms), entered_ms + policy.horizon_ms)
    ahead_ms = policy.sample_ahead_ms if lane is Lane.SAMPLE else 0
    return Waiting(order_id, lane, ship_by_ms, entered_ms, urgent_ms - ahead_ms)


def choose(
    lanes: Mapping[Lane, Sequence[Waiting]], turns: Turns, policy: PriorityPolicy, count: int
) -> tuple[list[Waiting], Turns]:
    """Return the next orders to hand over, at most `count`, and the turns after them.

    Shapes: of each lane its first `count` orders by `PLACE`, or all where there are fewer; a
    missing lane is an empty one. Cost: O(count).
    """
    rush = lanes.get(Lane.RUSH, ())
    others = sorted([*lanes.get(Lane.SAMPLE, ()), *lanes.get(Lane.NORMAL, ())], key=PLACE)
    lends = policy.rush_of - policy.rush_most
    most = policy.rush_most * lends
    owed = min(turns.owed, most)  # other shares may have been set since it was kept
    chosen: list[Waiting] = []
    next_rush = next_other = 0
    while len(chosen) < count:
        rush_waits, others_wait = next_rush < len(rush), next_other < len(others)
        if rush_waits and (not others_wait or owed + lends <= most):
            owed += lends if others_wait else 0
            chosen.append(rush[next_rush])
            next_rush += 1
        elif others_wait:
            owed = max(owed - policy.rush_most, 0)
            chosen.append(others[next_other])
            next_other += 1
        else:
            break
    return chosen, Turns(owed)
