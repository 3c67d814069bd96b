"""Douyin's words for where an order and its lines are."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from channels.adapter import Account
from channels.douyin import Douyin
from channels.douyin_orders import OTHER_TAGS, PROBE, TRADE_TAGS, read_message
from channels.douyin_wire import Message
from channels.model import Hint, OrderLine, OrderState, Page, PlatformOrder
from partners.errors import PartnerFault, UnknownWord
from partners.model import Response
from reservation.shops import DeductsAt

GOLDEN = Path(__file__).parent / "golden" / "douyin"
DETAIL = json.loads((GOLDEN / "detail.json").read_bytes())
PAGE = json.loads((GOLDEN / "page.json").read_bytes())


def shop(deducts_at: DeductsAt | None = None) -> Douyin:
    return Douyin(Account(channel="d", url="", app_key="k", secrets=("s",), deducts_at=deducts_at))


def response(content: object) -> Response:
    return Response(200, json.dumps(content).encode())


def read(
    order: dict[str, object] | None = None,
    line: dict[str, object] | None = None,
    lines: int = 1,
    deducts_at: DeductsAt | None = None,
) -> PlatformOrder:
    """Read the golden order with the first `lines` of its lines, changed as told."""
    content = copy.deepcopy(DETAIL)
    detail = content["data"]["shop_order_detail"]
    detail["sku_order_list"] = detail["sku_order_list"][:lines]
    detail |= order or {}
    for each in detail["sku_order_list"] or []:
        each.update(line or {})
    return shop(deducts_at).read_detail(response(content))


def test_the_golden_order_is_read_whole():
    """Exact ids before rounded ones, fen, ms, a line that is closed."""
    line = OrderLine(
        line_id="4781320682406083641",
        sku="A1-RED",
        quantity=2,
        state=OrderState.PAID,
        item_id="3473196049974326153",
        platform_sku_id="1736502463777800",
        paid_fen=500,
    )
    closed = OrderLine(
        line_id="4781320682406083642",
        sku="A2-RED",
        quantity=2,
        state=OrderState.CLOSED,
        item_id="3473196049974326153",
        platform_sku_id="1736502463777801",
        paid_fen=500,
        refund="12",
    )
    assert shop().read_detail(Response(200, (GOLDEN / "detail.json").read_bytes())) == (
        PlatformOrder(
            order_id="4781320682406083640",
            state=OrderState.PAID,
            word="2",
            lines=(line, closed),
            deducts_at=DeductsAt.ORDER,
            created_at_ms=1_617_355_400_000,
            changed_at_ms=1_617_355_500_000,
            paid_at_ms=1_617_355_413_000,
            paid_fen=1000,
        )
    )


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("word", "state"),
    [
        (1, OrderState.UNPAID),
        (105, OrderState.PAID),
        (2, OrderState.PAID),
        (101, OrderState.PAID),
        (3, OrderState.SHIPPED),
        (4, OrderState.CLOSED),
        (5, OrderState.SHIPPED),
    ],
)
def test_each_word_of_an_order_is_a_state(word, state, as_text):
    """Of an order and of its lines; one under risk control is paid: nobody else may have it."""
    said = str(word) if as_text else word
    order = read({"order_status": said}, {"order_status": said})
    assert (order.state, order.word, order.lines[0].state) == (state, str(word), state)


@pytest.mark.parametrize("word", [0, 6, 103, "22", "paid", None, "", -1])
def test_an_order_under_another_word_is_not_guessed_at(word):
    """The word is told, and which field it stood in."""
    with pytest.raises(UnknownWord) as unknown:
        read({"order_status": word})
    assert unknown.value.field == "order_status"
    assert unknown.value.word == ("" if word is None else str(word))


def test_a_line_under_another_word_is_not_guessed_at():
    """A line without a word has the order's, one with a strange word has none."""
    assert read({"order_status": 3}, {"order_status": 0}).lines[0].state is OrderState.SHIPPED
    assert read({"order_status": 3}, {"order_status": None}).lines[0].state is OrderState.SHIPPED
    with pytest.raises(UnknownWord):
        read(line={"order_status": 6})


