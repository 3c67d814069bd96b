"""Douyin: what we ask, and how its answers end."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from channels.adapter import Account
from channels.douyin import Douyin, sign
from channels.model import Listing, OrderLine, OrderState, Parcel, PlatformOrder
from partners.errors import PartnerFault
from partners.model import Request, Response
from reservation.errors import ConfigurationError
from reservation.shops import DeductsAt
from tests.channels.douyin_shop import (
    ACCOUNT,
    AT,
    CALLS,
    GOLDEN,
    KEY,
    LISTING,
    SECRET,
    answer,
    query,
    shop,
)

# -- calls ---------------------------------------------------------------------------------------


def check(request: Request, path: str, params: dict[str, object]) -> None:
    """Hold a call against its path and what it says; its signature against `sign`."""
    assert request.method == "POST"
    assert urlsplit(request.url).scheme + "://" + urlsplit(request.url).netloc == ACCOUNT.url
    assert urlsplit(request.url).path == path
    assert json.loads(request.body) == params
    assert request.headers == {"content-type": "application/json;charset=utf-8"}
    said = query(request)
    members = {name: said[name] for name in ("app_key", "method", "timestamp", "v")}
    assert members == {
        "app_key": KEY,
        "method": path[1:].replace("/", "."),
        "timestamp": "1667899926",
        "v": "2",
    }
    members["param_json"] = request.body.decode()
    assert said["sign"] == sign(SECRET, members, said["sign_method"])
    assert SECRET not in request.url


def test_stock_is_shown_in_full_under_a_key():
    """The call of the vector, byte for byte, and signed as it is there."""
    request = shop().show(LISTING, 5, "r-1", AT)
    check(request, "/sku/syncStock", json.loads(CALLS[1][2]))
    assert request.body.decode() == CALLS[1][2]
    assert query(request)["sign"] == CALLS[1][3]
    assert query(request)["access_token"] == "token-1"
    assert query(shop(sign_method="md5").show(LISTING, 5, "r-1", AT))["sign"] == CALLS[1][4]


def test_a_listing_without_the_platforms_sku_is_named_by_our_code():
    """The code is the merchant's own, and unique within its product."""
    listing = Listing(sku="A1", item_id="7")
    check(
        shop().show(listing, 0, "k", AT),
        "/sku/syncStock",
        {"code": "A1", "product_id": 7, "incremental": False, "idempotent_id": "k", "stock_num": 0},
    )


@pytest.mark.parametrize("wrong", ["", "12a", "٣", "-1"])
def test_an_id_that_cannot_be_douyins_is_a_fault_of_the_configuration(wrong):
    """It is not sent, and not turned into another one."""
    with pytest.raises(ConfigurationError):
        shop().close(Listing(sku="A1", item_id=wrong), "k", AT)


def test_a_listing_is_closed_on_its_shelf_or_by_its_stock():
    """One call in each case; with the shelf the stock is shown by the call after it."""
    product = {"product_id": 3539925204033339668}
    check(shop().close(LISTING, "k", AT), "/product/setOffline", product)
    assert query(shop().close(LISTING, "k", AT))["sign"] == CALLS[2][3]
    check(shop().reopen(LISTING, 9, "k", AT), "/product/setOnline", product)
    by_stock = shop(close_by="stock")
    assert by_stock.close(LISTING, "k", AT) == by_stock.show(LISTING, 0, "k", AT)
    assert by_stock.reopen(LISTING, 9, "k", AT) == by_stock.show(LISTING, 9, "k", AT)


def paid(word: str, state: OrderState) -> PlatformOrder:
    line = OrderLine(line_id="1", sku="A1", quantity=1, state=state)
    return PlatformOrder(
        order_id="4781320682406083640",
        state=state,
        word=word,
        lines=(line,),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=1,
        changed_at_ms=1,
    )


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("1", OrderState.UNPAID),
        ("2", OrderState.PAID),
        ("105", OrderState.PAID),
        ("3", OrderState.SHIPPED),
        ("4", OrderState.CLOSED),
    ],
)
def test_no_order_can_be_refused(word, state):
    """What is not paid may be cancelled, for reasons of the buyer's; what is paid may not."""
    assert shop().reject(paid(word, state), AT) is None


def test_a_parcel_is_told_for_an_order_or_for_some_of_its_lines():
    """Only the second call can name lines, and it is harmless when it is repeated."""
    check(
        shop().shipped("47", Parcel(company="shunfeng", tracking_number="SF1"), AT),
        "/order/logisticsAdd",
        {"order_id": "47", "company_code": "shunfeng", "logistics_code": "SF1"},
    )
    parcel = Parcel(company="shunfeng", tracking_number="SF1", lines=("471", "472"))
    check(
        shop().shipped("47", parcel, AT),
        "/order/logisticsAddMultiPack",
        {
            "order_id": "47",
            "request_id": "47-SF1-471",
            "pack_list": [
                {
                    "company_code": "shunfeng",
                    "logistics_code": "SF1",
                    "shipped_order_info": [
                        {"shipped_order_id": "471"},
                        {"shipped_order_id": "472"},
                    ],
                }
            ],
        },
    )


