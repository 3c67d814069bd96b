"""The dealer's messages over HTTP: content, signatures, the schedule, answers that end it."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from starlette.responses import Response

from channels.simulator.dealer import Dealer
from channels.simulator.dealer.account import SCHEDULE_MS
from channels.simulator.dealer.signing import is_signed
from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Item, Order, Wanted
from tests.channels.simulator.conftest import Desk
from tests.channels.simulator.dealer.conftest import OURS, THEIRS, Teller
from tests.partners.simulation.receiver import Received, Receiver, until


def place(world: ShopWorld, *items: Item, paid: bool = False) -> Order:
    wanted = [Wanted(item.item_id, next(iter(item.skus)), 2) for item in items]
    return world.shop.place(wanted, paid=paid)


def documents(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in receiver.received]


def advance(world: ShopWorld, by_ms: int) -> None:
    world.clock.advance(by_ms)
    world.changed.set()


def signed(received: Received, secret: str) -> bool:
    headers = received.headers
    return is_signed(
        [secret],
        headers["webhook-id"],
        headers["webhook-timestamp"],
        received.body,
        headers["webhook-signature"],
    )


async def test_the_document(
    world: ShopWorld, receiver: Receiver, catfood: Item, shirt: Item
) -> None:
    """A whole order: all lines, amounts in yuan, times with their offset."""
    order = place(world, catfood, shirt, paid=True)
    await receiver.wait_for(2)
    created, paid = documents(receiver)
    assert paid == {
        "type": "order.paid",
        "timestamp": "2026-01-22T18:00:00.000+08:00",
        "data": {
            "order_no": order.order_id,
            "status": "paid",
            "created_at": "2026-01-22T18:00:00.000+08:00",
            "updated_at": "2026-01-22T18:00:00.001+08:00",
            "paid_at": "2026-01-22T18:00:00.000+08:00",
            "paid_yuan": "229.40",
            "receiver": {
                "name": "钱多多",
                "mobile": "13800000004",
                "province": "河南省",
                "city": "济源市",
                "area": "济源市",
                "detail_address": "天坛街道文一西路 783 号",
            },
            "ship_by": "2026-01-24T18:00:00.000+08:00",
            "lines": [
                {
                    "line_no": 1,
                    "sku": "CATFOOD-10KG",
                    "quantity": 2,
                    "unit_price_yuan": "15.70",
                },
                {"line_no": 2, "sku": "SHIRT:红", "quantity": 2, "unit_price_yuan": "99.00"},
            ],
        },
    }
    assert (created["type"], created["data"]["status"]) == ("order.created", "unpaid")
    assert "paid_at" not in created["data"]


async def test_an_orders_life(
    world: ShopWorld, receiver: Receiver, catfood: Item, shirt: Item
) -> None:
    """Each step tells the order's status, and where a line is that is elsewhere."""
    shop = world.shop
    order = place(world, catfood, shirt, paid=True)
    first, second = order.lines
    shop.ship(order.order_id, "SF", "SF1", [first])
    shop.refund(order.order_id, [second])
    shop.finish(order.order_id)
    shop.cancel(place(world, catfood).order_id)
    shop.refund(place(world, catfood, paid=True).order_id)
    await receiver.wait_for(10)
    told = [
        (
            each["type"].removeprefix("order."),
            each["data"]["status"],
            [line.get("status") for line in each["data"]["lines"]],
        )
        for each in documents(receiver)
    ]
    assert told == [
        ("created", "unpaid", [None, None]),
        ("paid", "paid", [None, None]),
        ("partly_shipped", "partly_shipped", ["shipped", "paid"]),
        ("refunded", "shipped", [None, "refunded"]),
        ("completed", "completed", [None, "refunded"]),
        ("created", "unpaid", [None]),
        ("cancelled", "cancelled", [None]),
        ("created", "unpaid", [None]),
        ("paid", "paid", [None]),
        ("refunded", "refunded", [None]),
    ]
    updates = [each["data"]["updated_at"] for each in documents(receiver)[:5]]
    assert updates == sorted(set(updates))


