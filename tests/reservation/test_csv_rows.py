"""Rows of a CSV file: numbered from the line after the header, whatever is between them."""

from __future__ import annotations

import pytest

from reservation.csv_rows import UnreadableFile, rows, utf8


def test_rows_are_numbered_by_their_first_line() -> None:
    """Blank lines are skipped and counted, a field over several lines counts as its lines."""
    text = 'a,b\r\n1,2\r\n\r\n"x\ny",3\r\n  \r\n4,5'
    assert list(rows(text, ("a", "b"))) == [(1, ["1", "2"]), (3, ["x\ny", "3"]), (6, ["4", "5"])]


@pytest.mark.parametrize("header", ["", "a", "a,b,c", "A,b", "b,a"])
def test_another_header_is_refused_at_once(header: str) -> None:
    with pytest.raises(UnreadableFile, match="header a,b"):
        rows(f"{header}\n1,2", ("a", "b"))


def test_what_is_no_csv_names_its_row() -> None:
    with pytest.raises(UnreadableFile, match="no CSV") as caught:
        list(rows('a,b\n1,2\n"3"x,4', ("a", "b")))
    assert caught.value.error.row == 2


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert utf8("\ufeff猫".encode()) == "猫"
    with pytest.raises(UnreadableFile, match="byte 1"):
        utf8(b"a\xff")
