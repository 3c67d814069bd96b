"""A dealer over Standard Webhooks: what it is asked and told, and what came of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from channels.adapter import At
from channels.model import Listing, OrderLine, OrderState, Parcel, PlatformOrder
from partners.errors import PartnerFault, UnknownWord
from reservation.shops import DeductsAt
from tests.channels.dealer import (
    DAY,
    NOW,
    NOW_MS,
    OTHER,
    SECRET,
    URL,
    answer,
    dealer,
    order,
    order_of,
    sign,
)

# -- what is asked -----------------------------------------------------------------------------

AT = At(NOW_MS)
ASKABLE = {"orders_path": "/orders"}


def test_a_dealer_that_cannot_be_asked_is_not() -> None:
    assert dealer().detail("7", AT) is None
    assert dealer().changed(0, NOW_MS, 1, AT) is None


def test_an_order_is_asked_for_with_a_signature_of_nothing() -> None:
    request = dealer(SECRET, OTHER, **ASKABLE).detail("a/7?", AT)
    assert request is not None
    assert (request.method, request.url) == ("GET", f"{URL}/orders/a%2F7%3F")
    message_id = request.headers["webhook-id"]
    signed = [sign(secret, message_id, str(NOW), b"") for secret in (SECRET, OTHER)]
    assert request.headers["webhook-signature"] == " ".join(signed)
    assert "authorization" not in request.headers
    other = dealer(**ASKABLE).detail("8", AT)
    assert other is not None
    assert other.headers["webhook-id"] != message_id


def test_a_token_goes_along() -> None:
    request = dealer(**ASKABLE).detail("7", At(NOW_MS, "secret-token"))
    assert request is not None
    assert request.headers["authorization"] == "Bearer secret-token"


def test_what_has_changed_is_asked_for_by_pages() -> None:
    request = dealer(**ASKABLE).changed(DAY, DAY + 1_800_000, 2, AT)
    assert request is not None
    window = "updated_from=2026-01-22T00%3A00%3A00.000Z&updated_to=2026-01-22T00%3A30%3A00.000Z"
    assert request.url == f"{URL}/orders?{window}&page=2"


def test_an_order_is_read() -> None:
    assert dealer().read_detail(answer(order()["data"])) == order_of(order())
    with pytest.raises(UnknownWord):
        dealer().read_detail(answer(order(status="brwd")["data"]))


def test_a_page_is_read() -> None:
    documents = [order()["data"], order(order_no=8)["data"]]
    page = dealer().read_changed(answer({"orders": documents, "pages": 3}))
    assert page.orders == (("7", DAY + 7_200_000), ("8", DAY + 7_200_000))
    assert page.pages == 3
    assert [one.order_id for one in page.details] == ["7", "8"]


@pytest.mark.parametrize("bad", [{"status": "brwd"}, {"lines": []}, {"updated_at": 5}])
def test_an_order_that_cannot_be_read_keeps_none_of_its_page_back(bad: dict[str, Any]) -> None:
    """It is asked for by itself, and is in trouble alone."""
    documents = [order()["data"], order(order_no=8, **bad)["data"]]
    page = dealer().read_changed(answer({"orders": documents, "pages": 1}))
    assert page.orders == (("7", DAY + 7_200_000), ("8", None))
    assert page.details == (order_of(order()),)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (order(order_no="HZ/8")["data"], "'HZ/8'"),
        (order(order_no="订单8")["data"], "'\\u8ba2\\u53558'"),
        (order(order_no="x" * 10_000)["data"], "'xxxx"),
        ({"order_no": ["\ud800"]}, "order_no"),
        ({}, "order_no"),
        (None, "object"),
        (7, "object"),
    ],
)
def test_what_names_no_order_of_ours_keeps_none_of_its_page_back(said: Any, shown: str) -> None:
    """It is told, the same of the same, for somebody to see."""
    response = answer({"orders": [order()["data"], said], "pages": 1})
    pages = [dealer().read_changed(response) for _ in range(2)]
    assert pages[0] == pages[1]
    assert pages[0].orders == (("7", DAY + 7_200_000),)
    (unread,) = pages[0].unread
    assert shown in unread.why
    assert len(unread.why) <= 300
    assert unread.why.isascii()


@pytest.mark.parametrize("document", [b"", b"<html>", {}, {"orders": {}, "pages": 1}, []])
def test_an_answer_that_cannot_be_read_may_be_another_later(document: Any) -> None:
    for reader in (dealer().read_detail, dealer().read_changed):
        with pytest.raises(PartnerFault) as caught:
            reader(answer(document))
        assert (caught.value.code, caught.value.again) == ("unreadable", True)


# -- what is told ------------------------------------------------------------------------------

LISTING = Listing(sku="猫-1", item_id="i", platform_sku_id="s")
ORDER = PlatformOrder(
    order_id="7",
    state=OrderState.PAID,
    word="paid",
    lines=(OrderLine(line_id="1", sku="A", quantity=2, state=OrderState.PAID),),
    deducts_at=DeductsAt.ORDER,
    created_at_ms=1,
    changed_at_ms=2,
)
STOCK = {"sku": "猫-1", "item_id": "i", "platform_sku_id": "s"}


@pytest.mark.parametrize(
    ("request_", "kind", "data"),
    [
        (dealer().show(LISTING, 5, "k1", AT), "stock.available", {**STOCK, "available": 5}),
        (dealer().close(LISTING, "k1", AT), "sku.suspended", {**STOCK, "available": 0}),
        (dealer().reopen(LISTING, 5, "k1", AT), "sku.resumed", {**STOCK, "available": 5}),
        (
            dealer().reject(ORDER, AT),
            "order.rejected",
            {
                "order_no": "7",
                "reason": "insufficient-stock",
                "lines": [{"line_no": "1", "sku": "A", "quantity": 2}],
            },
        ),
        (
            dealer().shipped("7", Parcel(company="SF", tracking_number="SF1", lines=("1",)), AT),
            "order.shipped",
            {"order_no": "7", "company": "SF", "tracking_number": "SF1", "lines": ["1"]},
        ),
    ],
)
def test_what_is_told_is_a_signed_message(request_: Any, kind: str, data: dict[str, Any]) -> None:
    assert (request_.method, request_.url) == ("POST", URL)
    assert request_.headers["content-type"] == "application/json"
    assert request_.headers["webhook-timestamp"] == str(NOW)
    assert request_.headers["webhook-signature"] == sign(
        SECRET, request_.headers["webhook-id"], str(NOW), request_.body
    )
    assert json.loads(request_.body) == {
        "type": kind,
        "timestamp": "2026-01-22T02:00:05.000Z",
        "data": data,
    }


def test_both_secrets_sign_the_newest_first() -> None:
    told = dealer(SECRET, OTHER).close(LISTING, "k1", AT)
    expected = [sign(secret, "k1", str(NOW), told.body) for secret in (SECRET, OTHER)]
    assert told.headers["webhook-signature"].split(" ") == expected


def test_a_repetition_has_the_same_id() -> None:
    """Of a key that can be no header, an id made of it."""
    later = At(NOW_MS + 60_000)

    def ids(at: At) -> list[str]:
        return [
            dealer().show(LISTING, 5, "feed:1", at).headers["webhook-id"],
            dealer().show(LISTING, 5, "猫 v1.2", at).headers["webhook-id"],
            dealer().reject(ORDER, at).headers["webhook-id"],
            dealer().reject(replace(ORDER, changed_at_ms=3), at).headers["webhook-id"],
            dealer()
            .shipped("7", Parcel(company="SF", tracking_number="1"), at)
            .headers["webhook-id"],
            dealer()
            .shipped("7", Parcel(company="SF1", tracking_number=""), at)
            .headers["webhook-id"],
        ]

    assert ids(AT) == ids(later)
    assert len(set(ids(AT))) == 6
    assert ids(AT)[0] == "feed:1"
    assert all(one.isascii() and "." not in one and " " not in one for one in ids(AT))


# -- what came of it ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_done(status: int) -> None:
    dealer().read_done(answer(b"whatever", status))


@pytest.mark.parametrize(
    ("status", "again", "unknown"),
    [
        (301, False, False),
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (408, True, False),
        (409, False, False),
        (410, False, False),
        (425, True, False),
        (429, True, False),
        (500, True, True),
        (502, True, True),
        (503, True, False),
        (504, True, True),
        (599, True, True),
    ],
)
def test_another_status_is_a_fault(status: int, again: bool, unknown: bool) -> None:  # noqa: FBT001
    with pytest.raises(PartnerFault) as caught:
        dealer().read_done(answer(b"because\n of\xff" + b"x" * 9999, status))
    fault = caught.value
    assert (fault.code, fault.again, fault.unknown) == (str(status), again, unknown)
    assert len(str(fault)) < 400


def test_a_dealer_that_is_gone_is_called_so() -> None:
    with pytest.raises(PartnerFault, match="410: the endpoint is gone"):
        dealer().read_done(answer(b"", 410))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("999999999", 3600.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("-1", None),
        ("٧", None),
        ("", None),
    ],
)
def test_how_long_a_dealer_wants_us_to_wait(text: str, seconds: float | None) -> None:
    with pytest.raises(PartnerFault) as caught:
        dealer().read_done(answer(b"", 429, **{"retry-after": text}))
    assert caught.value.after_seconds == seconds
