"""Order files: what is an order, which rows are bad, and what is taken of a file with one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import order_file
from channels.model import OrderLine, OrderState, PlatformOrder, Shipping
from channels.order_file import OrderFile, OrderFileName, read_file_name, read_order_file
from channels.order_file_cells import ADDRESS_COLUMNS
from reservation.csv_rows import UnreadableFile
from reservation.shops import DeductsAt

GOLDEN = Path(__file__).parent / "golden" / "distributor"
FILE = "HZ01_20260122101500.csv"
WRITTEN_MS = 1769048100_000  # 2026-01-22T10:15:00+08:00
NAME = OrderFileName("HZ01", WRITTEN_MS)
HEADER = "order_no,line_no,sku,qty,order_time,status,dealer_code,unit_price_yuan"
TIME = "2026-01-22 10:00:00"


def row(**cells: str) -> str:
    """Return a good row with some cells changed."""
    good = {
        "order_no": "7",
        "line_no": "1",
        "sku": "A",
        "qty": "2",
        "order_time": TIME,
        "status": "paid",
        "dealer_code": "HZ01",
        "unit_price_yuan": "",
    }
    return ",".join({**good, **cells}.values())


def read(*lines: str, **options: Any) -> OrderFile:
    return read_order_file("\n".join([HEADER, *lines]).encode(), name=NAME, **options)


def bad(*lines: str, **options: Any) -> list[tuple[int, str | None]]:
    """Row and column of each error; nothing is taken then."""
    file = read(*lines, **options)
    assert file.orders == ()
    return [(error.row, error.column) for error in file.errors]


def order_line(
    line_id: str, sku: str, quantity: int, state: OrderState, paid_fen: int | None
) -> OrderLine:
    return OrderLine(line_id=line_id, sku=sku, quantity=quantity, state=state, paid_fen=paid_fen)


ORDERS = (
    PlatformOrder(
        order_id="HZ20260122-0007",
        state=OrderState.PAID,
        word="已付款",
        lines=(
            order_line("1", "CATFOOD-10KG", 2, OrderState.PAID, 25800),
            order_line("2", "猫砂-膨润土 5L", 1, OrderState.PAID, 12900),
        ),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=WRITTEN_MS - 990_000,
        changed_at_ms=WRITTEN_MS,
        paid_fen=38700,
    ),
    PlatformOrder(
        order_id="HZ20260122-0008",
        state=OrderState.UNPAID,
        word="待付款",
        lines=(order_line("1", 'TOY, red "S"', 3, OrderState.UNPAID, None),),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=WRITTEN_MS - 960_000,
        changed_at_ms=WRITTEN_MS,
    ),
    PlatformOrder(
        order_id="HZ20260122-0009",
        state=OrderState.SHIPPED,
        word="已发货, 已取消",
        lines=(
            order_line("1", "CATFOOD-10KG", 1, OrderState.SHIPPED, 12900),
            order_line("2", "CATFOOD-10KG", 1, OrderState.CLOSED, None),
        ),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=WRITTEN_MS - 900_000,
        changed_at_ms=WRITTEN_MS,
    ),
)


def test_a_file_is_its_orders() -> None:
    name = read_file_name(FILE)
    assert name == NAME
    raw, sha256 = (GOLDEN / FILE).read_bytes(), (GOLDEN / f"{FILE}.sha256").read_bytes()
    assert read_order_file(raw, name=name, sha256=sha256) == OrderFile(ORDERS, (), 5)
    assert read_order_file(b"\xef\xbb\xbf" + raw, name=name).orders == ORDERS


def test_a_spreadsheet_of_china_writes_gb18030() -> None:
    raw = (GOLDEN / "HZ01_20260122101500.gb18030.csv").read_bytes()
    assert read_order_file(raw, name=NAME).orders == ORDERS


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (f"{HEADER}\n{row(sku='猫')}".encode("utf-16"), "neither UTF-8 nor GB18030"),
        (b"\xef\xbb\xbf" + f"{HEADER}\n{row(sku='狗')}".encode("gb18030"), "not UTF-8"),
        (b"", "header"),
        (b"order_no,line_no", "header"),
        (f'{HEADER}\n"7'.encode(), "no CSV"),
        (HEADER.encode() + b" " * 16_777_216, "larger than 16 MiB"),
    ],
)
def test_an_unreadable_file_says_why_and_gives_nothing(raw: bytes, reason: str) -> None:
    for partial in (False, True):
        file = read_order_file(raw, name=NAME, partial=partial)
        assert file.orders == ()
        assert reason in file.errors[-1].reason


def test_of_a_file_that_ends_in_no_csv_nothing_is_taken_and_all_is_told() -> None:
    file = read(row(), row(line_no="2", qty="x"), '"3"3,', partial=True)
    assert file.orders == ()
    assert [(error.row, error.column) for error in file.errors] == [(2, "qty"), (3, None)]


@pytest.mark.parametrize("form", ["{}", "{}\n", "{}  HZ01_1.csv\n", "{} *a b.csv\r\n"])
def test_a_hash_is_checked_however_it_is_written(form: str) -> None:
    raw = f"{HEADER}\n{row()}".encode()
    for text in (hashlib.sha256(raw).hexdigest(), hashlib.sha256(raw).hexdigest().upper()):
        sha256 = form.format(text).encode()
        assert len(read_order_file(raw, name=NAME, sha256=sha256).orders) == 1
        file = read_order_file(raw + b"\n", name=NAME, sha256=sha256, partial=True)
        assert file.orders == ()
        assert "not the one" in file.errors[0].reason


@pytest.mark.parametrize("sha256", [b"", b"abc", b"f" * 63, b"g" * 64, b"f" * 64 + b"f", b"\xff"])
def test_what_is_no_hash_is_refused(sha256: bytes) -> None:
    assert "no SHA-256" in read(row(), sha256=sha256).errors[0].reason


@pytest.mark.parametrize(
    "name",
    [
        "HZ01.csv",
        "HZ01_20260122.csv",
        "HZ01_20261322101500.csv",
        "HZ01_19600122101500.csv",
        "_20260122101500.csv",
        "HZ01_20260122101500.CSV",
        "HZ01_20260122101500.csv.exe",
        "../HZ01_20260122101500.csv",
        "HZ01_２0260122101500.csv",
        "",
    ],
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(UnreadableFile, match="is not named like"):
        read_file_name(name)


def test_every_bad_cell_is_named_at_once() -> None:
    wrong = dict.fromkeys(order_file.COLUMNS, "? ")
    assert bad(row(), "", row(**wrong), "7,2", row(line_no="3", qty="")) == [
        *((3, column) for column in order_file.COLUMNS),
        (4, None),
        (5, "qty"),
    ]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("order_no", ""),
        ("order_no", "a/b"),
        ("order_no", " 7"),
        ("order_no", "x" * 65),
        ("order_no", "1.23457E+17"),
        ("line_no", ""),
        ("line_no", "一"),
        ("sku", ""),
        ("sku", "A "),
        ("sku", "A\x00"),
        ("qty", "0"),
        ("qty", "1.0"),
        ("qty", "-1"),
        ("qty", "1000000001"),
        ("qty", "9" * 5000),
        ("qty", "２"),
        ("order_time", ""),
        ("order_time", "2026-01-22"),
        ("order_time", "2026-02-30 10:00"),
        ("order_time", "2026-01-22 25:00"),
        ("order_time", "2026-01/22 10:00"),
        ("order_time", "22/1/2026 10:00"),
        ("order_time", "2026-01-22T10:00:00+99:99"),
        ("order_time", "0001-01-01T00:00:00+08:00"),
        ("order_time", "1969-12-31T23:59:59Z"),
        ("order_time", "2026-01-22 10:20:00.001"),  # the file was written 5 minutes before
        ("order_time", "2026-01-22T10:00:00Z"),  # China's time with a Z
        ("status", ""),
        ("status", "Paid"),
        ("dealer_code", ""),
        ("dealer_code", "HZ02"),
        ("unit_price_yuan", "1.234"),
        ("unit_price_yuan", "-1"),
        ("unit_price_yuan", "1e3"),
        ("unit_price_yuan", "¥5"),
        ("unit_price_yuan", "1" * 10),
    ],
)
def test_a_bad_cell_is_named_with_its_row_and_column(column: str, cell: str) -> None:
    assert bad(row(), row(**{"order_no": "8", column: cell})) == [(2, column)]


def test_what_a_spreadsheet_has_rounded_is_called_so() -> None:
    assert "rounded" in read(row(order_no="1.23457E+17")).errors[0].reason


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("2026-01-22 10:00:00", WRITTEN_MS - 900_000),
        ("2026-01-22T10:00:00", WRITTEN_MS - 900_000),
        ("2026/1/22 9:05", WRITTEN_MS - 4_200_000),
        ("2026-01-22T02:00:00Z", WRITTEN_MS - 900_000),
        ("2026-01-22t02:00:00.1234z", WRITTEN_MS - 899_877),
        ("2026-01-21T21:00:00-05:00", WRITTEN_MS - 900_000),
        ("2026-01-22 10:20:00", WRITTEN_MS + 300_000),
    ],
)
def test_a_time_is_chinas_unless_it_has_an_offset(time: str, ms: int) -> None:
    (order,) = read(row(order_time=time)).orders
    assert order.created_at_ms == ms


def test_an_order_is_gathered_from_wherever_its_rows_are() -> None:
    file = read(row(), row(order_no="8"), row(line_no="2", sku="B"))
    assert [(one.order_id, len(one.lines)) for one in file.orders] == [("7", 2), ("8", 1)]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["paid", "paid"], OrderState.PAID),
        (["unpaid", "paid"], OrderState.PAID),
        (["paid", "shipped"], OrderState.PAID),
        (["shipped", "completed"], OrderState.SHIPPED),
        (["shipped", "refunded"], OrderState.SHIPPED),
        (["unpaid", "cancelled"], OrderState.UNPAID),
        (["refunded", "cancelled"], OrderState.CLOSED),
    ],
)
def test_an_order_is_where_its_open_lines_are(words: list[str], state: OrderState) -> None:
    lines = [row(line_no=str(number), status=word) for number, word in enumerate(words)]
    (order,) = read(*lines).orders
    assert order.state is state
    assert [one.state for one in order.lines] == [order_file.WORDS[word] for word in words]


def test_a_line_stands_once_in_an_order() -> None:
    assert bad(row(), row(order_no="8"), row(qty="3")) == [(3, "line_no")]


def test_the_rows_of_an_order_have_one_time() -> None:
    assert bad(row(), row(line_no="2", order_time="2026-01-22 10:00:01")) == [(2, "order_time")]


def test_a_dealer_may_have_words_of_its_own() -> None:
    own = {"备货中": OrderState.PAID}
    assert read(row(status="备货中"), words=own).orders[0].state is OrderState.PAID
    assert bad(row(), words=own) == [(1, "status")]


def test_partial_takes_the_orders_without_a_bad_row() -> None:
    """An order is whole or not taken, wherever its bad row is."""
    lines = [
        row(order_no="1"),
        row(order_no="2"),
        row(order_no="3", qty="0"),
        row(order_no="3", line_no="2"),
        row(order_no="2", line_no="2", qty="0"),
        "4,1",
        row(order_no="4"),
        row(order_no="1", line_no="2"),
    ]
    file = read(*lines, partial=True)
    assert [(one.order_id, len(one.lines)) for one in file.orders] == [("1", 2)]
    assert [error.row for error in file.errors] == [3, 5, 6]
    assert read(*lines).orders == ()


def test_when_stock_is_deducted_is_told_by_whoever_reads() -> None:
    assert read(row(), deducts_at=DeductsAt.PAYMENT).orders[0].deducts_at is DeductsAt.PAYMENT


def test_what_is_told_and_taken_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors, rows of a file, lines of an order."""
    monkeypatch.setattr(order_file, "MAX_ERRORS", 3)
    monkeypatch.setattr(order_file, "MOST_ROWS", 5)
    monkeypatch.setattr(order_file, "MOST_LINES", 2)
    file = read(*[row(qty="x", sku="")] * 5)
    assert (len(file.errors), file.more_errors, file.rows) == (3, 7, 5)
    file = read(*[row(qty="x", sku="")] * 6, partial=True)
    assert (len(file.errors), file.more_errors, file.rows) == (3, 8, 5)
    assert "more than 5 rows" in file.errors[-1].reason
    assert bad(*(row(line_no=str(number)) for number in range(3))) == [(3, "order_no")]
    assert len(read(*(row(order_no=str(number)) for number in range(5))).orders) == 5


