"""The methods over HTTP: create, create several, cancel, put aside, ask for stock."""

from __future__ import annotations

import re

import pytest

from tests.wms_sync.simulator.conftest import free
from tests.wms_sync.simulator.qimen.conftest import (
    Caller,
    Desk,
    cancelling,
    delivery,
    line,
    pending,
    query_of,
    request,
)
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.warehouse import Warehouse

CREATE, BATCH = "deliveryorder.create", "deliveryorder.batchcreate"


async def test_an_order_is_taken(caller: Caller, warehouse: Warehouse, desk: Desk) -> None:
    """It locks its units, and is told with its id, its time of China, warehouse and carrier."""
    more = "<isUrgency>Y</isUrgency><remark>赠品</remark>"
    body = delivery("D1", line(units=3), more=more)
    body += "<extendProps><bench>7</bench><qc>Y</qc></extendProps>"
    said = await caller.call(CREATE, request(body))
    assert said["flag"] == "success"
    assert (said["createTime"], said["warehouseCode"], said["logisticsCode"]) == (
        *("2026-01-22 18:00:00", "W1", "SF"),
    )
    assert free(warehouse) == (7, 3, 0)
    _, order = await desk.ask("GET", "/orders/D1")
    assert (order["order_id"], order["status"]) == (said["deliveryOrderId"], "NEW")
    assert order["notes"] == {
        "sourcePlatformCode": "TM",
        "isUrgency": "Y",
        "remark": "赠品",
        "extendProps.bench": "7",
        "extendProps.qc": "Y",
    }


async def test_the_same_code(caller: Caller, warehouse: Warehouse) -> None:
    """Is the same order, whatever the time at which it is sent; with other content it fails."""
    first = await caller.create()
    later = request(delivery().replace("18:00:00", "18:05:00"))
    again = await caller.call(CREATE, later)
    assert (again["flag"], again["deliveryOrderId"]) == ("success", first["deliveryOrderId"])
    for other in (delivery(lines=line(units=3)), delivery(receiver="李四")):
        said = await caller.call(CREATE, request(other))
        assert (said["flag"], said["code"]) == ("failure", "other-content")
    assert free(warehouse) == (8, 2, 0)


async def test_not_enough(caller: Caller, warehouse: Warehouse) -> None:
    """What is wanted and what is free, in a sentence."""
    said = await caller.create("D1", line(units=11))
    assert (said["flag"], said["code"]) == ("failure", "short")
    assert said["message"] == "库存不足: not enough: 11 of CATFOOD-10KG, 10 free"
    assert free(warehouse) == (10, 0, 0)
    assert (await caller.create("D1", line("NONE")))["code"] == "unknown-item"


OF_ORDER = [
    *("deliveryOrderCode", "orderType", "warehouseCode", "createTime", "placeOrderTime"),
    *("operateTime", "shopNick", "logisticsCode"),
]
OF_PERSON = ["name", "mobile", "province", "city", "detailAddress"]
OF_LINE = ["ownerCode", "itemCode", "planQty", "actualPrice"]


@pytest.mark.parametrize(
    ("within", "name"),
    [
        *(("deliveryOrder", name) for name in OF_ORDER),
        *(("senderInfo", name) for name in OF_PERSON),
        *(("receiverInfo", name) for name in OF_PERSON),
        *(("orderLine", name) for name in OF_LINE),
        *(("request", name) for name in ("deliveryOrder", "orderLines")),
        *(("deliveryOrder", name) for name in ("senderInfo", "receiverInfo")),
        ("orderLines", "orderLine"),
    ],
)
async def test_each_required_field(
    caller: Caller, warehouse: Warehouse, within: str, name: str
) -> None:
    """One that is missing, or blank, is named."""
    whole = request(delivery())
    begin = whole.index(f"<{within}>")
    found = re.compile(f"<{name}>.*?</{name}>").search(whole, begin)
    assert found is not None
    for instead in ("", f"<{name}> </{name}>"):
        body = whole[: found.start()] + instead + whole[found.end() :]
        said = await caller.call(CREATE, body)
        assert (said["flag"], said["code"]) == ("failure", "missing-field")
    missing = await caller.call(CREATE, whole[: found.start()] + whole[found.end() :])
    assert f"{name} is required" in missing["message"]
    assert warehouse.orders == {}


