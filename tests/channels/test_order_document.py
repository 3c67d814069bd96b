"""An order as a dealer writes it: what is read, what is malformed, what is an unknown word."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from channels.distributor import Distributor
from channels.model import Lane, OrderState, Shipping
from partners.errors import Malformed, PartnerFault
from reservation.shops import DeductsAt
from tests.channels.dealer import (
    DAY,
    NOW_MS,
    answer,
    dealer,
    line,
    order,
    order_of,
    push,
    read,
)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("unpaid", OrderState.UNPAID),
        ("待付款", OrderState.UNPAID),
        ("paid", OrderState.PAID),
        ("已付款", OrderState.PAID),
        ("partly_shipped", OrderState.PAID),
        ("部分发货", OrderState.PAID),
        ("shipped", OrderState.SHIPPED),
        ("已发货", OrderState.SHIPPED),
        ("completed", OrderState.SHIPPED),
        ("签收完成", OrderState.SHIPPED),
        ("cancelled", OrderState.CLOSED),
        ("已取消", OrderState.CLOSED),
        ("refunded", OrderState.CLOSED),
        ("已退款", OrderState.CLOSED),
    ],
)
def test_a_status_says_where_an_order_is(word: str, state: OrderState) -> None:
    """The type does not: it may be told late, and after another."""
    message = {**order(status=word), "type": "order.created"}
    told = order_of(message)
    assert (told.state, told.word, told.lines[0].state) == (state, word, state)


@pytest.mark.parametrize(
    "body", [order(status="Paid"), order(lines=line(status="brwd")), order(status="\ud800" * 99)]
)
def test_an_unknown_status_is_a_hint_that_says_so(body: dict[str, Any]) -> None:
    hint = read(body)
    assert (hint.order_id, hint.order) == ("7", None)
    assert "status" in hint.unknown
    hint.unknown.encode()
    assert len(hint.unknown) < 450


def test_a_dealer_may_have_words_of_its_own() -> None:
    own = dealer(**{"status.备货中": "paid", "status.paid": "unpaid"})
    for word, state in (("备货中", OrderState.PAID), ("paid", OrderState.UNPAID)):
        (hint,) = own.read_push(push(order(status=word)), NOW_MS)
        assert hint.order is not None
        assert hint.order.state is state


def test_when_stock_is_deducted_is_the_accounts() -> None:
    at_payment = Distributor(replace(dealer().account, deducts_at=DeductsAt.PAYMENT))
    (hint,) = at_payment.read_push(push(order()), NOW_MS)
    assert hint.order is not None
    assert hint.order.deducts_at is DeductsAt.PAYMENT


@pytest.mark.parametrize(
    ("yuan", "fen"),
    [
        ("15.70", 1570),
        ("0.29", 29),  # as a float 28.999999999999996
        (4.35, 435),  # same
        (15, 1500),
        ("0", 0),
        ("999999999999.99", 99999999999999),
    ],
)
def test_yuan_become_fen_exactly(yuan: str | float, fen: int) -> None:
    assert order_of(order(paid_yuan=yuan)).paid_fen == fen


@pytest.mark.parametrize("yuan", ["1.234", "-1", "NaN", "inf", "1e999999", "1e12", "x", "", True])
def test_what_is_no_amount_is_malformed(yuan: Any) -> None:
    with pytest.raises(Malformed):
        read(order(paid_yuan=yuan))
    with pytest.raises(Malformed):
        read(order(lines=line(unit_price_yuan=yuan)))


def test_a_number_is_never_a_float() -> None:
    """As one, this would be ten fen."""
    body = json.dumps(order(paid_yuan="?")).replace('"?"', "0.10000000000000000555").encode()
    with pytest.raises(Malformed, match="fen"):
        read(body)


def test_an_unpaid_line_has_nothing_paid() -> None:
    told = order_of(order(status="unpaid", lines=line(unit_price_yuan="5")))
    assert (told.lines[0].paid_fen, told.paid_fen) == (None, None)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-22T02:00:00Z", DAY + 7_200_000),
        ("2026-01-22T10:00:00+08:00", DAY + 7_200_000),
        ("2026-01-22T10:00:00.1239+08:00", DAY + 7_200_123),
        ("2026-01-21T21:00:00-05:00", DAY + 7_200_000),
        ("1970-01-01T08:00:00+08:00", 0),
    ],
)
def test_times_become_utc(text: str, ms: int) -> None:
    assert order_of(order(updated_at=text)).changed_at_ms == ms


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-22T02:00:00",  # no offset: whose clock?
        "2026-01-22",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+08:00",
        1769047205,
        "",
        "\ud800",
    ],
)
def test_what_is_no_time_is_malformed(time: Any) -> None:
    with pytest.raises(Malformed):
        read(order(created_at=time))


def test_what_changed_in_the_future_is_malformed() -> None:
    """It would be true for ever; Beijing's time with a Z looks just so."""
    with pytest.raises(Malformed, match="future"):
        read(order(updated_at="2026-01-22T10:00:00Z"))
    assert order_of(order(updated_at="2026-01-22T02:05:05Z"))


