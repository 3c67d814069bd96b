"""Our adapter's tokens against the simulated gateway's: given, refreshed, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from channels.adapter import Account
from channels.douyin import Douyin
from channels.model import OrderState
from channels.simulator.douyin import Douyin as Simulated
from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Item, Wanted
from channels.transport import Platform
from partners.errors import PartnerFault
from tests.channels.simulator.conftest import Desk
from tests.channels.simulator.douyin.conftest import KEY, SECRET, SHOP_ID

DAY_MS = 86_400_000


class Fast(Douyin):
    """Douyin for the test, which has no time."""

    calls_per_second = 1_000.0


class Channel:
    """The adapter, and an order to ask for."""

    def __init__(self, http: httpx.AsyncClient, world: ShopWorld, order_id: str) -> None:
        url = str(http.base_url).rstrip("/")
        account = Account(
            channel="douyin", url=url, app_key=KEY, secrets=(SECRET,), shop_id=SHOP_ID
        )
        self.platform = Platform(Fast(account), now_ms=world.clock.now_ms)
        self.world, self.order_id = world, order_id

    async def state(self) -> OrderState:
        """Ask for the order."""
        adapter = self.platform.adapter
        order = await self.platform.ask(
            lambda at: adapter.detail(self.order_id, at), adapter.read_detail
        )
        assert order is not None
        return order.state

    def token(self) -> str:
        """Say what opens the platform at present."""
        return self.platform._token.value


@pytest.fixture
async def channel(
    http: httpx.AsyncClient, world: ShopWorld, catfood: Item
) -> AsyncIterator[Channel]:
    wanted = [Wanted(catfood.item_id, sku_id, 1) for sku_id in catfood.skus]
    made = Channel(http, world, world.shop.place(wanted, paid=True).order_id)
    yield made
    await made.platform.close()


async def test_a_token_is_given_and_refreshed_in_time(channel: Channel) -> None:
    """For months, without a call that fails."""
    tokens = set()
    for _ in range(10):
        assert await channel.state() is OrderState.PAID
        tokens.add(channel.token())
        channel.world.clock.advance(4 * DAY_MS)
    assert len(tokens) == 5  # each lives for seven days


async def test_after_a_long_rest_it_begins_anew(channel: Channel) -> None:
    """What would refresh it has run out, too."""
    await channel.state()
    channel.world.clock.advance(15 * DAY_MS)
    assert await channel.state() is OrderState.PAID


async def test_tokens_that_all_end_at_once_are_asked_for_anew(channel: Channel, desk: Desk) -> None:
    await channel.state()
    before = channel.token()
    assert (await desk.ask("DELETE", "/douyin/tokens"))[0] == 200
    assert await channel.state() is OrderState.PAID
    assert channel.token() != before


async def test_a_shop_that_has_taken_its_permission_back_stays_closed(
    channel: Channel, simulator: Simulated
) -> None:
    """Until it gives it again."""
    simulator.settings.authorized = False
    with pytest.raises(PartnerFault, match="no-authorization"):
        await channel.state()
    simulator.settings.authorized = True
    assert await channel.state() is OrderState.PAID
