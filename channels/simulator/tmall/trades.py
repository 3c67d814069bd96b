"""Orders in Taobao's words: trade.fullinfo.get, trades.sold.increment.get, logistics.*.send.

Sources: bububa/opentaobao metadata/assets/json/tbtrade (fields, limits, words),
developer.alibaba.com docs/api.htm?apiId=128 (the order of the list).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from channels.simulator.receiver import receiver_of, ship_by_ms
from channels.simulator.shop import Shop
from channels.simulator.tmall.call import Call, written
from channels.simulator.tmall.problems import (
    no_such_trade,
    of_logistics,
    refused_parameter,
)
from channels.simulator.tmall.seller import Seller, Settings
from channels.simulator.trade import Line, Order, RefundStage, Refused, Stage

DAY_MS: Final = 86_400_000
OLDEST_MS: Final = 90 * DAY_MS  # three months
MOST_PAGE: Final = 100
USUAL_PAGE: Final = 40

STATUS: Final[dict[Stage, str]] = {
    Stage.UNPAID: "WAIT_BUYER_PAY",
    Stage.PAID: "WAIT_SELLER_SEND_GOODS",
    Stage.PART_SHIPPED: "SELLER_CONSIGNED_PART",
    Stage.SHIPPED: "WAIT_BUYER_CONFIRM_GOODS",
    Stage.FINISHED: "TRADE_FINISHED",
    Stage.CANCELLED: "TRADE_CLOSED_BY_TAOBAO",
    Stage.REFUNDED: "TRADE_CLOSED",
}
REFUND: Final[dict[RefundStage, str]] = {
    RefundStage.NONE: "NO_REFUND",
    RefundStage.ASKED: "WAIT_SELLER_AGREE",
    RefundStage.AGREED: "WAIT_BUYER_RETURN_GOODS",
    RefundStage.RETURNED: "WAIT_SELLER_CONFIRM_GOODS",
    RefundStage.REFUSED: "SELLER_REFUSE_BUYER",
    RefundStage.WITHDRAWN: "CLOSED",
    RefundStage.DONE: "SUCCESS",
}
# A pre-sale's deposit, once the order has come to a stage; before that it is as the note says.
_STEP: Final[dict[Stage, str]] = {
    Stage.PAID: "FRONT_PAID_FINAL_PAID",
    Stage.PART_SHIPPED: "FRONT_PAID_FINAL_PAID",
    Stage.SHIPPED: "FRONT_PAID_FINAL_PAID",
    Stage.FINISHED: "FRONT_PAID_FINAL_PAID",
    Stage.REFUNDED: "FRONT_PAID_FINAL_PAID",
    Stage.CANCELLED: "FRONT_PAID_FRONT_FORFEITED",
}


def yuan(fen: int) -> str:
    """Write money as the platform does."""
    whole, rest = divmod(fen, 100)
    return f"{whole}.{rest:02}"


class Trades:
    """The methods about orders."""

    def __init__(self, shop: Shop, seller: Seller, settings: Settings) -> None:
        self._shop, self._seller, self._settings = shop, seller, settings

    def methods(self) -> dict[str, Callable[[Call], dict[str, Any]]]:
        """Give them by name."""
        return {
            "taobao.trade.fullinfo.get": self.fullinfo,
            "taobao.trades.sold.increment.get": self.increment,
            "taobao.logistics.offline.send": self.send,
            "taobao.logistics.online.send": self.send,
        }

    def fullinfo(self, call: Call) -> dict[str, Any]:
        """Tell all of an order."""
        fields = _fields(call)
        try:
            order = self._shop.order(call.id("tid"))
        except Refused:
            raise no_such_trade() from None
        return {"trade": self._trade(order, fields, opens=bool(call.optional("include_oaid")))}

    def increment(self, call: Call) -> dict[str, Any]:
        """List the orders that have changed in a while, the latest change first."""
        fields = _fields(call)
        begin_ms, end_ms = call.time("start_modified"), call.time("end_modified")
        if not begin_ms < end_ms <= begin_ms + DAY_MS:
            raise refused_parameter("修改时间跨度不能大于一天，结束时间必须大于开始时间")
        if begin_ms < call.now_ms - OLDEST_MS:
            raise refused_parameter("只能查询三个月内的订单")
        page, size = (
            call.within("page_no", 1, 10**9, 1),
            call.within("page_size", 1, MOST_PAGE, USUAL_PAGE),
        )
        # Times on the wire are whole seconds.
        last_ms = end_ms + 999 if self._settings.includes_end else end_ms - 1
        seen_ms = call.now_ms - self._settings.list_lag_ms
        found = list(self._shop.changed_between(begin_ms, min(last_ms, seen_ms)))
        if status := call.optional("status"):
            found = [order for order in found if _status(order) == status]
        shown = found[(page - 1) * size : page * size]
        # Without any there is no member `trades`.
        some = {"trades": {"trade": [self._trade(each, fields) for each in shown]}} if shown else {}
        if call.flag("use_has_next"):
            return {**some, "has_next": len(found) > page * size}
        return {**some, "total_results": len(found)}

    def send(self, call: Call) -> dict[str, Any]:
        """Note that a parcel has left; `sub_tid` with `is_split` 1: for some lines."""
        lines = [each for each in call.optional("sub_tid").split(",") if each]
        split = call.within("is_split", 0, 1, 0)
        try:
            self._shop.ship(
                call.id("tid"),
                call.text("company_code"),
                call.text("out_sid"),
                lines if split else (),
            )
        except Refused as refused:
            raise of_logistics(refused) from None
        return {"shipping": {"is_success": True}}

    def _trade(self, order: Order, fields: _Fields, *, opens: bool = False) -> dict[str, Any]:
        wanted, of_lines = fields
        lines = list(order.lines.values())
        only = lines[0] if len(lines) == 1 else None
        view = {
            "tid": int(order.order_id),
            "tid_str": order.order_id,
            "status": _status(order),
            "type": order.notes.get("type", "fixed"),
            "num": only.quantity if only else 0,  # means nothing of several lines
            "num_iid": int(only.item.item_id) if only else None,
            "title": self._seller.nick,
            "seller_nick": self._seller.nick,
            "buyer_nick": order.buyer,
            "buyer_open_uid": order.notes.get("buyer_open_uid", f"AAE{order.order_id[-12:]}"),
            "payment": yuan(order.amount_fen),
            "total_fee": yuan(order.amount_fen),
            "post_fee": "0.00",
            "created": written(order.created_at_ms),
            "modified": written(order.changed_at_ms),
            "pay_time": written(order.paid_at_ms),
            "consign_time": written(order.shipped_at_ms),
            "end_time": written(order.ended_at_ms),
            "step_trade_status": _step(order),
            "step_paid_fee": order.notes.get("step_paid_fee"),
            **_going(order, opens=opens),
        }
        shown = {
            name: value for name, value in view.items() if name in wanted and value is not None
        }
        if of_lines is not None:
            shown["orders"] = {"order": [_line(line, of_lines) for line in lines]}
        return shown


def _going(order: Order, *, opens: bool) -> dict[str, Any]:
    """Tell where an order goes: masked, and with `opens` the token that carriers open it by."""
    to, notes = receiver_of(order), order.notes
    return {
        "receiver_name": f"{to.name[:1]}**",
        "receiver_mobile": f"*******{to.mobile[-4:]}",
        "receiver_state": to.province,
        "receiver_city": to.city or None,
        "receiver_district": to.district,
        "receiver_town": to.town,
        "receiver_address": f"{to.address[:2]}***",
        "receiver_zip": "000000",
        "oaid": oaid_of(order) if opens else None,
        "est_con_time": written(ship_by_ms(order)),
        "seller_flag": int(notes.get("seller_flag", "0")),
        "seller_memo": notes.get("seller_memo"),
        "buyer_message": notes.get("buyer_message"),
    }


def oaid_of(order: Order) -> str:
    """Make the token of an order's address: it opens that of no other order."""
    to = receiver_of(order)
    said = f"{order.order_id}\n{to.name}\n{to.mobile}\n{to.address}"
    return hashlib.sha256(said.encode()).hexdigest()


