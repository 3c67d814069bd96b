"""Trades of Tmall: golden ones whole, every word of every table, numbers and texts, nonsense."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from channels.adapter import Account
from channels.model import OrderLine, OrderState, PlatformOrder
from channels.tmall import Tmall
from channels.tmall_trade import REFUNDED, STATES, STEPS
from partners.errors import PartnerFault, UnknownWord
from reservation.shops import DeductsAt
from tests.channels.tmall_golden import answering, golden, trade

UNPAID, PAID, SHIPPED, CLOSED = (
    OrderState.UNPAID,
    OrderState.PAID,
    OrderState.SHIPPED,
    OrderState.CLOSED,
)
ADAPTER = Tmall(Account(channel="tmall", url="", app_key="1", secrets=("s",)))
read = ADAPTER.read_detail


def states(order: PlatformOrder) -> tuple[OrderState, ...]:
    return (order.state, *(line.state for line in order.lines))


def test_golden_paid():
    """A trade whose numbers are texts; each line has paid its part of the discount."""
    assert read(golden("trade_paid_two_lines")) == PlatformOrder(
        order_id="1011032513941101325",
        state=PAID,
        word="WAIT_SELLER_SEND_GOODS",
        lines=(
            OrderLine(
                line_id="1011032513942101325",
                sku="TA017_A685",
                quantity=1,
                state=PAID,
                item_id="549924403733",
                platform_sku_id="4120248730389",
                paid_fen=5562,
            ),
            OrderLine(
                line_id="1011032513943101325",
                sku="TA01564",
                quantity=2,
                state=PAID,
                item_id="587980015928",
                platform_sku_id="4023785093587",
                paid_fen=3041,
            ),
        ),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=1_589_944_290_000,
        changed_at_ms=1_589_944_298_000,
        paid_at_ms=1_589_944_298_000,
        paid_fen=8603,
    )


def test_golden_closed():
    """A trade whose numbers are numbers; what was never paid has paid nothing."""
    order = read(golden("trade_closed_unpaid"))
    assert (order.order_id, order.word, states(order)) == (
        "452790065331038",
        "TRADE_CLOSED_BY_TAOBAO",
        (CLOSED, CLOSED),
    )
    assert (order.paid_at_ms, order.paid_fen, order.lines[0].paid_fen) == (None, None, None)
    assert order.lines[0] == OrderLine(
        line_id="452790065331038",
        sku="TX324A0212",
        quantity=1,
        state=CLOSED,
        item_id="35223917483",
        platform_sku_id="33395009470",
    )


def test_golden_finished():
    """A trade for whose goods the merchant has no code; without a share the line's own payment."""
    order = read(golden("trade_finished"))
    assert (states(order), order.lines[0].sku, order.lines[0].paid_fen) == (
        (SHIPPED, SHIPPED),
        "",
        7600,
    )


# The words of the reference, each with what it means to stock. Written out: a table that is
# compared with itself proves nothing.
@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("TRADE_NO_CREATE_PAY", UNPAID),
        ("WAIT_BUYER_PAY", UNPAID),
        ("PAY_PENDING", UNPAID),
        ("WAIT_PRE_AUTH_CONFIRM", UNPAID),
        ("PAID_FORBID_CONSIGN", PAID),
        ("WAIT_SELLER_SEND_GOODS", PAID),
        ("SELLER_CONSIGNED_PART", PAID),
        ("WAIT_BUYER_CONFIRM_GOODS", SHIPPED),
        ("TRADE_BUYER_SIGNED", SHIPPED),
        ("TRADE_FINISHED", SHIPPED),
        ("TRADE_CLOSED", CLOSED),
        ("TRADE_CLOSED_BY_TAOBAO", CLOSED),
    ],
)
def test_states(word, state):
    """Each word of a trade's status, for the trade and for a line."""
    order = read(trade([{"status": word}, {"status": word}], status=word))
    assert (order.word, states(order)) == (word, (state, state, state))
    inherited = read(trade([{"status": None}, {"status": ""}], status=word))
    assert states(inherited) == (state, state, state)


def test_no_word_is_untested():
    """The tables hold the words that are tried here, and no others."""
    assert (len(STATES), len(STEPS), len(REFUNDED)) == (12, 5, 8)


@pytest.mark.parametrize(
    ("refund", "unshipped", "shipped"),
    [
        ("NO_REFUND", PAID, SHIPPED),
        ("WAIT_SELLER_AGREE", PAID, SHIPPED),
        ("WAIT_BUYER_RETURN_GOODS", PAID, SHIPPED),
        ("WAIT_SELLER_CONFIRM_GOODS", PAID, SHIPPED),
        ("SELLER_REFUSE_BUYER", PAID, SHIPPED),
        ("CLOSED", PAID, SHIPPED),
        ("SUCCESS", CLOSED, SHIPPED),
        ("", PAID, SHIPPED),
    ],
)
def test_refunds(refund, unshipped, shipped):
    """Only a refund that has succeeded, before the line was shipped, takes it back."""
    order = read(
        trade(
            [
                {"refund_status": refund},
                {"refund_status": refund, "status": "WAIT_BUYER_CONFIRM_GOODS"},
            ],
            status="SELLER_CONSIGNED_PART",
        )
    )
    assert states(order) == (PAID, unshipped, shipped)
    word = "" if refund == "NO_REFUND" else refund
    assert [line.refund for line in order.lines] == [word, word]