@pytest.mark.parametrize(
    ("before", "after", "code", "word"),
    [
        ("<orderType>JYCK", "<orderType>CGRK", "invalid-field", "orderType"),
        ("<warehouseCode>W1", "<warehouseCode>W2", "invalid-field", "warehouseCode"),
        ("<ownerCode>O1", "<ownerCode>O2", "40030", "ownerCode"),
        ("<createTime>2026-01-22 18", "<createTime>2026-01-22T18", "invalid-field", "createTime"),
        ("<planQty>2", "<planQty>0", "invalid-field", "planQty"),
        ("<planQty>2", "<planQty>-1", "invalid-field", "planQty"),
        ("<planQty>2", "<planQty>1.5", "invalid-field", "planQty"),
        ("<planQty>2", "<planQty>２", "invalid-field", "planQty"),
        ("<planQty>2", "<planQty>1000000000", "invalid-field", "planQty"),
        ("<actualPrice>15.70", "<actualPrice>dear", "invalid-field", "actualPrice"),
        ("<planQty>", "<inventoryType>XX</inventoryType><planQty>", "invalid-field", "ZP"),
        ("<planQty>", "<planQty>1</planQty><planQty>", "invalid-field", "planQty is there twice"),
        ("<deliveryOrderCode>", f"<deliveryOrderCode>{'D' * 49}", "invalid-field", "characters"),
    ],
)
async def test_fields_that_cannot_be(
    caller: Caller, warehouse: Warehouse, before: str, after: str, code: str, word: str
) -> None:
    """A failure that names the field; nothing is done."""
    whole = request(delivery())
    assert before in whole
    said = await caller.call(CREATE, whole.replace(before, after))
    assert (said["flag"], said["code"]) == ("failure", code)
    assert word in said["message"]
    assert warehouse.orders == {}


async def test_lines(caller: Caller, warehouse: Warehouse, desk: Desk) -> None:
    """By their number or their place; other kinds of goods are other goods; any warehouse is W1."""
    warehouse.put_in("CATFOOD-10KG", Kind.DEFECTIVE, 4)
    damaged = "<inventoryType>CC</inventoryType>"
    lines = line(units=1) + line(units=4, number="9", more=damaged) + line("SHIRT:红", 5)
    body = delivery("D1", lines).replace("<warehouseCode>W1", "<warehouseCode>OTHER")
    assert (await caller.call(CREATE, request(body)))["flag"] == "success"
    _, order = await desk.ask("GET", "/orders/D1")
    assert [(each["number"], each["inventory_type"]) for each in order["lines"]] == [
        *(("1", "ZP"), ("9", "CC"), ("3", "ZP")),
    ]
    assert (free(warehouse), warehouse.goods.level("CATFOOD-10KG", Kind.DEFECTIVE).locked) == (
        *((9, 1, 0), 4),
    )
    twice = line(number="1") + line(number="1")
    assert "orderLineNo '1' is there twice" in (await caller.create("D2", twice))["message"]


def several(*orders: str) -> str:
    return request(f"<orders>{''.join(f'<order>{each}</order>' for each in orders)}</orders>")


async def test_several_at_once(caller: Caller, warehouse: Warehouse) -> None:
    """Success is all of them; else only those that failed are told, the others are taken."""
    said = await caller.call(BATCH, several(delivery("D1"), delivery("D2")))
    assert (said["flag"], said["orders"]) == ("success", "")
    assert list(warehouse.orders) == ["D1", "D2"]
    said = await caller.call(
        BATCH, several(delivery("D1"), delivery("D3", line(units=99)), delivery("D4"))
    )
    assert said["flag"] == "failure"
    assert said.root is not None
    failed = [
        (row.findtext("deliveryOrderCode"), row.findtext("message"))
        for row in said.root.iterfind("orders/order")
    ]
    assert failed == [("D3", "库存不足: not enough: 99 of CATFOOD-10KG, 6 free")]
    assert list(warehouse.orders) == ["D1", "D2", "D4"]


async def test_several_that_are_not_right(caller: Caller, warehouse: Warehouse, desk: Desk) -> None:
    """One that cannot be read refuses the whole; so do too many, a code twice, no platform."""
    await desk.ask("PUT", "/qimen/settings", {"most_in_batch": 2})
    no_platform = delivery("D2").replace("<sourcePlatformCode>TM</sourcePlatformCode>", "")
    for orders, word in (
        ([delivery("D1"), delivery("D2").replace("<planQty>2", "<planQty>x")], "planQty"),
        ([delivery("D1"), no_platform], "sourcePlatformCode"),
        ([delivery("D1"), delivery("D1")], "twice"),
        ([delivery("D1"), delivery("D2"), delivery("D3")], "2 rows"),
    ):
        said = await caller.call(BATCH, several(*orders))
        assert (said["flag"], word in said["message"]) == ("failure", True)
    assert warehouse.orders == {}


async def test_several_above_the_intake(caller: Caller, warehouse: Warehouse, desk: Desk) -> None:
    """There is room for all that are new, or none is taken."""
    await desk.ask("PUT", "/settings", {"intake": 60, "per": "hour", "burst": 2})
    three = several(delivery("D1"), delivery("D2"), delivery("D3"))
    assert (await caller.call(BATCH, three)).status == 429
    assert (warehouse.orders, warehouse.intake.sent.total) == ({}, 3)
    two = several(delivery("D1"), delivery("D2"))
    assert (await caller.call(BATCH, two))["flag"] == "success"
    assert (await caller.call(BATCH, two))["flag"] == "success"


