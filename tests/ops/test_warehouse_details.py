"""What warehouses must know of orders, from the simulated platforms, over HTTP, to the outbox."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from channels.intake.inbox import Inbox, inbox_path
from channels.model import LATEST_SHIP_BY_MS, Hint, Shipping
from channels.model import Lane as Urgency
from channels.registry import adapter_of
from channels.service import run_channels
from channels.shipping.addresses import Addresses, addresses_path
from channels.simulator.dealer import Account as Secrets
from channels.simulator.dealer import Dealer
from channels.simulator.dealer.signing import signature
from channels.simulator.douyin import Douyin
from channels.simulator.douyin.app import App
from channels.simulator.douyin.orders import ciphered
from channels.simulator.platform import ShopWorld, SimulatedPlatform
from channels.simulator.receiver import receiver_of
from channels.simulator.shop import Shop as SimulatedShop
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.tmall.trades import oaid_of
from channels.simulator.trade import Order, Sku, Wanted
from ops.warehouse_details import ChannelDetails, details_of
from partners.errors import PartnerFault
from partners.model import Push
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Line, Reserve, SetStock
from reservation.shops import Samples, Shop, Urgent
from reservation.store.store import Store
from reservation.warehouses import WarehouseSystem
from tests.channels.dealer import SECRET
from tests.waiting import happens
from wms_sync.details import Clerk
from wms_sync.follower import Follower
from wms_sync.model import DeliveryLine, Dispatch, Receiver
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.outbox import Outbox
from wms_sync.rules.priority import Lane, PriorityPolicy

HOUR_MS = 3_600_000
SHOP = {"urgent": Urgent(flags=("1",)), "samples": Samples(skus=("S-*",), bench="B7")}


class Market:
    """The platforms, each with a shop, and whoever knows what stands in their orders."""

    def __init__(self, store: Store, engine: Engine, settings: Settings) -> None:
        self.store, self.engine = store, engine
        clock = Clock()
        self.platforms: dict[str, SimulatedPlatform] = {
            "tmall": Tmall(
                ShopWorld(clock, Faults(seed=1), SimulatedShop(clock)),
                Seller(app_key="12345678", secret="helloworld"),
            ),
            "douyin": Douyin(
                ShopWorld(clock, Faults(seed=1), SimulatedShop(clock, every_sku_has_id=True)),
                App(app_key="1234567890123456789", secret="helloworld", shop_id="4463798"),
            ),
            "dealer": Dealer(
                ShopWorld(clock, Faults(seed=1), SimulatedShop(clock)),
                Secrets(sending=(SECRET,), receiving=(SECRET,)),
            ),
        }
        self.settings = settings
        self.details: ChannelDetails = details_of(store, settings)

    async def open(self, stack: AsyncExitStack) -> None:
        """Serve the platforms, and name them as channels."""
        urls = {
            name: await stack.enter_async_context(served(platform))
            for name, platform in self.platforms.items()
        }
        common = {"calls_per_second": 1_000.0, **SHOP}
        channels = {
            "tmall": Shop(
                platform="tmall",
                url=urls["tmall"],
                app_key="12345678",
                secrets=("helloworld",),
                token="simulator-session",
                **common,
            ),
            "douyin": Shop(
                platform="douyin",
                url=urls["douyin"],
                app_key="1234567890123456789",
                secrets=("helloworld",),
                shop_id="4463798",
                ship_within_hours=24,
                **common,
            ),
            "dealer": Shop(
                platform="distributor",
                url=f"{urls['dealer']}/webhooks",
                secrets=(SECRET,),
                options={"orders_path": "/orders"},
                carrier="SF",
                **common,
            ),
        }
        self.settings = self.settings.model_copy(update={"channels": channels})
        await self.details.aclose()
        self.details = details_of(self.store, self.settings)
        stack.push_async_callback(self.details.aclose)

    async def sell(self, channel: str, *units: int, sku: str = "A", **notes: str) -> Order:
        """Have an order of so many units, line by line, placed, paid and reserved."""
        shop = self.platforms[channel].world.shop
        await self.engine.set_stock(SetStock(sku, "main", 1_000, 0), SYSTEM)
        kind = Sku(sku_id="", outer_id=sku, quantity=1_000, price_fen=990)
        item = shop.offer(sku, [kind])
        sku_id = next(iter(item.skus))
        wanted = [Wanted(item.item_id, sku_id, quantity) for quantity in units or (2,)]
        order = shop.place(wanted, paid=True, notes=notes)
        total = sum(line.quantity for line in order.lines.values())
        await self.reserve(f"{channel}:{order.order_id}", sku, total)
        return order

    async def reserve(self, reservation_id: str, sku: str, units: int) -> None:
        """Commit units."""
        step = Reserve(reservation_id, (Line(sku, "main", units),), 1_800_000, confirm=True)
        assert (await self.engine.reserve(step, SYSTEM)).status.ok


def paid(order: Order, unit_ms: int = 1) -> int:
    """Say when an order was paid, as a platform tells it that counts in such units."""
    assert order.paid_at_ms is not None
    return order.paid_at_ms // unit_ms * unit_ms


@pytest.fixture
async def market(store: Store, engine: Engine, settings: Settings) -> AsyncIterator[Market]:
    """Open the market."""
    made = Market(store, engine, settings)
    async with AsyncExitStack() as stack:
        await made.open(stack)
        yield made


async def test_tmall_masks_an_address_and_gives_the_token_that_opens_it(market: Market) -> None:
    """Its own time to ship by holds; what was paid for a line is told by unit."""
    order = await market.sell("tmall", 2, 1)
    to, paid_ms = receiver_of(order), paid(order, 1000)
    assert (
        await market.details.dispatch_of(f"tmall:{order.order_id}")
        == Dispatch(
            lane=Lane.NORMAL,
            ship_by_ms=paid_ms + 48 * HOUR_MS,
            placed_ms=order.created_at_ms // 1000 * 1000,
            paid_ms=paid_ms,
            platform="tmall",
            shop=market.platforms["tmall"].seller.nick,  # type: ignore[attr-defined]
            receiver=Receiver(
                name=f"{to.name[0]}**",
                mobile=f"*******{to.mobile[-4:]}",
                province=to.province,
                city=to.city or to.district,
                area=to.district if to.city else "",
                detail_address=f"{to.town}{to.address[:2]}***",
                zip_code="000000",
                oaid=oaid_of(order),
            ),
            prices={"A": 990},
        )
    )


async def test_douyin_ciphers_what_tells_who_the_buyer_is(market: Market) -> None:
    """The cipher goes on as it is; the platform's time holds, not the channel's hours."""
    order = await market.sell("douyin", ship_within_hours="72")
    to = receiver_of(order)
    told = await market.details.dispatch_of(f"douyin:{order.order_id}")
    assert told is not None
    assert told.receiver == Receiver(
        name=ciphered(to.name, "##"),
        mobile=ciphered(to.mobile, "$$"),
        province=to.province,
        city=to.city or to.district,
        area=to.district,
        detail_address=ciphered(to.address, "##"),
        zip_code="0",
    )
    assert (told.platform, told.ship_by_ms) == ("douyin", paid(order, 1000) + 72 * HOUR_MS)
    assert told.shop == market.platforms["douyin"].app.shop_name  # type: ignore[attr-defined]
    assert told.prices == {"A": 990}


async def test_a_dealer_that_can_be_asked_is(market: Market) -> None:
    """It writes the address in clear; the channel's carrier goes along."""
    order = await market.sell("dealer")
    to = receiver_of(order)
    told = await market.details.dispatch_of(f"dealer:{order.order_id}")
    assert told is not None
    assert told.receiver == Receiver(
        name=to.name,
        mobile=to.mobile,
        province=to.province,
        city=to.city or to.district,
        area=to.district,
        detail_address=f"{to.town}{to.address}",
    )
    assert (told.platform, told.carrier) == ("distributor", "SF")
    assert told.ship_by_ms == paid(order) + 48 * HOUR_MS


