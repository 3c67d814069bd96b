"""A trade of Tmall's to an order of ours: the words of its states, and what of it counts.

Source: taobao.trade.fullinfo.get (apiId 54), bububa/opentaobao:metadata/assets/json/tbtrade.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from channels.model import OrderLine, OrderState, PlatformOrder, Shipping
from channels.top import fen_of_yuan
from partners.errors import UnknownWord
from partners.taobao import time_of_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reservation.shops import DeductsAt

# What of a trade is asked for: nothing of the buyer.
FIELDS: Final = (
    "tid,tid_str,status,payment,created,modified,pay_time,consign_time,step_trade_status,orders"
)
# And where it goes, asked for when a warehouse has to know. `send_time` is before when it leaves,
# `est_con_time` when the seller means to send it, each a time or a sentence.
SHIPPING_FIELDS: Final = (
    f"{FIELDS},title,seller_flag,seller_memo,buyer_message,send_time,est_con_time,oaid,"
    "receiver_name,receiver_mobile,receiver_phone,receiver_state,receiver_city,receiver_district,"
    "receiver_town,receiver_address,receiver_zip"
)

_UNPAID, _PAID = OrderState.UNPAID, OrderState.PAID
_SHIPPED, _CLOSED = OrderState.SHIPPED, OrderState.CLOSED

STATES: Final[Mapping[str, OrderState]] = {
    "TRADE_NO_CREATE_PAY": _UNPAID,
    "WAIT_BUYER_PAY": _UNPAID,
    "PAY_PENDING": _UNPAID,  # a foreign credit card is being asked; nothing ships on a perhaps
    "WAIT_PRE_AUTH_CONFIRM": _UNPAID,  # 0元购合约中
    "PAID_FORBID_CONSIGN": _PAID,  # 拼团中, or held back by the platform; may not ship yet
    "WAIT_SELLER_SEND_GOODS": _PAID,
    "SELLER_CONSIGNED_PART": _PAID,  # each line says whether it has left
    "WAIT_BUYER_CONFIRM_GOODS": _SHIPPED,
    "TRADE_BUYER_SIGNED": _SHIPPED,
    "TRADE_FINISHED": _SHIPPED,
    "TRADE_CLOSED": _CLOSED,  # refunded after it was paid; what had left then stays left
    "TRADE_CLOSED_BY_TAOBAO": _CLOSED,  # before it was paid
}
HELD_BACK: Final = frozenset({"PAID_FORBID_CONSIGN"})  # paid, and to be sent when it is let pass
# A presale is paid in two steps, and what its status says of payment is this. None: nothing.
STEPS: Final[Mapping[str, OrderState | None]] = {
    "": None,
    "FRONT_NOPAID_FINAL_NOPAID": _UNPAID,
    "FRONT_PAID_FINAL_NOPAID": _UNPAID,  # a deposit is no payment: nothing may ship for it
    "FRONT_PAID_FINAL_PAID": None,
    "FRONT_PAID_FRONT_FORFEITED": _CLOSED,  # 预售定金罚没
}
# Whether a refund has given the money of the line back.
REFUNDED: Final[Mapping[str, bool]] = {
    "": False,
    "NO_REFUND": False,
    "WAIT_SELLER_AGREE": False,
    "WAIT_BUYER_RETURN_GOODS": False,
    "WAIT_SELLER_CONFIRM_GOODS": False,
    "SELLER_REFUSE_BUYER": False,
    "CLOSED": False,
    "SUCCESS": True,
}
_NO_REFUND: Final = "NO_REFUND"

_TRADE_ID: Final = re.compile(r"[1-9]\d{0,19}", re.ASCII)
_ITEM_ID: Final = re.compile(r"\d{0,20}", re.ASCII)
_QUANTITY: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_MAX_CODE: Final = 256  # characters of a merchant's code; ours has 64, a longer one is unknown
_MAX_WORD: Final = 64
_NOT_IN_CODE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_Meaning = TypeVar("_Meaning")

_Number = int | str | None  # the platform writes numbers either way


class _Line(msgspec.Struct):
    """One of `orders.order`."""

    oid: _Number = None
    oid_str: str | None = None
    status: str | None = None
    refund_status: str | None = None
    special_refund_type: str | None = None
    num: _Number = None
    num_iid: _Number = None
    sku_id: _Number = None
    outer_iid: str | None = None
    outer_sku_id: str | None = None
    payment: object = None
    divide_order_fee: object = None
    consign_time: str | None = None  # when it left, of one that has
    invoice_no: str | None = None  # of its parcel


class _Lines(msgspec.Struct):
    order: list[_Line] | _Line | None = None


class Trade(msgspec.Struct):
    """A trade as TOP writes it: numbers or texts, one line or a list of them."""

    tid: _Number = None
    tid_str: str | None = None
    status: str | None = None
    payment: object = None
    created: str | None = None
    modified: str | None = None
    pay_time: str | None = None
    consign_time: str | None = None
    step_trade_status: str | None = None
    orders: _Lines | list[_Line] | None = None


class GoingTrade(Trade):
    """A trade, and where it goes."""

    title: str | None = None  # the shop's name
    seller_flag: _Number = None
    seller_memo: str | None = None
    buyer_message: str | None = None
    send_time: str | None = None
    est_con_time: str | None = None
    oaid: str | None = None
    receiver_name: str | None = None
    receiver_mobile: str | None = None
    receiver_phone: str | None = None
    receiver_state: str | None = None
    receiver_city: str | None = None  # none of a district that belongs to no city
    receiver_district: str | None = None
    receiver_town: str | None = None
    receiver_address: str | None = None
    receiver_zip: str | None = None


class _Detail(msgspec.Struct):
    trade: Trade | None = None


class _Going(msgspec.Struct):
    trade: GoingTrade | None = None


DETAIL: Final = msgspec.json.Decoder(_Detail)
GOING: Final = msgspec.json.Decoder(_Going)


def id_of(*values: int | str | None) -> str:
    """Return the first of a trade's, or a line's, ids that is there. Raises ValueError."""
    return _matching(_TRADE_ID, *values)


def order_of(trade: Trade, deducts_at: DeductsAt) -> PlatformOrder:
    """Read a trade. Raises UnknownWord, and ValueError where it is none."""
    word, step = trade.status or "", trade.step_trade_status or ""
    state = _stepped(_known(STATES, "trade.status", word), step)
    is_paid = bool(trade.pay_time) and _stepped(_PAID, step) is _PAID
    found = _lines(trade.orders)
    if len(found) == 1:
        found[0].consign_time = found[0].consign_time or trade.consign_time
    lines = tuple(_line(line, word, step, is_paid=is_paid) for line in found)
    if all(line.state is _CLOSED for line in lines):
        state = _CLOSED  # each refunded by itself: the trade's own word follows later
    elif state is _CLOSED:
        state = _SHIPPED  # refunded after it had left
    return PlatformOrder(
        order_id=id_of(trade.tid, trade.tid_str),
        state=state,
        word=f"{word}/{step}" if step else word,
        lines=lines,
        deducts_at=deducts_at,
        created_at_ms=time_of_text(trade.created or ""),
        changed_at_ms=time_of_text(trade.modified or ""),
        paid_at_ms=time_of_text(trade.pay_time or "") if is_paid else None,
        paid_fen=_fen(trade.payment) if is_paid else None,
    )


def going_order_of(trade: GoingTrade, deducts_at: DeductsAt) -> PlatformOrder:
    """Read a trade with where it goes: nowhere while it may not ship. Raises as `order_of`."""
    order = order_of(trade, deducts_at)
    if not trade.receiver_address or trade.status in HELD_BACK:
        return order
    city = trade.receiver_city or trade.receiver_district or ""
    shipping = Shipping(
        name=trade.receiver_name or "",
        mobile=trade.receiver_mobile or trade.receiver_phone or "",
        province=trade.receiver_state or "",
        city=city,
        area=trade.receiver_district or "" if trade.receiver_city else "",
        detail_address=f"{trade.receiver_town or ''}{trade.receiver_address}",
        zip_code=trade.receiver_zip or "",
        oaid=trade.oaid or "",
        shop=trade.title or "",
        ship_by_ms=_time(trade.send_time) or _time(trade.est_con_time),
        flag=str(trade.seller_flag or ""),
        memo="\n".join(filter(None, (trade.buyer_message, trade.seller_memo))),
    )
    return replace(order, shipping=shipping)


def _time(text: str | None) -> int | None:
    """Read a time; a sentence is none."""
    try:
        return time_of_text(text or "")
    except ValueError:
        return None


def _line(line: _Line, word: str, step: str, *, is_paid: bool) -> OrderLine:
    state = _stepped(_known(STATES, "order.status", line.status or word), step)
    refund = line.refund_status or ""
    refunded = _known(REFUNDED, "order.refund_status", refund)
    # A special refund (直播返现、价保) gives back a part of the price: the goods are still owed.
    if refunded and state is _PAID and not line.special_refund_type:
        state = _CLOSED
    elif state is _CLOSED and (line.consign_time or line.invoice_no):
        state = _SHIPPED  # refunded after it had left: it comes back by a count, if at all
    return OrderLine(
        line_id=id_of(line.oid, line.oid_str),
        sku=_code(line.outer_sku_id or line.outer_iid or ""),
        quantity=int(_matching(_QUANTITY, line.num)),
        state=state,
        item_id=_matching(_ITEM_ID, line.num_iid),
        platform_sku_id=_matching(_ITEM_ID, line.sku_id),
        # What the buyer paid for this line, its part of the order's discounts taken off.
        paid_fen=_fen(line.divide_order_fee or line.payment) if is_paid else None,
        refund="" if refund == _NO_REFUND else refund,
    )


def _lines(orders: _Lines | list[_Line] | None) -> list[_Line]:
    inner = orders.order if isinstance(orders, _Lines) else orders
    lines = [inner] if isinstance(inner, _Line) else inner
    if not lines:
        raise ValueError("a trade without a line")
    return lines


def _stepped(state: OrderState, step: str) -> OrderState:
    """Return a state as the step of a presale leaves it: what has ended or left has."""
    says = _known(STEPS, "trade.step_trade_status", step)
    return says if says is not None and state in {_UNPAID, _PAID} else state


def _known(table: Mapping[str, _Meaning], field: str, word: str) -> _Meaning:
    try:
        return table[word]
    except KeyError:
        raise UnknownWord(field, word[:_MAX_WORD]) from None


def _matching(pattern: re.Pattern[str], *values: int | str | None) -> str:
    value = next((value for value in values if value is not None and value != ""), "")
    text = str(value)
    if pattern.fullmatch(text) is None:
        raise ValueError(f"{text[:_MAX_WORD]!r} is not {pattern.pattern}")
    return text


def _fen(amount: object) -> int | None:
    """Read what was paid. It moves no stock: what cannot be read keeps no order from its own."""
    try:
        return fen_of_yuan(str(amount)) if isinstance(amount, int | str) else None
    except ValueError:
        return None


def _code(text: str) -> str:
    """Return a merchant's code without the blanks that people leave at its ends."""
    code = text.strip()
    if len(code) > _MAX_CODE or _NOT_IN_CODE.search(code):
        raise ValueError(f"no merchant's code: {code[:_MAX_WORD]!r}")
    return code
