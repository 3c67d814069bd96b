"""The orders that benchmarks send: ids of 20 characters, SKU codes of 10, one line each."""

from __future__ import annotations

import random

WIDE_SKUS = 10_000
STOCK = 1_000_000_000


def sku_name(index: int) -> str:
    """Name a SKU in 10 characters."""
    return f"SKU{index:07d}"


def draw_skus(count: int, *, wide: bool, seed: int = 1) -> list[str]:
    """Draw a SKU per order: one hot SKU, or 10,000 by Zipf's law with exponent 1."""
    if not wide:
        return [sku_name(0)] * count
    weights = [1 / (rank + 1) for rank in range(WIDE_SKUS)]
    drawn = random.Random(seed).choices(range(WIDE_SKUS), weights, k=count)
    return [sku_name(index) for index in drawn]


def sku_names(*, wide: bool) -> list[str]:
    """List the SKUs that need stock."""
    return [sku_name(index) for index in range(WIDE_SKUS if wide else 1)]


def order_id(number: int) -> str:
    """Make an id of 20 characters."""
    return f"tmall:{number:014d}"