async def test_lanes_follow_the_settings_of_the_channel(market: Market) -> None:
    """By the seller's flag, and by the beginning of a code."""
    for channel in market.platforms:
        if channel != "dealer":
            rush = await market.sell(channel, seller_flag="1")
            told = await market.details.dispatch_of(f"{channel}:{rush.order_id}")
            assert told is not None
            assert told.lane is Lane.RUSH
        sample = await market.sell(channel, sku="S-1")
        told = await market.details.dispatch_of(f"{channel}:{sample.order_id}")
        assert told is not None
        assert (told.lane, told.bench) == (Lane.SAMPLE, "B7")


async def test_what_was_told_of_an_order_goes_before_its_platform(market: Market) -> None:
    """And is all there is of an order that came by the API: then the reservation has its times."""
    order = await market.sell("tmall")
    await market.reserve("walk-in:1", "A", 1)
    there = Shipping(
        name="李四", mobile="139", province="上海", city="上海", detail_address="路 1 号"
    )
    addresses = Addresses(addresses_path(market.settings.data_dir))
    for reservation_id in (f"tmall:{order.order_id}", "walk-in:1"):
        addresses.tell(reservation_id, there, 1)
    addresses.close()
    for reservation_id, platform in (
        (f"tmall:{order.order_id}", "tmall"),
        ("walk-in:1", "walk-in"),
    ):
        told = await market.details.dispatch_of(reservation_id)
        ours = (await market.engine.reservation(reservation_id)).reservation
        assert told is not None
        assert ours is not None
        assert ours.confirmed_at_ms is not None
        assert (told.receiver.name, told.platform, told.prices) == ("李四", platform, {})
        assert (told.placed_ms, told.paid_ms) == (ours.created_at_ms, ours.confirmed_at_ms)
        assert told.ship_by_ms == ours.confirmed_at_ms + 48 * HOUR_MS


