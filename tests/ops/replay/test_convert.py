"""The converter: its rules, and that the shipped sample is what it makes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from ops.replay import convert as convert_module
from ops.replay.convert import channel_of, convert, main
from ops.replay.orders import InvalidOrderFile, parse
from ops.replay.run import sample_orders

EXCERPT = Path(__file__).with_name("excerpt.csv")  # 17 invoices of the slice, as they are
SLICE_VARIABLE = "HOLDFAST_RETAIL_SLICE"  # path of the whole slice, which is not in the repository

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def row(
    *,
    invoice: str = "536365",
    sku: str = "85123A",
    quantity: str = "6",
    date: str = "12/1/2010 8:26",
    customer: str = "17850",
    country: str = "United Kingdom",
) -> str:
    """Write one row of the source."""
    return f"{invoice},{sku},HANGING HEART,{quantity},{date},2.55,{customer},{country}\n"


def test_the_excerpt_becomes_the_rows_of_the_shipped_sample() -> None:
    """The converter makes of an excerpt exactly the sample's rows of those invoices."""
    converted = convert(EXCERPT.read_bytes())
    lines = converted.csv.splitlines()
    invoices = {line.partition(",")[0] for line in lines}
    shipped = sample_orders().decode().splitlines()
    assert lines == [line for line in shipped if line.partition(",")[0] in invoices]
    assert (converted.orders, converted.rows_written, converted.left_out) == (17, 94, Counter())


@pytest.mark.skipif(SLICE_VARIABLE not in os.environ, reason=f"{SLICE_VARIABLE} names no slice")
def test_the_slice_becomes_the_shipped_sample() -> None:
    """The whole slice gives the shipped file, byte for byte."""
    converted = convert(Path(os.environ[SLICE_VARIABLE]).read_bytes())
    assert converted.csv.encode() == sample_orders()


def test_the_shipped_sample_is_what_its_readme_says() -> None:
    """236 orders, 1,455 SKUs, 4,688 rows, one order of 591."""
    orders = parse(sample_orders())
    assert len(orders) == 236
    assert len({line.sku for order in orders for line in order.lines}) == 1_455
    assert sum(len(order.lines) for order in orders) == 4_688
    assert sum(order.units for order in orders) == 47_252
    assert max(len(order.lines) for order in orders) == 591
    channels = Counter(order.channel for order in orders)
    assert channels == {"tmall": 115, "douyin": 73, "dealer-hz": 48}


def test_an_invoice_over_two_minutes_is_one_order_at_its_earliest() -> None:
    """Invoice 536591 of the data set ran from 16:57 to 16:58."""
    lines = convert(EXCERPT.read_bytes()).csv.splitlines()
    times = {line.split(",")[2] for line in lines if line.startswith("536591,")}
    assert times == {"2010-12-01T16:57:00Z"}


def test_a_sku_named_twice_stays_on_two_rows() -> None:
    """Summing is the engine's business."""
    converted = convert((HEADER + row(quantity="1") + row(quantity="2")).encode())
    assert [line.rpartition(",")[2] for line in converted.csv.splitlines()[1:]] == ["1", "2"]


@pytest.mark.parametrize(
    ("customer", "country", "channel"),
    [
        ("17850", "United Kingdom", "tmall"),
        ("17854", "United Kingdom", "tmall"),
        ("17855", "United Kingdom", "douyin"),
        ("17857", "United Kingdom", "douyin"),
        ("17858", "United Kingdom", "dealer-hz"),
        ("17859", "United Kingdom", "dealer-hz"),
        ("17850.0", "United Kingdom", "tmall"),
        ("", "United Kingdom", "douyin"),
        ("17850", "Norway", "dealer-hz"),
        ("", "EIRE", "dealer-hz"),
    ],
)
def test_a_buyer_has_one_channel(customer: str, country: str, channel: str) -> None:
    """Country, then whether the customer is known, then the last digit decide."""
    assert channel_of(customer, country) == channel


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (row(invoice="C536379"), "cancellation"),
        (row(sku="POST"), "no product"),
        (row(sku="BANK CHARGES"), "no product"),
        (row(sku="M"), "no product"),
        (row(quantity="0"), "nothing ordered"),
        (row(quantity="-9"), "nothing ordered"),
        (row(quantity="10001"), "more than 10,000 units"),
    ],
)
def test_what_is_no_order_is_left_out_and_counted(left_out: str, reason: str) -> None:
    """Rows that no shop would reserve for are counted by their reason."""
    converted = convert((HEADER + row() + left_out).encode())
    assert converted.left_out == {reason: 1}
    assert (converted.rows_read, converted.rows_written, converted.orders) == (2, 1, 1)


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (b"\xff", [(0, "file")]),
        (b"", [(0, name) for name in convert_module.SOURCE_COLUMNS]),
        (HEADER.replace("Country", "Land").encode(), [(0, "Country")]),
        (
            (HEADER + row(quantity="1.5", date="2010-12-01")).encode(),
            [(1, "Quantity"), (1, "InvoiceDate")],
        ),
        (
            (HEADER + row() + row(invoice="5 6", customer="x")).encode(),
            [(2, "InvoiceNo"), (2, "CustomerID")],
        ),
        ((HEADER + '"open').encode(), [(1, "file")]),
        ((HEADER + "536365,85123A\n").encode(), [(1, "Quantity"), (1, "InvoiceDate")]),
    ],
)
def test_an_unreadable_source_is_refused(content: bytes, places: list[tuple[int, str]]) -> None:
    """Every unreadable cell is named and nothing is converted."""
    with pytest.raises(InvalidOrderFile) as caught:
        convert(content)
    assert [(error.row, error.column) for error in caught.value.errors] == places


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m ops.replay.convert` writes the file and says what was left out."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(HEADER + row() + row(sku="POST"))
    assert main([str(source), str(target)]) == 0
    assert target.read_text().splitlines()[1:] == ["536365,tmall,2010-12-01T08:26:00Z,85123A,6"]
    assert capsys.readouterr().out == (
        "2 rows read, 1 written as 1 orders\n1 rows left out: no product\n"
    )
    assert main([str(tmp_path / "none.csv"), str(target)]) == 2
    assert main([]) == 2
    source.write_text(HEADER + row(quantity="x"))
    assert main([str(source), str(target)]) == 1
