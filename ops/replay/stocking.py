"""Stock levels before a replay: so many units of every SKU, or a file in the import format."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ops.replay.orders import Order

IMPORT_COLUMNS = ("sku", "warehouse", "on_hand", "safety_stock")
MAX_ROWS_PER_IMPORT = 40_000  # of the longest names 13 MB, below the service's 16 MiB


def level_files(orders: Iterable[Order], units: int) -> Iterator[bytes]:
    """Write import files that set every SKU of the orders to `units` on hand.

    A level keeps its safety stock; a row without warehouse goes to the service's default.
    """
    levels = sorted({(line.sku, line.warehouse or "") for order in orders for line in order.lines})
    for start in range(0, len(levels), MAX_ROWS_PER_IMPORT):
        output = io.StringIO(newline="")
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(IMPORT_COLUMNS)
        for sku, warehouse in levels[start : start + MAX_ROWS_PER_IMPORT]:
            writer.writerow((sku, warehouse, units, ""))
        yield output.getvalue().encode()
