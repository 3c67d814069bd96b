"""The message service (TMC): what has happened, in a queue that the application empties.

A message that is not confirmed is delivered again after a while; after a day it is gone. What the
faults do to a message: lost, it never enters the queue; duplicated, a copy with the same id comes
after the first one, confirmed or not; reordered, it comes later than those written after it.

Sources: open.alitrip.com docs articleId=101663, tmc.js types/taobao.d.ts (topics and contents), the
published answer of 2014 (id 34160041836).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from channels.simulator.tmall.call import Call, written
from channels.simulator.tmall.problems import invalid
from channels.simulator.tmall.seller import Seller, Settings
from channels.simulator.tmall.trades import STATUS, yuan
from channels.simulator.trade import Event, Happening
from partners.simulation.faults import Faults

KEPT_MS: Final = 86_400_000
MOST_WAITING: Final = 500_000  # of messages; the oldest give way, as after a day
LEAST_CONSUMED, MOST_CONSUMED, USUAL_CONSUMED = 10, 200, 100
MOST_CONFIRMED: Final = 200
FIRST_ID: Final = 1_172_200_053_212_681_005  # of messages: 19 digits, as published ones have

TOPICS: Final[dict[Happening, str]] = {
    Happening.CREATED: "taobao_trade_TradeCreate",
    Happening.PAID: "taobao_trade_TradeBuyerPay",
    Happening.PART_SHIPPED: "taobao_trade_TradePartlySellerShip",
    Happening.SHIPPED: "taobao_trade_TradeSellerShip",
    Happening.FINISHED: "taobao_trade_TradeSuccess",
    Happening.CANCELLED: "taobao_trade_TradeClose",
    Happening.CLOSED: "taobao_trade_TradeClose",
    Happening.REFUND_ASKED: "taobao_refund_RefundCreated",
    Happening.REFUND_AGREED: "taobao_refund_RefundSellerAgreeAgreement",
    Happening.REFUND_RETURNED: "taobao_refund_RefundBuyerReturnGoods",
    Happening.REFUND_REFUSED: "taobao_refund_RefundSellerRefuseAgreement",
    Happening.REFUND_WITHDRAWN: "taobao_refund_RefundClosed",
    Happening.REFUND_DONE: "taobao_refund_RefundSuccess",
    Happening.STOCK_CHANGED: "taobao_item_ItemStockChanged",
    Happening.STOCK_EMPTY: "taobao_item_ItemSkuZeroStock",
    Happening.LISTED: "taobao_item_ItemUpshelf",
    Happening.DELISTED: "taobao_item_ItemDownshelf",
}
_ITEM_EMPTY: Final = "taobao_item_ItemZeroStock"
KNOWN_TOPICS: Final = frozenset({*TOPICS.values(), _ITEM_EMPTY})
# What an application that sells has asked for; about items it must ask itself.
USUAL_TOPICS: Final = frozenset(
    topic for topic in KNOWN_TOPICS if topic.startswith(("taobao_trade_", "taobao_refund_"))
)


@dataclass(slots=True)
class _Message:
    message_id: int
    topic: str
    content: str
    published_ms: int
    seen: bool = False  # delivered at least once
    gone: bool = False  # confirmed, or too old


@dataclass(slots=True)
class _Queue:
    """One group's messages; `due` is a heap of (when it may be delivered, order, message)."""

    due: list[tuple[int, int, _Message]] = field(default_factory=list)
    copies: dict[int, list[_Message]] = field(default_factory=dict)  # by id, the oldest first