async def test_a_ship_by_that_no_warehouse_can_be_told_is_the_last_one(market: Market) -> None:
    """A platform's word is not checked as one that is told here; its order goes all the same."""
    await market.sell("tmall")
    await market.reserve("walk-in:1", "A", 1)
    far = Shipping(
        **dict.fromkeys(("name", "mobile", "province", "city", "detail_address"), "x"),
        ship_by_ms=253_402_300_799_000,
    )
    addresses = Addresses(addresses_path(market.settings.data_dir))
    addresses.tell("walk-in:1", far, 1)
    addresses.close()
    told = await market.details.dispatch_of("walk-in:1")
    assert told is not None
    assert told.ship_by_ms == LATEST_SHIP_BY_MS


async def test_what_nobody_knows_is_not_known(market: Market) -> None:
    """An order that came by the API, one that is none of ours; one its platform does not know."""
    await market.sell("tmall")
    await market.reserve("walk-in:1", "A", 1)
    await market.reserve("tmall:999", "A", 1)
    assert await market.details.dispatch_of("walk-in:1") is None
    assert await market.details.dispatch_of("tmall:998") is None
    with pytest.raises(PartnerFault):
        await market.details.dispatch_of("tmall:999")


async def test_what_was_refunded_or_is_held_back_is_not_detailed(market: Market) -> None:
    """So that it is kept back without a call; let pass, it is told."""
    for channel, notes, passed in (
        ("tmall", {"paid_status": "PAID_FORBID_CONSIGN"}, {"paid_status": ""}),
        ("douyin", {"risk": "held"}, {"risk": ""}),
    ):
        shop = market.platforms[channel].world.shop
        order = await market.sell(channel, **notes)
        assert await market.details.dispatch_of(f"{channel}:{order.order_id}") is None
        shop.let_pass(order.order_id, passed)
        assert await market.details.dispatch_of(f"{channel}:{order.order_id}") is not None
        shop.refund(order.order_id)
        assert await market.details.dispatch_of(f"{channel}:{order.order_id}") is None


async def test_the_outbox_has_them_with_prices_as_soon_as_they_are_known(market: Market) -> None:
    """From the event log to a delivery that waits for its turn."""
    order = await market.sell("dealer", 2, 1, ship_within_hours="5")
    await market.reserve("walk-in:1", "A", 1)
    outbox = Outbox(outbox_path(market.settings.data_dir), ("main",))
    follower = Follower(market.store, market.settings, outbox.entries)
    while not await follower.round():
        pass
    await Clerk(outbox.entries, market.details, {"main": PriorityPolicy()}).round()
    (part,) = outbox.parts(f"dealer:{order.order_id}")
    assert (part.state, part.ship_by_ms) == (DeliveryState.PENDING, paid(order) + 5 * HOUR_MS)
    assert part.order().lines == (DeliveryLine(line_no=1, sku="A", quantity=3, price_fen=990),)
    (other,) = outbox.parts("walk-in:1")
    assert (other.state, other.reason) == (DeliveryState.UNDETAILED, "there are no details yet")
    outbox.close()