def test_lines_are_shipped_one_by_one():
    """An order in part shipped is paid, and its lines say which."""
    content = copy.deepcopy(DETAIL)
    detail = content["data"]["shop_order_detail"]
    detail["order_status"] = 101
    detail["sku_order_list"][0]["order_status"] = 3
    detail["sku_order_list"][1]["after_sale_info"] = None
    order = shop().read_detail(response(content))
    assert order.state is OrderState.PAID
    assert [line.state for line in order.lines] == [OrderState.SHIPPED, OrderState.PAID]


def after(status: object = 12, kind: object = 2, refund: object = 3) -> dict[str, object]:
    names = ("after_sale_status", "after_sale_type", "refund_status")
    return {"after_sale_info": dict(zip(names, (status, kind, refund), strict=True))}


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (0, False),
        (1, False),
        (2, True),
        (3, False),
        (4, True),
        (5, True),
        (6, False),
        (7, False),
        (8, False),
    ],
)
def test_money_back_ends_a_line_that_has_not_left_only_for_some_reasons(kind, ends):
    """A difference in price or a repair lets the line be shipped; a return is of what has left."""
    state = OrderState.CLOSED if ends else OrderState.PAID
    assert read(line=after(kind=kind)).lines[0].state is state
    assert read(line=after(kind=str(kind))).lines[0].state is state


@pytest.mark.parametrize(
    ("refund", "ends"), [(0, False), (1, False), (2, False), (3, True), (4, False), (5, True)]
)
def test_a_line_ends_when_the_money_is_back_and_not_before(refund, ends):
    """A refund that is applied for, under way or failed leaves the line as it was."""
    state = OrderState.CLOSED if ends else OrderState.PAID
    assert read(line=after(refund=refund)).lines[0].state is state


@pytest.mark.parametrize("word", [0, 6, 7, 8, 11, 12, 13, 14, 27, 28, 29, 51, 53])
def test_each_word_of_an_after_sale_is_shown(word):
    """As the platform's own; 0 is none."""
    line = read(line=after(status=word, refund=1)).lines[0]
    assert (line.refund, line.state) == (str(word) if word else "", OrderState.PAID)


@pytest.mark.parametrize(
    ("info", "field"),
    [
        (after(status=99), "after_sale_status"),
        (after(kind=9), "after_sale_type"),
        (after(refund="6"), "refund_status"),
    ],
)
def test_an_after_sale_under_another_word_is_not_guessed_at(info, field):
    """Whichever of its three words it is."""
    with pytest.raises(UnknownWord) as unknown:
        read(line=info)
    assert unknown.value.field == field


def test_what_has_left_is_not_closed_by_its_refund():
    """Goods on their way come back by a count, whatever is paid back."""
    order = read({"order_status": 3}, {"order_status": 3, **after()})
    assert order.lines[0].state is OrderState.SHIPPED
    assert order.state is OrderState.SHIPPED


def test_what_had_left_before_its_refund_stays_left():
    """A line that has a time at which it was shipped, and is closed since, is gone."""
    order = read({"order_status": 4}, {"order_status": 4, "ship_time": 1_769_076_000, **after()})
    assert (order.lines[0].state, order.state) == (OrderState.SHIPPED, OrderState.SHIPPED)
    order = read({"order_status": 4}, {"order_status": 4, "ship_time": 0, **after()})
    assert (order.lines[0].state, order.state) == (OrderState.CLOSED, OrderState.CLOSED)


def test_an_order_of_closed_lines_is_closed():
    """The order's own word comes later, and is told as it is."""
    order = read(line=after(), lines=2)
    assert (order.state, order.word) == (OrderState.CLOSED, "2")


@pytest.mark.parametrize(
    ("word", "deducts_at"),
    [
        (1, DeductsAt.ORDER),
        ("1", DeductsAt.ORDER),
        (2, DeductsAt.PAYMENT),
        ("2", DeductsAt.PAYMENT),
    ],
)
def test_an_order_says_when_the_platform_takes_its_stock(word, deducts_at):
    """And is believed, whatever the account says."""
    for ours in (None, DeductsAt.ORDER, DeductsAt.PAYMENT):
        assert read(line={"reduce_stock_type": word}, deducts_at=ours).deducts_at is deducts_at


@pytest.mark.parametrize("none", [0, "0", None, ""])
def test_an_order_that_does_not_say_it_has_the_accounts(none):
    """And where neither says it, it is not guessed."""
    line = {"reduce_stock_type": none}
    assert read(line=line, deducts_at=DeductsAt.PAYMENT).deducts_at is DeductsAt.PAYMENT
    with pytest.raises(UnknownWord):
        read(line=line)
    with pytest.raises(UnknownWord):
        read(line={"reduce_stock_type": 3}, deducts_at=DeductsAt.PAYMENT)