async def test_the_librarys_word_on_it(world: ShopWorld, receiver: Receiver, catfood: Item) -> None:
    """The specification's library takes a message that is sent now."""
    world.clock.set(time.time_ns() // 1_000_000)
    place(world, catfood)
    (received,) = await receiver.wait_for(1)
    assert Webhook(THEIRS).verify(received.body, received.headers)
    assert received.headers["content-type"] == "application/json"


async def test_the_schedule(
    world: ShopWorld, receiver: Receiver, simulator: Dealer, desk: Desk, catfood: Item
) -> None:
    """Ten attempts over three days and more: the id stays, time and signature are new."""
    receiver.answer = Response(status_code=500)
    place(world, catfood)
    for number, wait_ms in enumerate(SCHEDULE_MS, 1):
        await until(lambda at=number: simulator.courier.counts["retried"] == at)
        advance(world, wait_ms - 1)
        assert len(receiver.received) == number
        advance(world, 1)
    await until(lambda: simulator.courier.counts["given_up"] == 1)
    assert len(receiver.received) == 10
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    times = [int(each.headers["webhook-timestamp"]) for each in receiver.received]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits == [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(signed(each, THEIRS) for each in receiver.received)
    assert not signed(receiver.received[0], OURS)
    state = (await desk.ask("GET", "/state"))[1]
    assert state["given_up"] == [receiver.received[0].headers["webhook-id"]]


async def test_gone_is_gone(
    world: ShopWorld, receiver: Receiver, simulator: Dealer, desk: Desk, catfood: Item
) -> None:
    """After a 410 nothing is sent until the address is given anew."""
    receiver.answers = [Response(status_code=410)]
    place(world, catfood, paid=True)
    await until(lambda: simulator.disabled)
    place(world, catfood)
    assert simulator.courier.waiting == 0
    assert (await desk.ask("GET", "/state"))[1]["disabled"] is True
    await desk.ask("PUT", "/dealer/url", {"url": receiver.url})
    place(world, catfood)
    await receiver.wait_for(2)
    assert len(receiver.received) == 2


async def test_slowing_down(
    world: ShopWorld, receiver: Receiver, simulator: Dealer, catfood: Item
) -> None:
    """Retry-After is waited for, where it is longer than the schedule has it."""
    receiver.answers = [Response(status_code=429, headers={"retry-after": "60"})]
    place(world, catfood)
    await until(lambda: simulator.courier.counts["retried"] == 1)
    advance(world, 59_999)
    assert len(receiver.received) == 1
    advance(world, 1)
    await receiver.wait_for(2)


@pytest.mark.parametrize("status", [301, 400, 404, 502, 504])
async def test_what_is_not_2xx_comes_again(
    world: ShopWorld, receiver: Receiver, simulator: Dealer, catfood: Item, status: int
) -> None:
    """Redirects are not followed, refusals are tried again."""
    headers = {"location": receiver.url} if status == 301 else {}
    receiver.answers = [Response(status_code=status, headers=headers)]
    place(world, catfood)
    await until(lambda: simulator.courier.counts["retried"] == 1)
    advance(world, 5_000)
    await until(lambda: simulator.courier.counts["taken"] == 1)
    assert len(receiver.received) == 2


async def test_new_secrets(
    world: ShopWorld, receiver: Receiver, desk: Desk, teller: Teller, catfood: Item
) -> None:
    """With two secrets there are two signatures, and both of ours are taken."""
    status, _ = await desk.ask(
        "PUT", "/dealer/secrets", {"sending": [OURS, THEIRS], "receiving": [THEIRS, OURS]}
    )
    assert status == 200
    place(world, catfood)
    (received,) = await receiver.wait_for(1)
    assert signed(received, OURS)
    assert signed(received, THEIRS)
    for secret in (OURS, THEIRS):
        assert await teller.tell("nothing", {}, secret=secret) == 204
    assert (await desk.ask("PUT", "/dealer/secrets", {"sending": ["x"]}))[0] == 422


async def test_a_ping(receiver: Receiver, desk: Desk) -> None:
    """The connection can be tried without an order."""
    assert (await desk.ask("POST", "/dealer/ping"))[0] == 200
    await receiver.wait_for(1)
    assert documents(receiver)[0]["type"] == "ping"


async def test_an_order_is_told_when_asked_for(
    world: ShopWorld, teller: Teller, desk: Desk, catfood: Item
) -> None:
    """The same as in a message, signed or not at all."""
    order = place(world, catfood, paid=True)
    answer = await teller.ask(f"/orders/{order.order_id}")
    assert answer.json()["status"] == "paid"
    assert (await teller.ask("/orders/1")).status_code == 404
    assert (await teller.http.get(f"/webhooks/orders/{order.order_id}")).status_code == 401
    await desk.ask("PUT", "/dealer/settings", {"token": "t-1"})
    assert (await teller.ask(f"/orders/{order.order_id}")).status_code == 401
    with_token = await teller.ask(f"/orders/{order.order_id}", authorization="Bearer t-1")
    assert with_token.status_code == 200


async def test_orders_that_changed(
    world: ShopWorld, teller: Teller, simulator: Dealer, catfood: Item
) -> None:
    """Page by page, those that were updated within the times, both included."""
    simulator.settings.page_size = 2
    orders = []
    for _ in range(5):
        orders.append(place(world, catfood))
        world.clock.advance(1_000)

    async def listed(begin: str, end: str, page: int) -> tuple[list[str], int]:
        answer = await teller.ask("/orders", updated_from=begin, updated_to=end, page=str(page))
        view = answer.json()
        return [each["order_no"] for each in view["orders"]], view["pages"]

    whole = "2026-01-22T10:00:00Z", "2026-01-22T10:00:04Z"
    pages = [await listed(*whole, page) for page in (1, 2, 3)]
    assert [each for page, _ in pages for each in page] == [each.order_id for each in orders]
    assert {number for _, number in pages} == {3}
    part = await listed("2026-01-22T18:00:01+08:00", "2026-01-22T18:00:02+08:00", 1)
    assert part == ([orders[1].order_id, orders[2].order_id], 1)
    wrong: list[httpx.Response] = [
        await teller.ask("/orders"),
        await teller.ask("/orders", updated_from="2026-01-22", updated_to=whole[1]),
        await teller.ask("/orders", updated_from=whole[0], updated_to=whole[1], page="0"),
    ]
    assert [each.status_code for each in wrong] == [400, 400, 400]
