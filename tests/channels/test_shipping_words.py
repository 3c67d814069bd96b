"""Where orders go, in the words of Tmall and Douyin: asked for by itself, read with care."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels.adapter import At
from channels.douyin import Douyin
from channels.model import Shipping
from channels.tmall_trade import FIELDS
from partners.errors import PartnerFault
from partners.model import Response
from tests.channels import douyin_shop
from tests.channels.tmall_golden import answering
from tests.channels.tmall_shop import AT, TMALL, business

TRADE = {
    "tid": 4701,
    "status": "WAIT_SELLER_SEND_GOODS",
    "created": "2026-01-22 10:00:00",
    "modified": "2026-01-22 10:00:00",
    "pay_time": "2026-01-22 10:00:00",
    "orders": {"order": [{"oid": 4701, "num": 1, "outer_iid": "A"}]},
}
GOING = {
    "title": "旗舰店",
    "receiver_name": "张**",
    "receiver_mobile": "*******1234",
    "receiver_state": "浙江省",
    "receiver_city": "杭州市",
    "receiver_district": "余杭区",
    "receiver_town": "五常街道",
    "receiver_address": "文一***",
    "receiver_zip": "310000",
    "oaid": "token",
}


def trade(**members: Any) -> Shipping | None:
    """Read a trade's answer."""
    said = {"trade": {**TRADE, **members}}
    return TMALL.read_shipping(answering({"trade_fullinfo_get_response": said})).shipping


def test_tmall_is_asked_for_the_buyer_only_then() -> None:
    """The detail by which stock moves has nothing of the buyer."""
    asked = business(TMALL.shipping("4701", AT))
    assert (asked["method"], asked["include_oaid"]) == ("taobao.trade.fullinfo.get", "include_oaid")
    assert set(GOING) <= set(asked["fields"].split(","))
    assert not any(name.startswith("receiver") or name == "oaid" for name in FIELDS.split(","))
    said = {"trade_fullinfo_get_response": {"trade": {**TRADE, **GOING}}}
    assert TMALL.read_detail(answering(said)).shipping is None


def test_what_tmall_tells_of_an_address() -> None:
    """A district that belongs to no city is one; a telephone is as good as a mobile."""
    assert trade() is None
    told = trade(**GOING, seller_flag=1, seller_memo="加急", buyer_message="谢谢")
    assert told == Shipping(
        name="张**",
        mobile="*******1234",
        province="浙江省",
        city="杭州市",
        area="余杭区",
        detail_address="五常街道文一***",
        zip_code="310000",
        oaid="token",
        shop="旗舰店",
        flag="1",
        memo="谢谢\n加急",
    )
    bare = {**GOING, "receiver_city": None, "receiver_mobile": None, "receiver_phone": "0571"}
    told = trade(**bare)
    assert told is not None
    assert (told.city, told.area, told.mobile) == ("余杭区", "", "0571")


@pytest.mark.parametrize(
    ("members", "ship_by_ms"),
    [
        ({"send_time": "2026-01-23 10:00:00"}, 1_769_133_600_000),
        ({"est_con_time": "2026-01-23 10:00:00"}, 1_769_133_600_000),
        (
            {"send_time": "2026-01-23 10:00:00", "est_con_time": "2026-01-22 10:00:00"},
            1_769_133_600_000,
        ),
        ({"est_con_time": "付款后3天内"}, None),
        ({}, None),
    ],
)
def test_when_tmall_wants_it_sent(members: dict[str, str], ship_by_ms: int | None) -> None:
    """A sentence is no time."""
    told = trade(**GOING, **members)
    assert told is not None
    assert told.ship_by_ms == ship_by_ms


ORDER = {
    "order_id": "4701",
    "order_status": 2,
    "create_time": 1,
    "update_time": 1,
    "pay_time": 1,
    "sku_order_list": [
        {"order_id": "4701", "code": "A", "item_num": 1, "reduce_stock_type": 1, "sku_id": 7}
    ],
}
PLACES = {
    "province": {"name": "福建省", "id": "35"},
    "city": {"name": "厦门市", "id": "350200"},
    "town": {"name": "思明区", "id": "350203"},
    "street": {"name": "莲前街道", "id": "350203010"},
}


def shop_order(**members: Any) -> Shipping | None:
    """Read an order's answer."""
    data = {"shop_order_detail": {**ORDER, **members}}
    body = json.dumps({"code": 10000, "data": data}).encode()
    adapter = Douyin(douyin_shop.ACCOUNT)
    assert adapter.read_detail(Response(200, body)).shipping is None
    return adapter.read_shipping(Response(200, body)).shipping


def test_what_douyin_ciphers_stays_a_cipher() -> None:
    """What comes in clear goes first, and then the street stands before the rest."""
    assert shop_order() is None
    ciphered = {
        "post_addr": {**PLACES, "detail": "", "encrypt_detail": "##road##"},
        "post_receiver": "",
        "encrypt_post_receiver": "##name##",
        "encrypt_post_tel": "$$tel$$",
        "exp_ship_time": 1_769_133_600,
        "shop_name": "店",
        "seller_remark_stars": 5,
        "seller_words": "加急",
    }
    there = Shipping(
        name="##name##",
        mobile="$$tel$$",
        province="福建省",
        city="厦门市",
        area="思明区",
        detail_address="##road##",
        shop="店",
        ship_by_ms=1_769_133_600_000,
        flag="5",
        memo="加急",
    )
    assert shop_order(**ciphered) == there
    clear = shop_order(
        post_addr={**PLACES, "detail": "1 号", "encrypt_detail": "##road##"},
        post_receiver="张三",
        encrypt_post_receiver="##name##",
        post_tel="138",
    )
    assert clear is not None
    assert (clear.name, clear.mobile, clear.detail_address) == ("张三", "138", "莲前街道1 号")


def test_what_of_an_address_cannot_be_read_is_said() -> None:
    """And moves no stock: the order itself is read as ever."""
    with pytest.raises(PartnerFault):
        shop_order(post_addr={**PLACES, "encrypt_detail": "#" * 1_025})


def test_what_may_not_ship_goes_nowhere() -> None:
    """It is paid, and its stock committed; no warehouse hears of it before it is let pass."""
    assert trade(**GOING) is not None
    assert trade(**GOING, status="PAID_FORBID_CONSIGN") is None
    address = {"post_addr": {**PLACES, "encrypt_detail": "##road##"}}
    assert shop_order(**address) is not None
    assert shop_order(**address, order_status=105) is None


def test_both_are_asked_with_their_keys() -> None:
    """Douyin's detail has it all; Tmall is asked once more."""
    at = At(1_769_047_205_000, "token")
    adapter = Douyin(douyin_shop.ACCOUNT)
    assert adapter.shipping("4701", at) == adapter.detail("4701", at)
