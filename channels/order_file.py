"""A dealer's orders as a CSV file: what is an order, and what is wrong with its rows. Pure.

For dealers without a system that can send. One row a line of an order; an order is always whole.
Shape: RFC 4180, UTF-8 with or without a byte-order mark, else GB18030, which spreadsheets in China
write; named `<dealer>_<yyyymmddHHMMSS>.csv`, beside it, if the dealer likes, `….csv.sha256`.
Times are of China (+08:00) unless they have an offset. Row 1 is the line after the header.
The format is ours (`docs/distributors.md`): no public one was found.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial as bound
from typing import Any, Final

from msgspec import Struct

from channels.model import OrderLine, OrderState, PlatformOrder, Shipping
from channels.order_document import (
    MOST_LINES,
    WORDS,
    Unreadable,
    milliseconds,
    order_line,
    paid_of,
)
from channels.order_file_cells import (
    ADDRESS_COLUMNS,
    CHINA,
    address_part_cell,
    dealer_cell,
    id_cell,
    missing_of,
    price_cell,
    ship_by_cell,
    shipping_of,
    sku_cell,
    time_cell,
    units_cell,
    word_cell,
)
from reservation.csv_rows import MAX_ERRORS, RowError, UnreadableFile, rows, utf8
from reservation.shops import DeductsAt

COLUMNS: Final = (
    "order_no",
    "line_no",
    "sku",
    "qty",
    "order_time",
    "status",
    "dealer_code",
    "unit_price_yuan",
)
_HEADER: Final = re.compile(r"[^\r\n]*")
MOST_BYTES: Final = 16_777_216  # as of a stock file
MOST_ROWS: Final = 200_000  # a peak day's 47,000 orders, four times

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_FILE_NAME: Final = re.compile(
    r"(?P<dealer>[A-Za-z0-9_-]{1,32})_(?P<time>[0-9]{14})\.csv", re.ASCII
)
_SHA256: Final = re.compile(rb"\s*(?P<hash>[0-9A-Fa-f]{64})(\s+\*?[^\r\n]*)?\s*", re.ASCII)


class OrderFileName(Struct, frozen=True):
    """What the name of a file says: whose it is, and when it was written."""

    dealer: str
    written_at_ms: int


class OrderFile(Struct, frozen=True):
    """The orders that are taken from a file, what is wrong in it, and how many rows it has."""

    orders: tuple[PlatformOrder, ...]
    errors: tuple[RowError, ...]  # at most MAX_ERRORS; row 0: of the file as a whole
    rows: int = 0
    more_errors: int = 0  # beyond MAX_ERRORS


class _Line(Struct, frozen=True):
    """A good row."""

    row: int
    line: OrderLine
    word: str
    time_ms: int
    shipping: Shipping | None


def read_file_name(name: str) -> OrderFileName:
    """Read a file's name, without its folder; its time is China's. Raises UnreadableFile."""
    match = _FILE_NAME.fullmatch(name)
    if match:
        try:
            time = datetime.strptime(f"{match['time']}{CHINA}", "%Y%m%d%H%M%S%z")
            return OrderFileName(match["dealer"], milliseconds(time))
        except (ValueError, Unreadable):
            pass
    message = f"{name[:80]!r} is not named like HZ01_20260122100000.csv: dealer, time of writing"
    raise UnreadableFile(RowError(0, None, message))


def is_of(sha256: bytes, raw: bytes) -> bool:
    """Say whether a hash, as sha256sum writes it, was made of these very bytes."""
    match = _SHA256.fullmatch(sha256)
    return match is not None and hmac.compare_digest(
        match["hash"].lower(), hashlib.sha256(raw).hexdigest().encode()
    )


def read_order_file(
    raw: bytes,
    *,
    name: OrderFileName,
    sha256: bytes | None = None,
    words: Mapping[str, OrderState] = WORDS,
    deducts_at: DeductsAt = DeductsAt.ORDER,
    partial: bool = False,
) -> OrderFile:
    """Read a file; of one with a bad row nothing is taken.

    `name` gives the dealer that every row must name, and the time at which the file is true: then
    its orders have changed. `sha256` is what stands beside it, as sha256sum writes it. `words` are
    the dealer's words for states. With `partial` the orders that have no bad row are taken; a row
    whose `order_no` is wrong may be missing in one of them.
    Cost: O(rows), some seconds for the largest file: not for an event loop.
    """
    reading = _Reading(name, words)
    try:
        _check(raw, sha256)
        text = _text(raw)
        reading.columns = _columns(text)
        for number, fields in rows(text, reading.columns):
            reading.take(number, fields)
    except UnreadableFile as unreadable:
        errors = (*reading.errors[: MAX_ERRORS - 1], unreadable.error)
        return OrderFile((), errors, reading.rows, reading.broken + 1 - len(errors))
    taken = partial or not reading.broken
    return OrderFile(
        tuple(reading.orders(deducts_at)) if taken else (),
        tuple(reading.errors),
        reading.rows,
        reading.broken - len(reading.errors),
    )


class _Reading:
    """A file while its rows are gathered to orders."""

    def __init__(self, name: OrderFileName, words: Mapping[str, OrderState]) -> None:
        self.columns: tuple[str, ...] = COLUMNS
        self.rows = 0
        self.broken = 0  # errors in all
        self.errors: list[RowError] = []
        self._changed_at_ms = name.written_at_ms
        self._words = words
        self._gathered: dict[str, dict[str, _Line]] = {}  # by order, then by line
        self._tainted: set[str] = set()  # orders with a bad row
        self._readers: tuple[tuple[str, Callable[[str], Any]], ...] = (
            ("order_no", id_cell),
            ("line_no", id_cell),
            ("sku", sku_cell),
            ("qty", units_cell),
            ("order_time", bound(time_cell, name.written_at_ms)),
            ("status", bound(word_cell, words)),
            ("dealer_code", bound(dealer_cell, name.dealer)),
            ("unit_price_yuan", price_cell),
            *((column, address_part_cell) for column in ADDRESS_COLUMNS[:-1]),
            ("ship_by", ship_by_cell),
        )

    def take(self, number: int, fields: list[str]) -> None:
        """Take a row to its order, or note all that is wrong with it.

        Raises UnreadableFile where it is one too many.
        """
        if self.rows == MOST_ROWS:
            message = f"the file has more than {MOST_ROWS} rows; split it"
            raise UnreadableFile(RowError(number, None, message))
        self.rows += 1
        problems = self._problems(number, fields)
        if not problems:
            return
        self._tainted.add(fields[0])
        self.broken += len(problems)
        room = MAX_ERRORS - len(self.errors)
        self.errors += [RowError(number, column, reason) for column, reason in problems[:room]]

    def orders(self, deducts_at: DeductsAt) -> Iterator[PlatformOrder]:
        """Make the orders that have no bad row, in the order of the file."""
        for order_no, lines in self._gathered.items():
            if order_no not in self._tainted:
                yield _order(order_no, list(lines.values()), self._changed_at_ms, deducts_at)

    def _problems(self, number: int, fields: list[str]) -> list[tuple[str | None, str]]:
        if len(fields) != len(self.columns):
            return [(None, f"has {len(fields)} columns, not {len(self.columns)}")]
        values: list[Any] = []
        problems: list[tuple[str | None, str]] = []
        for (column, read), text in zip(self._readers, fields, strict=False):
            try:
                values.append(read(text))
            except Unreadable as error:
                problems.append((column, str(error)))
        return problems or self._join(number, values)

    def _join(self, number: int, values: list[Any]) -> list[tuple[str | None, str]]:
        order_no, line_no, sku, units, time_ms, word, _, price, *address = values
        if missing := missing_of(address):
            return missing
        shipping = shipping_of(address)
        lines = self._gathered.setdefault(order_no, {})
        if line_no in lines:
            return [("line_no", f"stands in row {lines[line_no].row} already, for the same order")]
        if len(lines) == MOST_LINES:
            return [("order_no", f"has more than {MOST_LINES} lines")]
        first = next(iter(lines.values()), None)
        if first is not None and first.time_ms != time_ms:
            return [("order_time", f"is not that of row {first.row}, of the same order")]
        told = next((line for line in lines.values() if line.shipping is not None), None)
        if told is not None and shipping not in {None, told.shipping}:
            return [("receiver_name", f"another receiver than row {told.row}, of the same order")]
        line = order_line(line_no, sku, units, self._words[word], price)
        lines[line_no] = _Line(number, line, word, time_ms, shipping)
        return []


def _order(
    order_no: str, rows_: list[_Line], changed_at_ms: int, deducts_at: DeductsAt
) -> PlatformOrder:
    lines = tuple(row.line for row in rows_)
    return PlatformOrder(
        order_id=order_no,
        state=_state_of(lines),
        word=", ".join(dict.fromkeys(row.word for row in rows_)),
        lines=lines,
        deducts_at=deducts_at,
        created_at_ms=rows_[0].time_ms,
        changed_at_ms=changed_at_ms,
        paid_fen=paid_of(lines),
        shipping=next((row.shipping for row in rows_ if row.shipping is not None), None),
    )


def _columns(text: str) -> tuple[str, ...]:
    """Say which header a file is to have: that with where orders go, where it begins so."""
    first = _HEADER.match(text)
    told = first is not None and ADDRESS_COLUMNS[0] in first.group()
    return (*COLUMNS, *ADDRESS_COLUMNS) if told else COLUMNS


def _state_of(lines: tuple[OrderLine, ...]) -> OrderState:
    """Say where an order is whose lines are here and there; what is closed says nothing."""
    states = {line.state for line in lines} - {OrderState.CLOSED}
    match len(states):
        case 0:
            return OrderState.CLOSED
        case 1:
            return states.pop()
        case _:  # paid in part, or shipped in part
            return OrderState.PAID


def _check(raw: bytes, sha256: bytes | None) -> None:
    """Raise UnreadableFile where a file is too large or not the one that was meant."""
    if len(raw) > MOST_BYTES:
        message = f"the file is larger than {MOST_BYTES >> 20} MiB; split it"
        raise UnreadableFile(RowError(0, None, message))
    if sha256 is None:
        return
    if _SHA256.fullmatch(sha256) is None:
        raise UnreadableFile(RowError(0, None, "the .sha256 file has no SHA-256 in it"))
    if not is_of(sha256, raw):
        message = "the file is not the one that its .sha256 was made of; send both again"
        raise UnreadableFile(RowError(0, None, message))


def _text(raw: bytes) -> str:
    """Read a file as UTF-8, else as GB18030. Raises UnreadableFile.

    Not promised: that GB18030 is known as such where all of it is good UTF-8, too. A word or two
    can be (猫 reads è); a SKU that comes of it is unknown to us, so that no other one is taken.
    """
    try:
        return utf8(raw)
    except UnreadableFile:
        if raw.startswith(_UTF8_MARK):
            raise  # it says what it is
    try:
        return raw.decode("gb18030")
    except UnicodeDecodeError as error:
        message = (
            f"the file is neither UTF-8 nor GB18030 (byte {error.start}); save it as CSV UTF-8"
        )
        raise UnreadableFile(RowError(0, None, message)) from None
