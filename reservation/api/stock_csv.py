"""A stock file (CSV) as counts to import, and what is wrong with its rows. Pure.

Row 1 is the line after the header; blank lines are skipped, but counted.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from reservation.model import MAX_STOCK, WAREHOUSE, SetStock, sku_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS: Final = ("sku", "warehouse", "on_hand", "safety_stock")
CONTENT_TYPE: Final = b"text/csv"

# The answer must stay readable and bounded; who has more bad rows has the wrong file.
MAX_ERRORS: Final = 10_000

_UNITS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class RowError(Struct, frozen=True):
    """Why a row is bad; row 0 and column None mean the header or the row as a whole."""

    row: int
    column: str | None
    reason: str

    def document(self) -> dict[str, Any]:
        """Write it as JSON data."""
        return {"row": self.row, "column": self.column, "reason": self.reason}


class UnreadableFile(Exception):
    """The file as a whole cannot be taken; `error` says why."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.reason)
        self.error = error


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
    rows = _rows(content)
    good: list[SetStock] = []
    numbers: list[int] = []
    errors: list[RowError] = []
    seen: dict[tuple[str, str], int] = {}
    count = broken = 0
    for number, fields in rows:
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


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Read the rows that are not blank, each with its number."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 (byte {error.start}); save it as CSV UTF-8"
        raise UnreadableFile(RowError(0, None, message)) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = _next(reader, 0)
    if header is None or tuple(header) != COLUMNS:
        message = f"the first line is not the header {','.join(COLUMNS)}"
        raise UnreadableFile(RowError(0, None, message))
    return _numbered(reader)


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    header_lines = before = reader.line_num
    while (fields := _next(reader, before - header_lines + 1)) is not None:
        number = before - header_lines + 1
        before = reader.line_num
        if fields and not (len(fields) == 1 and not fields[0].strip()):
            yield number, fields


def _next(reader: Any, number: int) -> list[str] | None:
    try:
        fields: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise UnreadableFile(RowError(number, None, f"the file is no CSV: {error}")) from None
    return fields


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