def test_a_trade_of_which_a_line_is_refunded_goes_on():
    """The other line is still to be shipped."""
    assert states(read(trade([{"refund_status": "SUCCESS"}]))) == (PAID, CLOSED, PAID)


def test_a_trade_whose_lines_are_all_refunded_is_closed():
    """Also while its own word lags behind."""
    refunded = {"refund_status": "SUCCESS"}
    order = read(trade([refunded, refunded]))
    assert (states(order), order.word) == ((CLOSED, CLOSED, CLOSED), "WAIT_SELLER_SEND_GOODS")


CLOSED_LINE = {"status": "TRADE_CLOSED", "refund_status": "SUCCESS"}


@pytest.mark.parametrize(
    "left", [{"consign_time": "2026-01-22 18:00:00"}, {"invoice_no": "SF214151283"}]
)
def test_what_had_left_before_its_refund_stays_left(left):
    """A line with a parcel is gone, whatever was paid back; one without is given back."""
    order = read(trade([CLOSED_LINE | left, CLOSED_LINE], status="TRADE_CLOSED"))
    assert (states(order), order.word) == ((SHIPPED, SHIPPED, CLOSED), "TRADE_CLOSED")


def test_the_trades_own_consignment_speaks_of_its_only_line():
    """Of several it does not say which."""
    left = {"status": "TRADE_CLOSED", "consign_time": "2026-01-22 18:00:00"}
    both = trade([CLOSED_LINE, CLOSED_LINE], **left)
    assert states(read(both)) == (CLOSED, CLOSED, CLOSED)
    answer = json.loads(both.body)
    del answer["trade_fullinfo_get_response"]["trade"]["orders"]["order"][1]
    assert states(read(answering(answer))) == (SHIPPED, SHIPPED)


def test_a_part_of_the_price_given_back_leaves_the_goods_owed():
    """价保 and 直播返现 are refunds that succeed without taking the line back."""
    special = {"refund_status": "SUCCESS", "special_refund_type": "价保"}
    assert states(read(trade([special]))) == (PAID, PAID, PAID)


def test_a_trade_partly_shipped_keeps_the_state_of_each_line():
    """One line has left, one has not."""
    lines = [{"status": "WAIT_BUYER_CONFIRM_GOODS"}, {"status": "WAIT_SELLER_SEND_GOODS"}]
    assert states(read(trade(lines, status="SELLER_CONSIGNED_PART"))) == (PAID, SHIPPED, PAID)


@pytest.mark.parametrize(
    ("step", "word", "state", "paid_fen"),
    [
        ("FRONT_NOPAID_FINAL_NOPAID", "WAIT_BUYER_PAY", UNPAID, None),
        ("FRONT_PAID_FINAL_NOPAID", "WAIT_BUYER_PAY", UNPAID, None),
        ("FRONT_PAID_FINAL_NOPAID", "WAIT_SELLER_SEND_GOODS", UNPAID, None),
        ("FRONT_PAID_FINAL_PAID", "WAIT_SELLER_SEND_GOODS", PAID, 8603),
        ("FRONT_PAID_FINAL_PAID", "WAIT_BUYER_CONFIRM_GOODS", SHIPPED, 8603),
        ("FRONT_PAID_FRONT_FORFEITED", "WAIT_BUYER_PAY", CLOSED, None),
        ("FRONT_PAID_FINAL_NOPAID", "TRADE_CLOSED_BY_TAOBAO", CLOSED, None),
    ],
)
def test_presales(step, word, state, paid_fen):
    """A deposit is no payment, a forfeited one ends the trade; what has ended stays so."""
    line = {"status": word}
    order = read(trade([line, line], status=word, step_trade_status=step))
    assert (order.word, states(order)) == (f"{word}/{step}", (state, state, state))
    assert order.paid_fen == paid_fen
    assert (order.paid_at_ms is None) is (paid_fen is None)


@pytest.mark.parametrize("amount", ["86.035", 86.03, "-1", "", [], {}, True, "x"])
def test_an_amount_that_cannot_be_read_keeps_no_order_from_its_stock(amount):
    """It is then not known; nothing else of the order is another."""
    odd = {"divide_order_fee": amount, "payment": amount}
    order = read(trade([odd], payment=amount))
    whole = read(trade())
    assert (order.paid_fen, order.lines[0].paid_fen) == (None, None)
    lines = (replace(whole.lines[0], paid_fen=None), whole.lines[1])
    assert order == replace(whole, paid_fen=None, lines=lines)