def test_of_lines_that_differ_the_earlier_holds():
    """A hold too early is let go in time; one too late sells twice."""
    content = copy.deepcopy(DETAIL)
    for line, word in zip(
        content["data"]["shop_order_detail"]["sku_order_list"], (2, 1), strict=True
    ):
        line["reduce_stock_type"] = word
    assert shop().read_detail(response(content)).deducts_at is DeductsAt.ORDER


def test_what_is_not_paid_has_no_time_and_no_amount_of_it():
    """pay_amount is then what is to be paid."""
    order = read({"order_status": 1, "pay_time": 0}, {"order_status": 1, "pay_time": 0})
    assert (order.paid_at_ms, order.paid_fen, order.lines[0].paid_fen) == (None, None, None)


@pytest.mark.parametrize(
    ("line", "sku"),
    [
        ({"code": " A1 "}, "A1"),
        ({"code": 112233}, "112233"),
        ({"code": ""}, "43564553"),
        ({"code": None, "out_sku_id": 5}, "5"),
        ({"code": "", "out_sku_id": "0"}, ""),
        ({"code": "", "out_sku_id": 0}, ""),
        ({"code": "红色"}, "红色"),
    ],
)
def test_a_line_has_the_merchants_code_or_the_outer_id(line, sku):
    """Or none: then it is found by the platform's own id of it."""
    assert read(line=line).lines[0].sku == sku


@pytest.mark.parametrize("amount", [10.5, "10.50", -1, [], {}, True, "x", "1" * 20])
def test_an_amount_that_cannot_be_read_keeps_no_order_from_its_stock(amount):
    """It is then not known; nothing else of the order is another."""
    order, whole = read({"pay_amount": amount}, {"pay_amount": amount}), read()
    lines = tuple(replace(line, paid_fen=None) for line in whole.lines)
    assert order == replace(whole, paid_fen=None, lines=lines)


def test_what_is_nothing_to_stock_is_not_read():
    """The room that a line was sold in, whatever its number looks like."""
    assert read(line={"room_id": {}, "room_id_str": "a b"}) == read()


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ({"order_id": None}, {}),
        ({"order_id": 0}, {}),
        ({"order_id": "a b"}, {}),
        ({"order_id": 4.7e18}, {}),
        ({"sku_order_list": []}, {}),
        ({"sku_order_list": None}, {}),
        ({"create_time": 0}, {}),
        ({"create_time": 1_617_355_400_000}, {}),
        ({"create_time": "yesterday"}, {}),
        ({"pay_time": -1}, {}),
        ({"update_time": 0}, {"update_time": 0}),
        ({}, {"order_id": ""}),
        ({}, {"item_num": 0}),
        ({}, {"item_num": None}),
        ({}, {"item_num": True}),
        ({}, {"item_num": 10**16}),
        ({}, {"item_num": "2.0"}),
        ({}, {"code": "a\x00"}),
        ({}, {"code": "a\ud800"}),
        ({}, {"code": "c" * 129}),
        ({}, {"code": {}}),
        ({}, {"after_sale_info": []}),
        ({"order_status": []}, {}),
    ],
)
def test_an_order_that_is_not_whole_is_a_fault(order, line):
    """Asked again it would be the same."""
    with pytest.raises(PartnerFault) as fault:
        read(order, line)
    assert (fault.value.code, fault.value.again) == ("unreadable", False)


# -- pages ---------------------------------------------------------------------------------------


def test_the_golden_page_has_its_orders_whole():
    """Three of 203: there are three pages."""
    page = shop().read_changed(Response(200, (GOLDEN / "page.json").read_bytes()))
    assert [order for order, _ in page.orders] == [
        "4781320682406083640",
        "4781320682406083650",
        "4781320682406083660",
    ]
    assert page.pages == 3
    told = tuple((order.order_id, order.changed_at_ms) for order in page.details)
    assert told == page.orders
    assert page.details[2].state is OrderState.CLOSED


@pytest.mark.parametrize(
    ("total", "pages"), [(0, 0), ("0", 0), (1, 1), (100, 1), ("101", 2), (50_000, 500)]
)
def test_pages_are_counted_by_the_orders(total, pages):
    """Of 100 each."""
    content = {"code": 10000, "data": {"page": "0", "total": total, "shop_order_list": None}}
    assert shop().read_changed(response(content)) == Page((), pages)


