"""What is ordered on the day, where and when: the same for the same seed and size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from loadtest.workload.curve import FESTIVAL_DAY, arrivals, day
from wms_sync.rules.capacity import DAY_MS
from wms_sync.rules.priority import Lane

ORDERS: Final = 47_000  # R02
CAPACITY: Final = 18_000  # orders a day, R03
RUSH: Final = 0.06  # of the orders, R23
SAMPLES: Final = 0.02  # R24
# Channel -> its part of the orders. The shape is ours.
CHANNELS: Final = {"tmall": 0.55, "douyin": 0.3, "dealer-hz": 0.15}

URGENT_WORD: Final = "加急"  # what a seller writes to an order that goes first
SAMPLE_SKUS: Final = tuple(f"SAMPLE-{number:02}" for number in range(1, 5))
EXPRESS_SKU: Final = "EXPRESS-KIT"  # a dealer's order has no seller's words: its goods say it
SKUS: Final = tuple(f"PET-{number:03}" for number in range(1, 49))
SIZES: Final = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)  # SKUs of a basket
QUANTITIES: Final = (1, 1, 1, 1, 1, 1, 2, 2, 3)
SPARE: Final = 1.15  # stock beside what is ordered: the day is about the warehouse's pace
LEAST_SPARE: Final = 20  # units


@dataclass(frozen=True, slots=True)
class Order:
    """One order, and when in the day (ms) it is placed."""

    at_ms: int
    channel: str
    lane: Lane
    lines: tuple[tuple[str, int], ...]  # SKU, units

    def form(self) -> dict[str, object]:
        """Write it for the control side of its platform."""
        by_word = self.lane is Lane.RUSH and self.channel != "dealer-hz"
        return {
            "lines": [{"outer_id": sku, "quantity": units} for sku, units in self.lines],
            "paid": True,
            "notes": {"seller_memo": URGENT_WORD} if by_word else {},
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The day: its orders by time, and what is in stock before the first."""

    seed: int
    orders: tuple[Order, ...]
    stock: dict[str, int]


def planned(orders: int, seed: int) -> Plan:
    """Draw a day of so many orders."""
    random = Random(seed)  # noqa: S311 (a plan is to be repeated)
    moments = arrivals(orders, DAY_MS * 1000, day(FESTIVAL_DAY), random)
    weights = [1 / (place + 3) for place in range(len(SKUS))]  # a few sell much, most a little
    drawn = []
    for moment_us in moments:
        (channel,) = random.choices(list(CHANNELS), list(CHANNELS.values()))
        chance = random.random()
        lane = Lane.RUSH if chance < RUSH else Lane.NORMAL
        if RUSH <= chance < RUSH + SAMPLES:
            lane = Lane.SAMPLE
        drawn.append(
            Order(moment_us // 1000, channel, lane, _lines(channel, lane, weights, random))
        )
    asked = Counter[str]()
    for order in drawn:
        asked.update(dict(order.lines))
    stock = {
        sku: int(asked[sku] * SPARE) + LEAST_SPARE for sku in (*SKUS, *SAMPLE_SKUS, EXPRESS_SKU)
    }
    return Plan(seed, tuple(drawn), stock)


def _lines(
    channel: str, lane: Lane, weights: list[float], random: Random
) -> tuple[tuple[str, int], ...]:
    if lane is Lane.SAMPLE:
        return ((random.choice(SAMPLE_SKUS), 1),)
    lines: dict[str, int] = {}
    for sku in random.choices(SKUS, weights, k=random.choice(SIZES)):
        lines[sku] = random.choice(QUANTITIES)
    if lane is Lane.RUSH and channel == "dealer-hz":
        lines[EXPRESS_SKU] = 1
    return tuple(lines.items())