async def test_a_platform_that_wants_peace_holds_up_no_other_channel(market: Market) -> None:
    """Nor is it called; its own orders are seen, with the reason why they lack their details."""
    order = await market.sell("tmall", 2, 1)
    await market.reserve("walk-in:1", "A", 1)
    there = Shipping(
        name="李四", mobile="139", province="上海", city="上海", detail_address="路 1 号"
    )
    addresses = Addresses(addresses_path(market.settings.data_dir))
    addresses.tell("walk-in:1", there, 1)
    addresses.close()
    outbox = Outbox(outbox_path(market.settings.data_dir), ("main",))
    follower = Follower(market.store, market.settings, outbox.entries)
    while not await follower.round():
        pass
    market.details._platform("tmall").be_quiet(180)
    await Clerk(outbox.entries, market.details, {"main": PriorityPolicy()}).round()
    (part,) = outbox.parts("walk-in:1")
    assert part.state is DeliveryState.PENDING
    (part,) = outbox.parts(f"tmall:{order.order_id}")
    assert (part.state, part.attempts) == (DeliveryState.UNDETAILED, 1)
    assert part.reason == "quiet: it wants peace for 180 s"
    outbox.close()


async def test_what_was_told_again_counts_for_what_waits(market: Market) -> None:
    """Of a platform's order, and of one that came by the API."""
    order = await market.sell("tmall", 2, 1)
    ids = (f"tmall:{order.order_id}", "walk-in:1")
    await market.reserve("walk-in:1", "A", 1)
    there = Shipping(
        name="李四", mobile="139", province="上海", city="上海", detail_address="路 1 号"
    )
    addresses = Addresses(addresses_path(market.settings.data_dir))
    addresses.tell("walk-in:1", there, 1)
    outbox = Outbox(outbox_path(market.settings.data_dir), ("main",))
    follower = Follower(market.store, market.settings, outbox.entries)
    while not await follower.round():
        pass
    clerk = Clerk(outbox.entries, market.details, {"main": PriorityPolicy()})
    while not await clerk.round():
        pass
    before = [part for one in ids for part in outbox.parts(one)]
    for one in ids:
        addresses.tell(one, replace(there, name="王五", lane=Urgency.RUSH), 2)
    addresses.close()
    while not await clerk.round():
        pass
    for was, part in zip(before, (p for one in ids for p in outbox.parts(one)), strict=True):
        assert was.dispatch is not None
        assert part.dispatch is not None
        assert (part.state, part.lane) == (DeliveryState.PENDING, Lane.RUSH)
        assert (was.dispatch.receiver.name != "王五", part.dispatch.receiver.name) == (True, "王五")
        assert (part.lines, part.dispatch.shop) == (was.lines, was.dispatch.shop)
        assert part.dispatch.prices == was.dispatch.prices
    outbox.close()


async def test_what_a_dealer_corrects_counts_for_what_waits(market: Market) -> None:
    """By its messages, like what is told by hand."""
    sold = await market.sell("dealer", 2)
    reservation_id = f"dealer:{sold.order_id}"
    order = await market.details._asked(reservation_id)
    assert order is not None
    assert order.shipping is not None
    addresses = Addresses(addresses_path(market.settings.data_dir))
    addresses.remember("dealer", [order], 1)
    outbox = Outbox(outbox_path(market.settings.data_dir), ("main",))
    follower = Follower(market.store, market.settings, outbox.entries)
    while not await follower.round():
        pass
    clerk = Clerk(outbox.entries, market.details, {"main": PriorityPolicy()})
    await clerk.round()
    (part,) = outbox.parts(reservation_id)
    assert part.state is DeliveryState.PENDING
    there = replace(order.shipping, detail_address="路 2 号")
    addresses.remember("dealer", [replace(order, shipping=there)], 2)
    addresses.close()
    await clerk.round()
    (part,) = outbox.parts(reservation_id)
    assert part.dispatch is not None
    assert part.dispatch.receiver.detail_address == "路 2 号"
    outbox.close()


