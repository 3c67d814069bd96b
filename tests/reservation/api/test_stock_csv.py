"""Stock files: what is a row, which are bad, and how they are numbered."""

from __future__ import annotations

import pytest

from reservation.api import stock_csv
from reservation.api.stock_csv import StockFile, parse_stock_file
from reservation.csv_rows import UnreadableFile
from reservation.model import SetStock

HEADER = "sku,warehouse,on_hand,safety_stock"


def parse(text: str | bytes, warehouses: frozenset[str] | None = None) -> StockFile:
    content = text.encode() if isinstance(text, str) else text
    return parse_stock_file(content, default_warehouse="main", warehouses=warehouses)


def bad(*lines: str, warehouses: frozenset[str] | None = None) -> list[tuple[int, str | None]]:
    """Row and column of each error."""
    file = parse("\n".join([HEADER, *lines]) + "\n", warehouses)
    return [(error.row, error.column) for error in file.errors]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_rows_are_read_whatever_the_line_ends(end: str, mark: str) -> None:
    file = parse(mark + end.join([HEADER, "猫,shanghai,5,2", '"a,""b",,0,', ""]))
    assert file.good == [SetStock("猫", "shanghai", 5, 2), SetStock('a,"b', "main", 0, None)]
    assert (file.rows, file.errors) == (2, [])


def test_the_last_line_may_end_without_a_line_end() -> None:
    assert parse(f"{HEADER}\na,,1,").good == [SetStock("a", "main", 1)]


def test_a_header_alone_is_a_file_without_rows() -> None:
    assert parse(HEADER) == StockFile([], [], 0)


def test_row_1_is_the_line_after_the_header_and_blank_lines_count() -> None:
    assert bad("", "x,,1,", "  ", "y,,-1,", "", "z,,1,x") == [(4, "on_hand"), (6, "safety_stock")]


def test_a_field_over_several_lines_counts_as_its_lines() -> None:
    assert bad('"a\nb",,1,', "c,,x,") == [(1, "sku"), (3, "on_hand")]


def test_every_bad_column_of_a_row_is_named() -> None:
    assert bad(" a,b c,1.5,-1") == [
        (1, "sku"),
        (1, "warehouse"),
        (1, "on_hand"),
        (1, "safety_stock"),
    ]


@pytest.mark.parametrize("row", ["a,,1", "a,,1,0,", "a", ",,,,,"])
def test_a_row_with_another_number_of_columns_is_bad(row: str) -> None:
    assert bad(row) == [(1, None)]


@pytest.mark.parametrize(
    "units", ["", " 1", "+1", "1e3", "1_000", "0x10", "١", "1000000001", "9" * 30, "1.0"]
)
def test_units_are_digits_up_to_a_thousand_million(units: str) -> None:
    assert bad(f"a,,{units},0") == [(1, "on_hand")]


def test_the_largest_level_is_good() -> None:
    assert parse(f"{HEADER}\na,,1000000000,0\n").errors == []


def test_a_repeated_sku_and_warehouse_is_bad_where_it_repeats() -> None:
    file = parse(f"{HEADER}\na,main,1,\nb,,1,\na,,2,\na,north,3,\n")
    assert [(error.row, error.column) for error in file.errors] == [(3, "sku")]
    assert "row 1" in file.errors[0].reason
    assert file.good == [
        SetStock("a", "main", 1),
        SetStock("b", "main", 1),
        SetStock("a", "north", 3),
    ]


def test_where_warehouses_are_named_another_is_bad() -> None:
    assert bad("a,north,1,", "b,,1,", warehouses=frozenset({"main"})) == [(1, "warehouse")]
    assert bad("b,,1,", warehouses=frozenset({"north"})) == [(1, "warehouse")]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "header"),
        (b"\n" + HEADER.encode(), "header"),
        (b"sku,on_hand\na,1", "header"),
        (b"SKU,warehouse,on_hand,safety_stock", "header"),
        ("库存".encode("gbk"), "UTF-8"),
        (HEADER.encode("utf-16"), "UTF-8"),
        (f'{HEADER}\n"a,,1,0\n'.encode(), "CSV"),
        (f'{HEADER}\n"a"b,,1,0\n'.encode(), "CSV"),
        (f"{HEADER}\n{'x' * 200_000},,1,0\n".encode(), "CSV"),
    ],
)
def test_an_unreadable_file_says_why(content: bytes, word: str) -> None:
    with pytest.raises(UnreadableFile, match=word):
        parse(content)


def test_the_list_of_errors_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_csv, "MAX_ERRORS", 3)
    file = parse(HEADER + "\n" + "a,,x,\n" * 10)
    assert (len(file.errors), file.more_errors, file.rows) == (3, 7, 10)