class Messages:
    """The queue, and the methods about it."""

    def __init__(
        self,
        seller: Seller,
        settings: Settings,
        faults: Faults,
        *,
        permitted: bool,
        first_id: int = FIRST_ID,
    ) -> None:
        self._seller, self._settings, self._faults = seller, settings, faults
        self._topics = USUAL_TOPICS if permitted else frozenset()
        self._queue = _Queue()
        self._order = itertools.count()
        self._next_id = itertools.count(first_id)
        self.group = "default"

    @property
    def waiting(self) -> int:
        """How many messages are not confirmed, copies and those still to come among them."""
        return sum(len(copies) for copies in self._queue.copies.values())

    def methods(self) -> dict[str, Callable[[Call], dict[str, Any]]]:
        """Give them by name."""
        return {
            "taobao.tmc.messages.consume": self.consume,
            "taobao.tmc.messages.confirm": self.confirm,
            "taobao.tmc.user.permit": self.permit,
        }

    def publish(self, event: Event) -> None:
        """Write what has happened into the queue, if the application wants to know."""
        for topic in _topics(event):
            if topic in self._topics:
                self._enter(topic, self._content(event), event.at_ms)

    def permit(self, call: Call) -> dict[str, Any]:
        """Open the seller's messages to the application: the topics named, or the usual ones."""
        named = {topic.strip() for topic in call.optional("topics").split(",")} - {""}
        if not named <= KNOWN_TOPICS:
            raise invalid("topics", ",".join(sorted(named - KNOWN_TOPICS)))
        self._topics = frozenset(named) or USUAL_TOPICS
        return {"is_success": True}

    def consume(self, call: Call) -> dict[str, Any]:
        """Deliver what is due, the longest due first; without any, `messages` is empty."""
        self._check_group(call)
        most = call.within("quantity", LEAST_CONSUMED, MOST_CONSUMED, USUAL_CONSUMED)
        due, now_ms = self._queue.due, call.now_ms
        delivered: list[_Message] = []
        while due and due[0][0] <= now_ms and len(delivered) < most:
            _, _, message = heapq.heappop(due)
            if not message.gone and message.published_ms + KEPT_MS <= now_ms:
                self._forget(message)
            if message.gone:
                continue
            message.seen = True
            delivered.append(message)
        for message in delivered:  # not before the end: one answer has a copy once only
            self._wait(message, now_ms + self._settings.redeliver_ms)
        some = {"tmc_message": [self._view(message) for message in delivered]} if delivered else {}
        return {"messages": some}

    def confirm(self, call: Call) -> dict[str, Any]:
        """Take messages off the queue; those that failed are delivered again at once."""
        self._check_group(call)
        done, failed = _ids(call, "s_message_ids"), _ids(call, "f_message_ids")
        if not done and not failed:
            call.text("s_message_ids")
        for message_id in done:
            for message in [each for each in self._copies(message_id) if each.seen]:
                self._forget(message)
        for message_id in failed:
            for message in [each for each in self._copies(message_id) if each.seen]:
                self._forget(message)
                again = _Message(message_id, message.topic, message.content, message.published_ms)
                self._keep(again, call.now_ms)
        return {"is_success": True}

    def _enter(self, topic: str, content: dict[str, Any], at_ms: int) -> None:
        message_id = next(self._next_id)
        text = orjson.dumps(content).decode()
        for arrives_ms in self._faults.deliveries(at_ms):
            self._keep(_Message(message_id, topic, text, at_ms), arrives_ms)
        while len(self._queue.copies) > MOST_WAITING:
            oldest = next(iter(self._queue.copies))
            for message in list(self._copies(oldest)):
                self._forget(message)

    def _keep(self, message: _Message, due_ms: int) -> None:
        self._queue.copies.setdefault(message.message_id, []).append(message)
        self._wait(message, due_ms)

    def _wait(self, message: _Message, due_ms: int) -> None:
        heapq.heappush(self._queue.due, (due_ms, next(self._order), message))

    def _copies(self, message_id: int) -> list[_Message]:
        return self._queue.copies.get(message_id, [])

    def _forget(self, message: _Message) -> None:
        message.gone = True
        copies = self._queue.copies[message.message_id]
        copies.remove(message)
        if not copies:
            del self._queue.copies[message.message_id]

    def _check_group(self, call: Call) -> None:
        if call.optional("group_name", self.group) != self.group:
            raise invalid("group_name", "group is not existed")

    def _view(self, message: _Message) -> dict[str, Any]:
        return {
            "id": message.message_id,
            "topic": message.topic,
            "user_id": self._seller.user_id,
            "user_nick": self._seller.nick,
            "content": message.content,
            "pub_time": written(message.published_ms),
            "pub_app_key": self._seller.app_key,
        }

    def _content(self, event: Event) -> dict[str, Any]:
        if event.order is None:
            return _item_content(event)
        order, line = event.order, event.line
        of_all = {"tid": int(order.order_id), "seller_nick": self._seller.nick}
        if line is not None:
            return {
                **of_all,
                "refund_id": int(line.refund_id),
                "oid": int(line.line_id),
                "refund_fee": yuan(line.amount_fen),
                "bill_type": "refund_bill" if line.parcel is None else "return_bill",
                "refund_phase": "onsale" if order.ended_at_ms is None else "aftersale",
                "modified": written(event.at_ms),
                "buyer_nick": order.buyer,
            }
        return {
            **of_all,
            "oid": int(order.order_id),  # of the order as a whole
            "buyer_nick": order.buyer,
            "payment": yuan(order.amount_fen),
            "type": order.notes.get("type", "guarantee_trade"),
            "status": STATUS[order.stage],
        }


def _topics(event: Event) -> list[str]:
    if event.what is not Happening.STOCK_EMPTY or event.item is None or event.sku is None:
        return [TOPICS[event.what]]
    of_sku = [TOPICS[event.what]] if event.sku.sku_id else []
    return of_sku + ([_ITEM_EMPTY] if event.item.quantity == 0 else [])


def _item_content(event: Event) -> dict[str, Any]:
    assert event.item is not None  # noqa: S101 (an event is of an order or of an item)
    content: dict[str, Any] = {"num_iid": int(event.item.item_id), "num": event.item.quantity}
    if event.sku is not None:
        if event.sku.sku_id:
            content |= {"sku_id": int(event.sku.sku_id), "sku_num": event.sku.quantity}
        content |= {"increment": event.increment, "changed_fields": "num"}
    return content


def _ids(call: Call, name: str) -> list[int]:
    texts = [each for each in call.optional(name).split(",") if each]
    if len(texts) > MOST_CONFIRMED:
        raise invalid(name, f"1 ~ {MOST_CONFIRMED}")
    if not all(each.isascii() and each.isdecimal() and len(each) <= 19 for each in texts):
        raise invalid(name, "id,id")
    return [int(each) for each in texts]
