"""Messages of Taobao's queue TMC to hints: what each is about.

Source: TheNorthMemory/tmc.js:types/taobao.d.ts (topics); a real answer of 2014, stored file
34160041836; open.alitrip.com/docs/doc.htm?articleId=21986.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from channels.model import Hint
from channels.tmall_trade import id_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Topics of TMC, and whether what they tell may move an order. One that is not here is read like
# one that may, where it names a trade: a pull too many does no harm.
TOPICS: Final[Mapping[str, bool]] = {
    "taobao_trade_TradeCreate": True,
    "taobao_trade_TradeAlipayCreate": True,
    "taobao_trade_TradeModifyFee": True,
    "taobao_trade_TradeCloseAndModifyDetailOrder": True,
    "taobao_trade_TradeClose": True,
    "taobao_trade_TradeBuyerPay": True,
    "taobao_trade_TradeBuyerStepPay": True,  # the deposit of a presale
    "taobao_trade_TradeSellerShip": True,
    "taobao_trade_TradePartlySellerShip": True,
    "taobao_trade_TradePartlyRefund": True,
    "taobao_trade_TradeSuccess": True,
    "taobao_trade_TradeChanged": True,
    "taobao_trade_TradeRated": False,
    "taobao_trade_TradeMemoModified": False,
    "taobao_trade_TradeLogisticsAddressChanged": False,
    "taobao_refund_RefundCreated": True,
    "taobao_refund_RefundSellerAgreeAgreement": True,
    "taobao_refund_RefundSellerRefuseAgreement": True,
    "taobao_refund_RefundBuyerReturnGoods": True,
    "taobao_refund_RefundClosed": True,
    "taobao_refund_RefundSuccess": True,
    "taobao_item_ItemUpshelf": False,
    "taobao_item_ItemDownshelf": False,
    "taobao_item_ItemZeroStock": False,
    "taobao_item_ItemSkuZeroStock": False,
    "taobao_item_ItemStockChanged": False,
    "taobao_inventory_LowQuantityWarning": False,
}
MESSAGES_AT_ONCE: Final = 200  # TMC hands out 10 to 200, and takes as many back
_ORDER_TOPICS: Final = ("taobao_trade_", "taobao_refund_")
_MAX_TEXT: Final = 128


class _Message(msgspec.Struct):
    id: int | str
    topic: str
    content: msgspec.Raw = msgspec.Raw(b'""')  # JSON in a text; or not in one


class _MessageList(msgspec.Struct):
    tmc_message: list[_Message] | _Message | None = None


class Fetched(msgspec.Struct):
    """An answer of `taobao.tmc.messages.consume`: one message, a list of them, or nothing."""

    messages: _MessageList | list[_Message] | None = None


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_ID: Final = msgspec.json.Decoder(int | str | None)


def hints_of(fetched: Fetched) -> Sequence[Hint]:
    """Read messages. Raises ValueError where one has no id to confirm it by."""
    messages = fetched.messages
    inner = messages.tmc_message if isinstance(messages, _MessageList) else messages
    found = [inner] if isinstance(inner, _Message) else inner or []
    return [_hint(message) for message in found]


def order_in(content: bytes | msgspec.Raw, field: str) -> str:
    """Return the trade that a JSON object names, "" where it names none.

    Raises ValueError and RecursionError where it is none, or what is named cannot be a trade.
    """
    raw = _MEMBERS.decode(content).get(field)
    value = None if raw is None else _ID.decode(raw)
    return "" if value is None or value == "" else id_of(value)


def _hint(message: _Message) -> Hint:
    message_id, topic = id_of(message.id), message.topic[:_MAX_TEXT]
    if not TOPICS.get(topic, True):
        return Hint(message_id=message_id, topic=topic)
    try:
        content = message.content
        is_text = bytes(content).startswith(b'"')
        order_id = order_in(_TEXT.decode(content).encode() if is_text else content, "tid")
        wrong = "" if order_id else "it names no trade"
    except (ValueError, RecursionError) as error:
        order_id, wrong = "", str(error)[:_MAX_TEXT]
    unknown = wrong if topic.startswith(_ORDER_TOPICS) else ""
    return Hint(message_id=message_id, topic=topic, order_id=order_id, unknown=unknown)
