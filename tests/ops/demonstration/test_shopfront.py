"""The shops as buyers and merchant use them: what a shop refuses is its own sentence."""

from __future__ import annotations

import pytest

from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.trade import Sku
from ops.demonstration.shopfront import NotSold, PlatformAway, Shopfront
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from reservation.client import OrderLine


async def test_an_order_is_placed_paid_and_sent() -> None:
    """By the shelf or beyond it; what cannot be done is said, and nothing else is taken for it."""
    world = ShopWorld(clock := Clock(), Faults(), Shop(clock))
    tmall = Tmall(world, Seller(app_key="12345678", secret="helloworld"))
    async with served(tmall) as url, Shopfront("tmall", url) as shop:
        kinds = [Sku(sku_id="", outer_id=sku, quantity=5, price_fen=1) for sku in "AB"]
        item = world.shop.offer("cats", kinds).item_id
        assert await shop.shown(item) == 10
        with pytest.raises(NotSold, match="6 of A are wanted, 5 shown"):
            await shop.order([OrderLine("A", 6)])
        lines = [OrderLine("B", 1), OrderLine("A", 6)]
        assert await shop.shelf() == {"A": 5, "B": 5}
        order_id = await shop.order(lines, by_snapshot=True)
        await shop.sell(order_id)
        order = world.shop.order(order_id)
        assert order.stage == "shipped"
        assert [(one.sku.outer_id, one.quantity) for one in order.lines.values()] == [
            ("B", 1),
            ("A", 6),
        ]
        with pytest.raises(NotSold, match="cannot be cancelled"):
            await shop.close(order_id)
        with pytest.raises(PlatformAway, match="there is no order 1"):
            await shop.pay("1")
        world.shop.list_item(item, listed=False)
        assert await shop.shown(item) is None
        assert await shop.shelf() == {}
    async with Shopfront("tmall", url) as shop:
        with pytest.raises(PlatformAway, match="tmall does not answer"):
            await shop.pay(order_id)
