"""Orders and parcels over HTTP: what each stage is called, the list's rules, refusals' codes."""

from __future__ import annotations

from typing import Any

import pytest

from channels.simulator.douyin import Douyin
from channels.simulator.douyin.orders import CANCEL_REASONS, HELD, RISK
from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Deducts, Item, Order, RefundStage, Sku, Wanted
from tests.channels.simulator.conftest import NOON_MS, Desk
from tests.channels.simulator.douyin.conftest import Application

NOON = NOON_MS // 1000
DETAIL, SEARCH, CANCEL = "/order/orderDetail", "/order/searchList", "/order/orderCancel"
ADD, SINGLE, MULTI = (
    "/order/logisticsAdd",
    "/order/logisticsAddSinglePack",
    "/order/logisticsAddMultiPack",
)
SF = {"company_code": "shunfeng", "logistics_code": "SF0000000001"}


def place(world: ShopWorld, *items: Item, paid: bool = False, **notes: str) -> Order:
    """Order two of the first SKU of each item."""
    wanted = [Wanted(item.item_id, next(iter(item.skus)), 2) for item in items]
    return world.shop.place(wanted, paid=paid, notes=notes)


async def detail(application: Application, order: Order) -> Any:
    answer = await application.done(DETAIL, {"shop_order_id": order.order_id})
    return answer["shop_order_detail"]


def numbers(view: Any) -> tuple[int, int]:
    return view["order_status"], view["main_status"]


async def test_an_order_whole(application: Application, world: ShopWorld, catfood: Item) -> None:
    """Ids, amounts in fen, times in seconds, when stock is taken."""
    order = place(world, catfood, paid=True)
    view = await detail(application, order)
    assert view["order_id"] == order.order_id
    assert (view["order_amount"], view["pay_amount"]) == (3140, 3140)
    times = [view[name] for name in ("create_time", "update_time", "pay_time", "ship_time")]
    assert times == [NOON, NOON, NOON, 0]
    (line,) = view["sku_order_list"]
    assert (line["order_id"], line["parent_order_id"]) == (order.order_id, order.order_id)
    assert (line["product_id"], line["product_id_str"]) == (
        int(catfood.item_id),
        catfood.item_id,
    )
    assert line["sku_id"] == int(next(iter(catfood.skus)))
    assert (line["code"], line["item_num"]) == ("CATFOOD-10KG", 2)
    assert (line["reduce_stock_type"], line["theme_type"], line["room_id"]) == (2, "0", 0)
    assert line["after_sale_info"] == {
        "after_sale_status": 0,
        "after_sale_type": 0,
        "refund_status": 0,
    }


async def test_one_line_has_the_orders_id(
    application: Application, world: ShopWorld, catfood: Item, shirt: Item
) -> None:
    """Of several lines one has the order's own id, the others another."""
    order = place(world, catfood, shirt)
    lines = (await detail(application, order))["sku_order_list"]
    ids = [line["order_id"] for line in lines]
    assert ids[0] == order.order_id
    assert len(set(ids)) == 2


async def test_where_it_was_sold(application: Application, world: ShopWorld, catfood: Item) -> None:
    """An order from a livestream names its room."""
    order = place(world, catfood, room_id="7312345678901234567", author_id="98")
    (line,) = (await detail(application, order))["sku_order_list"]
    assert (line["room_id_str"], line["theme_type"]) == ("7312345678901234567", "1")
    assert (line["room_id"], line["author_id"]) == (7312345678901234567, 98)


async def test_ids_now_numbers_now_texts(
    application: Application, world: ShopWorld, desk: Desk, catfood: Item
) -> None:
    """Mixed, both occur over some answers; as texts or numbers alone, only these."""
    order = place(world, catfood)

    async def kinds() -> set[type]:
        views = [await detail(application, order) for _ in range(40)]
        return {type(view["sku_order_list"][0]["product_id"]) for view in views}

    for setting, expected in (("mixed", {int, str}), ("strings", {str}), ("numbers", {int})):
        await desk.ask("PUT", "/douyin/settings", {"ids": setting})
        assert await kinds() == expected


