"""Messages of TMC: what each is about, and that one of them holds none of the others up."""

from __future__ import annotations

import json

import pytest

from channels.adapter import Account
from channels.model import Hint
from channels.tmall import Tmall
from channels.tmall_messages import TOPICS
from partners.errors import PartnerFault
from partners.model import Response
from tests.channels.tmall_golden import answering, golden

TID = 1_011_032_513_941_101_327
ADAPTER = Tmall(Account(channel="tmall", url="", app_key="1", secrets=("s",)))
read = ADAPTER.read_fetched

OF_ORDERS = [
    "taobao_trade_TradeCreate",
    "taobao_trade_TradeAlipayCreate",
    "taobao_trade_TradeModifyFee",
    "taobao_trade_TradeCloseAndModifyDetailOrder",
    "taobao_trade_TradeClose",
    "taobao_trade_TradeBuyerPay",
    "taobao_trade_TradeBuyerStepPay",
    "taobao_trade_TradeSellerShip",
    "taobao_trade_TradePartlyRefund",
    "taobao_trade_TradeSuccess",
    "taobao_trade_TradeChanged",
    "taobao_trade_TradePartlySellerShip",
    "taobao_refund_RefundCreated",
    "taobao_refund_RefundSellerAgreeAgreement",
    "taobao_refund_RefundSellerRefuseAgreement",
    "taobao_refund_RefundBuyerReturnGoods",
    "taobao_refund_RefundClosed",
    "taobao_refund_RefundSuccess",
]
OF_OTHERS = [
    "taobao_trade_TradeRated",
    "taobao_trade_TradeMemoModified",
    "taobao_trade_TradeLogisticsAddressChanged",
    "taobao_item_ItemUpshelf",
    "taobao_item_ItemDownshelf",
    "taobao_item_ItemZeroStock",
    "taobao_item_ItemSkuZeroStock",
    "taobao_item_ItemStockChanged",
    "taobao_inventory_LowQuantityWarning",
]


def messages(*found: dict[str, object]) -> Response:
    return answering({"tmc_messages_consume_response": {"messages": {"tmc_message": list(found)}}})


def message(topic: str, content: object = None, message_id: object = 7) -> dict[str, object]:
    content = {"tid": TID} if content is None else content
    return {"id": message_id, "topic": topic, "content": json.dumps(content)}


def test_golden():
    """An answer of 2014: a rating, an item, an order by another name of its creation, a change."""
    assert read(golden("messages")) == [
        Hint(message_id="1172200053212681005", topic="taobao_trade_TradeRated"),
        Hint(message_id="1172200053212681006", topic="taobao_item_ItemRecommendAdd"),
        Hint(
            message_id="1172200053212681009",
            topic="taobao_trade_TradeAlipayCreate",
            order_id="525920279704970",
        ),
        Hint(
            message_id="1191300053224478052",
            topic="taobao_trade_TradeChanged",
            order_id="526181528918320",
        ),
    ]


@pytest.mark.parametrize("topic", OF_ORDERS)
def test_topics_of_orders(topic):
    """Each of them names the trade to pull, refunds too."""
    (hint,) = read(messages(message(topic)))
    assert hint == Hint(message_id="7", topic=topic, order_id=str(TID))


@pytest.mark.parametrize("topic", OF_OTHERS)
def test_topics_of_nothing_that_moves_stock(topic):
    """They are kept as messages, and nothing is pulled for them."""
    (hint,) = read(messages(message(topic)))
    assert hint == Hint(message_id="7", topic=topic)


def test_no_topic_is_untested():
    """The table holds the topics that are tried here, and no others."""
    assert set(TOPICS) == {*OF_ORDERS, *OF_OTHERS}


def test_a_topic_that_nobody_has_told_us_of():
    """It is read like one that may move an order; the trade is pulled once too often at worst."""
    (hint,) = read(messages(message("taobao_trade_TradeTeleported")))
    assert (hint.order_id, hint.unknown) == (str(TID), "")
    (hint,) = read(messages(message("taobao_item_ItemPainted", {"num_iid": 1})))
    assert (hint.order_id, hint.unknown) == ("", "")
    (hint,) = read(messages(message("taobao_item_ItemPainted") | {"content": "<xml/>"}))
    assert (hint.order_id, hint.unknown) == ("", "")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"tid":1.5}',
        '{"tid":[]}',
        '{"tid":"abc"}',
        '{"tid":"1\\u0000"}',
        '{"tid":"\\ud800"}',
        '{"tid":true}',
        '{"tid":null}',
        "[" * 100_000,
        '{"tid":' + "[" * 100_000,
        {},
        7,
        None,
    ],
)
def test_a_message_that_cannot_be_read_holds_no_other_up(content):
    """It is a hint that a person has to look at; the next one is read."""
    poison = message("taobao_trade_TradeBuyerPay") | {"content": content}
    broken, whole = read(messages(poison, message("taobao_trade_TradeBuyerPay", message_id="8")))
    assert (broken.message_id, broken.order_id) == ("7", "")
    assert broken.unknown
    assert whole == Hint(message_id="8", topic="taobao_trade_TradeBuyerPay", order_id=str(TID))


def test_content_may_be_an_object_and_the_trade_a_text():
    """Both ways of writing both are taken."""
    given = message("taobao_trade_TradeClose") | {"content": {"tid": str(TID)}}
    assert [hint.order_id for hint in read(messages(given))] == [str(TID)]


@pytest.mark.parametrize(
    "inner", [{}, {"messages": None}, {"messages": {}}, {"messages": {"tmc_message": []}}]
)
def test_an_empty_queue(inner):
    """Nothing waits, however it is written."""
    assert read(answering({"tmc_messages_consume_response": inner})) == []


def test_one_message_may_stand_without_a_list():
    """As with lines of a trade."""
    one = message("taobao_trade_TradeClose")
    expected = read(messages(one))
    for messages_member in ({"tmc_message": one}, [one]):
        answer = {"tmc_messages_consume_response": {"messages": messages_member}}
        assert read(answering(answer)) == expected


@pytest.mark.parametrize(
    "broken",
    [{"id": None}, {"id": ""}, {"id": -1}, {"id": 1.5}, {"id": "x"}, {"topic": 7}],
)
def test_a_message_that_cannot_be_confirmed(broken):
    """Without an id there is no message: the whole answer is the platform's fault."""
    with pytest.raises(PartnerFault):
        read(messages(message("taobao_trade_TradeClose") | broken))
