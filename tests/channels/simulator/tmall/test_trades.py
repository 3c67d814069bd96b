"""Orders in the platform's words: details, lists of changes, parcels."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.tmall import Tmall
from channels.simulator.tmall.call import written
from channels.simulator.trade import Item, Order, RefundStage, Wanted
from tests.channels.simulator.conftest import NOON_MS
from tests.channels.simulator.tmall.conftest import Application

FIELDS = "tid,status,type,num,payment,created,modified,pay_time,consign_time,end_time,orders"


def order_of(shop: Shop, item: Item, *, paid: bool = True, **notes: str) -> Order:
    wanted = [Wanted(item.item_id, sku_id, 1) for sku_id in item.skus]
    return shop.place(wanted, paid=paid, notes=notes, buyer="张三")


async def told(application: Application, order: Order, fields: str = FIELDS) -> Any:
    answer = await application.call("taobao.trade.fullinfo.get", fields=fields, tid=order.order_id)
    return answer["trade"]


async def test_an_order_of_a_single_kind(application: Application, catfood: Item) -> None:
    """Its line has its id; the merchant's code is the item's; money is yuan, times are China's."""
    order = order_of(application.world.shop, catfood)
    number = int(order.order_id)
    assert await told(application, order) == {
        "tid": number,
        "tid_str": order.order_id,
        "status": "WAIT_SELLER_SEND_GOODS",
        "type": "fixed",
        "num": 1,
        "payment": "15.70",
        "created": "2026-01-22 18:00:00",
        "modified": "2026-01-22 18:00:00",
        "pay_time": "2026-01-22 18:00:00",
        "orders": {
            "order": [
                {
                    "oid": number,
                    "oid_str": order.order_id,
                    "num_iid": int(catfood.item_id),
                    "outer_iid": "CATFOOD-10KG",
                    "title": "猫粮",
                    "num": 1,
                    "price": "15.70",
                    "total_fee": "15.70",
                    "payment": "15.70",
                    "divide_order_fee": "15.70",
                    "status": "WAIT_SELLER_SEND_GOODS",
                    "refund_status": "NO_REFUND",
                    "is_oversold": False,
                }
            ]
        },
    }


async def test_an_order_of_several_lines(application: Application, shirt: Item) -> None:
    """The code is the SKU's, whose id is a text; the order's own number of units means nothing."""
    trade = await told(application, order_of(application.world.shop, shirt))
    lines = trade["orders"]["order"]
    assert (trade["num"], trade["payment"]) == (0, "198.00")
    assert [(line["sku_id"], line["outer_sku_id"]) for line in lines] == [
        (sku.sku_id, sku.outer_id) for sku in shirt.skus.values()
    ]
    assert all("outer_iid" not in line and line["oid"] != trade["tid"] for line in lines)


async def test_only_the_fields_asked_for_are_told(application: Application, shirt: Item) -> None:
    """`orders` brings all of the lines, `orders.x` one field of them, none of it nothing."""
    order = order_of(application.world.shop, shirt)
    assert set(await told(application, order, "status,nothing")) == {"status"}
    trade = await told(application, order, "tid, orders.oid,orders.status")
    assert set(trade) == {"tid", "tid_str", "orders"}
    assert set(trade["orders"]["order"][0]) == {"oid", "oid_str", "status"}


async def test_every_status_has_its_word(application: Application, shirt: Item) -> None:
    """An order's whole life, in the platform's words."""
    shop = application.world.shop
    order = order_of(shop, shirt, paid=False)
    first, second = order.lines
    words = [(await told(application, order))["status"]]
    for act in (
        lambda: shop.pay(order.order_id),
        lambda: shop.ship(order.order_id, "SF", "SF1", [first]),
        lambda: shop.ship(order.order_id, "YTO", "YT1", [second]),
        lambda: shop.finish(order.order_id),
        lambda: shop.refund(order.order_id),
    ):
        act()
        words.append((await told(application, order))["status"])
    assert words == [
        "WAIT_BUYER_PAY",
        "WAIT_SELLER_SEND_GOODS",
        "SELLER_CONSIGNED_PART",
        "WAIT_BUYER_CONFIRM_GOODS",
        "TRADE_FINISHED",
        "TRADE_CLOSED",
    ]
    cancelled = order_of(shop, shirt, paid=False)
    shop.cancel(cancelled.order_id)
    assert (await told(application, cancelled))["status"] == "TRADE_CLOSED_BY_TAOBAO"


async def test_every_refund_has_its_word(application: Application, catfood: Item) -> None:
    """Step by step, with the latest refund's id; other lines are not touched."""
    shop = application.world.shop
    order = order_of(shop, catfood)
    shop.ship(order.order_id, "SF", "SF1")
    words = []
    for step in (
        RefundStage.ASKED,
        RefundStage.REFUSED,
        RefundStage.WITHDRAWN,
        RefundStage.ASKED,
        RefundStage.AGREED,
        RefundStage.RETURNED,
        RefundStage.DONE,
    ):
        shop.refund_step(order.order_id, order.order_id, step)
        (line,) = (await told(application, order, "orders"))["orders"]["order"]
        words.append(line["refund_status"])
        assert line["refund_id"] == order.lines[order.order_id].refund_id
    assert words == [
        "WAIT_SELLER_AGREE",
        "SELLER_REFUSE_BUYER",
        "CLOSED",
        "WAIT_SELLER_AGREE",
        "WAIT_BUYER_RETURN_GOODS",
        "WAIT_SELLER_CONFIRM_GOODS",
        "SUCCESS",
    ]
    assert line["status"] == "TRADE_CLOSED"