async def test_each_stage_has_its_number(
    application: Application, world: ShopWorld, catfood: Item, shirt: Item
) -> None:
    """From placed to received, from placed to cancelled."""
    shop, order = world.shop, place(world, catfood, shirt)
    assert numbers(await detail(application, order)) == (1, 1)
    shop.pay(order.order_id)
    assert numbers(await detail(application, order)) == (2, 2)
    shop.ship(order.order_id, "SF", "SF1", list(order.lines)[:1])
    view = await detail(application, order)
    assert numbers(view) == (101, 101)
    assert [numbers(line) for line in view["sku_order_list"]] == [(3, 3), (2, 2)]
    assert view["logistics_info"][0]["tracking_no"] == "SF1"
    shop.ship(order.order_id, "SF", "SF2")
    assert numbers(await detail(application, order)) == (3, 3)
    shop.finish(order.order_id)
    assert numbers(await detail(application, order)) == (5, 5)
    closed = place(world, catfood)
    shop.cancel(closed.order_id)
    assert numbers(await detail(application, closed)) == (4, 4)


async def test_refunds(application: Application, world: ShopWorld, catfood: Item) -> None:
    """Before, after shipping and after it came: order_status 4, main_status 21, 22, 39."""
    shop, seen = world.shop, []
    for stage in ("paid", "shipped", "finished"):
        order = place(world, catfood, paid=True)
        if stage != "paid":
            shop.ship(order.order_id, "SF", "SF1")
        if stage == "finished":
            shop.finish(order.order_id)
        shop.refund(order.order_id)
        view = await detail(application, order)
        sale = view["sku_order_list"][0]["after_sale_info"]
        seen.append((*numbers(view), sale["after_sale_type"]))
        assert (sale["after_sale_status"], sale["refund_status"]) == (12, 3)
    assert seen == [(4, 21, 2), (4, 22, 1), (4, 39, 1)]


async def test_a_return_step_by_step(
    application: Application, world: ShopWorld, catfood: Item
) -> None:
    """Each step of a refund with goods coming back has its number."""
    order = place(world, catfood, paid=True)
    world.shop.ship(order.order_id, "SF", "SF1")
    seen = []
    steps = [
        RefundStage.ASKED,
        RefundStage.REFUSED,
        RefundStage.ASKED,
        RefundStage.WITHDRAWN,
        RefundStage.ASKED,
        RefundStage.AGREED,
        RefundStage.RETURNED,
        RefundStage.REFUSED,
    ]
    for step in steps:
        world.shop.refund_step(order.order_id, order.order_id, step)
        (line,) = (await detail(application, order))["sku_order_list"]
        seen.append(line["after_sale_info"]["after_sale_status"])
        assert numbers(line) == (3, 3)
    assert seen == [6, 27, 6, 28, 6, 7, 11, 29]


async def test_risk_control(
    application: Application, world: ShopWorld, desk: Desk, catfood: Item
) -> None:
    """While risk control looks at a paid order it is 105 and does not ship."""
    order = place(world, catfood, paid=True, **{RISK: HELD})
    assert numbers(await detail(application, order)) == (105, 105)
    held = await application.refused(ADD, {"order_id": order.order_id, **SF})
    assert held == (50002, "isv.business-failed:60109")
    status, passed = await desk.ask("POST", f"/douyin/risk/{order.order_id}")
    assert (status, passed["stage"]) == (200, "paid")
    assert numbers(await detail(application, order)) == (2, 2)


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({}, (40002, "isv.missing-parameter:20000")),
        ({"shop_order_id": "1"}, (40004, "isv.parameter-invalid:20014")),
        ({"shop_order_id": "x"}, (40003, "isv.parameter-invalid")),
        ({"order_id": "1"}, (40003, "isv.parameter-invalid")),
    ],
)
async def test_no_order(
    application: Application, parameters: dict[str, Any], refused: tuple[int, str]
) -> None:
    """An order that does not exist, or is not asked for by its name."""
    assert await application.refused(DETAIL, parameters) == refused


def window(begin: int = NOON - 60, end: int = NOON + 60, **more: Any) -> dict[str, Any]:
    return {"update_time_start": begin, "update_time_end": end, "page": 0, "size": 100} | more


async def test_a_list_by_change(application: Application, world: ShopWorld, catfood: Item) -> None:
    """An order stands where it changed last; pages count from 0; the latest is first."""
    orders = []
    for _ in range(5):
        orders.append(place(world, catfood))
        world.clock.advance(10_000)
    world.shop.pay(orders[0].order_id)
    listed = await application.done(SEARCH, window(order_by="update_time", size=2))
    assert (listed["page"], listed["total"], listed["size"]) == (0, 5, 2)
    ids = [view["order_id"] for view in listed["shop_order_list"]]
    assert ids == [orders[0].order_id, orders[4].order_id]
    ascending = window(order_by="update_time", order_asc=True, size=2, page=2)
    last = await application.done(SEARCH, ascending)
    assert [view["order_id"] for view in last["shop_order_list"]] == [orders[0].order_id]
    early = await application.done(SEARCH, window(NOON, NOON + 1))
    assert early["total"] == 0
    both = await application.done(SEARCH, window(NOON + 10, NOON + 20))
    assert both["total"] == 2


