"""A stock file (CSV) as counts to import, and what is wrong with its rows. Pure."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from reservation.csv_rows import MAX_ERRORS, RowError, rows, utf8
from reservation.model import MAX_STOCK, WAREHOUSE, SetStock, sku_problem

COLUMNS: Final = ("sku", "warehouse", "on_hand", "safety_stock")
CONTENT_TYPE: Final = b"text/csv"

_UNITS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class StockFile(Struct, frozen=True):
    """A file's good rows, its bad ones, and how many it has in all."""

    good: list[SetStock]
    errors: list[RowError]  # at most MAX_ERRORS
    rows: int
    more_errors: int = 0  # beyond MAX_ERRORS
    numbers: list[int] = []  # of the good rows


def parse_stock_file(
    content: bytes, *, default_warehouse: str, warehouses: frozenset[str] | None
) -> StockFile:
    """Read a stock file; `warehouses` are the only ones allowed, None allows any.

    Raises UnreadableFile where it is not UTF-8, no CSV, or has another header.
    Cost: O(rows), about a second for the largest file: not for an event loop.
    """
    good: list[SetStock] = []
    numbers: list[int] = []
    errors: list[RowError] = []
    seen: dict[tuple[str, str], int] = {}
    count = broken = 0
    for number, fields in rows(utf8(content), COLUMNS):
        count += 1
        found = _row_errors(fields, default_warehouse, warehouses)
        if not found:
            row = _row(fields, default_warehouse)
            first = seen.setdefault((row.sku, row.warehouse), number)
            if first == number:
                good.append(row)
                numbers.append(number)
                continue
            found = [("sku", f"is named in row {first} already, for the same warehouse")]
        broken += len(found)
        if len(errors) < MAX_ERRORS:
            errors += [RowError(number, column, reason) for column, reason in found]
    return StockFile(good, errors, count, broken - len(errors), numbers)


def _row(fields: list[str], default_warehouse: str) -> SetStock:
    sku, warehouse, on_hand, safety_stock = fields
    return SetStock(
        sku,
        warehouse or default_warehouse,
        int(on_hand),
        int(safety_stock) if safety_stock else None,
    )


def _row_errors(
    fields: list[str], default_warehouse: str, warehouses: frozenset[str] | None
) -> list[tuple[str | None, str]]:
    if len(fields) != len(COLUMNS):
        return [(None, f"has {len(fields)} columns, not {len(COLUMNS)}")]
    sku, warehouse, on_hand, safety_stock = fields
    problems = (
        ("sku", sku_problem(sku)),
        ("warehouse", _warehouse_problem(warehouse or default_warehouse, warehouses)),
        ("on_hand", _units_problem(on_hand)),
        ("safety_stock", _units_problem(safety_stock) if safety_stock else None),
    )
    return [(column, problem) for column, problem in problems if problem]


def _warehouse_problem(warehouse: str, warehouses: frozenset[str] | None) -> str | None:
    if not WAREHOUSE.fullmatch(warehouse):
        return "is no warehouse: 1 to 32 characters of [A-Za-z0-9_-]"
    if warehouses is not None and warehouse not in warehouses:
        return f"is none of the warehouses here: {', '.join(sorted(warehouses))}"
    return None


def _units_problem(text: str) -> str | None:
    if _UNITS.fullmatch(text) and int(text) <= MAX_STOCK:
        return None
    return f"is no integer from 0 to {MAX_STOCK}, written in digits only"