async def test_cancelled_in_time_and_too_late(
    caller: Caller, warehouse: Warehouse, desk: Desk
) -> None:
    """Success says that it is cut off; failure that it will leave."""
    await caller.create("D1")
    await caller.create("D2")
    await desk.pass_minutes(11 - 1 / 60_000)
    assert (await caller.call("order.cancel", cancelling("D1")))["flag"] == "success"
    assert free(warehouse) == (8, 2, 0)
    await desk.pass_minutes(1 / 60_000)
    said = await caller.call("order.cancel", cancelling("D2"))
    assert (said["flag"], said["code"]) == ("failure", "too-late")
    assert said["message"] == "已拣货或已出库: order D2 is ACCEPT and picked"
    assert (await caller.call("order.cancel", cancelling("D1")))["flag"] == "success"
    again = await caller.create("D1")
    assert (again["flag"], again["code"]) == ("failure", "ended")
    assert (await caller.call("order.cancel", cancelling("D3")))["code"] == "unknown-order"
    assert (await desk.ask("GET", "/orders/D1"))[1]["reason"] == "买家取消"


async def test_what_is_cancelled_is_named_rightly(caller: Caller) -> None:
    """By the warehouse's own id too where it is given; whole, not by its parts."""
    said = await caller.create()
    other = await caller.call("order.cancel", cancelling(more="<orderId>WO0</orderId>"))
    assert (other["flag"], "orderId" in other["message"]) == ("failure", True)
    part = "<subSourceOrders><subSourceOrder/></subSourceOrders>"
    assert "whole" in (await caller.call("order.cancel", cancelling(more=part)))["message"]
    for missing in ("warehouseCode", "orderCode"):
        body = re.sub(f"<{missing}>.*?</{missing}>", "", cancelling())
        assert f"{missing} is required" in (await caller.call("order.cancel", body))["message"]
    mine = f"<orderId>{said['deliveryOrderId']}</orderId>"
    assert (await caller.call("order.cancel", cancelling(more=mine)))["flag"] == "success"


async def test_put_aside(caller: Caller, desk: Desk) -> None:
    """Nothing happens to it until it is restored."""
    await caller.create()
    assert (await caller.call("order.pending", pending("pending")))["flag"] == "success"
    await desk.pass_minutes(100)
    order = (await desk.ask("GET", "/orders/D1"))[1]
    assert (order["status"], order["pending"], order["reason"]) == ("NEW", True, "地址")
    assert (await caller.call("order.pending", pending("restore")))["flag"] == "success"
    await desk.pass_minutes(40)
    assert (await desk.ask("GET", "/orders/D1"))[1]["status"] == "DELIVERED"
    late = await caller.call("order.pending", pending("pending"))
    assert (late["flag"], late["code"]) == ("failure", "too-late")
    assert "actionType" in (await caller.call("order.pending", pending("stop")))["message"]
    for missing in ("actionType", "warehouseCode", "orderCode"):
        body = re.sub(f"<{missing}>.*?</{missing}>", "", pending("pending"))
        assert f"{missing} is required" in (await caller.call("order.pending", body))["message"]


async def test_stock_is_asked_for(caller: Caller, warehouse: Warehouse) -> None:
    """Free and set aside, by kind; what is not known has no row."""
    warehouse.put_in("CATFOOD-10KG", Kind.DEFECTIVE, 4)
    await caller.create("D1", line(units=3))

    async def asked(body: str) -> list[tuple[str | None, ...]]:
        said = await caller.call("inventory.query", body)
        assert (said["flag"], said.root is not None) == ("success", True)
        names = ("warehouseCode", "itemCode", "inventoryType", "quantity", "lockQuantity")
        assert said.root is not None
        return [tuple(map(row.findtext, names)) for row in said.root.iterfind("items/item")]

    good = ("W1", "CATFOOD-10KG", "ZP", "7", "3")
    bad = ("W1", "CATFOOD-10KG", "CC", "4", "0")
    shirt = ("W1", "SHIRT:红", "ZP", "5", "0")
    assert await asked(query_of("CATFOOD-10KG", "NONE", "SHIRT:红")) == [good, bad, shirt]
    only = "<inventoryType>ZP</inventoryType>"
    assert await asked(query_of("CATFOOD-10KG", more=only)) == [good]
    for body, word in (
        (request("<criteriaList/>"), "criteriaList/criteria is required"),
        (query_of(""), "itemCode is required"),
        (query_of("A", more="<inventoryType>XX</inventoryType>"), "inventoryType"),
        (query_of(*["A"] * 101), "100 rows"),
    ):
        said = await caller.call("inventory.query", body)
        assert (said["flag"], word in said["message"]) == ("failure", True)
