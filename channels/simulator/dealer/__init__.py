"""A dealer with a shop of its own: sends us its orders, hears from us what it may sell.

Reading order: `signing` (Standard Webhooks), `account` (secrets, behaviour), `document` (what it
sends); `gate` (what our requests are held to), `hearing` (what it is told), `asked` (what it is
asked for).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from channels.simulator.dealer.account import Account, Settings
from channels.simulator.dealer.asked import Asked
from channels.simulator.dealer.document import Book, written
from channels.simulator.dealer.gate import Gate
from channels.simulator.dealer.hearing import Hearing
from channels.simulator.dealer.signing import signature
from channels.simulator.platform import ShopWorld, SimulatedPlatform
from channels.simulator.trade import Event, Refusal, Refused
from partners.simulation.courier import Courier, Heard, Pace
from partners.simulation.forms import change, read
from partners.simulation.post import Post, Said
from partners.simulation.simulator import Answer, Cut

__all__ = ["Account", "Dealer", "Settings"]

GONE: Final = 410  # the receiver wants nothing any more
MOST_RETRY_AFTER_SECONDS: Final = 86_400


class Address(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where messages go; none: nowhere."""

    url: str | None


class Secrets(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Other secrets, newest first."""

    sending: list[str] | None = None
    receiving: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, the same over its repetitions but for its timestamp and signature."""

    message_id: str
    body: bytes


class Dealer(SimulatedPlatform):
    """A dealer before its shop."""

    platform = "dealer"

    def __init__(
        self,
        world: ShopWorld,
        account: Account,
        settings: Settings | None = None,
        *,
        url: str | None = None,
    ) -> None:
        self.account, self.settings = account, settings or Settings()
        self.url, self.disabled = url, False
        self.gate = Gate(world, account, self.settings)
        self.hearing = Hearing(world, self.gate)
        self._book = Book()
        self._asked = Asked(world, self.gate, self._book, self.settings)
        self.courier = Courier[Message](world, self._deliver, self._pace)
        self._sent = 0
        self._post = Post()
        world.shop.forgetting.append(self._book.forget)
        super().__init__(world)

    def face(self) -> Sequence[BaseRoute]:
        """Give the address where it hears us, and below it what it can be asked for."""
        return [
            Route("/webhooks", self._hear, methods=["POST"]),
            Route("/webhooks/orders", self._orders, methods=["GET"]),
            Route("/webhooks/orders/{order_no}", self._order, methods=["GET"]),
        ]

    def happened(self, event: Event) -> None:
        """Write the document of it, and send it where somebody wants it."""
        self._book.note(event)
        document = self._book.document(event)
        if document is not None and event.order is not None:
            self._send(document, event.order.order_id)

    async def run(self) -> None:
        """Send messages."""
        try:
            await self.courier.run()
        finally:
            await self._post.aclose()

    def state(self) -> dict[str, Any]:
        """Tell what has become of the messages, what was heard, and the settings."""
        return {
            "url": self.url,
            "disabled": self.disabled,
            "messages_waiting": self.courier.waiting,
            "messages": self.courier.counts,
            "given_up": [message.message_id for message in self.courier.given_up],
            "heard": self.gate.counts,
            "settings": msgspec.structs.asdict(self.settings),
        }

    def desk(self) -> dict[tuple[str, str], Answer]:
        """Let an address be given, secrets be changed, and what was heard be read.

        PUT /url {"url"}: also after it was disabled by a 410; null ends it. PUT /settings.
        PUT /secrets {"sending"?, "receiving"?}. POST /ping: a message that does nothing. GET /told:
        what was taken, the oldest first; DELETE /told forgets it.
        """
        return {
            ("/url", "PUT"): self._set_url,
            ("/settings", "PUT"): self._set,
            ("/secrets", "PUT"): self._set_secrets,
            ("/ping", "POST"): self._ping,
            ("/told", "GET"): self._told,
            ("/told", "DELETE"): self._forget,
        }

    # -- messages --------------------------------------------------------------------------------

    def _send(self, document: dict[str, Any], key: str) -> None:
        if self.url is None:
            return
        self._sent += 1
        name = hashlib.sha256(f"{self._sent} {key}".encode()).hexdigest()[:27]
        self.courier.send(Message(f"msg_{name}", orjson.dumps(document)), key)

    def _pace(self) -> Pace:
        return Pace(self.settings.lanes, 1, self.settings.retry_ms)

    async def _deliver(self, messages: list[Message]) -> Heard:
        """Send a message, signed now."""
        if self.url is None:
            return Heard(taken=False, stop=True)
        (message,) = messages
        timestamp = str(self.world.clock.now_ms() // 1000)
        headers = {
            "webhook-id": message.message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(
                self.account.sending, message.message_id, timestamp, message.body
            ),
            "content-type": "application/json",
        }
        seconds = self.settings.answer_ms / 1000
        said = await self._post.send(self.url, message.body, headers, seconds=seconds)
        if said is None:
            return Heard(taken=False)
        if said.status == GONE:
            self.url, self.disabled = None, True
            return Heard(taken=False, stop=True)
        return Heard(taken=said.status // 100 == 2, after_ms=_retry_after_ms(said))

    # -- hearing and desk ------------------------------------------------------------------------

    async def _hear(self, request: Request) -> Response | Cut:
        return await self.hearing.hear(request)

    async def _order(self, request: Request) -> Response | Cut:
        return await self._asked.order(request)

    async def _orders(self, request: Request) -> Response | Cut:
        return await self._asked.orders(request)

    async def _ping(self, _: Request) -> Any:
        self._send(
            {"type": "ping", "timestamp": written(self.world.clock.now_ms()), "data": {}}, ""
        )
        return {}

    async def _set_url(self, request: Request) -> Any:
        url = (await read(request, Address)).url
        if url is not None and not _is_web(url):
            raise Refused(Refusal.WRONG_VALUE, "a url is http://… or https://…")
        self.url, self.disabled = url, False
        return {"url": url}

    async def _set(self, request: Request) -> Any:
        return await change(self.settings, request)

    async def _set_secrets(self, request: Request) -> Any:
        form = await read(request, Secrets)
        try:
            account = Account(
                sending=tuple(form.sending or self.account.sending),
                receiving=tuple(form.receiving or self.account.receiving),
            )
        except ValueError as error:
            raise Refused(Refusal.WRONG_VALUE, str(error)) from None
        self.account.sending, self.account.receiving = account.sending, account.receiving
        return {}

    async def _told(self, _: Request) -> Any:
        return {"told": [msgspec.to_builtins(each) for each in self.hearing.told]}

    async def _forget(self, _: Request) -> Any:
        self.hearing.told.clear()
        return {}


def _is_web(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def _retry_after_ms(said: Said) -> int:
    """Say how long the receiver wants to be left alone; a date is not read."""
    text = said.headers.get("retry-after", "")
    if not (text.isascii() and text.isdecimal()):
        return 0
    return min(int(text[:9]), MOST_RETRY_AFTER_SECONDS) * 1000
