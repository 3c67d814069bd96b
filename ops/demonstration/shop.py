"""A simulated platform in a process of its own: the other side of the same channel's settings.

Its shop has what the channel's listings name, none of it in stock: how much there is Holdfast
tells. So one that died comes back with the same items, though without its orders.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from socket import socket
from typing import TYPE_CHECKING, Final

from channels.feed.listings import read_listings
from channels.simulator.dealer import Account, Dealer
from channels.simulator.douyin import App, Douyin
from channels.simulator.platform import ShopWorld, SimulatedPlatform
from channels.simulator.shop import Shop as Shelves
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.trade import Deducts, Sku
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import serve

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.shops import Shop

PRICE_FEN: Final = 9_900
MOST_ORDERS: Final = 6_000  # then what has ended is forgotten: of one day there are some 260


def run(settings: Settings, channel: str, descriptor: int, service_url: str) -> int:
    """Serve a channel's platform on a listening socket until SIGTERM."""
    messages_url = f"{service_url}/v1/channels/{channel}/messages"
    # It knows no ids of a former life, and may give none of them again.
    simulator = simulated(settings.channels[channel], messages_url, first_id=time.time_ns())
    serve(simulator, socket(fileno=descriptor))
    return 0


def simulated(shop: Shop, messages_url: str, *, first_id: int) -> SimulatedPlatform:
    """Make the platform of a channel, with its shop, that sends its messages to an address."""
    simulator = _MAKERS[shop.platform](shop, messages_url, first_id)
    assert shop.listings is not None
    for sku, listing in read_listings(shop.listings.read_bytes()).items():
        simulator.world.shop.offer(
            sku,
            [Sku(sku_id=listing.platform_sku_id, outer_id=sku, quantity=0, price_fen=PRICE_FEN)],
            item_id=listing.item_id,
            deducts=Deducts.AT_ORDER,
        )
    return simulator


def _tmall(shop: Shop, _messages_url: str, first_id: int) -> SimulatedPlatform:
    seller = Seller(app_key=shop.app_key, secret=shop.secrets[0], session=shop.token)
    clock = Clock()
    world = ShopWorld(clock, Faults(), Shelves(clock, first_id=first_id, forgets_above=MOST_ORDERS))
    return Tmall(world, seller, first_message_id=first_id)


def _douyin(shop: Shop, messages_url: str, first_id: int) -> SimulatedPlatform:
    app = App(app_key=shop.app_key, secret=shop.secrets[0], shop_id=shop.shop_id)
    clock = Clock()
    shelves = Shelves(
        clock,
        first_id=first_id,
        every_sku_has_id=True,
        first_line_is_order=True,
        forgets_above=MOST_ORDERS,
    )
    douyin = Douyin(ShopWorld(clock, Faults(), shelves), app, first_message_id=first_id)
    douyin.url = messages_url
    return douyin


def _dealer(shop: Shop, messages_url: str, first_id: int) -> SimulatedPlatform:
    clock = Clock()
    world = ShopWorld(clock, Faults(), Shelves(clock, first_id=first_id, forgets_above=MOST_ORDERS))
    account = Account(sending=shop.secrets, receiving=shop.secrets)
    return Dealer(world, account, url=messages_url)


_MAKERS: Final[Mapping[str, Callable[[Shop, str, int], SimulatedPlatform]]] = {
    "tmall": _tmall,
    "douyin": _douyin,
    "distributor": _dealer,
}
