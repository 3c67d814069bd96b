"""The words of a plan: orders with what their buyers do next, and errands that belong to no order.

Times are microseconds from the start of the run, already compressed by the speed; those of the
warm-up are negative. SKUs and order ids are bare: the run puts its own name before each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

SECOND_US = 1_000_000

Lines = tuple[tuple[str, int], ...]  # SKU, units


class Verb(StrEnum):
    """What is asked of the service; the first five of one reservation."""

    RESERVE = "reserve"
    CONFIRM = "confirm"
    RELEASE = "release"
    EXTEND = "extend"
    FULFIL = "fulfil"
    LOOK = "availability"  # a buyer's page: what can still be bought
    READ = "read"  # an order's page
    RESTOCK = "restock"


@dataclass(frozen=True, slots=True)
class Step:
    """What follows an order's grant, at a fixed time after its arrival."""

    after_us: int
    verb: Verb
    reinstate: bool = False  # of a confirm: retake the stock if the hold has expired


@dataclass(frozen=True, slots=True)
class Order:
    """One order. Each of `repeats` sends the same reserve again, so long after the arrival."""

    number: int
    channel: str
    due_us: int
    lines: Lines
    paid: bool = False  # it arrives paid: reserve with `confirm`
    repeats: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def units(self) -> int:
        """Count the units asked for."""
        return sum(quantity for _, quantity in self.lines)


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to do at a time that is no order's: a look, a restock, a parcel that leaves."""

    due_us: int
    verb: Verb
    skus: tuple[str, ...] = ()  # of a look, of a restock; a parcel takes the oldest paid order
    units: int = 0  # of a restock


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario, drawn: the same for the same seed and sizes."""

    scenario: str
    seed: int
    span_us: int  # of the arrivals
    ttl_seconds: int
    stock: dict[str, int]  # SKU -> units before the first order
    orders: tuple[Order, ...]  # by time, the warm-up's first
    errands: tuple[Errand, ...] = ()
    speed: float = 1.0  # seconds of the day in one of the run
    thrown_away: int = 0  # every so manieth answer is thrown away by its client; 0: none
    notes: tuple[str, ...] = ()  # what a reader of the report should know

    @property
    def warm_up_us(self) -> int:
        """Say for how long orders come that are not counted."""
        return -min(0, self.orders[0].due_us) if self.orders else 0

    @property
    def counted_orders(self) -> int:
        """Count the orders after the warm-up."""
        return sum(order.due_us >= 0 for order in self.orders)

    def share(self, index: int, workers: int) -> Plan:
        """Cut out one generator's part; the parts of all make the whole."""
        return replace(
            self,
            orders=tuple(order for order in self.orders if order.number % workers == index),
            errands=tuple(self.errands[index::workers]),
        )


def demand(orders: Iterable[Order]) -> Counter[str]:
    """Sum the units that orders ask for, by SKU."""
    asked: Counter[str] = Counter()
    for order in orders:
        for sku, quantity in order.lines:
            asked[sku] += quantity
    return asked
