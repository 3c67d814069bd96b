"""Converts invoices of the UCI data set "Online Retail" into the replay format.

    python -m ops.replay.convert SLICE.csv OUT.csv

The same input gives the same bytes. The mapping, row by row:

    order_id   InvoiceNo. A cancellation (InvoiceNo starts with C) is no order: left out, counted.
    channel    a country other than United Kingdom: dealer-hz, a distributor abroad;
               no CustomerID: douyin, a buyer whom the shop does not know;
               else the last digit of the CustomerID: 0-4 tmall, 5-7 douyin, 8-9 dealer-hz,
               so that one customer always buys on one channel.
    at         InvoiceDate (month/day/year hour:minute, British time, which in winter is UTC);
               the earliest of the invoice, as a few invoices run over a minute's turn.
    sku        StockCode. What is not five digits and up to two letters (POST, D, M, BANK CHARGES)
               is a charge and no product: left out, counted.
    quantity   Quantity. Zero and less is a return or a write-off: left out, counted; so is more
               than 10,000, which the service refuses by default. A SKU that an invoice names twice
               stays on two rows: the engine sums them.

The order of the rows is kept. Prices, descriptions and customers are not carried over.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ops.replay.orders import InvalidOrderFile, RowError
from reservation.model import LOCAL_ID

SOURCE_COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "CustomerID", "Country")
OUTPUT_COLUMNS = ("order_id", "channel", "at", "sku", "quantity")

MAX_LISTED_ERRORS = 50  # the rest is counted
MAX_QUANTITY = 10_000  # the service's default `max_quantity_per_line`

_PRODUCT = re.compile(r"[0-9]{5}[A-Za-z]{0,2}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_CUSTOMER = re.compile(r"([0-9]{1,9})(\.0)?", re.ASCII)  # spreadsheets turn 17850 into 17850.0
_CHANNEL_OF_DIGIT = ("tmall",) * 5 + ("douyin",) * 3 + ("dealer-hz",) * 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOME = "United Kingdom"


@dataclass(slots=True)
class Conversion:
    """The converted file and what became of the rows of its source."""

    csv: str
    rows_read: int
    rows_written: int
    orders: int
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> rows


@dataclass(frozen=True, slots=True)
class _SourceRow:
    invoice: str
    sku: str
    quantity: int
    moment: datetime
    channel: str


def convert(content: bytes) -> Conversion:
    """Convert a file of the data set. Raises InvalidOrderFile naming every unreadable row."""
    errors: list[RowError] = []
    left_out: Counter[str] = Counter()
    kept: list[_SourceRow] = []
    rows_read = 0
    for number, cells in _source_rows(content, errors):
        rows_read += 1
        row = _read_row(number, cells, errors)
        if row is None:
            continue
        reason = _reason_to_leave_out(row)
        if reason is None:
            kept.append(row)
        else:
            left_out[reason] += 1
    if errors:
        raise InvalidOrderFile(errors)
    starts = _starts(kept)
    return Conversion(_write(kept, starts), rows_read, len(kept), len(starts), left_out)


def channel_of(customer: str, country: str) -> str:
    """Assign a buyer to a channel; ValueError where the customer number is unreadable."""
    match = _CUSTOMER.fullmatch(customer)
    if customer and match is None:
        message = f"{customer[:40]!r} is not a customer number"
        raise ValueError(message)
    if country != _HOME:
        return "dealer-hz"
    if match is None:
        return "douyin"
    return _CHANNEL_OF_DIGIT[int(match[1][-1])]


def _source_rows(content: bytes, errors: list[RowError]) -> list[tuple[int, dict[str, str]]]:
    """Split the source into rows by column name, row 1 being the first after the header."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        errors.append(RowError(0, "file", f"is not UTF-8 at byte {error.start}"))
        return []
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, restval="")
    missing = [name for name in SOURCE_COLUMNS if name not in (reader.fieldnames or ())]
    errors.extend(RowError(0, name, "is missing from the header") for name in missing)
    if missing:
        return []
    try:
        return list(enumerate(reader, start=1))
    except csv.Error as error:
        errors.append(RowError(reader.line_num, "file", f"cannot be read: {error}"))
        return []


def _read_row(number: int, cells: dict[str, str], errors: list[RowError]) -> _SourceRow | None:
    values = {name: cells[name].strip() for name in SOURCE_COLUMNS}
    found: list[RowError] = []
    moment, channel = _EPOCH, ""
    if not LOCAL_ID.fullmatch(values["InvoiceNo"]):
        found.append(RowError(number, "InvoiceNo", f"{values['InvoiceNo'][:40]!r} is no number"))
    if not _WHOLE_NUMBER.fullmatch(values["Quantity"]):
        found.append(RowError(number, "Quantity", f"{values['Quantity'][:40]!r} is not whole"))
    try:
        moment = datetime.strptime(values["InvoiceDate"], "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
    except ValueError as error:
        found.append(RowError(number, "InvoiceDate", str(error)))
    try:
        channel = channel_of(values["CustomerID"], values["Country"])
    except ValueError as error:
        found.append(RowError(number, "CustomerID", str(error)))
    errors.extend(found)
    if found:
        return None
    quantity = int(values["Quantity"])
    return _SourceRow(values["InvoiceNo"], values["StockCode"], quantity, moment, channel)


def _reason_to_leave_out(row: _SourceRow) -> str | None:
    if row.invoice.startswith("C"):
        return "cancellation"
    if not _PRODUCT.fullmatch(row.sku):
        return "no product"
    if row.quantity <= 0:
        return "nothing ordered"
    if row.quantity > MAX_QUANTITY:
        return f"more than {MAX_QUANTITY:,} units"
    return None


def _starts(rows: list[_SourceRow]) -> dict[str, datetime]:
    """Find each invoice's earliest minute."""
    starts: dict[str, datetime] = {}
    for row in rows:
        starts[row.invoice] = min(row.moment, starts.get(row.invoice, row.moment))
    return starts


def _write(rows: list[_SourceRow], starts: dict[str, datetime]) -> str:
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(OUTPUT_COLUMNS)
    for row in rows:
        moment = starts[row.invoice].strftime("%Y-%m-%dT%H:%M:%SZ")
        writer.writerow((row.invoice, row.channel, moment, row.sku, row.quantity))
    return output.getvalue()


def main(arguments: list[str]) -> int:
    """Convert one file to another and say what was left out. Returns the exit code."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m ops.replay.convert SLICE.csv OUT.csv\n")
        return 2
    source, target = arguments
    try:
        conversion = convert(Path(source).read_bytes())
        Path(target).write_text(conversion.csv, encoding="utf-8", newline="")
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 2
    except InvalidOrderFile as error:
        for finding in error.errors[:MAX_LISTED_ERRORS]:
            sys.stderr.write(f"row {finding.row}, {finding.column}: {finding.reason}\n")
        sys.stderr.write(f"{source}: {len(error.errors):,} errors, nothing written\n")
        return 1
    counts = f"{conversion.rows_read:,} rows read, {conversion.rows_written:,} written"
    sys.stdout.write(f"{counts} as {conversion.orders:,} orders\n")
    for reason, rows in sorted(conversion.left_out.items()):
        sys.stdout.write(f"{rows:,} rows left out: {reason}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
