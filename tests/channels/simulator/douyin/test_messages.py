"""Messages over HTTP: the probe, tags and content, signatures, repetition, faults."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest
from starlette.responses import Response

from channels.simulator.douyin import App, Douyin
from channels.simulator.douyin.orders import HELD, RISK
from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Item, Order, RefundStage, Wanted
from partners.simulation.faults import Rates
from tests.channels.simulator.conftest import NOON_MS, Desk, beside
from tests.channels.simulator.douyin.conftest import KEY, SECRET, SHOP_ID, messages
from tests.partners.simulation.receiver import Receiver, receiving, until

NOON = NOON_MS // 1000
REFUSED = [
    Response(b'{"code":40041,"msg":"fail"}'),
    Response(b'{"code":0}', 500),
    Response(b"success"),
    Response(b'{"code":"0"}'),
    Response(b"[]"),
    Response(b'{"code":false}'),
]


def place(world: ShopWorld, item: Item, *, paid: bool = False, **notes: str) -> Order:
    wanted = [Wanted(item.item_id, next(iter(item.skus)), 1)]
    return world.shop.place(wanted, paid=paid, notes=notes)


async def gathered(receiver: Receiver, number: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Wait until so many messages have come in all."""
    async with asyncio.timeout(20):
        while len(messages(receiver)) < number:
            await receiver.wait_for(len(receiver.received) + 1)
    return messages(receiver)


async def test_the_probe(desk: Desk) -> None:
    """An address is tried with a message of its own before it is kept."""
    async with receiving() as receiver:
        assert (await desk.ask("PUT", "/douyin/url", {"url": receiver.url}))[0] == 200
        (probe,) = receiver.received
        assert (
            probe.body == b'[{"tag":"0","msg_id":"0","data":"2026-01-22T18:00:00.000428970+08:00"}]'
        )
        assert probe.headers["app-id"] == KEY
        expected = hashlib.md5(KEY.encode() + probe.body + SECRET.encode()).hexdigest()  # noqa: S324
        assert probe.headers["event-sign"] == expected


@pytest.mark.parametrize("refusal", REFUSED)
async def test_an_address_that_fails_the_probe(desk: Desk, refusal: Response) -> None:
    """It must answer 200 with code 0."""
    async with receiving() as receiver:
        receiver.answer = refusal
        assert (await desk.ask("PUT", "/douyin/url", {"url": receiver.url}))[0] == 422
    assert (await desk.ask("PUT", "/douyin/url", {"url": "nowhere"}))[0] == 422
    assert (await desk.ask("GET", "/state"))[1]["url"] is None


async def test_a_shop_begun_anew_tells_by_other_ids(world: ShopWorld, catfood: Item) -> None:
    """Whoever has taken a message once passes over its id for good."""
    app = App(app_key=KEY, secret=SECRET, shop_id=SHOP_ID)
    douyin = Douyin(world, app, first_message_id=77)
    async with receiving() as receiver, beside(douyin):
        douyin.url = receiver.url
        place(world, catfood, paid=True)
        told = await gathered(receiver, 2)
    assert [msg_id for _, msg_id, _ in told] == ["78", "79"]


async def test_an_orders_life(world: ShopWorld, receiver: Receiver, shirt: Item) -> None:
    """Created, paid, in part and wholly shipped, finished: tags, ids, amounts and times."""
    shop = world.shop
    first, second = shirt.skus
    order = shop.place([Wanted(shirt.item_id, first, 1), Wanted(shirt.item_id, second, 2)])
    shop.pay(order.order_id)
    shop.ship(order.order_id, "SF", "SF1", list(order.lines)[:1])
    shop.ship(order.order_id, "SF", "SF2")
    shop.finish(order.order_id)
    told = await gathered(receiver, 5)
    assert [tag for tag, _, _ in told] == ["100", "101", "108", "102", "103"]
    assert len({msg_id for _, msg_id, _ in told}) == 5
    created, paid, part, shipped, finished = (data for _, _, data in told)
    assert created == {
        "p_id": int(order.order_id),
        "s_ids": [int(each) for each in order.lines],
        "shop_id": int(SHOP_ID),
        "order_status": 1,
        "order_type": 0,
        "biz": 2,
        "create_time": NOON,
    }
    assert (paid["order_status"], paid["pay_amount"], paid["pay_time"]) == (2, 29_700, NOON)
    info = part["logistics_msg"]["shipped_order_info"]
    assert [each["shipped_order_id"] for each in info] == [int(order.order_id)]
    assert shipped["logistics_msg"]["logistics_code"] == "SF2"
    assert (shipped["order_status"], finished["order_status"]) == (3, 5)
    assert finished["complete_time"] == NOON