CELLS = st.sampled_from(
    [
        "",
        "7",
        "8",
        "A",
        "猫",
        "2",
        TIME,
        "2026/1/22 9:05",
        "paid",
        "已取消",
        "HZ01",
        "1.5",
        '"',
        "\0",
    ]
)
ROWS = st.lists(CELLS | st.text(max_size=6), min_size=7, max_size=9).map(",".join)
NEARLY = st.builds(
    lambda column, cell: row(**{column: cell}), st.sampled_from(order_file.COLUMNS), CELLS
)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(NEARLY | ROWS, max_size=6), tail=st.binary(max_size=8))
def test_whatever_is_in_a_file_is_an_order_or_an_error(lines: list[str], tail: bytes) -> None:
    """What is taken can be kept: it is text that can be written, each line once, in real units."""
    raw = "\n".join([HEADER, *lines]).encode() + tail
    for partial in (False, True):
        file = read_order_file(raw, name=NAME, partial=partial)
        assert partial or not (file.orders and file.errors)
        msgspec.json.encode(msgspec.to_builtins(file.orders))
        for order in file.orders:
            assert order.lines
            assert all(one.quantity >= 1 for one in order.lines)
            assert len({one.line_id for one in order.lines}) == len(order.lines)


@settings(max_examples=150, deadline=None)
@given(raw=st.binary(), sha256=st.none() | st.binary(max_size=80))
def test_no_bytes_at_all_are_an_exception(raw: bytes, sha256: bytes | None) -> None:
    assert read_order_file(raw, name=NAME, sha256=sha256).errors


