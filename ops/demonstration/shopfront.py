"""A simulated platform as its buyers and its merchant use it: its control side, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from reservation.errors import HoldfastError

if TYPE_CHECKING:
    from types import TracebackType

    from reservation.client import OrderLine

MOST_CONNECTIONS: Final = 32  # to one of them
TIMEOUT_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 2.0  # then a connection is closed by us: the platform closes it after five
MOST_ITEMS: Final = 1_000  # in one answer
PARCEL: Final = {"company": "SF", "tracking_number": "SF214151283"}
TITLES: Final = {"tmall": "Tmall", "douyin": "Douyin", "dealer-hz": "the dealer"}


class PlatformAway(HoldfastError):
    """A simulated platform does not answer, or not as it should."""


class NotSold(HoldfastError):
    """The shop does not sell this; the text is what it says."""


class Shopfront:
    """One channel's shop."""

    def __init__(self, channel: str, url: str) -> None:
        self.channel = channel
        self.title = TITLES.get(channel, channel)
        self._http = httpx.AsyncClient(
            base_url=f"{url}/simulator",
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=IDLE_SECONDS),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def order(self, lines: Sequence[OrderLine], *, by_snapshot: bool = False) -> str:
        """Place an order; returns its id.

        With `by_snapshot` the shelf is not asked: who watches a livestream buys by what it showed
        before. Raises NotSold.
        """
        wanted = [{"outer_id": line.sku, "quantity": line.quantity} for line in lines]
        placed = await self.say("POST", "/orders", {"lines": wanted, "oversell": by_snapshot})
        return str(placed["order_id"])

    async def pay(self, order_id: str) -> None:
        """Let the buyer pay."""
        await self.say("POST", f"/orders/{order_id}/pay")

    async def ship(self, order_id: str) -> None:
        """Let the merchant send all of it."""
        await self.say("POST", f"/orders/{order_id}/ship", PARCEL)

    async def sell(self, order_id: str) -> None:
        """Let an order be paid and sent."""
        await self.pay(order_id)
        await self.ship(order_id)

    async def close(self, order_id: str) -> None:
        """Let an order that nobody paid lapse."""
        await self.say("POST", f"/orders/{order_id}/cancel")

    async def refund(self, order_id: str) -> None:
        """Give the buyer the money back."""
        await self.say("POST", f"/orders/{order_id}/refund")

    async def shelf(self) -> Mapping[str, int]:
        """Read how many the shop shows of each SKU that it takes orders for."""
        shown: dict[str, int] = {}
        place = ""
        while True:  # ends: a shop of the demonstration gets no new items
            page = (await self.say("GET", f"/items?limit={MOST_ITEMS}{place}"))["items"]
            for item in page:
                if item["listed"]:
                    shown |= {sku["outer_id"]: sku["quantity"] for sku in item["skus"]}
            if len(page) < MOST_ITEMS:
                return shown
            place = f"&after={page[-1]['item_id']}"

    async def shown(self, item_id: str) -> int | None:
        """Read how many of an item the shop shows; None where it takes no orders for it."""
        item = await self.say("GET", f"/items/{item_id}")
        return int(item["quantity"]) if item["listed"] else None

    async def say(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the control side. Raises PlatformAway, NotSold."""
        try:
            answer = await self._http.request(method, path, json=body)
            said = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            message = f"the simulated platform of {self.channel} does not answer: {error!r}"
            raise PlatformAway(message) from error
        if answer.status_code == httpx.codes.CONFLICT:
            raise NotSold(str(said["error"]))
        if not answer.is_success:
            message = f"the simulated platform of {self.channel} refuses {path}: {said}"
            raise PlatformAway(message)
        return said
