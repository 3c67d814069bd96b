"""The message queue: what is told, delivery until confirmed, a day's keep, and faults."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from channels.simulator.platform import ShopWorld
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.tmall import messages as queue
from channels.simulator.trade import Item, RefundStage, Wanted
from partners.simulation.faults import Rates
from tests.channels.simulator.conftest import Desk, beside
from tests.channels.simulator.tmall.conftest import Application

CONSUME, CONFIRM = "taobao.tmc.messages.consume", "taobao.tmc.messages.confirm"
MINUTE_MS, DAY_MS = 60_000, 86_400_000


async def consume(application: Application, **more: str) -> list[dict[str, Any]]:
    answer = await application.call(CONSUME, **more)
    messages: list[dict[str, Any]] = answer["messages"].get("tmc_message", [])
    return messages


async def confirm(application: Application, messages: list[dict[str, Any]]) -> None:
    ids = ",".join(str(message["id"]) for message in messages)
    assert await application.call(CONFIRM, s_message_ids=ids) == {"is_success": True}


def topics(messages: list[dict[str, Any]]) -> list[str]:
    return [message["topic"].rpartition("_")[2] for message in messages]


def order(world: ShopWorld, item: Item, *, paid: bool = False) -> str:
    wanted = [Wanted(item.item_id, sku_id, 1) for sku_id in item.skus]
    return world.shop.place(wanted, paid=paid, buyer="张三").order_id


async def test_a_message_as_it_is_on_the_wire(application: Application, catfood: Item) -> None:
    """It tells that something happened to an order, and nothing of SKUs or quantities."""
    tid = order(application.world, catfood)
    (message,) = await consume(application)
    content = json.loads(message.pop("content"))
    assert message == {
        "id": queue.FIRST_ID,
        "topic": "taobao_trade_TradeCreate",
        "user_id": application.seller.user_id,
        "user_nick": "模拟旗舰店",
        "pub_time": "2026-01-22 18:00:00",
        "pub_app_key": "12345678",
    }
    assert content == {
        "tid": int(tid),
        "oid": int(tid),
        "buyer_nick": "张三",
        "seller_nick": "模拟旗舰店",
        "payment": "15.70",
        "type": "guarantee_trade",
        "status": "WAIT_BUYER_PAY",
    }


async def test_a_shop_begun_anew_tells_by_other_ids(world: ShopWorld, catfood: Item) -> None:
    """Whoever has taken a message once passes over its id for good."""
    tmall = Tmall(world, Seller(app_key="12345678", secret="helloworld"), first_message_id=77)
    async with beside(tmall) as client:
        order(world, catfood, paid=True)
        told = await consume(Application(client, world, tmall))
    assert [message["id"] for message in told] == [77, 78]


async def test_everything_that_happens_is_told(application: Application, shirt: Item) -> None:
    """Each step of an order and of its refunds has its topic, in the order of happening."""
    shop = application.world.shop
    tid = order(application.world, shirt)
    first, second = shop.order(tid).lines
    shop.pay(tid)
    shop.ship(tid, "SF", "1", [first])
    shop.ship(tid, "SF", "2", [second])
    for step in (RefundStage.ASKED, RefundStage.REFUSED, RefundStage.WITHDRAWN, RefundStage.ASKED):
        shop.refund_step(tid, first, step)
    for step in (RefundStage.AGREED, RefundStage.RETURNED, RefundStage.DONE):
        shop.refund_step(tid, first, step)
    shop.finish(tid)
    shop.cancel(order(application.world, shirt))
    assert topics(await consume(application)) == [
        "TradeCreate",
        "TradeBuyerPay",
        "TradePartlySellerShip",
        "TradeSellerShip",
        "RefundCreated",
        "RefundSellerRefuseAgreement",
        "RefundClosed",
        "RefundCreated",
        "RefundSellerAgreeAgreement",
        "RefundBuyerReturnGoods",
        "RefundSuccess",
        "TradeSuccess",
        "TradeCreate",
        "TradeClose",
    ]


async def test_a_refund_names_its_line(application: Application, shirt: Item) -> None:
    """With the amount, and whether goods come back; refunded whole, the order is closed."""
    tid = order(application.world, shirt, paid=True)
    application.world.shop.refund(tid)
    told = (await consume(application))[2:]
    assert topics(told) == ["RefundCreated", "RefundSuccess"] * 2 + ["TradeClose"]
    line = next(iter(application.world.shop.order(tid).lines.values()))
    assert json.loads(told[1]["content"]) == {
        "tid": int(tid),
        "oid": int(line.line_id),
        "refund_id": int(line.refund_id),
        "refund_fee": "99.00",
        "bill_type": "refund_bill",
        "refund_phase": "onsale",
        "modified": "2026-01-22 18:00:00",
        "buyer_nick": "张三",
        "seller_nick": "模拟旗舰店",
    }


async def test_what_is_not_confirmed_comes_again(
    application: Application, catfood: Item, desk: Desk
) -> None:
    """Not before its time, then until it is confirmed, under the same id."""
    order(application.world, catfood)
    first = await consume(application)
    assert await consume(application) == []
    application.world.clock.advance(MINUTE_MS - 1)
    assert await consume(application) == []
    application.world.clock.advance(1)
    assert await consume(application) == first
    await confirm(application, first)
    application.world.clock.advance(MINUTE_MS)
    assert await consume(application) == []
    assert (await desk.ask("GET", "/state"))[1]["messages_waiting"] == 0


async def test_the_time_until_it_comes_again_is_set(
    application: Application, catfood: Item, desk: Desk
) -> None:
    """The platform does not say how long it is."""
    await desk.ask("PUT", "/tmall/settings", {"redeliver_ms": 500})
    order(application.world, catfood)
    first = await consume(application)
    application.world.clock.advance(500)
    assert await consume(application) == first


async def test_a_day_later_it_is_gone(application: Application, catfood: Item) -> None:
    """Confirmed or not, seen or not."""
    order(application.world, catfood)
    application.world.clock.advance(DAY_MS - 1)
    assert len(await consume(application)) == 1
    application.world.clock.advance(MINUTE_MS)
    assert await consume(application) == []


async def test_what_failed_comes_again_at_once(application: Application, catfood: Item) -> None:
    """Named as failed, it does not wait."""
    order(application.world, catfood)
    first = await consume(application)
    await application.call(CONFIRM, f_message_ids=str(first[0]["id"]))
    assert await consume(application) == first


async def test_a_queue_is_emptied_by_parts(application: Application, catfood: Item) -> None:
    """At most as many as asked for, the oldest first, none twice."""
    for _ in range(25):
        order(application.world, catfood)
    parts = [await consume(application, quantity="10") for _ in range(4)]
    assert [len(part) for part in parts] == [10, 10, 5, 0]
    ids = [message["id"] for part in parts for message in part]
    assert ids == sorted(set(ids))


async def test_messages_come_when_they_are_permitted(world: ShopWorld, catfood: Item) -> None:
    """Nothing is kept for a seller whose messages are not open; topics can be chosen."""
    simulator = Tmall(world, Seller(app_key="1", secret="s"), permitted=False)
    order(world, catfood)
    assert simulator.messages.waiting == 0


async def test_permitting_chooses_topics(
    application: Application, catfood: Item, shirt: Item
) -> None:
    """Those named; of items as well, which the usual ones leave out."""
    permit = "taobao.tmc.user.permit"
    wanted = ["ItemStockChanged", "ItemZeroStock", "ItemSkuZeroStock", "ItemDownshelf"]
    named = ",".join(f"taobao_item_{topic}" for topic in wanted)
    assert await application.call(permit, topics=named) == {"is_success": True}
    shop = application.world.shop
    order(application.world, catfood, paid=True)
    shop.set_stock(catfood.item_id, "", 0)
    shop.set_stock(shirt.item_id, next(iter(shirt.skus)), 0)
    shop.list_item(shirt.item_id, listed=False)
    told = await consume(application)
    assert topics(told) == [
        "ItemStockChanged",
        "ItemStockChanged",
        "ItemZeroStock",
        "ItemStockChanged",
        "ItemSkuZeroStock",
        "ItemDownshelf",
    ]
    assert json.loads(told[3]["content"]) == {
        "num_iid": int(shirt.item_id),
        "num": 7,
        "sku_id": int(next(iter(shirt.skus))),
        "sku_num": 0,
        "increment": -5,
        "changed_fields": "num",
    }
    await confirm(application, told)
    await application.call(permit)
    shop.set_stock(catfood.item_id, "", 1)
    order(application.world, catfood)
    assert topics(await consume(application)) == ["TradeCreate"]
    assert (await application.call(permit, topics="taobao_trade_No"))["code"] == 41


@pytest.mark.parametrize(
    ("method", "more", "code"),
    [
        (CONSUME, {"quantity": "9"}, 41),
        (CONSUME, {"quantity": "201"}, 41),
        (CONSUME, {"group_name": "other"}, 41),
        (CONFIRM, {}, 40),
        (CONFIRM, {"s_message_ids": "1,x"}, 41),
        (CONFIRM, {"s_message_ids": "٣"}, 41),
        (CONFIRM, {"s_message_ids": ",".join(["1"] * 201)}, 41),
    ],
)
async def test_the_queue_has_its_limits(
    application: Application, method: str, more: dict[str, str], code: int
) -> None:
    """10 to 200 messages, 200 ids, one group."""
    assert (await application.call(method, **more))["code"] == code


async def test_an_id_that_is_none_is_confirmed_too(application: Application) -> None:
    """Or one that was confirmed already: it is gone either way."""
    assert await application.call(CONFIRM, s_message_ids="7") == {"is_success": True}


async def test_too_many_messages_push_out_the_oldest(
    application: Application, catfood: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is bounded."""
    monkeypatch.setattr(queue, "MOST_WAITING", 3)
    for _ in range(5):
        order(application.world, catfood)
    ids = [message["id"] - queue.FIRST_ID for message in await consume(application)]
    assert ids == [2, 3, 4]