# -- where orders go -----------------------------------------------------------------------------

GOING = ",".join((HEADER, *ADDRESS_COLUMNS))
HERE = "张三,138,浙江,杭州,余杭区,路 1 号,2026-01-23 10:00"
NOWHERE = ",,,,,,"


def going(*lines: str, **options: Any) -> OrderFile:
    return read_order_file("\r\n".join([GOING, *lines]).encode(), name=NAME, **options)


def test_a_file_may_say_where_orders_go() -> None:
    """In any row of an order; an order of which no row does goes nowhere that we know."""
    file = going(
        f"{row()},{NOWHERE}",
        f"{row(line_no='2')},{HERE}",
        f"{row(line_no='3')},{HERE}",
        f"{row(order_no='8')},{NOWHERE}",
        f"{row(order_no='9')},李四,139,上海,上海,,路 2 号,",
    )
    assert file.errors == ()
    assert [order.shipping for order in file.orders] == [
        Shipping(
            name="张三",
            mobile="138",
            province="浙江",
            city="杭州",
            area="余杭区",
            detail_address="路 1 号",
            ship_by_ms=1_769_133_600_000,
        ),
        None,
        Shipping(name="李四", mobile="139", province="上海", city="上海", detail_address="路 2 号"),
    ]


@pytest.mark.parametrize(
    ("address", "column"),
    [
        (",138,浙江,杭州,余杭区,路 1 号,", "receiver_name"),
        ("张三,138,浙江,杭州,余杭区,,", "receiver_address"),
        (",,,,,,2026-01-23 10:00", "receiver_name"),
        (f"{'x' * 201},138,浙江,杭州,余杭区,路 1 号,", "receiver_name"),
        ("张三,138,浙江,杭州,余杭区,路\t1 号,", "receiver_address"),
        ("张三,138,浙江,杭州,余杭区,路 1 号,tomorrow", "ship_by"),
        ("张三,138,浙江,杭州,余杭区,路 1 号,9999-12-31T23:59:59Z", "ship_by"),
        ("李四,138,浙江,杭州,余杭区,路 1 号,2026-01-23 10:00", "receiver_name"),
    ],
)
def test_an_address_that_is_none_is_a_bad_row(address: str, column: str) -> None:
    """In part, too long, of several lines, or another one than of the same order's other row."""
    file = going(f"{row()},{HERE}", f"{row(line_no='2')},{address}")
    assert file.orders == ()
    assert (file.errors[0].row, file.errors[0].column) == (2, column)


def test_a_header_has_all_of_where_orders_go_or_none() -> None:
    """What lacks is said by the header that it should be."""
    content = f"{HEADER},receiver_name\n{row()},张三\n".encode()
    (error,) = read_order_file(content, name=NAME).errors
    assert GOING in error.reason
