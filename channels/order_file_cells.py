"""The cells of an order file: the text of each column as a value. Pure.

Each reader raises Unreadable, whose text says what is wrong with the cell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from channels.model import OrderState, Shipping
from channels.order_document import (
    MOST_ADDRESS_PART,
    Unreadable,
    fen,
    in_time,
    milliseconds,
    number_problem,
)
from reservation.model import MAX_STOCK, sku_problem

# Behind these, all of them or none: where the order goes, which any of its rows may say.
ADDRESS_COLUMNS: Final = (
    "receiver_name",
    "receiver_mobile",
    "receiver_province",
    "receiver_city",
    "receiver_area",
    "receiver_address",
    "ship_by",
)
_OPTIONAL: Final = frozenset({"receiver_area", "ship_by"})  # of an address
CLOCK_SKEW_MS: Final = 300_000  # that an order may be younger than its file
CHINA: Final = "+08:00"  # of a time without an offset, and of the one in a name
# RFC 3339, or as a spreadsheet writes a time anew: 2026/1/22 10:00.
_TIME: Final = re.compile(
    r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})[ Tt]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    r"(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_UNITS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_YUAN: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?", re.ASCII)
_ROUNDED: Final = re.compile(r"[0-9.]+E\+[0-9]+", re.ASCII)


def missing_of(address: list[Any]) -> list[tuple[str | None, str]]:
    """Name what an address lacks that is there in part."""
    if not any(address):
        return []
    return [
        (column, "is empty, and other parts of the receiver are not")
        for column, part in zip(ADDRESS_COLUMNS, address, strict=True)
        if not part and column not in _OPTIONAL
    ]


def shipping_of(address: list[Any]) -> Shipping | None:
    """Read an address of its cells, None where they are empty."""
    if not any(address):
        return None
    name, mobile, province, city, area, detail_address, ship_by_ms = address
    return Shipping(
        name=name,
        mobile=mobile,
        province=province,
        city=city,
        area=area,
        detail_address=detail_address,
        ship_by_ms=ship_by_ms,
    )


def id_cell(text: str) -> str:
    """Read the number of an order or a line."""
    problem = number_problem(text)
    if problem is None:
        return text
    if _ROUNDED.fullmatch(text):
        problem = "was rounded by a spreadsheet; make its column text before it is filled"
    raise Unreadable(problem)


def sku_cell(text: str) -> str:
    """Read a SKU."""
    problem = sku_problem(text)
    if problem:
        raise Unreadable(problem)
    return text


def units_cell(text: str) -> int:
    """Read a quantity."""
    if not _UNITS.fullmatch(text) or not 1 <= int(text) <= MAX_STOCK:
        raise Unreadable(f"is no integer from 1 to {MAX_STOCK}, written in digits only")
    return int(text)


def address_part_cell(text: str) -> str:
    """Read a part of an address, "" where there is none."""
    part = text.strip()
    if len(part) > MOST_ADDRESS_PART or not part.isprintable():
        raise Unreadable(f"has more than {MOST_ADDRESS_PART} characters, or some not printable")
    return part


def ship_by_cell(text: str) -> int | None:
    """Read by when an order has to leave, None where that is not told."""
    return in_time(moment_of(text)) if text else None


def time_cell(written_at_ms: int, text: str) -> int:
    """Read when an order was placed: no later than its file was written."""
    at_ms = moment_of(text)
    if at_ms > written_at_ms + CLOCK_SKEW_MS:
        raise Unreadable("is later than the file, by the time in its name")
    return at_ms


def moment_of(text: str) -> int:
    """Read a time."""
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
    return milliseconds(time)


def word_cell(words: Mapping[str, OrderState], text: str) -> str:
    """Read a status."""
    if text not in words:
        raise Unreadable(f"is none of {', '.join(words)}")
    return text


def dealer_cell(dealer: str, text: str) -> str:
    """Read the dealer."""
    if text != dealer:
        raise Unreadable(f"is not {dealer}, whose file this is by its name")
    return text


def price_cell(text: str) -> int | None:
    """Read a price in fen, None where there is none."""
    if not text:
        return None
    if not _YUAN.fullmatch(text):
        raise Unreadable("is no price in yuan, like 129.00, with at most two decimals")
    return fen(Decimal(text))