@pytest.mark.parametrize("channel", ["tmall", "douyin", "dealer"])
async def test_what_was_told_as_an_order_was_moved_is_not_asked_for_again(
    market: Market, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever moves it asks for both in one call; nothing of it is lost on the way."""
    order = await market.sell(channel, 2, 1)
    reservation_id = f"{channel}:{order.order_id}"
    asked_for = await market.details.dispatch_of(reservation_id)
    inbox = Inbox(inbox_path(market.settings.data_dir))
    inbox.keep([(channel, Hint(message_id="1", topic="t", order_id=order.order_id))], 1)
    inbox.close()
    house = WarehouseSystem(connector="rest", url="http://127.0.0.1:9", code="main")
    settings = market.settings.model_copy(update={"wms": {"main": house}})
    stop = asyncio.Event()
    running = asyncio.create_task(run_channels(market.store, settings, stop))

    async def nobody(self: ChannelDetails, reservation_id: str) -> None:
        del self, reservation_id

    monkeypatch.setattr(ChannelDetails, "_asked", nobody)

    async def known() -> bool:
        return await market.details.dispatch_of(reservation_id) is not None

    await happens(known)
    stop.set()
    await running
    assert asked_for is not None
    assert await market.details.dispatch_of(reservation_id) == asked_for


HEADER = (
    "order_no,line_no,sku,qty,order_time,status,dealer_code,unit_price_yuan,receiver_name,"
    "receiver_mobile,receiver_province,receiver_city,receiver_area,receiver_address,ship_by"
)
ROWS = (
    "F1,1,A,2,2026-01-22 10:00,paid,KS01,9.90,张三,138,浙江,杭州,,路 1 号,2026-01-23 10:00",
    "F1,2,A,1,2026-01-22 10:00,paid,KS01,9.90,,,,,,,",
    "F2,1,A,1,2026-01-22 10:00,paid,KS01,,,,,,,,",
)


async def test_where_nobody_can_be_asked_the_address_is_kept(
    market: Market, tmp_path: Path
) -> None:
    """Of a dealer's message, and of its file; an order without one waits, visibly."""
    await market.engine.set_stock(SetStock("A", "main", 1_000, 0), SYSTEM)
    dealer = market.platforms["dealer"]
    folder = tmp_path / "orders"
    folder.mkdir()
    shop = market.settings.channels["dealer"].model_copy(
        update={"options": {"orders": str(folder)}}
    )
    order = await market.sell("dealer")
    settings = market.settings.model_copy(update={"channels": {"dealer": shop}})
    inbox = Inbox(inbox_path(settings.data_dir))
    assert isinstance(dealer, Dealer)
    message = dealer._book.view(order)  # what it would have sent
    body = json.dumps({"type": "order.paid", "timestamp": "…", "data": message}).encode()
    seconds = str(int(time.time()))
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": seconds,
        "webhook-signature": signature((SECRET,), "m", seconds, body),
    }
    now_ms = int(seconds) * 1000
    (hint,) = adapter_of("dealer", shop).read_push(Push(body, headers), now_ms)
    inbox.keep([("dealer", hint)], now_ms)
    inbox.close()
    name, content = "KS01_20260122103000.csv", "\n".join((HEADER, *ROWS)).encode()
    (folder / name).write_bytes(content)
    (folder / f"{name}.sha256").write_text(hashlib.sha256(content).hexdigest())
    stop = asyncio.Event()
    running = asyncio.create_task(run_channels(market.store, settings, stop))
    details = details_of(market.store, settings)

    async def known() -> bool:
        return all(
            [
                await details.dispatch_of(f"dealer:{number}") is not None
                for number in (order.order_id, "F1")
            ]
        )

    await happens(known)
    stop.set()
    await running
    of_message = await details.dispatch_of(f"dealer:{order.order_id}")
    assert of_message is not None
    assert of_message.receiver.name == receiver_of(order).name
    of_file = await details.dispatch_of("dealer:F1")
    assert of_file is not None
    assert of_file.receiver == Receiver(
        name="张三", mobile="138", province="浙江", city="杭州", detail_address="路 1 号"
    )
    assert (of_file.ship_by_ms, of_file.prices) == (1_769_133_600_000, {"A": 990})
    assert await details.dispatch_of("dealer:F2") is None
    await details.aclose()
