"""The order file: what is read, and every way in which a file can be wrong."""

from __future__ import annotations

import pytest

from ops.replay import orders as orders_module
from ops.replay.orders import InvalidOrderFile, Order, RowError, parse, timestamp_ms
from reservation.client import OrderLine

HEADER = b"order_id,channel,at,sku,quantity\n"
WIDE_HEADER = b"order_id,channel,at,sku,quantity,warehouse\n"
ROW = b"1,tmall,2026-01-22T10:00:00Z,A,2\n"
TEN_MS = 1_769_076_000_000  # 2026-01-22T10:00:00Z


def errors_of(content: bytes) -> list[tuple[int, str]]:
    """Read a bad file; return where its errors are."""
    with pytest.raises(InvalidOrderFile) as caught:
        parse(content)
    return [(error.row, error.column) for error in caught.value.errors]


def test_rows_become_orders_by_time() -> None:
    """Rows of one id are one order, kept in their order; orders come by time."""
    late = b"2,douyin,2026-01-22T12:00:00+02:00,B,1\n"
    early = b"1,tmall,2026-01-22T09:59:59.5Z,A,2\n1,tmall,2026-01-22T10:00:00Z,A,3\n"
    assert parse(HEADER + late + early) == (
        Order("1", "tmall", TEN_MS - 500, (OrderLine("A", 2), OrderLine("A", 3))),
        Order("2", "douyin", TEN_MS, (OrderLine("B", 1),)),
    )


def test_orders_of_the_same_instant_keep_the_order_of_the_file() -> None:
    """The file decides who comes first where the clock does not."""
    content = HEADER + b"".join(
        b"%d,tmall,2026-01-22T10:00:00Z,A,1\n" % number for number in (3, 1, 2)
    )
    assert [order.order_id for order in parse(content)] == ["3", "1", "2"]


def test_an_order_may_stand_on_rows_far_apart() -> None:
    """Rows of an order need not follow each other."""
    other = b"2,tmall,2026-01-22T10:00:00Z,A,1\n"
    (first, second) = parse(HEADER + ROW + other + ROW)
    assert (first.units, second.units) == (4, 1)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (WIDE_HEADER + b"1,tmall,2026-01-22T10:00:00Z,A,2,east\n", OrderLine("A", 2, "east")),
        (WIDE_HEADER + b"1,tmall,2026-01-22T10:00:00Z,A,2,\n", OrderLine("A", 2)),
        (b"\xef\xbb\xbf" + HEADER + ROW, OrderLine("A", 2)),
        ((HEADER + ROW).replace(b"\n", b"\r\n"), OrderLine("A", 2)),
        ((HEADER + ROW).rstrip(b"\n"), OrderLine("A", 2)),
        (b"\n" + HEADER + b"\n\n" + ROW + b"\n", OrderLine("A", 2)),
        (
            b"sku,quantity,at,channel,order_id\nA,2,2026-01-22T10:00:00z,tmall,1\n",
            OrderLine("A", 2),
        ),
        (
            HEADER + '1,tmall,2026-01-22T10:00:00Z,"猫粮, 10kg",2\n'.encode(),
            OrderLine("猫粮, 10kg", 2),
        ),
        (HEADER + b"1,tmall,2026-01-22 10:00:00.123456789Z,A,2\n", OrderLine("A", 2)),
        (HEADER + b"1,tmall,2026-01-22T10:00:00Z,A,0000000002\n", OrderLine("A", 2)),
    ],
    ids=[
        "warehouse",
        "empty-warehouse",
        "byte-order-mark",
        "crlf",
        "no-last-newline",
        "blank-lines",
        "columns-in-any-order",
        "chinese-and-a-comma",
        "nanoseconds",
        "leading-zeros",
    ],
)
def test_forms_that_are_read(content: bytes, line: OrderLine) -> None:
    """What a spreadsheet or another program writes is read as it is meant."""
    (order,) = parse(content)
    assert order.lines == (line,)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (b",tmall,2026-01-22T10:00:00Z,A,2", "order_id"),
        (b"a b,tmall,2026-01-22T10:00:00Z,A,2", "order_id"),
        (b"x" * 65 + b",tmall,2026-01-22T10:00:00Z,A,2", "order_id"),
        (b"1:2,tmall,2026-01-22T10:00:00Z,A,2", "order_id"),
        (b"1,Tmall,2026-01-22T10:00:00Z,A,2", "channel"),
        (b"1,t,2026-01-22T10:00:00Z,A,2", "channel"),
        (b"1,tmall ,2026-01-22T10:00:00Z,A,2", "channel"),
        (b"1,tmall,,A,2", "at"),
        (b"1,tmall,2026-01-22T10:00:00,A,2", "at"),
        (b"1,tmall,2026-01-22,A,2", "at"),
        (b"1,tmall,2026-W04-4T10:00:00Z,A,2", "at"),
        (b"1,tmall,2026-02-30T10:00:00Z,A,2", "at"),
        (b"1,tmall,2026-01-22T24:00:01Z,A,2", "at"),
        (b"1,tmall,2026-01-22T10:00:60Z,A,2", "at"),
        (b"1,tmall,0000-01-22T10:00:00Z,A,2", "at"),
        (b"1,tmall,1769076000,A,2", "at"),
        (b"1,tmall,2026-01-22T10:00:00Z,,2", "sku"),
        (b"1,tmall,2026-01-22T10:00:00Z, A,2", "sku"),
        (b"1,tmall,2026-01-22T10:00:00Z,A\x00B,2", "sku"),
        (b"1,tmall,2026-01-22T10:00:00Z,A\x1b[2J,2", "sku"),
        (b"1,tmall,2026-01-22T10:00:00Z,..,2", "sku"),
        (b"1,tmall,2026-01-22T10:00:00Z," + b"x" * 65 + b",2", "sku"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,0", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,-1", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,1.0", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,1e3", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,0x10", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,+2", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A, 2", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,nan", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,1000000001", "quantity"),
        ("1,tmall,2026-01-22T10:00:00Z,A,２".encode(), "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,", "quantity"),
        (b"1,tmall,2026-01-22T10:00:00Z,A", "row"),
        (b"1,tmall,2026-01-22T10:00:00Z,A,2,main", "row"),
    ],
)
def test_a_bad_cell_is_named(cells: bytes, column: str) -> None:
    """Each bad cell is one error with its row and its column."""
    assert errors_of(HEADER + ROW + cells + b"\n") == [(2, column)]


