"""A CSV file as numbered rows, and what is wrong with one. Pure.

Row 1 is the line after the header; blank lines are skipped, but counted.
Source: RFC 4180, with line ends of any kind.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What is told of a file must stay readable and bounded; who has more bad rows has the wrong file.
MAX_ERRORS: Final = 10_000


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


def utf8(content: bytes) -> str:
    """Read a file as UTF-8, with a byte-order mark or without. Raises UnreadableFile."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 (byte {error.start}); save it as CSV UTF-8"
        raise UnreadableFile(RowError(0, None, message)) from None


def rows(text: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Read the rows that are not blank, each with its number.

    Raises UnreadableFile where the header is not `columns` (at once), or a row is no CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = _next(reader, 0)
    if header is None or header != list(columns):
        message = f"the first line is not the header {','.join(columns)}"
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
