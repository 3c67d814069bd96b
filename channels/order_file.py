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
from decimal import Decimal
from functools import partial as bound
from typing import Any, Final

from msgspec import Struct

from channels.model import OrderLine, OrderState, PlatformOrder
from channels.order_document import (
    MOST_LINES,
    WORDS,
    Unreadable,
    fen,
    milliseconds,
    number_problem,
    order_line,
    paid_of,
)
from reservation.csv_rows import MAX_ERRORS, RowError, UnreadableFile, rows, utf8
from reservation.model import MAX_STOCK, sku_problem
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
MOST_BYTES: Final = 16_777_216  # as of a stock file
MOST_ROWS: Final = 200_000  # a peak day's 47,000 orders, four times
CLOCK_SKEW_MS: Final = 300_000  # that an order may be younger than its file

_UTF8_MARK: Final = b"\xef\xbb\xbf"
CHINA: Final = "+08:00"  # of a time without an offset, and of the one in a name
_FILE_NAME: Final = re.compile(
    r"(?P<dealer>[A-Za-z0-9_-]{1,32})_(?P<time>[0-9]{14})\.csv", re.ASCII
)
_SHA256: Final = re.compile(rb"\s*(?P<hash>[0-9A-Fa-f]{64})(\s+\*?[^\r\n]*)?\s*", re.ASCII)
# RFC 3339, or as a spreadsheet writes a time anew: 2026/1/22 10:00.
_TIME: Final = re.compile(
    r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})[ Tt]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    r"(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_UNITS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_YUAN: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?", re.ASCII)
_ROUNDED: Final = re.compile(r"[0-9.]+E\+[0-9]+", re.ASCII)


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
        for number, fields in rows(_text(raw), COLUMNS):
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
        self.rows = 0
        self.broken = 0  # errors in all
        self.errors: list[RowError] = []
        self._changed_at_ms = name.written_at_ms
        self._words = words
        self._gathered: dict[str, dict[str, _Line]] = {}  # by order, then by line
        self._tainted: set[str] = set()  # orders with a bad row
        self._readers: tuple[tuple[str, Callable[[str], Any]], ...] = (
            ("order_no", _id),
            ("line_no", _id),
            ("sku", _sku),
            ("qty", _units),
            ("order_time", bound(_time, name.written_at_ms)),
            ("status", bound(_word, words)),
            ("dealer_code", bound(_dealer, name.dealer)),
            ("unit_price_yuan", _price),
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
        if len(fields) != len(COLUMNS):
            return [(None, f"has {len(fields)} columns, not {len(COLUMNS)}")]
        values: list[Any] = []
        problems: list[tuple[str | None, str]] = []
        for (column, read), text in zip(self._readers, fields, strict=True):
            try:
                values.append(read(text))
            except Unreadable as error:
                problems.append((column, str(error)))
        return problems or self._join(number, values)

    def _join(self, number: int, values: list[Any]) -> list[tuple[str | None, str]]:
        order_no, line_no, sku, units, time_ms, word, _, price = values
        lines = self._gathered.setdefault(order_no, {})
        if line_no in lines:
            return [("line_no", f"stands in row {lines[line_no].row} already, for the same order")]
        if len(lines) == MOST_LINES:
            return [("order_no", f"has more than {MOST_LINES} lines")]
        first = next(iter(lines.values()), None)
        if first is not None and first.time_ms != time_ms:
            return [("order_time", f"is not that of row {first.row}, of the same order")]
        line = order_line(line_no, sku, units, self._words[word], price)
        lines[line_no] = _Line(number, line, word, time_ms)
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
    )


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


def _id(text: str) -> str:
    problem = number_problem(text)
    if problem is None:
        return text
    if _ROUNDED.fullmatch(text):
        problem = "was rounded by a spreadsheet; make its column text before it is filled"
    raise Unreadable(problem)


def _sku(text: str) -> str:
    problem = sku_problem(text)
    if problem:
        raise Unreadable(problem)
    return text


def _units(text: str) -> int:
    if not _UNITS.fullmatch(text) or not 1 <= int(text) <= MAX_STOCK:
        raise Unreadable(f"is no integer from 1 to {MAX_STOCK}, written in digits only")
    return int(text)


def _time(written_at_ms: int, text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise Unreadable("is no time like 2026-01-22T10:00:00+08:00 or 2026/1/22 10:00")
    year, _, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        time = datetime.fromisoformat(
            f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}.{fraction or '0'}"
            f"{(offset or CHINA).upper()}"
        )
    except ValueError as error:
        raise Unreadable(f"is no time: {error}") from None
    at_ms = milliseconds(time)
    if at_ms > written_at_ms + CLOCK_SKEW_MS:
        raise Unreadable("is later than the file, by the time in its name")
    return at_ms


def _word(words: Mapping[str, OrderState], text: str) -> str:
    if text not in words:
        raise Unreadable(f"is none of {', '.join(words)}")
    return text


def _dealer(dealer: str, text: str) -> str:
    if text != dealer:
        raise Unreadable(f"is not {dealer}, whose file this is by its name")
    return text


def _price(text: str) -> int | None:
    if not text:
        return None
    if not _YUAN.fullmatch(text):
        raise Unreadable("is no price in yuan, like 129.00, with at most two decimals")
    return fen(Decimal(text))
