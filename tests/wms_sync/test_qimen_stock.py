"""What a Qimen warehouse reports of its stock: changes by document, counts by page."""

from __future__ import annotations

import pytest

from partners.errors import Malformed, Misdirected, UnknownWord
from reservation.model import LOCAL_ID
from tests.wms_sync.qimen_house import HOUSE, fields, item, qimen, reports
from wms_sync.model import Counted, StockChanged


def change(sku: str = "A", quantity: str = "1", **texts: str) -> str:
    named = {"ownerCode": "OWN", "warehouseCode": "W01", "orderCode": "RK1", "orderType": "CGRK"}
    return item(**(named | {"outBizCode": "b1", "itemCode": sku, "quantity": quantity} | texts))


def changed(*rows: str, house=HOUSE) -> list:
    return reports(f"<items>{''.join(rows)}</items>", "stockchange.report", house)


def test_changes_of_stock():
    """One for each document and SKU, its batches summed; only of what is fit for sale."""
    told = changed(
        change("A", "3", batchCode="1"),
        change("A", "-1.0", batchCode="2", inventoryType="ZP"),
        change("A", "9", inventoryType="CC"),
        change("B", "-2"),
        change("A", "5", outBizCode="b2", orderCode="PD1", orderType="QTCK"),
        change("C", "1"),
        change("C", "-1"),
        change("D", "4", inventoryType="XS"),
    )
    assert [(each.sku, each.delta, each.cause, each.cause_type) for each in told] == [
        ("A", 2, "RK1", "CGRK"),
        ("B", -2, "RK1", "CGRK"),
        ("A", 5, "PD1", "QTCK"),
    ]
    assert all(isinstance(each, StockChanged) for each in told)
    names = {each.message_id for each in told}
    assert len(names) == 3
    assert all(map(LOCAL_ID.fullmatch, names))
    assert changed(change("B", "-2"))[0].message_id in names


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (change(warehouseCode="W02"), Misdirected),
        (change(ownerCode="SOMEBODY"), Misdirected),
        (change(inventoryType="DJ"), UnknownWord),
        (change(quantity=""), Malformed),
        (change(quantity="many"), Malformed),
        (change(outBizCode=""), Malformed),
        (change(orderCode=""), Malformed),
        (change(sku=""), Malformed),
    ],
)
def test_one_bad_row_and_none_is_taken(row, error):
    """Half a message taken and then refused would come again, and count twice."""
    with pytest.raises(error):
        changed(change(), row)


def test_a_warehouses_own_word_for_goods_that_are_not_for_sale():
    """An option names it."""
    house = qimen(other_stock_types="DJ,FX")
    assert [each.delta for each in changed(change(inventoryType="FX"), change(), house=house)] == [
        1
    ]


def page(number: str, *rows: str, pages: str = "2", **texts: str) -> str:
    head = {
        "totalPage": pages,
        "currentPage": number,
        "pageSize": "50",
        "warehouseCode": "W01",
        "checkOrderCode": "PD1",
        "ownerCode": "OWN",
        "outBizCode": "pd-1",
        "adjustType": "CHECK",
    }
    return f"{fields(**head | texts)}<items>{''.join(rows)}</items>"


def counted(inner: str) -> list:
    return reports(inner, "inventory.report")


def test_a_count_by_pages():
    """More or less than was thought, and what there is where one row tells."""
    told = counted(
        page(
            "1",
            item(itemCode="A", quantity="-2", totalQty="8"),
            item(itemCode="B", quantity="1", batchCode="1", totalQty="4"),
            item(itemCode="B", quantity="2", batchCode="2", totalQty="9"),
            item(itemCode="C", quantity="5", inventoryType="CC"),
            item(itemCode="D", quantity="0", totalQty="7"),
            item(itemCode="E", quantity="0"),
            item(itemCode="F", quantity="1"),
        )
    )
    assert [(each.sku, each.delta, each.total) for each in told] == [
        ("A", -2, 8),
        ("B", 3, None),
        ("D", 0, 7),
        ("F", 1, None),
    ]
    assert all(isinstance(each, Counted) for each in told)


def test_pages_are_told_apart():
    """The same SKU on two pages of one count are two messages; a page repeated is the same."""
    row = item(itemCode="A", quantity="1")
    first, again, second = (counted(page(number, row))[0].message_id for number in "112")
    assert first == again != second


@pytest.mark.parametrize(
    ("inner", "error"),
    [
        (page("0"), Malformed),
        (page("3"), Malformed),
        (page(""), Malformed),
        (page("1", outBizCode=""), Malformed),
        (page("1", item(itemCode="A", quantity="")), Malformed),
        (page("1", warehouseCode="W02"), Misdirected),
        (page("1", ownerCode="X"), Misdirected),
        (page("1", adjustType="GUESS"), UnknownWord),
    ],
)
def test_a_count_that_cannot_be_read(inner, error):
    """It is refused whole."""
    with pytest.raises(error):
        counted(inner)
