"""What the warehouse reports by itself, over HTTP: content, signatures, repetition, faults."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import Response

from partners.simulation.clock import Clock
from tests.partners.simulation.receiver import Receiver, until
from tests.wms_sync.simulator.conftest import free
from tests.wms_sync.simulator.qimen.conftest import (
    FAILURE,
    SUCCESS,
    Caller,
    Desk,
    cancelling,
    line,
    reported,
    reports,
)
from wms_sync.simulator.qimen import Qimen
from wms_sync.simulator.warehouse import Warehouse

CONFIRM, PROCESS = "deliveryorder.confirm", "orderprocess.report"
LACK, CHANGE, COUNT = "itemlack.report", "stockchange.report", "inventory.report"


async def test_an_orders_life_is_told(caller: Caller, desk: Desk, receiver: Receiver) -> None:
    """Accepted, picked, and then all that left, in one document, signed over query and body."""
    source = "<sourceOrderCode>T1</sourceOrderCode><subSourceOrderCode>T1-1</subSourceOrderCode>"
    lines = line(units=3, number="7", more=source) + line("SHIRT:红", 1, number="8")
    said = await caller.create("D1", lines)
    await desk.pass_minutes(31)
    accepted, picked, confirmed = await reports(receiver, 3)
    assert [each.method for each in (accepted, picked)] == [PROCESS, PROCESS]
    assert [each["process/processStatus"] for each in (accepted, picked)] == ["ACCEPT", "PICK"]
    assert accepted["order/orderCode"] == "D1"
    assert accepted["process/operateTime"] == "2026-01-22 18:01:00"
    order = "deliveryOrder/{}".format
    names = ("deliveryOrderCode", "deliveryOrderId", "warehouseCode", "orderType", "status")
    assert [confirmed[order(name)] for name in names] == [
        *("D1", said["deliveryOrderId"], "W1", "JYCK", "DELIVERED"),
    ]
    assert confirmed[order("confirmType")] == "0"
    assert confirmed[order("outBizCode")] == f"{said['deliveryOrderId']}-1"
    assert confirmed[order("operateTime")] == "2026-01-22 18:31:00"
    names = ("orderLineNo", "itemCode", "inventoryType", "planQty", "actualQty", "ownerCode")
    assert confirmed.rows("orderLines/orderLine", *names) == [
        ("7", "CATFOOD-10KG", "ZP", "3", "3", "O1"),
        ("8", "SHIRT:红", "ZP", "1", "1", "O1"),
    ]
    sources = confirmed.rows("orderLines/orderLine", "orderSourceCode", "subSourceCode")
    assert sources == [("T1", "T1-1"), ("", "")]
    (package,) = confirmed.rows("packages/package", "logisticsCode")
    assert package == ("SF",)
    assert confirmed["packages/package/expressCode"].startswith("SF")
    assert confirmed.rows("packages/package/items/item", "itemCode", "quantity") == [
        ("CATFOOD-10KG", "3"),
        ("SHIRT:红", "1"),
    ]
    assert [each.signed for each in (accepted, picked, confirmed)] == [True] * 3
    assert "shop=1" in receiver.received[0].query  # of the address that was given


async def test_parts_are_increments(caller: Caller, desk: Desk, receiver: Receiver) -> None:
    """Interim and final have codes of their own, and each what left this time."""
    await desk.ask("PUT", "/settings", {"parts": 1.0, "several_packages": 1.0})
    await caller.create("D1", line(units=7))
    await desk.pass_minutes(31)
    (first,) = await reports(receiver, 1, CONFIRM)
    assert (first["deliveryOrder/status"], first["deliveryOrder/confirmType"]) == (
        *("PARTDELIVERED", "1"),
    )
    await desk.pass_minutes(60)
    rest = (await reports(receiver, 2, CONFIRM))[1]
    assert (rest["deliveryOrder/status"], rest["deliveryOrder/confirmType"]) == ("DELIVERED", "0")
    codes = {each["deliveryOrder/outBizCode"] for each in (first, rest)}
    units = [int(each["orderLines/orderLine/actualQty"]) for each in (first, rest)]
    assert (len(codes), sum(units), min(units) >= 1) == (2, 7, True)
    for each, left in zip((first, rest), units, strict=True):
        packed = each.rows("packages/package/items/item", "quantity")
        assert sum(int(quantity) for (quantity,) in packed) == left
        assert len(each.rows("packages/package", "expressCode")) == (2 if left > 1 else 1)


async def test_what_is_not_found_is_told(
    caller: Caller, desk: Desk, receiver: Receiver, warehouse: Warehouse
) -> None:
    """As lacking, as stock that is gone, and at the end as less than was planned."""
    await desk.ask("PUT", "/settings", {"lacks": 1.0})
    await caller.create("D1", line(units=9))
    await desk.pass_minutes(31)
    (lack,) = await reports(receiver, 1, LACK)
    (gone,) = await reports(receiver, 1, CHANGE)
    (confirmed,) = await reports(receiver, 1, CONFIRM)
    missing = int(lack["items/item/lackQty"])
    assert (lack["deliveryOrderCode"], lack["warehouseCode"]) == ("D1", "W1")
    assert (lack["items/item/planQty"], lack["items/item/reason"]) == ("9", "实物报缺")
    assert gone.rows("items/item", "orderCode", "itemCode", "quantity", "inventoryType") == [
        ("D1", "CATFOOD-10KG", str(-missing), "ZP")
    ]
    assert int(confirmed["orderLines/orderLine/actualQty"]) == 9 - missing
    assert free(warehouse) == (1, 0, 9 - missing)
    assert lack["outBizCode"] != gone["items/item/outBizCode"] != ""


async def test_what_the_books_lack(caller: Caller, desk: Desk, receiver: Receiver) -> None:
    """Where orders are taken that cannot be sent whole; nothing at all is closed, unpacked."""
    await desk.ask("PUT", "/settings", {"short": "accept"})
    await caller.create("D1", line("SHIRT:红", 7))
    await caller.create("D2", line("SHIRT:红", 1))
    await desk.pass_minutes(31)
    lacks = await reports(receiver, 2, LACK)
    told = {each["deliveryOrderCode"]: each["items/item/lackQty"] for each in lacks}
    assert told == {"D1": "2", "D2": "1"}
    assert {each["items/item/reason"] for each in lacks} == {"系统报缺"}
    ends = {
        each["deliveryOrder/deliveryOrderCode"]: each
        for each in await reports(receiver, 2, CONFIRM)
    }
    assert ends["D1"]["orderLines/orderLine/actualQty"] == "5"
    assert (ends["D2"]["deliveryOrder/status"], ends["D2"].rows("packages/package")) == (
        *("CLOSED", []),
    )


async def test_a_rejected_order(caller: Caller, desk: Desk, receiver: Receiver) -> None:
    """Is confirmed as rejected, with nothing sent; the desk can do so until it is picked."""
    await caller.create("D1")
    status, order = await desk.ask("POST", "/orders/D1/reject", {"reason": "no box"})
    assert (status, order["status"], order["reason"]) == (200, "REJECT", "no box")
    (told,) = await reports(receiver, 1, CONFIRM)
    assert (told["deliveryOrder/status"], told["deliveryOrder/confirmType"]) == ("REJECT", "0")
    assert told["orderLines/orderLine/actualQty"] == "0"
    assert (await desk.ask("POST", "/orders/D1/reject"))[0] == 409


async def test_what_is_cancelled_is_told_by_the_answer_alone(
    caller: Caller, desk: Desk, receiver: Receiver
) -> None:
    """No report comes of it."""
    await caller.create("D1")
    await caller.create("D2")
    await caller.call("order.cancel", cancelling("D1"))
    await desk.pass_minutes(31)
    every = await reports(receiver, 3)
    assert {reported.root.findtext(".//orderCode", "D2") for reported in every} == {"D2"}


async def test_a_count_in_pages(
    caller: Caller, desk: Desk, receiver: Receiver, warehouse: Warehouse
) -> None:
    """All that was counted, page by page; what orders have and is not there they lack."""
    await desk.ask("PUT", "/qimen/settings", {"page_size": 2})
    goods = [{"item_code": f"I{number}", "units": 10} for number in range(3)]
    assert (await desk.ask("POST", "/items", {"items": goods}))[0] == 200
    await caller.create("D1", line(units=8))
    found = [
        {"item_code": "CATFOOD-10KG", "units": 5},
        *({"item_code": f"I{number}", "units": 9 + number} for number in range(3)),
    ]
    status, counted = await desk.ask("POST", "/counts", {"check_order_code": "PD1", "items": found})
    assert (status, [each["by"] for each in counted["items"]]) == (200, [-5, -1, 0, 1])
    pages = await reports(receiver, 2, COUNT)
    for number, page in enumerate(pages, 1):
        names = ("totalPage", "currentPage", "pageSize", "warehouseCode", "ownerCode")
        assert [page[name] for name in names] == ["2", str(number), "2", "W1", "O1"]
        assert (page["checkOrderCode"], page["adjustType"]) == ("PD1", "CHECK")
    rows = [
        row for page in pages for row in page.rows("items/item", "itemCode", "quantity", "totalQty")
    ]
    assert rows == [
        *(("CATFOOD-10KG", "-5", "5"), ("I0", "-1", "9")),
        *(("I1", "0", "10"), ("I2", "1", "11")),
    ]
    assert len({page["outBizCode"] for page in pages}) == 2
    (lack,) = await reports(receiver, 1, LACK)
    assert (lack["items/item/lackQty"], free(warehouse)) == ("3", (0, 5, 0))


async def test_stock_that_changes_is_told(desk: Desk, receiver: Receiver) -> None:
    """Each item of a document has a code of its own."""
    items = [
        {"item_code": "CATFOOD-10KG", "units": -2},
        {"item_code": "CATFOOD-10KG", "units": 2, "inventory_type": "CC"},
    ]
    body = {"items": items, "order_code": "YK1", "order_type": "QTCK"}
    assert (await desk.ask("POST", "/changes", body))[0] == 200
    (told,) = await reports(receiver, 1, CHANGE)
    names = ("ownerCode", "warehouseCode", "orderCode", "orderType", "inventoryType", "quantity")
    assert told.rows("items/item", *names) == [
        ("O1", "W1", "YK1", "QTCK", "ZP", "-2"),
        ("O1", "W1", "YK1", "QTCK", "CC", "2"),
    ]
    assert len(set(told.rows("items/item", "outBizCode"))) == 2
    body["items"] = [{"item_code": "CATFOOD-10KG", "units": -99}]
    assert (await desk.ask("POST", "/changes", body))[0] == 409


async def test_what_else_can_be_told(caller: Caller, desk: Desk, receiver: Receiver) -> None:
    """Stock changes of orders and packages where it is set, methods with their prefix."""
    ways = {"stock_changes_of_orders": True, "process": ["PACKAGE"], "prefixed": True}
    assert (await desk.ask("PUT", "/qimen/settings", ways))[0] == 200
    await caller.create("D1", line(units=2) + line(units=1))
    await desk.pass_minutes(31)
    packed, confirmed, gone = await reports(receiver, 3)
    methods = [each.method for each in (packed, confirmed, gone)]
    assert methods == [f"taobao.qimen.{name}" for name in (PROCESS, CONFIRM, CHANGE)]
    assert packed["process/expressCode"] == confirmed["packages/package/expressCode"] != ""
    assert gone.rows("items/item", "orderCode", "quantity") == [("D1", "-3")]
    assert [each.signed for each in (packed, confirmed, gone)] == [True] * 3


@pytest.mark.parametrize(
    "answer",
    [
        Response(FAILURE),
        Response(b"", 500),
        Response(SUCCESS, 502),
        Response(b"<response><flag>", 200),
        Response(b"success", 200),
        Response(b"", 302, {"location": "http://127.0.0.1:9/"}),
    ],
)
async def test_again_until_success(
    caller: Caller, desk: Desk, receiver: Receiver, simulator: Qimen, answer: Response
) -> None:
    """Only flag success is taken; the same document comes again, signed anew, so often."""
    settings = {"retry_ms": [60_000, 120_000], "process": []}
    await desk.ask("PUT", "/qimen/settings", settings)
    receiver.answers = [answer, answer]
    await caller.create("D1")
    await desk.pass_minutes(31)
    for number, minutes in enumerate((1, 2), 1):
        await until(lambda at=number: simulator.courier.counts["retried"] == at)
        await desk.pass_minutes(minutes - 1 / 60_000)
        assert len(receiver.received) == number
        await desk.pass_minutes(1 / 60_000)
    await until(lambda: simulator.courier.counts["taken"] == 1)
    assert len({each.body for each in receiver.received}) == 1
    every = [reported(each) for each in receiver.received]
    assert [each.timestamp[11:] for each in every] == ["18:31:00", "18:32:00", "18:34:00"]
    assert [each.signed for each in every] == [True] * 3


async def test_given_up_in_the_end(
    caller: Caller, desk: Desk, receiver: Receiver, simulator: Qimen
) -> None:
    """What is never taken is named at the control side."""
    await desk.ask("PUT", "/qimen/settings", {"retry_ms": [1], "process": []})
    receiver.answer = Response(FAILURE)
    await caller.create("D1")
    await desk.pass_minutes(31)
    await until(lambda: simulator.courier.counts["retried"] == 1)
    await desk.pass_minutes(1)
    await until(lambda: simulator.courier.counts["given_up"] == 1)
    state = (await desk.ask("GET", "/state"))[1]
    assert (state["given_up"], state["reports_waiting"]) == ([f"{CONFIRM} D1"], 0)
    assert (len(receiver.received), state["reported"]) == (2, {CONFIRM: 1})


async def test_one_that_hangs_holds_up_its_order_only(
    caller: Caller, desk: Desk, receiver: Receiver, simulator: Qimen
) -> None:
    """It is given so long, then it comes again later."""
    await desk.ask("PUT", "/qimen/settings", {"answer_ms": 50, "process": []})
    receiver.hung = asyncio.Event()
    await caller.create("D1")
    await desk.pass_minutes(31)
    await until(lambda: simulator.courier.counts["retried"] == 1)
    receiver.hung.set()
    await desk.pass_minutes(1)
    await until(lambda: simulator.courier.counts["taken"] == 1)


@pytest.mark.parametrize(("fault", "number"), [("lost", 0), ("duplicated", 2), ("reordered", 1)])
async def test_faults_of_reports(
    caller: Caller, desk: Desk, receiver: Receiver, simulator: Qimen, fault: str, number: int
) -> None:
    """A lost one never comes, a duplicate has the same code."""
    await desk.ask("PUT", "/qimen/settings", {"process": []})
    await desk.ask("PUT", "/faults", {fault: 1.0, "seed": 1})
    await caller.create("D1")
    await desk.pass_minutes(31)
    await until(lambda: simulator.reported[CONFIRM] == 1)
    await desk.pass_minutes(1)
    every = await reports(receiver, number)
    assert len({each["deliveryOrder/outBizCode"] for each in every}) == min(number, 1)
    assert (len(every), simulator.courier.waiting) == (number, 0)


async def test_nobody_listens(caller: Caller, desk: Desk, simulator: Qimen) -> None:
    """Without an address nothing is kept to be sent; one that is none is refused."""
    await caller.create("D1")
    await desk.pass_minutes(31)
    assert (simulator.courier.waiting, simulator.reported) == (0, {})
    for url in ("ftp://127.0.0.1/x", "http://[", "no"):
        assert (await desk.ask("PUT", "/qimen/url", {"url": url}))[0] == 422
    assert (await desk.ask("PUT", "/qimen/url", {"url": None})) == (200, {"url": None})


async def test_its_clock_runs(
    caller: Caller, desk: Desk, receiver: Receiver, clock: Clock, http: httpx.AsyncClient
) -> None:
    """A thousand times faster half an hour is two seconds; nobody has to move it or to ask."""
    ways = {"accept_ms": 10_000, "pick_ms": 20_000, "ship_ms": 30_000}
    assert (await desk.ask("PUT", "/settings", ways))[0] == 200
    await desk.ask("PUT", "/clock", {"speed": 1_000})
    await caller.create("D1")
    assert await reports(receiver, 1, CONFIRM)
    assert len(receiver.received) == 3