async def test_a_deposit_is_paid_by_steps(application: Application, catfood: Item) -> None:
    """预售: unpaid with its deposit paid, then all paid; given up, the deposit is forfeited."""
    shop = application.world.shop
    notes = {
        "type": "step",
        "step_trade_status": "FRONT_PAID_FINAL_NOPAID",
        "step_paid_fee": "5.00",
    }
    fields = "status,type,step_trade_status,step_paid_fee"
    order = order_of(shop, catfood, paid=False, **notes)
    assert await told(application, order, fields) == {"status": "WAIT_BUYER_PAY", **notes}
    shop.pay(order.order_id)
    assert (await told(application, order, fields))["step_trade_status"] == "FRONT_PAID_FINAL_PAID"
    other = order_of(shop, catfood, paid=False, **notes)
    shop.cancel(other.order_id)
    step = (await told(application, other, fields))["step_trade_status"]
    assert step == "FRONT_PAID_FRONT_FORFEITED"


async def test_a_word_that_nobody_told_us_of(application: Application, catfood: Item) -> None:
    """A paid order may have another word (拼团), which is gone once it is sent."""
    order = order_of(application.world.shop, catfood, paid_status="PAID_FORBID_CONSIGN")
    assert (await told(application, order))["status"] == "PAID_FORBID_CONSIGN"
    application.world.shop.ship(order.order_id, "SF", "SF1")
    assert (await told(application, order))["status"] == "WAIT_BUYER_CONFIRM_GOODS"


async def test_what_was_oversold_says_so(application: Application, catfood: Item) -> None:
    """The platform's own flag, on the line."""
    wanted = [Wanted(catfood.item_id, "", 11)]
    order = application.world.shop.place(wanted, paid=True, oversell=True)
    (line,) = (await told(application, order, "orders.is_oversold"))["orders"]["order"]
    assert line == {"is_oversold": True}


# -- lists ---------------------------------------------------------------------------------------


async def listed(
    application: Application, begin_s: float, end_s: float, **more: str
) -> dict[str, Any]:
    """Ask for what has changed between two times, seconds after noon."""
    answer: dict[str, Any] = await application.call(
        "taobao.trades.sold.increment.get",
        fields=more.pop("fields", "tid,modified"),
        start_modified=written(NOON_MS + round(begin_s * 1000)) or "",
        end_modified=written(NOON_MS + round(end_s * 1000)) or "",
        **more,
    )
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [trade["tid_str"] for trade in answer.get("trades", {}).get("trade", [])]


async def placed(world: ShopWorld, item: Item, count: int) -> list[str]:
    """Place orders, one a second, from noon on."""
    orders = []
    for _ in range(count):
        orders.append(world.shop.place([Wanted(item.item_id, "", 1)]).order_id)
        world.clock.advance(1_000)
    return orders


async def test_the_latest_change_comes_first(application: Application, catfood: Item) -> None:
    """In pages, of which the last has the oldest; the total is told; an order stands once."""
    orders = await placed(application.world, catfood, 7)
    application.world.shop.pay(orders[0])
    expected = [orders[0], *reversed(orders[1:])]
    pages = [
        await listed(application, 0, 60, page_size="3", page_no=str(page)) for page in (1, 2, 3, 4)
    ]
    assert list(itertools.chain.from_iterable(map(ids, pages))) == expected
    assert [page["total_results"] for page in pages] == [7] * 4
    assert "trades" not in pages[3]


async def test_rows_shift_while_pages_are_read(application: Application, catfood: Item) -> None:
    """An order that changes between two pages leaves its row: from the last page none is missed.

    Read forwards, the row that moves up into the page before is never seen.
    """
    orders = await placed(application.world, catfood, 4)
    last = ids(await listed(application, 0, 4, page_size="2", page_no="2"))
    application.world.shop.pay(orders[0])
    application.world.clock.advance(60_000)
    first = ids(await listed(application, 0, 3, page_size="2", page_no="1"))
    assert set(last) | set(first) >= set(orders)


async def test_without_a_total_it_says_whether_more_come(
    application: Application, catfood: Item
) -> None:
    """use_has_next instead of total_results."""
    await placed(application.world, catfood, 4)
    answers = [
        await listed(application, 0, 60, page_size="2", page_no=str(page), use_has_next="true")
        for page in (1, 2, 3)
    ]
    assert [answer["has_next"] for answer in answers] == [True, False, False]
    assert all("total_results" not in answer for answer in answers)


