"""Doudian's messages to us: what is told of what has happened, and how a push is written.

Sources: zsmhub/doudian-sdk message/*.go (tags and fields), SKIT EventSamples (values), the probe of
cnJun/sdk4-jinritemai DoudianPushDataTest. `data` is a text of JSON; with `liberal` also the other
shapes that published clients accept: an object, a tag as a number, `msgId`, one message without its
array.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import orjson

from channels.simulator.douyin.after_sales import AfterSales
from channels.simulator.douyin.app import App, Ids, Settings
from channels.simulator.douyin.orders import HELD, RISK, WriteId, seconds, status
from channels.simulator.trade import Event, Happening, Line, Order, Stage

CHINA: Final = timezone(timedelta(hours=8))
FIRST_MSG_ID: Final = 7_300_000_000_000_000_000

TAGS: Final[dict[Happening, str]] = {
    Happening.CREATED: "100",
    Happening.PAID: "101",
    Happening.SHIPPED: "102",
    Happening.FINISHED: "103",
    Happening.CANCELLED: "106",
    Happening.PART_SHIPPED: "108",
    Happening.REFUND_ASKED: "200",
    Happening.REFUND_AGREED: "202",  # to the goods coming back
    Happening.REFUND_RETURNED: "203",
    Happening.REFUND_REFUSED: "204",
    Happening.REFUND_DONE: "206",
    Happening.REFUND_WITHDRAWN: "207",
}
PENDING: Final = "110"  # in place of 101: paid, and risk control looks at it
RETURN_REFUSED: Final = "205"  # in place of 204

# What an after-sale message calls its time.
_AFTER_SALE_TIMES: Final[dict[Happening, str]] = {
    Happening.REFUND_ASKED: "apply_time",
    Happening.REFUND_AGREED: "agree_time",
    Happening.REFUND_RETURNED: "send_time",
    Happening.REFUND_REFUSED: "refuse_time",
    Happening.REFUND_DONE: "success_time",
    Happening.REFUND_WITHDRAWN: "close_time",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message, the same over its repetitions."""

    tag: str
    msg_id: str
    data: dict[str, Any]
    about: str  # the order