LINE = {**PAGE["data"]["shop_order_list"][1]["sku_order_list"][0], "after_sale_info": []}


@pytest.mark.parametrize(
    ("change", "is_dated"),
    [
        ({"order_status": 77}, True),
        ({"create_time": None}, True),
        ({"update_time": 0, "sku_order_list": []}, False),
        ({"sku_order_list": [LINE]}, False),
        ({"sku_order_list": "none"}, False),
    ],
)
def test_an_order_that_cannot_be_read_does_not_stop_its_page(change, *, is_dated):
    """It is pulled by itself, and that one alone is stopped."""
    content, good = copy.deepcopy(PAGE), shop().read_changed(response(PAGE))
    content["data"]["shop_order_list"][1] |= change
    page = shop().read_changed(response(content))
    (bad, changed_ms) = good.orders[1]
    orders = (good.orders[0], (bad, changed_ms if is_dated else None), good.orders[2])
    assert page == Page(orders, 3, (good.details[0], good.details[2]))


@pytest.mark.parametrize("said", [7, None, [], {}, {"order_id": None}, {"order_id": "a b"}])
def test_what_names_no_order_hides_none(said):
    """It is told, the same of the same, for somebody to see; nothing of the buyer's is in it."""
    content, good = copy.deepcopy(PAGE), shop().read_changed(response(PAGE))
    content["data"]["shop_order_list"].append(said)
    page, again = (shop().read_changed(response(content)) for _ in range(2))
    assert page == again == replace(good, unread=page.unread)
    assert [one.why.startswith("an order that has no number: ") for one in page.unread] == [True]
    assert json.loads(page.unread[0].said) == said


def test_a_page_may_have_ids_only():
    """As a client's contract test shows it."""
    data = {"page": "0", "total": "1", "shop_order_list": [{"order_id": "4781320682406083640"}]}
    page = shop().read_changed(response({"code": 10000, "data": data}))
    assert [order for order, _ in page.orders] == ["4781320682406083640"]
    assert (page.pages, page.details) == (1, ())


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"total": -1},
        {"total": 1, "shop_order_list": {}},
    ],
)
def test_what_is_no_page_is_a_fault(data):
    """What has changed then, nobody knows."""
    with pytest.raises(PartnerFault):
        shop().read_changed(response({"code": 10000, "data": data}))


# -- tags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    [
        100,
        101,
        102,
        103,
        104,
        105,
        106,
        108,
        109,
        110,
        111,
        113,
        126,
        200,
        201,
        202,
        203,
        204,
        205,
        206,
        207,
        208,
    ],
)
def test_each_tag_of_an_order_is_a_hint_of_it(tag):
    """As a number and as a string."""
    for said in (tag, str(tag)):
        hint = read_message(Message(tag=said, msg_id="m", data={"p_id": 47}))
        assert hint == Hint(message_id="m", topic=str(tag), order_id="47")
    assert str(tag) in TRADE_TAGS


def test_the_tables_of_tags_do_not_overlap():
    """A tag is about an order or it is not."""
    assert not {*TRADE_TAGS} & {*OTHER_TAGS, PROBE}


@pytest.mark.parametrize("data", [{"product_id": 5}, {"product_id": 5, "p_id": 47}, "", None])
def test_a_tag_about_no_order_is_a_hint_without_one(data):
    """Known, and of nothing that a pull would tell."""
    hint = read_message(Message(tag="400", msg_id="m", data=data))
    assert hint == Hint(message_id="m", topic="400")


@pytest.mark.parametrize("tag", ["209", "218", "224", "227", "999", "new_topic"])
def test_an_unknown_tag_is_a_hint_under_its_own_name(tag):
    """Of an order it is pulled like any other; without one the word is told as unknown."""
    hint = read_message(Message(tag=tag, msg_id="m", data='{"p_id":"47"}'))
    assert hint == Hint(message_id="m", topic=tag, order_id="47")
    for nothing in (None, "", "{", {}, {"p_id": None}, {"p_id": []}, [1], 5):
        hint = read_message(Message(tag=tag, msg_id="m", data=nothing))
        assert hint == Hint(message_id="m", topic=tag, unknown=tag)
