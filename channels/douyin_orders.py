"""Douyin's words: what a push is about, where an order and its lines are.

Source: the comments of the platform's own SDK at `order_searchList`, `order_orderDetail` and
`afterSale_Detail` (zsmhub/doudian-sdk); tags: its `message/`, and the event samples of
fudiwei/DotNetCore.SKIT.FlurlHttpClient.ByteDance.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar, cast

from channels.douyin_wire import (
    GoingOrder,
    Loose,
    Message,
    NamedOrder,
    Place,
    PostAddress,
    ShopOrder,
    SkuOrder,
    Unreadable,
    clean,
    identifier,
    moment,
    number,
    parsed,
    required,
    sealed,
    shaped,
)
from channels.model import Hint, OrderLine, OrderState, PlatformOrder, Shipping
from channels.pages import unread
from partners.errors import UnknownWord
from reservation.shops import DeductsAt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from channels.model import Unread

_T = TypeVar("_T")

# What a push is about. A tag that is in neither table is a hint all the same, under its number.
TRADE_TAGS: Final = MappingProxyType(
    {
        "100": "TradeCreate",
        "101": "TradePaid",
        "102": "TradeSellerShip",
        "103": "TradeSuccess",
        "104": "TradeLogisticsChanged",
        "105": "TradeAddressChanged",
        "106": "TradeCanceled",
        "108": "TradePartlySellerShip",
        "109": "TradeAmountChanged",
        "110": "TradePending",
        "111": "TradeAddressChangeApplied",
        "113": "TradeMemoModified",
        "126": "TradeShipTimeChanged",
        "200": "RefundCreated",
        "201": "RefundAgreed",
        "202": "ReturnApplyAgreed",
        "203": "BuyerReturnGoods",
        "204": "RefundRefused",
        "205": "ReturnApplyRefused",
        "206": "RefundSuccess",
        "207": "RefundClosed",
        "208": "RefundModified",
    }
)
OTHER_TAGS: Final = MappingProxyType({"400": "ProductChange"})  # about no order
PROBE: Final = "0"  # sent when the address of our end is saved; it wants to be acknowledged

STATES: Final = MappingProxyType(
    {  # order_status, of an order and of its lines
        "1": OrderState.UNPAID,
        "105": OrderState.PAID,  # risk control still looks at it
        "2": OrderState.PAID,
        "101": OrderState.PAID,  # some of it has been shipped: its lines say which
        "3": OrderState.SHIPPED,
        "5": OrderState.SHIPPED,
        "4": OrderState.CLOSED,
    }
)
HELD_BACK: Final = frozenset({"105"})  # paid, and not to be sent before risk control lets it pass
DEDUCTS: Final = MappingProxyType({"1": DeductsAt.ORDER, "2": DeductsAt.PAYMENT})

# after_sale_status: applied for, coming back, to be sent again, sent, done, refused, failed …
AFTER_SALES: Final = frozenset(
    {"0", "6", "7", "8", "11", "12", "13", "14", "27", "28", "29", "51", "53"}
)
# after_sale_type, and whether money back under it means that the line will not be shipped. Types 0
# and 1 are of goods that have left, 3 and 7 send others, 6 is a difference in price, 8 a repair.
ENDS_LINE: Final = MappingProxyType(
    {
        "0": False,
        "1": False,
        "2": True,  # refunded before shipping
        "3": False,
        "4": True,  # cancelled by the platform
        "5": True,  # cancelled by the buyer
        "6": False,
        "7": False,
        "8": False,
    }
)
# refund_status, and whether the money has been given back (5: and was got back from the shop).
REFUNDED: Final = MappingProxyType(
    {"0": False, "1": False, "2": False, "3": True, "4": False, "5": True}
)


def read_order(order: ShopOrder, deducts_at: DeductsAt | None) -> PlatformOrder:
    """Read an order; `deducts_at` is used where its lines do not tell.

    Raises UnknownWord and Unreadable.
    """
    word = clean(order.order_status)
    state = _in(STATES, "order_status", word)
    lines = tuple(_line(line, order) for line in order.sku_order_list)
    if not lines:
        raise Unreadable("an order without lines")
    if all(line.state is OrderState.CLOSED for line in lines):
        state = OrderState.CLOSED  # the order's own word comes a moment later
    elif state is OrderState.CLOSED:
        state = OrderState.SHIPPED  # refunded after it had left
    paid_at_ms = moment(order.pay_time, "pay_time")
    return PlatformOrder(
        order_id=required(identifier(order.order_id), "order_id"),
        state=state,
        word=word,
        lines=lines,
        deducts_at=_deducts_at(order.sku_order_list, deducts_at),
        created_at_ms=required(moment(order.create_time, "create_time"), "create_time"),
        changed_at_ms=changed_at_ms(order),
        paid_at_ms=paid_at_ms,
        paid_fen=_paid(order.pay_amount, order.pay_time),
    )


def read_going_order(order: GoingOrder, deducts_at: DeductsAt | None) -> PlatformOrder:
    """Read an order with where it goes: nowhere while it may not ship.

    Raises UnknownWord and Unreadable.
    """
    found, at = read_order(order, deducts_at), order.post_addr or PostAddress()
    detail = sealed(at.detail, at.encrypt_detail)
    if not detail or found.word in HELD_BACK:
        return found
    # Behind a street nobody could open a cipher: there it is left out.
    street = _name(at.street) if at.detail else ""
    shipping = Shipping(
        name=sealed(order.post_receiver, order.encrypt_post_receiver),
        mobile=sealed(order.post_tel, order.encrypt_post_tel),
        province=_name(at.province),
        city=_name(at.city),
        area=_name(at.town),
        detail_address=f"{street}{detail}",
        zip_code=clean(order.post_code),
        shop=clean(order.shop_name),
        ship_by_ms=moment(order.exp_ship_time, "exp_ship_time"),
        flag=clean(order.seller_remark_stars),
        memo="\n".join(filter(None, (order.buyer_words, order.seller_words))),
    )
    return replace(found, shipping=shipping)


def _name(place: Place | None) -> str:
    return "" if place is None else clean(place.name)


def read_named(said: object) -> tuple[str, int | None] | Unread:
    """Read of an order which one it is, and when it changed, if that can be read."""
    try:
        order_id = required(identifier(shaped(said, NamedOrder).order_id), "order_id")
    except Unreadable as error:
        return unread(f"an order that has no number: {error}", said)
    try:
        return order_id, changed_at_ms(shaped(said, ShopOrder))
    except Unreadable:
        return order_id, None


def changed_at_ms(order: ShopOrder) -> int:
    """Say when an order, or a line of it, changed last. Raises Unreadable."""
    times = [order.update_time, *(line.update_time for line in order.sku_order_list)]
    return required(max(moment(time, "update_time") or 0 for time in times), "update_time")


def _deducts_at(lines: Sequence[SkuOrder], fallback: DeductsAt | None) -> DeductsAt:
    """Of lines that differ the earlier: a hold for what is paid later is let go in time."""
    words = {clean(line.reduce_stock_type) for line in lines} - {"", "0"}
    found = {_in(DEDUCTS, "reduce_stock_type", word) for word in words}
    if not found and fallback is not None:
        return fallback
    if not found:
        raise UnknownWord("reduce_stock_type", "")
    return DeductsAt.ORDER if DeductsAt.ORDER in found else DeductsAt.PAYMENT


def read_message(message: Message) -> Hint:
    """Read a message; one under a known tag names its order, one under another may."""
    topic, message_id = _named(message)
    try:
        order_id = "" if topic in OTHER_TAGS else identifier(_member(message, "p_id"))
    except Unreadable:
        order_id = ""
    if topic in TRADE_TAGS and not order_id:
        raise Unreadable("a message about an order without its id")
    known = order_id or topic in OTHER_TAGS  # of an order the pull says more than any tag
    return Hint(
        message_id=message_id, topic=topic, order_id=order_id, unknown="" if known else topic
    )


def read_foreign(message: Message) -> Hint:
    """Read a message about another shop, which is nothing of ours, for somebody to see."""
    topic, message_id = _named(message)
    return Hint(message_id=message_id, topic=topic, unknown=f"shop_id {shop_of(message)}")


def shop_of(message: Message) -> str:
    """Say which shop a message is about, "" where it does not tell."""
    try:
        return identifier(_member(message, "shop_id"))
    except Unreadable:
        return ""


def _named(message: Message) -> tuple[str, str]:
    """Return tag and id of a message."""
    topic = clean(message.tag)
    message_id = clean(message.msg_id if message.msg_id is not None else message.camel_msg_id)
    if not topic or not message_id:
        raise Unreadable("a message without a tag or an id")
    return topic, message_id


def _member(message: Message, name: str) -> Loose:
    """Find something in what a message says, an object or the text of one."""
    content = parsed(message.data) if isinstance(message.data, str) else message.data
    if not isinstance(content, dict):
        raise Unreadable("a message that says nothing")
    return shaped(content.get(name), cast("type[Loose]", Loose))


def _line(line: SkuOrder, order: ShopOrder) -> OrderLine:
    """Read a line; where it has no word of its own the order's holds."""
    word = clean(line.order_status)
    state = _in(
        STATES, "order_status", word if word not in {"", "0"} else clean(order.order_status)
    )
    refund, ends = _refund(line)
    out_sku_id = clean(line.out_sku_id)
    if ends and state in {OrderState.UNPAID, OrderState.PAID}:
        state = OrderState.CLOSED
    elif state is OrderState.CLOSED and moment(line.ship_time, "ship_time"):
        state = OrderState.SHIPPED  # refunded after it had left: a count brings it back
    return OrderLine(
        line_id=required(identifier(line.order_id), "sku order_id"),
        sku=clean(line.code) or ("" if out_sku_id == "0" else out_sku_id),
        quantity=required(number(line.item_num, "item_num"), "item_num"),
        state=state,
        item_id=identifier(line.product_id_str) or identifier(line.product_id),
        platform_sku_id=identifier(line.sku_id),
        paid_fen=_paid(line.pay_amount, line.pay_time),
        refund=refund,
    )


def _refund(line: SkuOrder) -> tuple[str, bool]:
    """Return the platform's word for an after-sale ("" for none) and whether it ends the line."""
    after = line.after_sale_info
    if after is None:
        return "", False
    word, kind, refund = (
        clean(value) or "0"
        for value in (after.after_sale_status, after.after_sale_type, after.refund_status)
    )
    if word not in AFTER_SALES:
        raise UnknownWord("after_sale_status", word)
    ends_line = _in(ENDS_LINE, "after_sale_type", kind)
    refunded = _in(REFUNDED, "refund_status", refund)
    return "" if word == "0" else word, ends_line and refunded


def _paid(amount: object, pay_time: object) -> int | None:
    """Read what was paid. It moves no stock: what cannot be read keeps no order from its own."""
    try:
        fen, time = (shaped(value, cast("type[Loose]", Loose)) for value in (amount, pay_time))
        return number(fen, "pay_amount") if moment(time, "pay_time") else None
    except Unreadable:
        return None


def _in(table: Mapping[str, _T], field: str, word: str) -> _T:
    try:
        return table[word]
    except KeyError:
        raise UnknownWord(field, word) from None
