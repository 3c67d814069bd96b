"""What the dealer is told by us: kept, and acted upon in its shop.

Source: docs/distributors.md ("What a dealer gets"). A message is done once: its id that comes again
is answered as taken and does nothing. Of two about a SKU the one with the later timestamp is true.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from channels.simulator.dealer.document import read_time
from channels.simulator.dealer.gate import Gate, NotTaken
from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Item, Refused, Sku, Stage
from partners.simulation.simulator import Cut

MOST_KEPT: Final = 100_000  # messages, and ids; the oldest is forgotten


class Message(msgspec.Struct, kw_only=True, frozen=True):
    """A message of ours."""

    type: str
    timestamp: str
    data: dict[str, Any]


class Told(msgspec.Struct, kw_only=True, frozen=True):
    """A message that was taken; `done`: what it led to in the shop, or why to nothing."""

    message_id: str
    at_ms: int
    type: str
    timestamp: str
    data: dict[str, Any]
    done: str


class _OfSku(msgspec.Struct, kw_only=True):
    sku: str
    available: int
    item_id: str = ""
    platform_sku_id: str = ""


class _Rejected(msgspec.Struct, kw_only=True):
    order_no: str
    reason: str


class _Shipped(msgspec.Struct, kw_only=True):
    order_no: str
    company: str
    tracking_number: str
    lines: list[int | str] = []


class Hearing:
    """Where the dealer listens. `told` has what it took, the oldest first."""

    def __init__(self, world: ShopWorld, gate: Gate) -> None:
        self.told: deque[Told] = deque(maxlen=MOST_KEPT)
        self.suspended: set[tuple[str, str]] = set()  # SKUs: nobody can order them
        self._world, self._gate = world, gate
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._true_since_ms: dict[tuple[str, str], int] = {}  # of what is known of a SKU
        self._acts: dict[str, Callable[[Message], str]] = {
            "stock.available": self._available,
            "sku.suspended": self._suspended,
            "sku.resumed": self._resumed,
            "order.rejected": self._rejected,
            "order.shipped": self._shipped,
        }

    async def hear(self, request: Request) -> Response | Cut:
        """Answer a message."""
        try:
            message_id, body = await self._gate.open(request)
            try:
                message = msgspec.json.decode(body, type=Message)
                read_time(message.timestamp)
            except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
                return self._gate.say(400, "malformed")
            fault = self._gate.fault()
        except NotTaken as refusal:
            return refusal.answer
        self._keep(message_id, message)
        return self._gate.say(204, "taken") if fault is None else self._gate.say_fault(fault)

    def _keep(self, message_id: str, message: Message) -> None:
        if message_id in self._ids:
            self._gate.counts["repeated"] += 1
            return
        self._ids[message_id] = None
        if len(self._ids) > MOST_KEPT:
            self._ids.popitem(last=False)
        self.told.append(
            Told(
                message_id=message_id,
                at_ms=self._world.clock.now_ms(),
                type=message.type,
                timestamp=message.timestamp,
                data=message.data,
                done=self._act(message),
            )
        )

    def _act(self, message: Message) -> str:
        """Do what a message says, and tell in a sentence what came of it."""
        if (act := self._acts.get(message.type)) is None:
            return "nothing: this type is not known"
        try:
            return act(message)
        except (Refused, msgspec.ValidationError) as error:
            return f"nothing: {error}"

    # -- acts ------------------------------------------------------------------------------------

    def _available(self, message: Message) -> str:
        return self._set(message)

    def _suspended(self, message: Message) -> str:
        return self._set(message, suspended=True)

    def _resumed(self, message: Message) -> str:
        return self._set(message, suspended=False)

    def _set(self, message: Message, *, suspended: bool | None = None) -> str:
        """Show what is available, and open or close the SKU."""
        told = msgspec.convert(message.data, _OfSku)
        item, sku = self._find(told)
        key, at_ms = (item.item_id, sku.sku_id), read_time(message.timestamp)
        if at_ms < self._true_since_ms.get(key, 0):
            return "nothing: what is known is younger"
        self._world.shop.check_stock(*key, told.available)
        self._true_since_ms[key] = at_ms
        if suspended is not None:
            (self.suspended.add if suspended else self.suspended.discard)(key)
        closed = key in self.suspended
        self._world.shop.set_stock(*key, 0 if closed else told.available)
        # Only a whole item can be taken off the shelf: once all of its SKUs are closed.
        open_ones = [each for each in item.skus if (item.item_id, each) not in self.suspended]
        self._world.shop.list_item(item.item_id, listed=bool(open_ones))
        return "closed" if closed else f"{told.available} shown"

    def _find(self, told: _OfSku) -> tuple[Item, Sku]:
        if told.item_id and told.platform_sku_id:
            item = self._world.shop.item(told.item_id)
            return item, self._world.shop.sku(told.item_id, told.platform_sku_id)
        # Who has no list of the dealer's items names the SKU as the item.
        return self._world.shop.coded(told.sku, "" if told.item_id == told.sku else told.item_id)

    def _rejected(self, message: Message) -> str:
        told = msgspec.convert(message.data, _Rejected)
        order = self._world.shop.order(told.order_no)
        if order.stage is Stage.UNPAID:
            self._world.shop.cancel(order.order_id)
            return "cancelled"
        self._world.shop.refund(order.order_id)
        return "refunded"

    def _shipped(self, message: Message) -> str:
        told = msgspec.convert(message.data, _Shipped)
        order = self._world.shop.order(told.order_no)
        named = {str(number): line_id for number, line_id in enumerate(order.lines, 1)}
        # A line that does not exist is passed on as it is: the shop says so.
        lines = [named.get(str(each), str(each)) for each in told.lines]
        self._world.shop.ship(order.order_id, told.company, told.tracking_number, lines)
        return "shipped"