async def test_what_ends_otherwise(world: ShopWorld, receiver: Receiver, catfood: Item) -> None:
    """Cancelled, refunded before it was shipped: the refund's amount and ids."""
    shop = world.shop
    shop.cancel(place(world, catfood).order_id)
    order = place(world, catfood, paid=True)
    shop.refund(order.order_id)
    told = await gathered(receiver, 6)
    assert [tag for tag, _, _ in told] == ["100", "106", "100", "101", "200", "206"]
    assert told[1][2]["cancel_time"] == NOON
    done = told[5][2]
    (line,) = order.lines.values()
    assert done == {
        "p_id": int(order.order_id),
        "s_id": int(order.order_id),
        "shop_id": int(SHOP_ID),
        "aftersale_id": int(line.refund_id),
        "aftersale_status": 12,
        "aftersale_type": 2,
        "refund_amount": 1570,
        "refund_post_amount": 0,
        "reason_code": 15,
        "success_time": NOON,
        "refund_voucher_num": 0,
    }


async def test_the_steps_of_a_return(world: ShopWorld, receiver: Receiver, catfood: Item) -> None:
    """Each step has its tag; refused before the goods came back is another than after."""
    order = place(world, catfood, paid=True)
    world.shop.ship(order.order_id, "SF", "SF1")
    for step in (
        RefundStage.ASKED,
        RefundStage.REFUSED,
        RefundStage.WITHDRAWN,
        RefundStage.ASKED,
        RefundStage.AGREED,
        RefundStage.RETURNED,
        RefundStage.REFUSED,
    ):
        world.shop.refund_step(order.order_id, order.order_id, step)
    told = await gathered(receiver, 10)
    tags = [tag for tag, _, _ in told[3:]]
    assert tags == ["200", "205", "207", "200", "202", "203", "204"]


async def test_risk_control(
    world: ShopWorld, receiver: Receiver, desk: Desk, catfood: Item
) -> None:
    """A paid order that is looked at is told as pending, and as paid once it has passed."""
    order = place(world, catfood, paid=True, **{RISK: HELD})
    await desk.ask("POST", f"/douyin/risk/{order.order_id}")
    told = await gathered(receiver, 3)
    assert [tag for tag, _, _ in told] == ["100", "110", "101"]
    assert "pay_amount" not in told[1][2]
    assert told[2][2]["pay_amount"] == 1570


async def test_the_longer_signature(
    world: ShopWorld, receiver: Receiver, desk: Desk, catfood: Item
) -> None:
    """With hmac-sha256 the secret is key and end."""
    await desk.ask("PUT", "/douyin/settings", {"push_sign": "hmac-sha256"})
    place(world, catfood)
    (push,) = await receiver.wait_for(1)
    text = KEY.encode() + push.body + SECRET.encode()
    expected = hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
    assert push.headers["event-sign"] == expected


@pytest.mark.parametrize("refusal", REFUSED)
async def test_what_is_not_acknowledged_comes_again(
    world: ShopWorld,
    receiver: Receiver,
    simulator: Douyin,
    catfood: Item,
    refusal: Response,
) -> None:
    """After the schedule's times, with the same id, until it is taken."""
    simulator.settings.retry_ms = (10_000, 60_000)
    receiver.answers = [refusal, refusal]
    place(world, catfood)
    for number, wait_ms in ((2, 10_000), (3, 60_000)):
        await until(lambda at=number: simulator.courier.counts["retried"] == at - 1)
        world.clock.advance(wait_ms - 1)
        world.changed.set()
        await asyncio.sleep(0)
        assert len(receiver.received) == number - 1
        world.clock.advance(1)
        world.changed.set()
        await receiver.wait_for(number)
    await until(lambda: simulator.courier.counts["taken"] == 1)
    told = messages(receiver)
    assert len({msg_id for _, msg_id, _ in told}) == 1
    assert simulator.courier.counts["retried"] == 2


async def test_a_message_is_given_up(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, desk: Desk, catfood: Item
) -> None:
    """After the last time of the schedule it is not sent any more, and listed."""
    simulator.settings.retry_ms = ()
    receiver.answer = REFUSED[0]
    place(world, catfood)
    await receiver.wait_for(1)
    await until(lambda: simulator.courier.counts["given_up"] == 1)
    (given_up,) = (await desk.ask("GET", "/state"))[1]["given_up"]
    assert given_up == messages(receiver)[0][1]


async def test_no_answer_in_time_is_none(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, catfood: Item
) -> None:
    """A receiver that hangs is asked again, although it has the message."""
    simulator.settings.answer_ms = 50
    receiver.hung = asyncio.Event()
    place(world, catfood)
    await receiver.wait_for(1)
    await until(lambda: simulator.courier.counts["retried"] == 1)
    receiver.hung.set()
    world.clock.advance(10_000)
    world.changed.set()
    await receiver.wait_for(2)
    assert len({msg_id for _, msg_id, _ in messages(receiver)}) == 1


