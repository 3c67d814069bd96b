"""What a replay counts: every order has one fate at any time, and the fates add up to the file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops.replay.orders import Order


class Fate(StrEnum):
    """What became of an order."""

    NOT_SENT = "not sent"
    HELD = "still held"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CLOSED = "closed"  # never paid, and given back before it expired
    KNOWN = "known before"  # the id was there already: a replay, without effect
    SHORT = "refused for stock"
    SUSPENDED = "refused by the breaker"
    REFUSED = "refused otherwise"
    UNKNOWN = "outcome unknown"


GRANTED = (Fate.HELD, Fate.CONFIRMED, Fate.EXPIRED, Fate.CLOSED)


@dataclass(slots=True)
class Tally:
    """A number of orders with their lines and units."""

    orders: int = 0
    lines: int = 0
    units: int = 0

    def add(self, order: Order, sign: int = 1) -> None:
        """Count an order in, or with `sign` -1 out again."""
        self.orders += sign
        self.lines += sign * len(order.lines)
        self.units += sign * order.units


@dataclass(slots=True)
class Figures:
    """The account of one replay, true at every moment of it."""

    offered: Tally
    fates: dict[Fate, Tally]
    problems: Counter[str] = field(default_factory=Counter)  # slug of other refusals -> orders
    suspended_skus: set[str] = field(default_factory=set)  # breakers that this replay saw open
    prevented_units: int = 0  # requested beyond what was available, over failed locks
    paid_too_late: int = 0  # orders whose payment met an expired hold
    doubted: int = 0  # requests whose answer got lost and that were sent again
    latest_seconds: float = 0.0  # how far behind its schedule an order was sent, at most
    duration_seconds: float = 0.0
    interrupted: bool = False
    lost_service: str = ""  # why the replay gave up on the service, where it did
    _now: dict[str, Fate] = field(default_factory=dict)

    @classmethod
    def of(cls, orders: Iterable[Order]) -> Figures:
        """Begin the account of a file: nothing is sent yet."""
        offered, waiting = Tally(), Tally()
        for order in orders:
            offered.add(order)
            waiting.add(order)
        fates = {fate: Tally() for fate in Fate}
        fates[Fate.NOT_SENT] = waiting
        return cls(offered, fates)

    def settle(self, order: Order, fate: Fate) -> None:
        """Move an order from the fate it had to another."""
        self.fates[self.fate_of(order)].add(order, -1)
        self.fates[fate].add(order)
        self._now[order.order_id] = fate

    def fate_of(self, order: Order) -> Fate:
        """Say what has become of an order so far."""
        return self._now.get(order.order_id, Fate.NOT_SENT)

    @property
    def sent(self) -> int:
        """Count the orders that have an answer."""
        return self.offered.orders - self.fates[Fate.NOT_SENT].orders

    @property
    def granted(self) -> Tally:
        """Sum what was held, whatever became of the hold."""
        tallies = [self.fates[fate] for fate in GRANTED]
        return Tally(
            sum(tally.orders for tally in tallies),
            sum(tally.lines for tally in tallies),
            sum(tally.units for tally in tallies),
        )
