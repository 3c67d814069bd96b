"""The order file: reads and checks the CSV, whole, before anything is sent.

Pure: no clock, no network. Every bad cell is found in one pass, so that a file is mended once.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reservation.client import OrderLine
from reservation.errors import HoldfastError
from reservation.model import CHANNEL, LOCAL_ID, MAX_STOCK, WAREHOUSE, sku_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLUMNS = ("order_id", "channel", "at", "sku", "quantity", "warehouse")
OPTIONAL_COLUMNS = frozenset({"warehouse"})

MAX_FILE_BYTES = 256 << 20  # some 6,000,000 rows; all orders are held in memory while they play
MAX_ERRORS = 10_000  # reading stops there: a file so wrong is another kind of file

# RFC 3339 section 5.6; `datetime.fromisoformat` alone also takes week dates and bare hours.
_TIMESTAMP = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)  # ten digits hold the largest quantity
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it arrived: its rows in the order of the file."""

    order_id: str
    channel: str
    at_ms: int
    lines: tuple[OrderLine, ...]

    @property
    def units(self) -> int:
        """Count the units asked for."""
        return sum(line.quantity for line in self.lines)


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one cell.

    Row 1 is the first line after the header, blank lines counted; row 0 is the header or the file.
    """

    row: int
    column: str
    reason: str


class InvalidOrderFile(HoldfastError):
    """The file cannot be played; `errors` names every bad cell, in the order of the file."""

    def __init__(self, errors: list[RowError]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"row {first.row}, {first.column}: {first.reason}{more}")
        self.errors = errors


def parse(content: bytes) -> tuple[Order, ...]:
    """Read an order file.

    Returns the orders by time; those of the same instant in the order of the file.
    Raises InvalidOrderFile with every bad cell at once.
    """
    errors: list[RowError] = []
    rows = _records(content, errors)
    header = next(rows, None)
    columns = _columns(header, errors)
    drafts: dict[str, _Draft] = {}
    if columns is not None:
        for number, cells in rows:
            _take_row(number, cells, columns, drafts, errors)
            if len(errors) >= MAX_ERRORS:
                break
        if not drafts and not errors:
            errors.append(RowError(0, "file", "has a header but no orders"))
    if errors:
        raise InvalidOrderFile(errors)
    orders = [draft.order() for draft in drafts.values()]
    return tuple(sorted(orders, key=lambda order: order.at_ms))


def timestamp_ms(text: str) -> int:
    """Read an RFC 3339 time as milliseconds since the epoch; ValueError says what is wrong."""
    if not _TIMESTAMP.fullmatch(text):
        message = f"{_quoted(text)} is not RFC 3339 with an offset, like 2026-01-22T10:00:00Z"
        raise ValueError(message)
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        message = f"{_quoted(text)} is no moment in time: {error}"
        raise ValueError(message) from error
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class _Draft:
    """An order while its rows are being gathered."""

    __slots__ = ("at_ms", "channel", "lines", "order_id", "row")

    def __init__(self, order_id: str, channel: str, at_ms: int, row: int) -> None:
        self.order_id = order_id
        self.channel = channel
        self.at_ms = at_ms
        self.row = row
        self.lines: list[OrderLine] = []

    def order(self) -> Order:
        return Order(self.order_id, self.channel, self.at_ms, tuple(self.lines))


def _records(content: bytes, errors: list[RowError]) -> Iterator[tuple[int, list[str]]]:
    """Yield (row, cells) with the header as row 0; what cannot be read ends it with an error."""
    if len(content) > MAX_FILE_BYTES:
        errors.append(RowError(0, "file", f"is larger than {MAX_FILE_BYTES >> 20} MiB; split it"))
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start)
        errors.append(RowError(line, "file", f"is not UTF-8 at byte {error.start}"))
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    row, header_at = 0, 0
    try:
        for cells in reader:
            if any(cells):
                header_at = header_at or reader.line_num
                yield row, cells
            row = reader.line_num - header_at + 1 if header_at else 0
    except csv.Error as error:
        errors.append(RowError(row, "file", f"cannot be read from here on: {error}"))


def _columns(
    header: tuple[int, list[str]] | None, errors: list[RowError]
) -> tuple[str, ...] | None:
    """Check the header; the columns may stand in any order."""
    if header is None:
        if not errors:
            errors.append(RowError(0, "file", f"is empty; it starts with {','.join(COLUMNS[:5])}"))
        return None
    names = tuple(name.strip() for name in header[1])
    missing = [name for name in COLUMNS if name not in names and name not in OPTIONAL_COLUMNS]
    findings = [(name, "is missing from the header") for name in missing]
    for position, name in enumerate(names):
        if name not in COLUMNS:
            findings.append((_quoted(name), f"is no column; known are {', '.join(COLUMNS)}"))
        elif name in names[:position]:
            findings.append((name, "stands twice in the header"))
    errors.extend(RowError(0, name, reason) for name, reason in findings)
    return None if findings else names


def _take_row(
    number: int,
    cells: list[str],
    columns: tuple[str, ...],
    drafts: dict[str, _Draft],
    errors: list[RowError],
) -> None:
    if len(cells) != len(columns):
        reason = f"has {len(cells)} cells where the header has {len(columns)}"
        errors.append(RowError(number, "row", reason))
        return
    values = dict(zip(columns, cells, strict=True))
    found = [
        RowError(number, column, problem)
        for column, check in _CHECKS.items()
        if (problem := check(values.get(column, ""))) is not None
    ]
    if found:
        errors.extend(found)
        return
    at_ms = timestamp_ms(values["at"])
    order_id, channel = values["order_id"], values["channel"]
    draft = drafts.setdefault(order_id, _Draft(order_id, channel, at_ms, number))
    if draft.channel != channel:
        reason = f"{channel} differs from {draft.channel} in row {draft.row} of order {order_id}"
        errors.append(RowError(number, "channel", reason))
        return
    draft.at_ms = min(draft.at_ms, at_ms)
    line = OrderLine(values["sku"], int(values["quantity"]), values.get("warehouse") or None)
    draft.lines.append(line)


def _order_id_problem(text: str) -> str | None:
    if LOCAL_ID.fullmatch(text):
        return None
    return f"{_quoted(text)} is not 1 to 64 of A-Z a-z 0-9 . _ -"


def _channel_problem(text: str) -> str | None:
    if CHANNEL.fullmatch(text):
        return None
    return f"{_quoted(text)} is not a lower-case letter and 1 to 31 of a-z 0-9 _ -"


def _at_problem(text: str) -> str | None:
    try:
        timestamp_ms(text)
    except ValueError as error:
        return str(error)
    return None


def _quantity_problem(text: str) -> str | None:
    if _WHOLE_NUMBER.fullmatch(text) and 1 <= int(text) <= MAX_STOCK:
        return None
    return f"{_quoted(text)} is not a whole number from 1 to {MAX_STOCK:,}"


def _warehouse_problem(text: str) -> str | None:
    if not text or WAREHOUSE.fullmatch(text):
        return None
    return f"{_quoted(text)} is not 1 to 32 of A-Z a-z 0-9 _ -"


def _quoted(text: str) -> str:
    """Show a cell as it can be printed safely, cut where a hostile one is long."""
    longest = 40
    return repr(text if len(text) <= longest else text[:longest] + "…")


_CHECKS: dict[str, Callable[[str], str | None]] = {
    "order_id": _order_id_problem,
    "channel": _channel_problem,
    "at": _at_problem,
    "sku": sku_problem,
    "quantity": _quantity_problem,
    "warehouse": _warehouse_problem,
}