async def test_a_list_by_state_and_creation(
    application: Application, world: ShopWorld, catfood: Item
) -> None:
    """Several states stand in one element, parted by commas."""
    place(world, catfood)
    place(world, catfood, paid=True)
    world.shop.cancel(place(world, catfood).order_id)
    by_creation = {
        "create_time_start": NOON - 1,
        "create_time_end": NOON,
        "page": 0,
        "size": 10,
        "combine_status": [{"order_status": "2,4"}],
    }
    listed = await application.done(SEARCH, by_creation)
    assert sorted(view["order_status"] for view in listed["shop_order_list"]) == [2, 4]


async def test_a_list_may_be_behind(
    application: Application, world: ShopWorld, desk: Desk, catfood: Item
) -> None:
    """An order comes into the list only after the lag."""
    await desk.ask("PUT", "/douyin/settings", {"list_lag_ms": 60_000})
    place(world, catfood)
    assert (await application.done(SEARCH, window()))["total"] == 0
    world.clock.advance(60_000)
    assert (await application.done(SEARCH, window()))["total"] == 1


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"page": 0, "size": 10}, (40004, "isv.parameter-invalid:20011")),
        (window(size=101), (40004, "isv.parameter-invalid:20008")),
        (window(page=-1), (40004, "isv.parameter-invalid:10035")),
        (
            window(combine_status=[{}, {"order_status": "2"}]),
            (40004, "isv.parameter-invalid:20012"),
        ),
        (window(NOON, NOON), (40003, "isv.parameter-invalid")),
        (window(NOON - 91 * 86_400), (40003, "isv.parameter-invalid")),
        (window(page=500), (40003, "isv.parameter-invalid")),
        (window(order_by="id"), (40003, "isv.parameter-invalid")),
        (window(update_start=1), (40003, "isv.parameter-invalid")),
        ({"update_time_start": NOON, "page": 0, "size": 9}, (40001, "isv.parameter-missing")),
        ({"update_time_start": 1, "update_time_end": 2}, (40001, "isv.parameter-missing")),
    ],
)
async def test_no_list(
    application: Application, parameters: dict[str, Any], refused: tuple[int, str]
) -> None:
    """Each rule of the list has its refusal."""
    assert await application.refused(SEARCH, parameters) == refused


async def test_cancelling(application: Application, world: ShopWorld, catfood: Item) -> None:
    """Only what is not paid, and for a reason of the list."""
    reason = "用户不想买了"
    order, paid = place(world, catfood), place(world, catfood, paid=True)

    def wanted(order_id: str, cancel_reason: str = reason) -> dict[str, str]:
        return {"shop_order_id": order_id, "cancel_reason": cancel_reason}

    assert reason in CANCEL_REASONS
    odd = await application.refused(CANCEL, wanted(order.order_id, "缺货"))
    assert odd == (80000, "isv.risk-control-failed:50999")
    assert await application.done(CANCEL, wanted(order.order_id)) == {}
    view = await detail(application, order)
    assert (view["order_status"], view["cancel_reason"]) == (4, reason)
    refused = await application.refused(CANCEL, wanted(paid.order_id))
    assert refused == (50002, "isv.business-failed:50006")
    unknown = await application.refused(CANCEL, wanted("1"))
    assert unknown == (40004, "isv.parameter-invalid:20001")


async def test_shipping_an_order(
    application: Application, world: ShopWorld, catfood: Item, shirt: Item
) -> None:
    """All of it leaves, once."""
    order = place(world, catfood, shirt, paid=True)
    await application.done(ADD, {"order_id": order.order_id, **SF})
    view = await detail(application, order)
    assert view["order_status"] == 3
    (parcel,) = view["logistics_info"]
    assert (parcel["company"], parcel["tracking_no"]) == ("shunfeng", "SF0000000001")
    assert len(parcel["product_info"]) == 2
    again = await application.refused(ADD, {"order_id": order.order_id, **SF})
    assert again == (50002, "isv.business-failed:60110")


