"""Tmall (Taobao Open Platform): its gateway, its message queue, its calls to us.

Reading order: `seller` (who sells, what is left unsaid), `signing`, `problems`, `call`, `gateway`;
then what the methods do: `trades`, `items`, `messages`; and `callback`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from channels.simulator.platform import ShopWorld, SimulatedPlatform
from channels.simulator.tmall.callback import callback
from channels.simulator.tmall.gateway import Gateway
from channels.simulator.tmall.messages import FIRST_ID, Messages
from channels.simulator.tmall.seller import Seller, Settings
from channels.simulator.trade import Event, Refusal, Refused
from partners.simulation.forms import change, read
from partners.simulation.post import Post
from partners.simulation.simulator import Answer

__all__ = ["Seller", "Settings", "Tmall"]

CALLBACK_SECONDS = 10.0  # for which the platform waits for us


class Scene(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A call that the platform is to make."""

    url: str
    method: str
    body: str
    headers: dict[str, str] = {}


class Tmall(SimulatedPlatform):
    """Tmall before a shop.

    `permitted`: whether the seller's messages are open to the application from the start, as if
    taobao.tmc.user.permit had been called long ago.
    """

    platform = "tmall"

    def __init__(
        self,
        world: ShopWorld,
        seller: Seller,
        settings: Settings | None = None,
        *,
        permitted: bool = True,
        first_message_id: int = FIRST_ID,
    ) -> None:
        self.seller = seller
        self.settings = settings or Settings()
        self.messages = Messages(
            seller, self.settings, world.faults, permitted=permitted, first_id=first_message_id
        )
        self._gateway = Gateway(world, seller, self.settings, self.messages)
        super().__init__(world)

    def face(self) -> Sequence[BaseRoute]:
        """Give the gateway's address."""
        return [Route("/router/rest", _endpoint(self._gateway), methods=["GET", "POST"])]

    def happened(self, event: Event) -> None:
        """Write the message of it."""
        self.messages.publish(event)

    def state(self) -> dict[str, Any]:
        """Tell the queue's length and the settings."""
        return {
            "messages_waiting": self.messages.waiting,
            "settings": msgspec.structs.asdict(self.settings),
        }

    def desk(self) -> dict[tuple[str, str], Answer]:
        """Let settings be changed, and call-backs be made."""
        return {("/settings", "PUT"): self._set, ("/callback", "POST"): self._call_back}

    async def _set(self, request: Request) -> Any:
        return await change(self.settings, request)

    async def _call_back(self, request: Request) -> Any:
        """Call whom it is asked to, signed; tell what was answered."""
        scene = await read(request, Scene)
        body = scene.body.encode()
        query, headers = callback(
            self.seller,
            scene.method,
            body,
            self.world.clock.now_ms(),
            scene.headers,
        )
        try:
            url = urlsplit(scene.url)._replace(query=query).geturl()
        except ValueError as error:
            raise Refused(Refusal.WRONG_VALUE, f"{scene.url}: {error}") from None
        async with contextlib.aclosing(Post()) as post:
            said = await post.send(url, body, headers, seconds=CALLBACK_SECONDS)
        if said is None:
            raise Refused(Refusal.WRONG_VALUE, f"{scene.url} does not answer")
        return {"status": said.status, "body": said.body.decode("utf-8", "replace")}


def _endpoint(gateway: Gateway) -> Any:
    return gateway.rest