@pytest.mark.parametrize(("includes", "found"), [(True, 3), (False, 2)])
async def test_the_second_of_the_end(
    application: Application, simulator: Tmall, catfood: Item, *, includes: bool, found: int
) -> None:
    """Belongs to the list or not, as set; that of the beginning does."""
    simulator.settings.includes_end = includes
    await placed(application.world, catfood, 5)
    assert (await listed(application, 1, 3))["total_results"] == found


async def test_a_list_may_be_behind(
    application: Application, simulator: Tmall, catfood: Item
) -> None:
    """At a festival it does not know the latest changes yet; the detail does."""
    simulator.settings.list_lag_ms = 600_000
    orders = await placed(application.world, catfood, 1)
    assert (await listed(application, 0, 60))["total_results"] == 0
    application.world.clock.advance(600_000)
    assert ids(await listed(application, 0, 60)) == orders


async def test_a_list_of_one_status(application: Application, catfood: Item) -> None:
    """By the platform's word."""
    orders = await placed(application.world, catfood, 3)
    application.world.shop.pay(orders[1])
    assert ids(await listed(application, 0, 60, status="WAIT_SELLER_SEND_GOODS")) == [orders[1]]


@pytest.mark.parametrize(
    ("begin_s", "end_s", "more", "code"),
    [
        (0, 86_401, {}, 50),
        (0, 0, {}, 50),
        (60, 0, {}, 50),
        (-91 * 86_400, -90.5 * 86_400, {}, 50),
        (0, 60, {"page_no": "0"}, 41),
        (0, 60, {"page_size": "101"}, 41),
        (0, 60, {"page_size": "0"}, 41),
        (0, 60, {"use_has_next": "1"}, 41),
        (0, 60, {"end_modified": "2026-01-22"}, 41),
        (0, 60, {"fields": ""}, 40),
    ],
)
async def test_a_list_has_its_limits(
    application: Application, begin_s: float, end_s: float, more: dict[str, str], code: int
) -> None:
    """A day at the most, three months back, pages of 1 to 100."""
    begin, end = (written(NOON_MS + round(at * 1000)) or "" for at in (begin_s, end_s))
    parameters = {"fields": "tid", "start_modified": begin, "end_modified": end, **more}
    answer = await application.call(
        "taobao.trades.sold.increment.get",
        **{name: value for name, value in parameters.items() if value},
    )
    assert answer["code"] == code


async def test_a_whole_day_is_listed(application: Application, catfood: Item) -> None:
    """To the second."""
    orders = await placed(application.world, catfood, 1)
    assert ids(await listed(application, 0, 86_400)) == orders


# -- parcels -------------------------------------------------------------------------------------


async def send(application: Application, order: Order, **more: str) -> Any:
    return await application.call(
        "taobao.logistics.offline.send",
        **{"tid": order.order_id, "company_code": "SF", "out_sid": "SF214151283", **more},
    )


async def test_a_parcel_is_noted(application: Application, catfood: Item) -> None:
    """The order is sent, with carrier and number; once more, it is sent already."""
    order = order_of(application.world.shop, catfood)
    assert await send(application, order) == {"shipping": {"is_success": True}}
    trade = await told(application, order, "status,consign_time,orders")
    (line,) = trade["orders"]["order"]
    assert (trade["status"], trade["consign_time"]) == (
        "WAIT_BUYER_CONFIRM_GOODS",
        "2026-01-22 18:00:00",
    )
    assert (line["logistics_company"], line["invoice_no"]) == ("SF", "SF214151283")
    again = await send(application, order)
    assert (again["code"], again["sub_code"]) == (15, "isv.logistics-offline-service-error:B04")


async def test_a_parcel_may_hold_some_lines(application: Application, shirt: Item) -> None:
    """With is_split; without it the lines named do not matter and all is sent."""
    shop = application.world.shop
    order, other = order_of(shop, shirt), order_of(shop, shirt)
    await send(application, order, sub_tid=next(iter(order.lines)), is_split="1")
    assert (await told(application, order))["status"] == "SELLER_CONSIGNED_PART"
    await send(application, other, sub_tid=next(iter(other.lines)))
    assert (await told(application, other))["status"] == "WAIT_BUYER_CONFIRM_GOODS"


@pytest.mark.parametrize(
    ("more", "code", "sub_code"),
    [
        ({"tid": "1"}, 15, "isv.logistics-offline-service-error:B01"),
        ({"sub_tid": "1", "is_split": "1"}, 15, "isv.logistics-offline-service-error:P38"),
        ({"out_sid": "a" * 201}, 15, "isv.logistics-offline-service-error:B60"),
        ({"is_split": "2"}, 41, None),
    ],
)
async def test_a_parcel_that_is_refused(
    application: Application, shirt: Item, more: dict[str, str], code: int, sub_code: str | None
) -> None:
    """With the platform's own code; nothing is sent."""
    order = order_of(application.world.shop, shirt)
    error = await send(application, order, **more)
    assert (error["code"], error.get("sub_code")) == (code, sub_code)
    assert (await told(application, order))["status"] == "WAIT_SELLER_SEND_GOODS"