async def test_why_an_order_does_not_ship(
    application: Application, world: ShopWorld, catfood: Item
) -> None:
    """Each state has its refusal."""
    shop = world.shop
    unpaid, cancelled = place(world, catfood), place(world, catfood)
    shop.cancel(cancelled.order_id)
    refunded, asked = place(world, catfood, paid=True), place(world, catfood, paid=True)
    shop.refund(refunded.order_id)
    shop.refund_step(asked.order_id, asked.order_id, RefundStage.ASKED)
    seen = [
        (await application.refused(ADD, {"order_id": order_id, **SF}))[1].rpartition(":")[2]
        for order_id in (
            unpaid.order_id,
            cancelled.order_id,
            refunded.order_id,
            asked.order_id,
            "1",
        )
    ]
    assert seen == ["60137", "60021", "60068", "60040", "60033"]
    await application.done(ADD, {"order_id": asked.order_id, "is_refund_reject": True, **SF})
    (line,) = (await detail(application, asked))["sku_order_list"]
    assert (line["order_status"], line["after_sale_info"]["after_sale_status"]) == (3, 27)


@pytest.mark.parametrize(
    ("more", "sub_code"),
    [
        ({"company_code": ""}, "isv.business-failed:60011"),
        ({"company_code": "顺丰"}, "isv.business-failed:60018"),
        ({"logistics_code": ""}, "isv.parameter-invalid:60017"),
        ({"logistics_code": "单号"}, "isv.parameter-invalid:60017"),
    ],
)
async def test_no_parcel(
    application: Application, world: ShopWorld, catfood: Item, more: dict[str, str], sub_code: str
) -> None:
    """Without a carrier and a number of its form nothing leaves."""
    order = place(world, catfood, paid=True)
    assert (await application.refused(ADD, {"order_id": order.order_id, **SF, **more}))[
        1
    ] == sub_code
    assert numbers(await detail(application, order)) == (2, 2)


async def test_several_parcels(
    application: Application, world: ShopWorld, catfood: Item, shirt: Item
) -> None:
    """A request is done once; one with a line too many is not done at all."""
    order = place(world, catfood, shirt, paid=True)
    first, second = order.lines

    def pack(*line_ids: str, number: str = "SF1000001") -> dict[str, Any]:
        info = [{"shipped_order_id": each, "shipped_num": 2} for each in line_ids]
        return {**SF, "shipped_order_info": info, "logistics_code": number}

    wanted = {"order_id": order.order_id, "request_id": "r-1"}
    twice = {**wanted, "pack_list": [pack(first), pack(first, second)]}
    assert await application.refused(MULTI, twice) == (50002, "isv.business-failed:60110")
    unknown = {**wanted, "pack_list": [pack(first), pack("1")]}
    assert await application.refused(MULTI, unknown) == (50002, "isv.business-failed:60102")
    part = {**wanted, "pack_list": [pack(first)]}
    part["pack_list"][0]["shipped_order_info"][0]["shipped_num"] = 1
    assert (await application.refused(MULTI, part))[0] == 40004
    assert numbers(await detail(application, order)) == (2, 2)
    unnamed = {"order_id": order.order_id, "pack_list": [pack(first)]}
    assert (await application.refused(MULTI, unnamed))[0] == 40002
    right = {**wanted, "pack_list": [pack(first)]}
    done = await application.done(MULTI, right)
    assert done["pack_list"][0]["shipped_order_info"][0]["shipped_order_id"] == first
    assert done == await application.done(MULTI, right)
    assert numbers(await detail(application, order)) == (101, 101)


async def test_one_parcel_of_two_orders(
    application: Application, world: ShopWorld, catfood: Item
) -> None:
    """Lines of several orders leave together."""
    orders = [place(world, catfood, paid=True) for _ in range(2)]
    ids = [order.order_id for order in orders]
    info = [{"shipped_order_id": each, "shipped_num": 2} for each in ids]
    wanted = {"order_id_list": ids, "shipped_order_info": info, "request_id": "r-2", **SF}
    await application.done(SINGLE, wanted)
    assert [numbers(await detail(application, each)) for each in orders] == [(3, 3), (3, 3)]


async def test_what_unpaid_orders_hold(
    application: Application, world: ShopWorld, simulator: Douyin
) -> None:
    """Goods that are deducted at the order are held until they are paid or cancelled."""
    sku = Sku(sku_id="", outer_id="LITTER", quantity=10, price_fen=100)
    litter = world.shop.offer("猫砂", [sku], deducts=Deducts.AT_ORDER)

    async def told() -> tuple[int, int]:
        answer = await application.done("/sku/stockNum", {"code": "LITTER"})
        return answer["stock_num"], answer["prehold_stock_num"]

    first, second = place(world, litter), place(world, litter)
    assert await told() == (6, 4)
    world.shop.pay(first.order_id)
    assert await told() == (6, 2)
    world.shop.cancel(second.order_id)
    assert await told() == (8, 0)
    assert simulator.world is world
