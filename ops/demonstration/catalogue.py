"""What the demonstration sells, and where it stands in the shops: the same place in each."""

from __future__ import annotations

import csv
import io
from functools import cache
from typing import TYPE_CHECKING, Final

from ops.demonstration.house import DAY_SKUS
from ops.replay.orders import parse
from ops.replay.run import sample_orders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CATFOOD: Final = "CATFOOD-10KG"
# SKU -> units in stock.
BURST_STOCK: Final[Mapping[str, int]] = {
    "LIVE-CAN-24": 40,
    "LIVE-LITTER-6L": 25,
    "LIVE-TOY-SET": 10,
}

_FIRST_ITEM: Final = 610_000_000_000  # twelve digits, as real ones have
_FIRST_SKU: Final = 5_100_000_000_000


def of_run(sku: str, tag: str) -> str:
    """Name a SKU of one run, on which no other run has left anything."""
    return f"{sku}-{tag}"


def on_sale(tag: str) -> Sequence[str]:
    """Name the SKUs that stand in the shops of a run, and of which these are told."""
    own = [CATFOOD, of_run(CATFOOD, tag), *(of_run(sku, tag) for sku in BURST_STOCK)]
    return [*own, *_sample(), *DAY_SKUS]


@cache
def _sample() -> Sequence[str]:
    """Name the SKUs of the sample of real orders."""
    return sorted({line.sku for order in parse(sample_orders()) for line in order.lines})


def item_id(sku: str, tag: str) -> str:
    """Give the id of a SKU's item, which has no other SKU."""
    return str(_FIRST_ITEM + on_sale(tag).index(sku))


def listings(tag: str, *, every_sku_has_id: bool) -> str:
    """Write the file of listings that a channel's settings name."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(("sku", "item_id", "platform_sku_id"))
    for number, sku in enumerate(on_sale(tag)):
        sku_id = str(_FIRST_SKU + number) if every_sku_has_id else ""
        writer.writerow((sku, item_id(sku, tag), sku_id))
    return output.getvalue()