# -- faults --------------------------------------------------------------------------------------


async def test_a_lost_message_never_comes(application: Application, catfood: Item) -> None:
    """The list of changes has the order all the same."""
    application.world.faults.set(Rates(lost=1))
    tid = order(application.world, catfood)
    application.world.clock.advance(DAY_MS // 2)
    assert await consume(application) == []
    assert tid in application.world.shop.orders


async def test_a_duplicate_comes_although_the_first_was_confirmed(
    application: Application, catfood: Item
) -> None:
    """Under the same id, once; then it is confirmed by itself."""
    application.world.faults.set(Rates(duplicated=1))
    order(application.world, catfood)
    first = await consume(application)
    await confirm(application, first)
    application.world.clock.advance(2_000)
    assert await consume(application) == first
    await confirm(application, first)
    application.world.clock.advance(MINUTE_MS)
    assert await consume(application) == []


async def test_a_reordered_message_comes_after_later_ones(
    application: Application, catfood: Item
) -> None:
    """Paid may be heard before created."""
    application.world.faults.set(Rates(reordered=1))
    tid = order(application.world, catfood)
    application.world.faults.set(Rates())
    application.world.shop.pay(tid)
    assert topics(await consume(application)) == ["TradeBuyerPay"]
    application.world.clock.advance(2_000)
    assert topics(await consume(application)) == ["TradeCreate"]


async def test_faults_come_at_their_rates(application: Application, catfood: Item) -> None:
    """What is heard in the end is what the dice have counted: nothing else is lost or doubled."""
    world = application.world
    world.shop.set_stock(catfood.item_id, "", 1_000_000)
    world.faults.set(Rates(lost=0.02, duplicated=0.05, reordered=0.05), seed=7)
    for _ in range(1_000):
        order(world, catfood, paid=True)
    heard: Counter[int] = Counter()
    disorder, latest = 0, 0
    for _ in range(8):
        while messages := await consume(application, quantity="200"):
            for message in messages:
                heard[message["id"]] += 1
                disorder += message["id"] < latest
                latest = max(latest, message["id"])
            await confirm(application, messages)
        world.clock.advance(500)
    counts = world.faults.counts
    assert counts["messages"] == 2_000
    assert len(heard) == 2_000 - counts["lost"]
    assert Counter(heard.values())[2] == counts["duplicated"]
    assert disorder == counts["reordered"] + counts["duplicated"]
    assert (20 <= counts["lost"] <= 60, 70 <= counts["duplicated"] <= 135) == (True, True)