async def test_messages_that_wait_go_together(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, catfood: Item
) -> None:
    """An array has as many as may be, and never more."""
    simulator.settings.most_in_push = 3
    for _ in range(7):
        place(world, catfood)
    await gathered(receiver, 7)
    assert [len(json.loads(each.body)) for each in receiver.received] == [3, 3, 1]


async def story(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, item: Item, seed: int
) -> list[tuple[str, int]]:
    """Place and pay 60 orders under faults; what came, in its order: tag, number of the order."""
    receiver.received.clear()
    world.faults.set(Rates(lost=0.05, duplicated=0.1, reordered=0.1, delay_ms=5_000), seed)
    numbers: dict[str, int] = {}
    world.shop.set_stock(item.item_id, next(iter(item.skus)), 1_000)
    for number in range(60):
        order = place(world, item)
        numbers[order.order_id] = number
        world.clock.advance(100)
        world.shop.pay(order.order_id)
        world.clock.advance(100)
        world.changed.set()
    world.clock.advance(10_000)
    world.changed.set()
    counts = world.faults.counts
    expected = counts["messages"] - counts["lost"] + counts["duplicated"]
    told = await gathered(receiver, expected)
    assert simulator.courier.waiting == 0
    return [(tag, numbers[str(data["p_id"])]) for tag, _, data in told]


@pytest.mark.chaos
async def test_faults_of_messages(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, catfood: Item
) -> None:
    """Some are lost, some come twice, some late, from the seed; each is counted."""
    simulator.settings.most_in_push = 1
    first = await story(world, receiver, simulator, catfood, 5)
    counts = dict(world.faults.counts)
    assert counts["messages"] == 120
    assert min(counts["lost"], counts["duplicated"], counts["reordered"]) > 0
    assert len(first) - len(set(first)) == counts["duplicated"]
    assert 120 - len(set(first)) == counts["lost"]
    assert first != sorted(first, key=lambda each: (each[1], each[0]))
    assert sorted(first) == sorted(await story(world, receiver, simulator, catfood, 5))
    assert sorted(first) != sorted(await story(world, receiver, simulator, catfood, 6))


async def test_without_faults_an_orders_messages_are_in_order(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, catfood: Item
) -> None:
    """Also with many pushes under way: those about one order go one after another."""
    simulator.settings.lanes, simulator.settings.most_in_push = 16, 1
    receiver.hung = asyncio.Event()
    world.shop.set_stock(catfood.item_id, next(iter(catfood.skus)), 1_000)
    for _ in range(100):
        place(world, catfood, paid=True)
    await receiver.wait_for(16)  # none is answered: the second ones have to wait
    assert {tag for tag, _, _ in messages(receiver)} == {"100"}
    receiver.hung.set()
    seen: dict[int, list[str]] = {}
    for tag, _, data in await gathered(receiver, 200):
        seen.setdefault(data["p_id"], []).append(tag)
    assert list(seen.values()) == [["100", "101"]] * 100


async def test_the_shapes_that_clients_accept(
    world: ShopWorld, receiver: Receiver, desk: Desk, catfood: Item
) -> None:
    """Liberal, all of them occur: tags as numbers, msgId, data as an object, no array."""
    await desk.ask("PUT", "/douyin/settings", {"liberal": True, "ids": "mixed", "most_in_push": 1})
    world.shop.set_stock(catfood.item_id, next(iter(catfood.skus)), 1_000)
    for _ in range(60):
        place(world, catfood)
    await receiver.wait_for(60)
    bodies = [json.loads(each.body) for each in receiver.received]
    told = [body if isinstance(body, dict) else body[0] for body in bodies]
    data = [
        json.loads(each["data"]) if isinstance(each["data"], str) else each["data"] for each in told
    ]
    for shapes in (
        {type(body) for body in bodies},
        {type(each["tag"]) for each in told},
        {"msgId" in each for each in told},
        {type(each["data"]) for each in told},
        {type(each["p_id"]) for each in data},
    ):
        assert len(shapes) == 2
    assert {str(each["p_id"]) for each in data} == set(world.shop.orders)


async def test_nobody_is_told_without_an_address(
    world: ShopWorld, receiver: Receiver, simulator: Douyin, desk: Desk, catfood: Item
) -> None:
    """After the address was taken away nothing is sent, and nothing waits."""
    assert (await desk.ask("PUT", "/douyin/url", {"url": None}))[0] == 200
    place(world, catfood)
    assert simulator.courier.waiting == 0
    assert receiver.received == []