def test_a_bad_warehouse_is_named() -> None:
    """The optional column is checked as well."""
    assert errors_of(WIDE_HEADER + b"1,tmall,2026-01-22T10:00:00Z,A,2,ea st\n") == [
        (1, "warehouse")
    ]


def test_all_errors_come_at_once() -> None:
    """A file is mended once: every bad cell of every row is named, in the order of the file."""
    content = HEADER + b",x,y,,z\n\n" + ROW + b"1,tmall,2026-01-22T10:00:00Z,A,-2\n"
    assert errors_of(content) == [
        (1, "order_id"),
        (1, "channel"),
        (1, "at"),
        (1, "sku"),
        (1, "quantity"),
        (4, "quantity"),
    ]


def test_rows_are_counted_from_the_header() -> None:
    """Row 1 is the line after the header, also where blank lines stand before it."""
    bad = b"1,tmall,2026-01-22T10:00:00Z,A,0\n"
    assert errors_of(b"\n\n" + HEADER + bad + b"\n" + bad) == [(1, "quantity"), (3, "quantity")]


def test_an_order_has_one_channel() -> None:
    """Rows of an order that disagree on the channel are an error that names both rows."""
    content = HEADER + ROW + b"1,douyin,2026-01-22T10:00:00Z,A,2\n"
    with pytest.raises(InvalidOrderFile) as caught:
        parse(content)
    reason = "douyin differs from tmall in row 1 of order 1"
    assert caught.value.errors == [RowError(2, "channel", reason)]


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (b"", [(0, "file")]),
        (b"\n\n", [(0, "file")]),
        (HEADER, [(0, "file")]),
        (b"order_id,channel,at,sku\n" + ROW, [(0, "quantity")]),
        (HEADER.replace(b"sku", b"SKU"), [(0, "sku"), (0, "'SKU'")]),
        (HEADER.replace(b"\n", b",sku\n"), [(0, "sku")]),
        (HEADER.replace(b"\n", b",price\n"), [(0, "'price'")]),
        (b"\x00\x01\x02", [(0, column) for column in orders_module.COLUMNS[:5]]),
        (HEADER + ROW + b"\xff\xfe\n", [(2, "file")]),
        ("order_id".encode("utf-16"), [(0, "file")]),
        (HEADER + ROW + b'1,tmall,"2026', [(2, "file")]),
        (HEADER + ROW + b'1,tm"all"x,"a"b,A,1\n', [(2, "file")]),
        (HEADER + ROW + b"x" * 200_000, [(2, "file")]),
    ],
    ids=[
        "empty",
        "blank",
        "header-only",
        "missing-column",
        "wrong-case",
        "twice",
        "unknown",
        "binary",
        "not-utf-8",
        "utf-16",
        "open-quote",
        "text-after-quote",
        "endless-cell",
    ],
)
def test_a_file_that_is_no_order_file(content: bytes, places: list[tuple[int, str]]) -> None:
    """The header and the file itself are judged too; nothing is guessed."""
    found = errors_of(content)
    assert [place for place in found if place in places] == places


def test_hostile_text_is_shown_harmlessly() -> None:
    """An error quotes what it found with control characters escaped, and cut short."""
    with pytest.raises(InvalidOrderFile) as caught:
        parse(HEADER + b"\x1b[31m" + b"x" * 500 + b",tmall,2026-01-22T10:00:00Z,A,1\n")
    (error,) = caught.value.errors
    assert "\x1b" not in error.reason
    assert len(error.reason) < 120


def test_errors_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is wrong throughout is given up, not read to its end."""
    monkeypatch.setattr(orders_module, "MAX_ERRORS", 3)
    assert errors_of(HEADER + b",tmall,x,A,1\n" * 50) == [
        (1, "order_id"),
        (1, "at"),
        (2, "order_id"),
        (2, "at"),
    ]


def test_a_file_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file above the bound is refused before it is decoded."""
    monkeypatch.setattr(orders_module, "MAX_FILE_BYTES", len(HEADER + ROW))
    assert len(parse(HEADER + ROW)) == 1
    assert errors_of(HEADER + ROW + b"\n") == [(0, "file")]


def test_times_reach_from_the_first_year_to_the_last() -> None:
    """Extreme times with extreme offsets are read without overflow."""
    first = timestamp_ms("0001-01-01T00:00:00+23:59")
    last = timestamp_ms("9999-12-31T23:59:59.999-23:59")
    assert first < 0 < last
    assert timestamp_ms("1970-01-01T00:00:00.001Z") == 1