_Fields = tuple[frozenset[str], frozenset[str] | None]  # of the trade; of its lines, if any


def _fields(call: Call) -> _Fields:
    """Read which fields are wanted: `orders` is all of the lines, `orders.oid` one field of them.

    The numbers bring their texts, `tid` brings `tid_str`.
    """
    return _named(call.text("fields"))


@lru_cache(maxsize=64)  # a client asks for the same in every call
def _named(fields: str) -> _Fields:
    names = {name.strip() for name in fields.split(",")}
    names |= {f"{name}_str" for name in names if name in {"tid", "orders.oid"}}
    if "orders" in names:
        return frozenset(names), frozenset()
    of_lines = frozenset(
        name.partition(".")[2] for name in names if name.startswith(("orders.", "order."))
    )
    return frozenset(names), of_lines or None


def _line(line: Line, wanted: frozenset[str]) -> dict[str, Any]:
    of_sku = bool(line.sku.sku_id)
    view = {
        "oid": int(line.line_id),
        "oid_str": line.line_id,
        "num_iid": int(line.item.item_id),
        "sku_id": line.sku.sku_id or None,
        # An item of one kind has its code itself, else its SKUs have.
        "outer_iid": None if of_sku else line.sku.outer_id,
        "outer_sku_id": line.sku.outer_id if of_sku else None,
        "title": line.item.title,
        "num": line.quantity,
        "price": yuan(line.price_fen),
        "total_fee": yuan(line.amount_fen),
        "payment": yuan(line.amount_fen),
        "divide_order_fee": yuan(line.amount_fen),
        "status": STATUS[line.stage],
        "refund_status": REFUND[line.refund],
        "refund_id": line.refund_id or None,
        "is_oversold": line.oversold,
        "consign_time": written(line.parcel.at_ms) if line.parcel else None,
        "logistics_company": line.parcel.company if line.parcel else None,
        "invoice_no": line.parcel.tracking_number if line.parcel else None,
        "end_time": written(line.ended_at_ms),
    }
    return {
        name: value
        for name, value in view.items()
        if value is not None and (not wanted or name in wanted)
    }


def _status(order: Order) -> str:
    """Give the word; a note may say another one while the order is paid, e.g. 拼团's."""
    if order.stage is Stage.PAID and (word := order.notes.get("paid_status")):
        return word
    return STATUS[order.stage]


def _step(order: Order) -> str | None:
    if (noted := order.notes.get("step_trade_status")) is None:
        return None
    return _STEP.get(order.stage, noted)