def test_orders_are_asked_for_one_by_one_and_by_pages():
    """Our pages begin at 1, theirs at 0; a window is never narrower in seconds than in ms."""
    check(shop().detail("47", AT), "/order/orderDetail", {"shop_order_id": "47"})
    check(
        shop().changed(1_617_355_400_999, 1_617_357_200_001, 3, AT),
        "/order/searchList",
        {
            "update_time_start": 1617355400,
            "update_time_end": 1617357201,
            "order_by": "update_time",
            "order_asc": True,
            "page": 2,
            "size": 100,
        },
    )


def test_a_token_is_asked_for_without_a_token():
    """The first by the shop or by a code, each later one by what came with the one before."""
    refreshed = shop().token("r", AT)
    check(refreshed, "/token/refresh", {"grant_type": "refresh_token", "refresh_token": "r"})
    created = shop().token("", AT)
    own = {"grant_type": "authorization_self", "code": "", "shop_id": "77977"}
    check(created, "/token/create", own)
    by_code = shop(grant_type="authorization_code", code="c").token("", AT)
    other = {"grant_type": "authorization_code", "code": "c", "shop_id": "77977"}
    check(by_code, "/token/create", other)
    assert not any("access_token" in query(call) for call in (refreshed, created, by_code))


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [(604800, 604_801_000), ("530808", 530_809_000), (1_900_000_000, 1_900_000_000_000)],
)
def test_a_token_lives_for_a_while_or_until_a_time(expires_in, expected):
    """The member is a while where it has been seen, a time by the SDK's own comment."""
    golden = json.loads((GOLDEN / "token.json").read_bytes())
    golden["data"]["expires_in"] = expires_in
    token = shop().read_token(Response(200, json.dumps(golden).encode()), 1000)
    assert (token.value, token.refresh, token.expires_at_ms) == ("access", "refresh", expected)
    assert "access" not in repr(token).replace("access_token", "")


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"access_token": ""},
        {"access_token": "", "expires_in": 1},
        {"access_token": "a", "expires_in": 0},
        {"access_token": "a", "expires_in": "soon"},
    ],
)
def test_an_answer_without_a_token_is_a_fault(data):
    """Whatever is missing."""
    with pytest.raises(PartnerFault):
        shop().read_token(answer(data=data), 0)


# -- what is done --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        answer(),
        answer(data={}),
        Response(200, b'{"err_no":0,"message":"success"}'),
        Response(200, b'{"code":"10000"}'),
        answer(40003, sub_code="isv.idempotent-id-existed", sub_msg="幂等ID重复"),
        answer(
            40004, sub_code="isv.parameter-invalid:40010", sub_msg="[idempotent_id]重复，操作已执行"
        ),
        answer(
            40004,
            sub_code="isv.parameter-invalid:2010021",
            sub_msg="【重复操作】商品操作重复，当前状态：下架",
        ),
        answer(
            50002,
            sub_code="isv.business-failed:60110",
            sub_msg="订单已发货，不允许再次执行发货。",
        ),
    ],
)
def test_a_write_is_done_also_where_it_was_done_before(response):
    """A key or a parcel told twice, a product off the shelf already: all is as it was asked."""
    shop().read_done(response)


@pytest.mark.parametrize(
    ("sub_code", "text"),
    [
        ("isv.parameter-invalid:40010", "another call's own meaning"),
        ("isv.parameter-invalid:2010021", "another"),
        ("isv.parameter-invalid:5", "找不到对应的sku"),
        ("isv.business-failed:60110", "another"),
        ("isv.business-failed:60021", "订单已取消，禁止发货。"),
    ],
)
def test_a_refusal_is_no_success_by_its_number_alone(sub_code, text):
    """The numbers behind a sub code are each call's own."""
    with pytest.raises(PartnerFault) as fault:
        shop().read_done(answer(40004, sub_code=sub_code, sub_msg=text))
    assert (fault.value.code, fault.value.again) == (sub_code, False)


@pytest.mark.parametrize(
    "account",
    [
        Account(channel="d", url="", app_key="", secrets=("s",)),
        Account(channel="d", url="", app_key=KEY),
        Account(channel="d", url="", app_key=KEY, secrets=("s", "")),
        Account(channel="d", url="", app_key=KEY, secrets=("s",), options={"close_by": "magic"}),
        Account(channel="d", url="", app_key=KEY, secrets=("s",), options={"sign_method": "sha1"}),
        Account(channel="d", url="", app_key=KEY, secrets=("s",), options={"grant_type": "x"}),
    ],
)
def test_an_account_that_cannot_work_is_refused_at_once(account):
    """An empty secret would admit what anybody signs."""
    with pytest.raises(ConfigurationError):
        Douyin(account)
