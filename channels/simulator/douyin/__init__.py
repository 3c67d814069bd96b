"""Douyin shop (抖店, Doudian): its gateway, its messages to us.

Reading order: `app` (who sells, what is left unsaid), `signing`, `problems`, `call`, `gateway`;
then what the methods do: `tokens`, `orders`, `shipping`, `stock`; and what is told: `after_sales`,
`messages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from channels.simulator.douyin.after_sales import AfterSales
from channels.simulator.douyin.app import App, Ids, Settings
from channels.simulator.douyin.gateway import Gateway
from channels.simulator.douyin.messages import FIRST_MSG_ID, Message, Messages, probe
from channels.simulator.douyin.orders import RISK, Orders
from channels.simulator.douyin.shipping import Shipping
from channels.simulator.douyin.signing import event_sign
from channels.simulator.douyin.stock import Stock
from channels.simulator.douyin.tokens import Tokens
from channels.simulator.platform import ShopWorld, SimulatedPlatform
from channels.simulator.trade import Event, Refusal, Refused
from partners.simulation.courier import Courier, Heard, Pace
from partners.simulation.forms import change, read
from partners.simulation.post import Post
from partners.simulation.simulator import Answer

__all__ = ["App", "Douyin", "Settings"]


class Address(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where messages go; none: nowhere."""

    url: str | None


class Douyin(SimulatedPlatform):
    """Doudian before a shop.

    The shop is made with `every_sku_has_id` and `first_line_is_order`, as they are there. An order
    with the note `risk: held` is looked at by risk control when it is paid.
    """

    platform = "douyin"

    def __init__(
        self,
        world: ShopWorld,
        app: App,
        settings: Settings | None = None,
        *,
        first_message_id: int = FIRST_MSG_ID,
    ) -> None:
        self.app, self.settings = app, settings or Settings()
        self.url: str | None = None
        self.tokens = Tokens(app, self.settings)
        self.after_sales = AfterSales()
        ids = Ids(self.settings, world.faults.seed)
        self.messages = Messages(
            app, self.settings, ids, self.after_sales, first_id=first_message_id
        )
        self._stock = Stock(world.shop, self.settings, ids)
        orders = Orders(world.shop, app, self.settings, ids, self.after_sales)
        methods = {
            **orders.methods(),
            **Shipping(world.shop).methods(),
            **self._stock.methods(),
        }
        self._gateway = Gateway(world, app, self.settings, self.tokens, methods)
        self.courier = Courier[Message](world, self._push, self._pace)
        self._sender = Post()
        world.shop.forgetting += [self.messages.forget, self.after_sales.forget]
        super().__init__(world)

    def face(self) -> Sequence[BaseRoute]:
        """Give the gateway: every path is a method's, also one that there is not."""
        known = [f"/{name.replace('.', '/')}" for name in self._gateway.methods]
        paths = [*known, "/{method:path}"]
        return [Route(path, self._answer, methods=["POST"]) for path in paths]

    def happened(self, event: Event) -> None:
        """Write the message of it, and send it where somebody wants it."""
        self.after_sales.note(event)
        self._stock.note(event)
        message = self.messages.compose(event)
        if message is not None and self.url is not None:
            self.courier.send(message, message.about)

    async def run(self) -> None:
        """Send messages."""
        try:
            await self.courier.run()
        finally:
            await self._sender.aclose()

    def state(self) -> dict[str, Any]:
        """Tell what has become of the messages, and the settings."""
        return {
            "url": self.url,
            "messages_waiting": self.courier.waiting,
            "messages": self.courier.counts,
            "given_up": [message.msg_id for message in self.courier.given_up],
            "settings": msgspec.structs.asdict(self.settings),
        }

    def desk(self) -> dict[tuple[str, str], Answer]:
        """Let an address for messages be given, settings be changed, and the rest of it.

        PUT /url {"url"}: it is tried first; null ends it. PUT /settings. POST /code: a merchant
        opens the shop, for `token.create`. DELETE /tokens: all end. POST /risk/ORDER: risk control
        lets it pass.
        """
        return {
            ("/url", "PUT"): self._set_url,
            ("/settings", "PUT"): self._set,
            ("/code", "POST"): self._code,
            ("/tokens", "DELETE"): self._revoke,
            ("/risk/{order_id}", "POST"): self._pass,
        }

    # -- messages --------------------------------------------------------------------------------

    def _pace(self) -> Pace:
        settings = self.settings
        return Pace(settings.lanes, settings.most_in_push, settings.retry_ms)

    async def _push(self, messages: list[Message]) -> Heard:
        """Send a push; it is taken where it is said so in time."""
        return Heard(taken=await self._post(self.url, self.messages.write(messages)))

    async def _post(self, url: str | None, body: bytes) -> bool:
        """Send a body, signed, and say whether it was acknowledged."""
        if url is None:
            return False
        by = self.settings.push_sign
        headers = {
            "app-id": self.app.app_key,
            "event-sign": event_sign(
                app_id=self.app.app_key, secret=self.app.secret, body=body, by=by
            ),
            "sign-method": by,
            "content-type": "application/json",
        }
        said = await self._sender.send(url, body, headers, seconds=self.settings.answer_ms / 1000)
        return said is not None and said.status == 200 and _acknowledges(said.body)

    # -- desk ------------------------------------------------------------------------------------

    async def _set_url(self, request: Request) -> Any:
        """Keep an address that answers the probe with success."""
        url = (await read(request, Address)).url
        if url is not None and not await self._post(url, probe(self.world.clock.now_ms())):
            raise Refused(Refusal.WRONG_VALUE, f"{url} does not acknowledge the probe message")
        self.url = url
        return {"url": url}

    async def _set(self, request: Request) -> Any:
        return await change(self.settings, request)

    async def _code(self, _: Request) -> Any:
        return {"code": self.tokens.code(self.world.clock.now_ms())}

    async def _revoke(self, _: Request) -> Any:
        self.tokens.revoke()
        return {}

    async def _pass(self, request: Request) -> Any:
        order = self.world.shop.let_pass(
            request.path_params["order_id"], {RISK: "", "passed": "true"}
        )
        return {"order_id": order.order_id, "stage": order.stage}

    async def _answer(self, request: Request) -> Any:
        return await self._gateway.answer(request)


def _acknowledges(body: bytes) -> bool:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("code") == 0 and said["code"] is not False