class Messages:
    """Writes messages."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        ids: Ids,
        after_sales: AfterSales,
        *,
        first_id: int = FIRST_MSG_ID,
    ) -> None:
        self._app, self._settings = app, settings
        self._ids, self._after_sales = ids, after_sales
        self._next_id = first_id
        self._parcels_told: set[tuple[str, str]] = set()  # lines; as many as the shop's
        self._dice = random.Random(f"shapes {app.app_key}")  # noqa: S311 (chance, no secret)

    def compose(self, event: Event) -> Message | None:
        """Write what the platform tells of an event; None: nothing."""
        order = event.order
        if order is None or (tag := TAGS.get(event.what)) is None:
            return None
        write = self._ids.draw()
        if event.line is not None:
            data = self._of_refund(event, order, event.line, write)
            if event.what is Happening.REFUND_REFUSED and self._after_sales.refuses_return(
                event.line
            ):
                tag = RETURN_REFUSED
        else:
            data = self._of_order(event.what, order, write)
            if event.what is Happening.PAID and order.notes.get(RISK) == HELD:
                tag = PENDING
        self._next_id += 1
        return Message(tag, str(self._next_id), data, order.order_id)

    def forget(self, order: Order) -> None:
        """Forget an order of which nobody speaks any more."""
        self._parcels_told.difference_update((order.order_id, line) for line in order.lines)

    def write(self, messages: list[Message]) -> bytes:
        """Write a push."""
        if not self._settings.liberal:
            return orjson.dumps([_documented(message) for message in messages])
        written = [self._otherwise(message) for message in messages]
        bare = len(written) == 1 and self._chance()
        return orjson.dumps(written[0] if bare else written)

    # -- within ----------------------------------------------------------------------------------

    def _of_order(self, what: Happening, order: Order, write: WriteId) -> dict[str, Any]:
        number = status(order, order.stage)[0]
        shared = {
            "p_id": write(order.order_id),
            "s_ids": [write(line_id) for line_id in order.lines],
            "shop_id": int(self._app.shop_id),
            # Of 110 the sample has 2, although the order itself says 105.
            "order_status": 2 if order.stage is Stage.PAID else number,
            "order_type": 0,
            "biz": 2,
        }
        if what in {Happening.SHIPPED, Happening.PART_SHIPPED}:
            return shared | self._of_parcel(what, order, write)
        own = _OWN.get(what)
        return shared | (own(order) if own else {})

    def _of_parcel(self, what: Happening, order: Order, write: WriteId) -> dict[str, Any]:
        """Write of what has left since it was told last."""
        left = [
            line
            for line in order.lines.values()
            if line.parcel is not None and (order.order_id, line.line_id) not in self._parcels_told
        ]
        self._parcels_told.update((order.order_id, line.line_id) for line in left)
        logistics: dict[str, Any] = {"express_company_id": "", "logistics_code": ""}
        for parcel in [line.parcel for line in left if line.parcel is not None][:1]:
            logistics["express_company_id"] = parcel.company
            logistics["logistics_code"] = parcel.tracking_number
        if what is Happening.PART_SHIPPED:
            logistics["pack_id"] = f"{order.order_id}00"
            logistics["shipped_order_info"] = [
                {
                    "product_id": write(line.item.item_id),
                    "sku_id": write(line.sku.sku_id),
                    "sku_num": line.quantity,
                    "shipped_num": line.quantity,
                    "shipped_order_id": write(line.line_id),
                }
                for line in left
            ]
        return {
            "logistics_msg": logistics,
            "receiver_msg": {"addr": "", "name": "", "tel": ""},
            "update_time": seconds(order.changed_at_ms),
        }

    def _of_refund(self, event: Event, order: Order, line: Line, write: WriteId) -> dict[str, Any]:
        return {
            "p_id": write(order.order_id),
            "s_id": write(line.line_id),
            "shop_id": int(self._app.shop_id),
            "aftersale_id": write(line.refund_id),
            "aftersale_status": self._after_sales.status(line),
            "aftersale_type": self._after_sales.kind(line),
            "refund_amount": line.amount_fen,
            "refund_post_amount": 0,
            "reason_code": 15,
            _AFTER_SALE_TIMES[event.what]: seconds(event.at_ms),
            "refund_voucher_num": 0,
        }

    def _chance(self) -> bool:
        return self._dice.random() < 0.5

    def _otherwise(self, message: Message) -> dict[str, Any]:
        return {
            "tag": int(message.tag) if self._chance() else message.tag,
            ("msgId" if self._chance() else "msg_id"): message.msg_id,
            "data": message.data if self._chance() else orjson.dumps(message.data).decode(),
        }


def probe(now_ms: int) -> bytes:
    """Write the message with which the platform tries an address."""
    at = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(CHINA)
    nanoseconds = f"{now_ms % 1000:03d}428970"
    data = f"{at:%Y-%m-%dT%H:%M:%S}.{nanoseconds}+08:00"
    return orjson.dumps([{"tag": "0", "msg_id": "0", "data": data}])


def _documented(message: Message) -> dict[str, str]:
    data = orjson.dumps(message.data).decode()
    return {"tag": message.tag, "msg_id": message.msg_id, "data": data}


def _created(order: Order) -> dict[str, Any]:
    return {"create_time": seconds(order.created_at_ms)}


def _paid(order: Order) -> dict[str, Any]:
    if order.notes.get(RISK) == HELD:
        return {}
    return {
        "pay_type": 1,
        "pay_time": seconds(order.paid_at_ms),
        "pay_amount": order.amount_fen,
    }


def _cancelled(order: Order) -> dict[str, Any]:
    return {
        "cancel_time": seconds(order.ended_at_ms),
        "cancel_reason": order.notes.get("cancel_reason", ""),
    }


def _finished(order: Order) -> dict[str, Any]:
    return {"complete_time": seconds(order.ended_at_ms)}


_OWN: Final[dict[Happening, Callable[[Order], dict[str, Any]]]] = {
    Happening.CREATED: _created,
    Happening.PAID: _paid,
    Happening.FINISHED: _finished,
    Happening.CANCELLED: _cancelled,
}
