"""Baskets like the real ones: their sizes, SKUs and quantities follow the shipped order file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from loadtest.workload.plan import Lines

# Two days of a real shop, converted; its README names origin and licence. Read as a file: the
# commands that ship it stand a floor above this one.
SAMPLE = Path(__file__).parents[2] / "ops" / "replay" / "samples" / "online_retail.csv"


@dataclass(frozen=True, slots=True)
class Shop:
    """What a real shop's orders looked like."""

    sizes: tuple[int, ...]  # of each order: its distinct SKUs
    rows: tuple[tuple[str, int], ...]  # of each row: its SKU and quantity
    channels: tuple[str, ...]  # of each order

    def basket(self, random: Random) -> Lines:
        """Fill a basket: a real order's size, then real rows until it has so many SKUs.

        Drawing rows, a SKU comes up as often as it was ordered and with a quantity that it was
        ordered in. Those of the largest baskets are a little less unequal than the real ones, as
        none is taken twice.
        """
        size = random.choice(self.sizes)
        lines: dict[str, int] = {}
        while len(lines) < size:
            sku, quantity = random.choice(self.rows)
            lines.setdefault(sku, quantity)
        return tuple(lines.items())

    def channel(self, random: Random) -> str:
        """Choose where an order comes from, as often as the real ones did."""
        return random.choice(self.channels)


def sample_shop(path: Path = SAMPLE) -> Shop:
    """Read the shipped sample."""
    with path.open(encoding="utf-8", newline="") as file:
        return shop_of(csv.DictReader(file))


def shop_of(rows: Iterable[dict[str, str]]) -> Shop:
    """Learn from the rows of an order file; a SKU that an order names twice is one line of it."""
    skus: dict[str, set[str]] = {}
    channels: dict[str, str] = {}
    drawn = []
    for row in rows:
        skus.setdefault(row["order_id"], set()).add(row["sku"])
        channels[row["order_id"]] = row["channel"]
        drawn.append((row["sku"], int(row["quantity"])))
    return Shop(
        sizes=tuple(len(named) for named in skus.values()),
        rows=tuple(drawn),
        channels=tuple(channels.values()),
    )
