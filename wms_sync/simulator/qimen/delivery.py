"""Delivery orders as Qimen has them, read into the warehouse's own.

Source: the standard's fields of deliveryorder.create (26002) and .batchcreate (25994); what they
star is required, and so is what has starred parts. In a batch the platform's code is starred too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wms_sync.simulator.goods import Kind
from wms_sync.simulator.orders import Line, Order
from wms_sync.simulator.qimen.account import Account
from wms_sync.simulator.qimen.document import Node, read_time
from wms_sync.simulator.qimen.problem import Problem

ANY_WAREHOUSE: Final = "OTHER"  # where the caller does not choose one
ORDER_TYPES: Final = ("JYCK", "HHCK", "BFCK", "QTCK")
MOST_CODE: Final = 50  # characters

_OF_ORDER: Final = (
    "deliveryOrderCode",
    "orderType",
    "warehouseCode",
    "createTime",
    "placeOrderTime",
    "operateTime",
    "shopNick",
    "logisticsCode",
)
_OF_BATCH: Final = (*_OF_ORDER, "sourcePlatformCode")
_TIMES: Final = ("createTime", "placeOrderTime", "operateTime")
_OF_PERSON: Final = ("name", "mobile", "province", "city", "detailAddress")
_OF_LINE: Final = ("ownerCode", "itemCode", "planQty", "actualPrice")
# What is kept for whoever looks; everything else of an order means nothing to this warehouse.
_NOTES: Final = (
    "sourcePlatformCode",
    "orderFlag",
    "isUrgency",
    "latestDeliveryTime",
    "serviceCode",
    "remark",
    "sellerMessage",
    "buyerMessage",
)


def order_of(node: Node, account: Account, *, in_batch: bool = False) -> Order:
    """Read one order. Raises Problem that names the field."""
    head = node.required_child("deliveryOrder")
    for name in _OF_BATCH if in_batch else _OF_ORDER:
        head.required(name)
    check_code(head, "deliveryOrderCode")
    check_warehouse(head, account)
    if (order_type := head.text("orderType")) not in ORDER_TYPES:
        raise Problem("invalid-field", f"orderType is one of {', '.join(ORDER_TYPES)}")
    for name in _TIMES:
        _check_time(head, name)
    for name in ("senderInfo", "receiverInfo"):
        person = head.required_child(name)
        for part in _OF_PERSON:
            person.required(part)
    receiver = head.required_child("receiverInfo")
    lines = _lines(node.rows("orderLines", "orderLine"), account)
    notes = {name: text for name in _NOTES if (text := head.text(name))}
    if (extended := node.child("extendProps")) is not None:
        notes |= {f"extendProps.{name}": text for name, text in extended.texts()}
    return Order(
        code=head.text("deliveryOrderCode"),
        order_type=order_type,
        carrier=head.text("logisticsCode"),
        lines=lines,
        content=(
            order_type,
            *(f"{name}={text}" for name, text in sorted(receiver.texts())),
            *(f"{li.number} {li.planned} {li.kind} {li.item_code}" for li in lines.values()),
        ),
        notes=notes,
    )


def check_code(node: Node, name: str) -> str:
    """Give a document's code. Raises Problem where it cannot be one."""
    code = node.required(name)
    if len(code) > MOST_CODE or not code.isprintable():
        raise Problem("invalid-field", f"{name} has 1 to {MOST_CODE} printable characters")
    return code


def check_warehouse(node: Node, account: Account) -> None:
    """Raise Problem where another warehouse is meant."""
    if (code := node.required("warehouseCode")) not in {account.warehouse_code, ANY_WAREHOUSE}:
        raise Problem("invalid-field", f"warehouseCode {code[:40]!r} is not here")


def check_owner(node: Node, account: Account) -> None:
    """Raise Problem where the goods of another are meant; not to name one is right."""
    if (code := node.text("ownerCode")) and code != account.owner_code:
        raise Problem("40030", f"ownerCode {code[:40]!r} is not known")


def kind_of(node: Node, default: Kind | None) -> Kind | None:
    """Give the inventory type of a row, or the default. Raises Problem."""
    if not (text := node.text("inventoryType")):
        return default
    try:
        return Kind(text)
    except ValueError:
        raise Problem("invalid-field", f"inventoryType is one of {', '.join(Kind)}") from None


def _lines(rows: Sequence[Node], account: Account) -> dict[str, Line]:
    lines: dict[str, Line] = {}
    for place, row in enumerate(rows, 1):
        for name in _OF_LINE:
            row.required(name)
        check_owner(row, account)
        _check_amount(row, "actualPrice")
        number = row.text("orderLineNo") or str(place)
        if number in lines:
            raise Problem("invalid-field", f"orderLineNo {number[:40]!r} is there twice")
        lines[number] = Line(
            number=number,
            item_code=row.text("itemCode"),
            kind=kind_of(row, Kind.GOOD) or Kind.GOOD,
            planned=row.whole("planQty"),
            source_code=row.text("sourceOrderCode"),
            sub_source_code=row.text("subSourceOrderCode"),
        )
    return lines


def _check_time(node: Node, name: str) -> None:
    try:
        read_time(node.text(name))
    except ValueError as error:
        raise Problem("invalid-field", f"{name}: {error}") from None


def _check_amount(node: Node, name: str) -> None:
    whole, _, part = node.text(name).partition(".")
    if not (whole.isascii() and whole.isdecimal() and (part or "0").isdecimal() and len(part) <= 4):
        raise Problem("invalid-field", f"{name} is an amount of yuan")