@pytest.mark.parametrize(
    "body",
    [
        *(order(**{name: None}) for name in order()["data"]),
        order(order_no=""),
        order(order_no="a/b"),
        order(order_no=".."),
        order(order_no="x" * 65),
        order(order_no=1.5),
        order(order_no=True),
        order(order_no=-1.0),
        order(order_no="单号1"),
        order(order_no="\ud800"),
        order(order_no=10**4000),
        order(lines=[]),
        order(lines=line() * 2),
        order(lines=[{**line()[0], "line_no": number} for number in range(1001)]),
        order(lines=line(line_no="1 ")),
        order(lines=line(quantity=0)),
        order(lines=line(quantity=-1)),
        order(lines=line(quantity="2")),
        order(lines=line(quantity=2.0)),
        order(lines=line(quantity=True)),
        order(lines=line(quantity=1_000_000_001)),
        order(lines=line(sku="")),
        order(lines=line(sku=" A")),
        order(lines=line(sku="A\0")),
        order(lines=line(sku="A\ud800")),
        order(lines=line(sku=7)),
        order(lines=line(status=7)),
        order(lines={}),
        order(status=["paid"]),
        {"type": "order.paid"},
        {"type": "order.paid", "data": None},
        {"type": "order.paid", "data": "{}"},
        {"data": {}},
        {"type": "", "data": {}},
        {"type": "order paid", "data": {}},
        {"type": "order..paid", "data": {}},
        {"type": "\ud800", "data": {}},
        {"type": "x" * 129, "data": {}},
        {"type": 5, "data": {}},
        b"",
        b"{",
        b"null",
        b"[]",
        b'"order.paid"',
        b'{"type":"ping"}x',
        b'\xef\xbb\xbf{"type":"ping"}',
        b'{"type":"ping","type":"ping"}',
        b'{"type":"ping","data":{"a":1,"a":2}}',
        b'{"type":"ping","data":NaN}',
        b'{"type":"ping","data":"\n"}',
        b'{"type":"ping","data":' + b"9" * 5000 + b"}",
        b'{"type":"ping","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"ping"}' + b" " * 1_048_576,
    ],
    ids=lambda body: repr(body)[:40].encode("ascii", "replace").decode(),
)
def test_what_is_no_order_is_malformed(body: bytes | dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(body)


RECEIVER = {
    "name": "张三",
    "mobile": "138",
    "province": "浙江",
    "city": "杭州",
    "detail_address": "路 1 号",
}
HERE = Shipping(name="张三", mobile="138", province="浙江", city="杭州", detail_address="路 1 号")


@pytest.mark.parametrize(
    ("members", "shipping"),
    [
        ({}, None),
        ({"receiver": RECEIVER}, HERE),
        (
            {"receiver": {**RECEIVER, "area": "余杭", "zip_code": "310000", "more": 1}},
            replace(HERE, area="余杭", zip_code="310000"),
        ),
        (
            {"receiver": RECEIVER, "ship_by": "2026-01-23T10:00:00+08:00", "urgent": True},
            replace(HERE, ship_by_ms=DAY + 86_400_000 + 7_200_000, lane=Lane.RUSH),
        ),
        ({"receiver": RECEIVER, "urgent": False}, HERE),
        # What of it cannot be read keeps no order from its stock.
        ({"receiver": "张三, 杭州"}, None),
        ({"receiver": {**RECEIVER, "name": ""}}, None),
        ({"receiver": {**RECEIVER, "name": " "}}, None),
        ({"receiver": RECEIVER, "ship_by": "9999-12-31T23:59:59Z"}, None),
        ({"receiver": {**RECEIVER, "city": "x" * 201}}, None),
        ({"receiver": {**RECEIVER, "city": "杭\n州"}}, None),
        ({"receiver": RECEIVER, "ship_by": "2026-01-23"}, None),
        ({"receiver": RECEIVER, "urgent": "yes"}, None),
    ],
)
def test_where_an_order_goes(members: dict[str, Any], shipping: Shipping | None) -> None:
    """It may stand in a message, also of a dealer that could be asked for it later."""
    told = order_of(order(**members))
    assert told == replace(order_of(order()), shipping=shipping)
    (hint,) = dealer(orders_path="/orders").read_push(push(order(**members)), NOW_MS)
    assert hint.order == told


def test_a_dealer_that_is_asked_for_an_address_has_to_write_one() -> None:
    """What cannot be read is said then: the order's stock is there already."""
    adapter = dealer(orders_path="/orders")
    document = {**order()["data"], "receiver": RECEIVER}
    assert adapter.read_shipping(answer(document)).shipping == HERE
    assert adapter.read_detail(answer(document)).shipping is None
    with pytest.raises(PartnerFault, match="city"):
        adapter.read_shipping(answer({**document, "receiver": {**RECEIVER, "city": 1}}))
