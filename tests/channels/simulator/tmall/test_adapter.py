"""The adapter of Tmall against the simulated one: two readings of the same documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import httpx
import pytest

from channels.adapter import Account, Adapter, At
from channels.errors import PlatformFault, Stale, TokenRefused
from channels.model import Listing, OrderState, Parcel, PlatformOrder, Push, Request, Response
from channels.simulator.simulator import World
from channels.simulator.tmall import Tmall as Simulated
from channels.simulator.trade import Item, RefundStage, Wanted
from channels.tmall import Tmall
from channels.top import SIGN_METHODS
from tests.channels.simulator.conftest import NOON_MS, Desk, Stage

T = TypeVar("T")
UNPAID, PAID, SHIPPED, CLOSED = (
    OrderState.UNPAID,
    OrderState.PAID,
    OrderState.SHIPPED,
    OrderState.CLOSED,
)


class Channel:
    """The adapter, with a client that sends what it writes."""

    def __init__(self, adapter: Adapter, http: httpx.AsyncClient, world: World) -> None:
        self.adapter, self.http, self.world = adapter, http, world
        self.token = "simulator-session"

    async def ask(self, write: Callable[[At], Request], read: Callable[[Response], T]) -> T:
        """Send a call and read its answer."""
        request = write(At(self.world.clock.now_ms(), self.token))
        answer = await self.http.request(
            request.method, request.url, content=request.body, headers=dict(request.headers)
        )
        return read(Response(answer.status_code, answer.content))

    async def order(self, order_id: str) -> PlatformOrder:
        """Pull an order."""
        return await self.ask(
            lambda at: self.adapter.detail(order_id, at), self.adapter.read_detail
        )

    async def do(self, write: Callable[[At], Request]) -> None:
        """Write something."""
        await self.ask(write, self.adapter.read_done)


def channel_of(http: httpx.AsyncClient, world: World, **options: str) -> Channel:
    account = Account(
        channel="tmall",
        url=str(http.base_url).rstrip("/"),
        app_key="12345678",
        secrets=("helloworld",),
        options=options,
    )
    return Channel(Tmall(account), http, world)


@pytest.fixture
def channel(http: httpx.AsyncClient, world: World) -> Channel:
    return channel_of(http, world)


def place(world: World, item: Item, quantity: int = 1, *, paid: bool = False) -> str:
    wanted = [Wanted(item.item_id, sku_id, quantity) for sku_id in item.skus]
    return world.shop.place(wanted, paid=paid).order_id


def states(order: PlatformOrder) -> list[OrderState]:
    return [order.state, *(line.state for line in order.lines)]


@pytest.mark.parametrize("method", sorted(SIGN_METHODS))
async def test_signatures(http: httpx.AsyncClient, world: World, catfood: Item, method: str):
    """Each way of signing opens the gateway."""
    order_id = place(world, catfood)
    order = await channel_of(http, world, sign_method=method).order(order_id)
    assert order.order_id == order_id


async def test_an_order_from_its_placing_to_its_end(channel: Channel, shirt: Item):
    """Its lines, codes, money and times as the shop has them; each state as it comes."""
    world = channel.world
    order_id = place(world, shirt, 2)
    order = await channel.order(order_id)
    assert states(order) == [UNPAID] * 3
    assert [(line.sku, line.quantity, line.item_id) for line in order.lines] == [
        ("SHIRT:红", 2, shirt.item_id),
        ("SHIRT:蓝", 2, shirt.item_id),
    ]
    assert [line.platform_sku_id for line in order.lines] == list(shirt.skus)
    assert (order.created_at_ms, order.paid_fen, order.paid_at_ms) == (NOON_MS, None, None)

    world.clock.advance(1_000)
    world.shop.pay(order_id)
    order = await channel.order(order_id)
    assert states(order) == [PAID] * 3
    assert (order.paid_at_ms, order.changed_at_ms) == (NOON_MS + 1_000, NOON_MS + 1_000)
    assert (order.paid_fen, [line.paid_fen for line in order.lines]) == (39_600, [19_800] * 2)

    parcel = Parcel(company="SF", tracking_number="SF1", lines=(order.lines[0].line_id,))
    await channel.do(lambda at: channel.adapter.shipped(order_id, parcel, at))
    assert states(await channel.order(order_id)) == [PAID, SHIPPED, PAID]
    await channel.do(lambda at: channel.adapter.shipped(order_id, parcel, at))  # told twice
    rest = Parcel(company="SF", tracking_number="SF2")
    await channel.do(lambda at: channel.adapter.shipped(order_id, rest, at))
    assert states(await channel.order(order_id)) == [SHIPPED] * 3
    world.shop.finish(order_id)
    assert states(await channel.order(order_id)) == [SHIPPED] * 3


async def test_refunds_before_shipping(channel: Channel, shirt: Item):
    """One line's closes that line, the other's the order."""
    shop = channel.world.shop
    order_id = place(channel.world, shirt, paid=True)
    first, second = (line.line_id for line in (await channel.order(order_id)).lines)
    shop.refund_step(order_id, first, RefundStage.ASKED)
    asked = await channel.order(order_id)
    assert (states(asked), asked.lines[0].refund) == ([PAID] * 3, "WAIT_SELLER_AGREE")
    shop.refund(order_id, [first])
    assert states(await channel.order(order_id)) == [PAID, CLOSED, PAID]
    shop.refund(order_id, [second])
    assert states(await channel.order(order_id)) == [CLOSED] * 3


async def test_cancelled(channel: Channel, catfood: Item):
    """What was never paid is closed."""
    order_id = place(channel.world, catfood)
    channel.world.shop.cancel(order_id)
    assert states(await channel.order(order_id)) == [CLOSED] * 2


@pytest.mark.parametrize(
    ("notes", "paid", "state"),
    [
        ({"type": "step", "step_trade_status": "FRONT_PAID_FINAL_NOPAID"}, False, UNPAID),
        ({"type": "step", "step_trade_status": "FRONT_PAID_FINAL_PAID"}, True, PAID),
        ({"paid_status": "PAID_FORBID_CONSIGN"}, True, PAID),
    ],
)
async def test_what_is_rare(channel: Channel, catfood: Item, notes, paid, state):
    """Presales, and what is paid and may not ship yet."""
    wanted = [Wanted(catfood.item_id, sku_id, 1) for sku_id in catfood.skus]
    order_id = channel.world.shop.place(wanted, paid=paid, notes=notes).order_id
    assert (await channel.order(order_id)).state is state


async def test_messages(channel: Channel, catfood: Item):
    """They are fetched, and come no more once confirmed."""
    adapter = channel.adapter
    order_id = place(channel.world, catfood, paid=True)
    hints = await channel.ask(adapter.fetch, adapter.read_fetched)
    of_orders = {hint.topic: hint.order_id for hint in hints if hint.order_id}
    assert of_orders == {
        "taobao_trade_TradeCreate": order_id,
        "taobao_trade_TradeBuyerPay": order_id,
    }
    assert not any(hint.unknown for hint in hints)
    ids = [hint.message_id for hint in hints]
    await channel.do(lambda at: adapter.confirm_fetched(ids, at))
    channel.world.clock.advance(120_000)
    assert await channel.ask(adapter.fetch, adapter.read_fetched) == []


async def test_a_sweep(channel: Channel, catfood: Item):
    """All that changed in a window is found, with when it changed."""
    placed = {place(channel.world, catfood) for _ in range(10)}
    adapter = channel.adapter
    first = await channel.ask(
        lambda at: adapter.changed(NOON_MS - 1_000, NOON_MS + 1_000, 1, at), adapter.read_changed
    )
    assert first.pages == 1
    assert dict(first.orders) == dict.fromkeys(placed, NOON_MS)
    nothing = await channel.ask(
        lambda at: adapter.changed(NOON_MS - 60_000, NOON_MS - 30_000, 1, at), adapter.read_changed
    )
    assert (nothing.orders, nothing.pages) == ((), 0)


async def test_stock_and_shelf(channel: Channel, catfood: Item, shirt: Item):
    """What is shown, closed and opened again is so in the shop."""
    adapter = channel.adapter
    (only,) = catfood.skus.values()
    single = Listing(sku="CATFOOD-10KG", item_id=catfood.item_id)
    await channel.do(lambda at: adapter.show(single, 3, "k", at))
    assert (only.quantity, catfood.listed) == (3, True)
    for _ in range(2):
        await channel.do(lambda at: adapter.close(single, "k", at))
        assert not catfood.listed
    await channel.do(lambda at: adapter.reopen(single, 8, "k", at))
    assert (only.quantity, catfood.listed) == (8, True)

    red, blue = shirt.skus.values()
    listing = Listing(sku=red.outer_id, item_id=shirt.item_id, platform_sku_id=red.sku_id)
    await channel.do(lambda at: adapter.close(listing, "k", at))
    assert (red.quantity, blue.quantity, shirt.listed) == (0, 7, True)
    await channel.do(lambda at: adapter.reopen(listing, 4, "k", at))
    assert (red.quantity, blue.quantity, shirt.listed) == (4, 7, True)


async def test_a_session_that_has_run_out(channel: Channel, catfood: Item):
    """It is told as that."""
    order_id = place(channel.world, catfood)
    channel.token = "another"
    with pytest.raises(TokenRefused):
        await channel.order(order_id)


async def test_an_order_that_there_is_not(channel: Channel):
    """Nothing is to be gained by asking again."""
    with pytest.raises(PlatformFault) as caught:
        await channel.order("4701000000000000001")
    assert caught.value.again is False


@pytest.mark.parametrize("rate", ["error", "throttled"])
async def test_faults_that_pass(channel: Channel, desk: Desk, catfood: Item, rate: str):
    """What the platform does wrong may go right later."""
    order_id = place(channel.world, catfood)
    assert (await desk.ask("PUT", "/faults", {rate: 1.0}))[0] == 200
    with pytest.raises(PlatformFault) as caught:
        await channel.order(order_id)
    assert caught.value.again is True


async def test_a_call_to_us(channel: Channel, desk: Desk, stage: Stage, simulator: Simulated):
    """What the platform signs we verify, header and all."""
    pushes: list[Push] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        pushes.append(Push(body, headers, head[0].split(" ")[1].partition("?")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        scene = {
            "url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/messages",
            "method": "qimen.demo.order.push",
            "body": '{"tid":4701000000000000001, "备注":"✓"}',
            "headers": {"X-Shop": "旗舰店"},
        }
        assert (await desk.ask("POST", "/tmall/callback", scene))[0] == 200
    (push,) = pushes
    (hint,) = channel.adapter.read_push(push, NOON_MS)
    assert (hint.topic, hint.order_id) == ("qimen.demo.order.push", "4701000000000000001")
    with pytest.raises(Stale):
        channel.adapter.read_push(push, NOON_MS + 601_000)