def test_what_is_nothing_to_stock_is_not_read():
    """Whether the platform thinks that a line is oversold, in whatever word."""
    assert read(trade([{"is_oversold": "yes"}])) == read(trade())


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"status": "TRADE_DREAMT_OF"}, "trade.status", "TRADE_DREAMT_OF"),
        ({"status": None}, "trade.status", ""),
        ({"status": "wait_buyer_pay"}, "trade.status", "wait_buyer_pay"),
        ({"step_trade_status": "FRONT"}, "trade.step_trade_status", "FRONT"),
        ({"lines": [{"status": "PACKED"}]}, "order.status", "PACKED"),
        ({"lines": [{"refund_status": "MAYBE"}]}, "order.refund_status", "MAYBE"),
    ],
)
def test_unknown_words(changes, field, word):
    """A word in no table is told with its place, never guessed at."""
    with pytest.raises(UnknownWord) as caught:
        read(trade(**changes))
    assert (caught.value.field, caught.value.word) == (field, word)


def test_ids_beyond_floats_survive_as_numbers():
    """Eighteen and nineteen digits come through exactly; a text is taken where no number is."""
    order = read(
        trade(
            [
                {"oid": 9_007_199_254_740_993, "num_iid": 9_223_372_036_854_775_807, "num": 3},
                {"oid": None, "oid_str": "1011032513943101327"},
            ],
            tid=1_011_032_513_941_101_327,
        )
    )
    assert order.order_id == "1011032513941101327"
    assert [line.line_id for line in order.lines] == ["9007199254740993", "1011032513943101327"]
    assert (order.lines[0].item_id, order.lines[0].quantity) == ("9223372036854775807", 3)


def test_one_line_may_stand_without_a_list():
    """XML turned to JSON knows no list of one; `simplify` knows no member `order`."""
    line = json.loads(trade().body)["trade_fullinfo_get_response"]["trade"]["orders"]["order"][0]
    expected = read(trade(orders={"order": [line]}))
    assert len(expected.lines) == 1
    assert read(trade(orders={"order": line})) == expected
    assert read(trade(orders=[line])) == expected


def test_the_merchants_code():
    """The SKU's own code, else the item's, without blanks around it."""
    codes = [{"outer_sku_id": None, "outer_iid": "猫粮 10KG"}, {"outer_sku_id": " TA-1\u3000"}]
    assert [line.sku for line in read(trade(codes)).lines] == ["猫粮 10KG", "TA-1"]


def test_when_stock_is_deducted_is_the_accounts():
    """TOP does not tell it by order."""
    account = Account(
        channel="t", url="", app_key="1", secrets=("s",), deducts_at=DeductsAt.PAYMENT
    )
    assert Tmall(account).read_detail(trade()).deducts_at is DeductsAt.PAYMENT


@pytest.mark.parametrize(
    "changes",
    [
        {"tid": None, "tid_str": None},
        {"tid": 1.5},
        {"tid": True},
        {"tid": -1},
        {"tid": "0"},
        {"tid": "1e18"},
        {"tid": "12\u0000"},
        {"tid": 10**30},
        {"tid": "１２"},
        {"created": None},
        {"modified": None},
        {"modified": 1_589_944_298},
        {"created": "2020-02-30 00:00:00"},
        {"pay_time": "yesterday"},
        {"orders": None},
        {"orders": {}},
        {"orders": {"order": []}},
        {"orders": {"order": [7]}},
        {"orders": "none"},
        {"lines": [{"num": 0}]},
        {"lines": [{"num": -1}]},
        {"lines": [{"num": "1.0"}]},
        {"lines": [{"num": 1.0}]},
        {"lines": [{"num": None}]},
        {"lines": [{"num": "1" * 10}]},
        {"lines": [{"oid": None, "oid_str": None}]},
        {"lines": [{"num_iid": "x"}]},
        {"lines": [{"outer_sku_id": "A\u0000B"}]},
        {"lines": [{"outer_sku_id": "x" * 257}]},
        {"lines": [{"outer_sku_id": 7}]},
        {"status": 7},
    ],
)
def test_nonsense(changes):
    """What the platform is known never to send is its fault, and not to be asked for again."""
    with pytest.raises(PartnerFault) as caught:
        read(trade(**changes))
    assert (caught.value.code, caught.value.again) == ("unreadable", False)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"trade_get_response": {}},
        {"trade_fullinfo_get_response": None},
        {"trade_fullinfo_get_response": []},
    ],
)
def test_no_trade(answer):
    """An answer to something else is no trade."""
    with pytest.raises(PartnerFault):
        read(answering(answer))


@pytest.mark.parametrize(
    "answer", [{"trade_fullinfo_get_response": {}}, {"trade_fullinfo_get_response": {"trade": {}}}]
)
def test_an_empty_trade_has_no_word(answer):
    """Nor has an answer without a trade."""
    with pytest.raises(UnknownWord):
        read(answering(answer))


def test_a_lone_surrogate_is_a_fault():
    """JSON that no text can hold is no answer."""
    body = trade().body.replace(b"TA017_A685", b"\\ud800")
    with pytest.raises(PartnerFault):
        read(type(trade())(200, body))
