"""Douyin: what we sign, what we admit, what we ask and how its answers end."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from channels.adapter import Account, At
from channels.douyin import Douyin, event_sign_md5, event_sign_sha256, param_json, sign
from channels.errors import Forged, Malformed, PlatformFault
from channels.model import (
    Hint,
    Listing,
    OrderLine,
    OrderState,
    Parcel,
    PlatformOrder,
    Push,
    Request,
    Response,
)
from reservation.errors import ConfigurationError
from reservation.shops import DeductsAt

GOLDEN = Path(__file__).parent / "golden" / "douyin"
KEY = "1234567890123456789"
SECRET = "contract-app-secret"
ACCOUNT = Account(
    channel="douyin", url=Douyin.default_url, app_key=KEY, secrets=(SECRET,), shop_id="77977"
)
AT = At(1_667_899_926_000, "token-1")
LISTING = Listing(sku="A1-RED", item_id="3539925204033339668", platform_sku_id="1736502463777799")
PROBE = b'[{"tag":"0","msg_id":"0","data":"2020-09-10T16:27:56.52842897+08:00"}]'


def shop(**options: str) -> Douyin:
    return Douyin(
        Account(**{**{f: getattr(ACCOUNT, f) for f in ACCOUNT.__slots__}, "options": options})
    )


def push(body: bytes, how=event_sign_sha256, secret: str = SECRET, **headers: str) -> Push:
    return Push(body, {"app-id": KEY, "event-sign": how(secret, KEY, body), **headers})


def message(tag: object = "101", msg_id: object = "m-1", data: object = None) -> bytes:
    data = {"p_id": 4781320682406083640} if data is None else data
    return json.dumps({"tag": tag, "msg_id": msg_id, "data": data}).encode()


def read(body: bytes) -> list[Hint]:
    return list(shop().read_push(push(body), 0))


def query(request: Request) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(request.url).query).items()}


def answer(code: int = 10000, data: object = None, **members: object) -> Response:
    return Response(
        200, json.dumps({"code": code, "msg": "success", "data": data, **members}).encode()
    )


# -- signatures ----------------------------------------------------------------------------------

# The first is published with a client of 2026; the others pin what the steps of the SDK give.
CALLS = [
    (
        "order.searchList",
        {"z": 1, "nested": {"汉": "<&", "a": True}, "a": [3, {"b": 2, "a": 1}]},
        '{"a":[3,{"a":1,"b":2}],"nested":{"a":true,"汉":"<&"},"z":1}',
        "cfb0c61c20926f758e13f4bd3d59a0de0e22f3c6059f1045cae36e6cea2bd417",
        "6a50fd3554490c8651eb774e4b12ff6d",
    ),
    (
        "sku.syncStock",
        {"stock_num": 5, "sku_id": 1736502463777799, "incremental": False, "idempotent_id": "r-1"},
        '{"idempotent_id":"r-1","incremental":false,"sku_id":1736502463777799,"stock_num":5}',
        "94b7fbf02cc94e150dd6532d34ad5ee53748ff2f11eabc09f5eb7e31534aa3eb",
        "50640208de719049db59f26f86a3a29a",
    ),
    (
        "product.setOffline",
        {"product_id": 3539925204033339668},
        '{"product_id":3539925204033339668}',
        "f144c8e874a0ba8a7dac1f4d219d0328ec027723797706a857e2fccb50964b4c",
        None,
    ),
]


@pytest.mark.parametrize(("method", "params", "text", "sha256", "md5"), CALLS)
def test_a_call_is_signed_as_the_platforms_own_code_signs_it(method, params, text, sha256, md5):
    """The members of a call are sorted at every level, unescaped, and the secret is around them."""
    body = param_json(params).decode()
    members = {
        "app_key": KEY,
        "method": method,
        "param_json": body,
        "timestamp": "1667899926",
        "v": "2",
    }
    assert body == text
    assert sign(SECRET, members, "hmac-sha256") == sha256
    assert md5 in {None, sign(SECRET, members, "md5")}


def test_a_call_of_the_platform_to_us_is_signed_by_the_same_steps():
    """Without method and v the sign is that of a call to us (SPI)."""
    members = {"app_key": KEY, "param_json": '{"a":"1","b":2}', "timestamp": "2022-11-08 17:32:06"}
    assert sign(SECRET, members, "md5") == "685ce4766051013d319ac99401a0ac08"
    assert sign(SECRET, members, "hmac-sha256") == (
        "78c78a472c9e890258d9a9fc8659fd2255c6c9051b725415897015484b12b6ff"
    )


@pytest.mark.parametrize(
    ("how", "secret", "app_id", "body", "expected"),
    [
        (
            event_sign_sha256,
            "fixed-secret",
            "fixed-app",
            b"body",
            "382c11208cd1f85f08f12c576fa0f80fd8482203d56894a3aab0b188cf2049da",
        ),
        (event_sign_md5, "fixed-secret", "fixed-app", b"body", "52ffa83d0da319aa6394a013350c7556"),
        (event_sign_md5, SECRET, KEY, PROBE, "ed29a81c5714c2ba0532bddaf89ff82b"),
        (
            event_sign_sha256,
            SECRET,
            KEY,
            PROBE,
            "152a3e98574b641a4a9885dc915059a6b98604f8883951622c04d8f8ff472eb7",
        ),
    ],
)
def test_a_push_is_signed_in_two_ways(how, secret, app_id, body, expected):
    """The first is published, the others pin the steps."""
    assert how(secret, app_id, body) == expected


# -- pushes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [event_sign_md5, event_sign_sha256])
def test_a_push_of_either_length_of_signature_is_admitted(how):
    """The length tells the way, and the probe is no hint."""
    assert shop().read_push(push(PROBE, how), 0) == []
    assert len(shop().read_push(push(message(), how), 0)) == 1


def test_each_secret_of_a_rotation_admits():
    """With two secrets both open; a third opens nothing."""
    account = Account(channel="douyin", url="", app_key=KEY, secrets=("new", "old"))
    for secret in ("new", "old"):
        assert len(Douyin(account).read_push(push(message(), secret=secret), 0)) == 1
    with pytest.raises(Forged):
        Douyin(account).read_push(push(message(), secret="older"), 0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"event-sign": ""},
        {"event-sign": "0" * 32},
        {"event-sign": "0" * 64},
        {"event-sign": event_sign_md5(SECRET, KEY, message()).upper()},
        {"event-sign": event_sign_md5(SECRET, KEY, message())[:31]},
        {"event-sign": event_sign_md5(SECRET, KEY, message()) + "0"},
        {"event-sign": event_sign_md5(SECRET, KEY, message() + b" ")},
        {"event-sign": "é" * 32},
        {"event-sign": "\ud800" * 64},
        {"event-sign": event_sign_md5(SECRET, KEY, message()), "app-id": "another"},
        {"event-sign": event_sign_md5(SECRET, KEY, message()), "app-id": "é"},
    ],
)
def test_a_push_without_our_secret_over_these_very_bytes_is_forged(headers):
    """Forged, truncated, serialised anew: none is read, and no header makes it fail otherwise."""
    with pytest.raises(Forged):
        shop().read_push(Push(message(), headers), 0)


def test_a_push_may_come_without_the_apps_id():
    """The id is signed with the body in any case: ours is, whether or not a header repeats it."""
    body = message()
    signed = Push(body, {"event-sign": event_sign_md5(SECRET, KEY, body)})
    assert len(shop().read_push(signed, 0)) == 1


def test_the_golden_push_is_six_hints():
    """One push has several messages; ids of 19 digits are exact as numbers and as strings."""
    hints = read((GOLDEN / "pushes.json").read_bytes())
    assert [(hint.topic, hint.order_id) for hint in hints] == [
        ("100", "4781320682406083640"),
        ("101", "4781320682406083640"),
        ("106", "4781320682406083650"),
        ("110", "4781320682406083660"),
        ("200", "4705288465508532862"),
        ("206", "4705288465508532862"),
    ]
    assert len({hint.message_id for hint in hints}) == 6
    assert read((GOLDEN / "probe.json").read_bytes()) == []


HINT = [Hint(message_id="7", topic="101", order_id="4781320682406083640")]


@pytest.mark.parametrize(
    "body",
    [
        b'[{"tag":"101","msg_id":"7","data":"{\\"p_id\\":4781320682406083640}"}]',
        b'{"tag":"101","msg_id":"7","data":"{\\"p_id\\":4781320682406083640}"}',
        b'[{"tag":101,"msg_id":7,"data":{"p_id":4781320682406083640}}]',
        b' [ {"tag":"101","msgId":"7","data":{"p_id":"4781320682406083640","s_ids":null}} ] ',
        b'[{"tag":"0","data":""},{"tag":101,"msgId":7,"data":{"p_id":"4781320682406083640"},"b":[]}]',
    ],
)
def test_a_message_is_read_in_every_form_that_is_known(body):
    """List or object, text or object, number or string, msg_id or msgId: the same hint."""
    assert read(body) == HINT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"1",
        b"null",
        b'"text"',
        b"[1]",
        b"[[]]",
        b"\xff[]",
        b"NaN",
        b'[{"tag":"101","msg_id":"7","data":NaN}]',
        b"[" * 100_000,
        b'[{"tag":"100"}]',
        b'[{"msg_id":"7"}]',
        b'[{"tag":"","msg_id":"7"}]',
        b'[{"tag":true,"msg_id":"7","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":null,"data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"a\\u0000b","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"a\\ud800b","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"7","msg_id":"8","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"7","data":"{\\"p_id\\":1,\\"p_id\\":2}"}]',
        message(data=""),
        message(data="{"),
        message(data=[]),
        message(data={}),
        message(data={"p_id": 0}),
        message(data={"p_id": "0"}),
        message(data={"p_id": -5}),
        message(data={"p_id": True}),
        message(data={"p_id": 4.781320682406084e18}),
        message(data={"p_id": 1.5}),
        message(data={"p_id": ["1"]}),
        message(data={"p_id": "a b"}),
        message(data={"p_id": "a\x00"}),
        message(data={"p_id": "1" * 65}),
        message(data={"p_id": 10**200}),
        message(msg_id="m" * 129),
        b'{"tag":"101","msg_id":' + b"1" * 5000 + b"}",
        message(data={"p_id": 1, "more": "x" * 1_100_000}),
    ],
)
def test_what_is_no_push_of_the_platforms_is_malformed(body):
    """Whatever is wrong with its content, it is refused as that; no id is rounded or guessed."""
    with pytest.raises(Malformed):
        read(body)


def test_a_push_has_an_answer_in_the_platforms_words():
    """Code 0 is taken, any other is not; nothing tells a sender why."""
    douyin = shop()
    ours = [douyin.acknowledge(), douyin.refuse(Forged("secret reason")), douyin.later()]
    assert json.loads(ours[0].body) == {"code": 0, "msg": "success"}
    assert [reply.status for reply in ours] == [200, 200, 200]
    assert [json.loads(reply.body)["code"] for reply in ours[1:]] == [40041, 40044]
    assert b"secret" not in ours[1].body
    assert ours[1] == douyin.refuse(Malformed("another"))


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


def paid(word: str, state: OrderState = OrderState.PAID) -> PlatformOrder:
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


@pytest.mark.parametrize("word", ["2", "105"])
def test_a_paid_order_of_which_nothing_has_left_can_be_cancelled(word):
    """The reason is ours to set."""
    check(
        shop().reject(paid(word), AT),
        "/order/orderCancel",
        {"shop_order_id": "4781320682406083640", "cancel_reason": "商品缺货"},
    )
    request = shop(cancel_reason="7").reject(paid(word), AT)
    assert json.loads(request.body)["cancel_reason"] == "7"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("1", OrderState.UNPAID),
        ("101", OrderState.PAID),
        ("3", OrderState.SHIPPED),
        ("5", OrderState.SHIPPED),
        ("4", OrderState.CLOSED),
        ("2", OrderState.CLOSED),
    ],
)
def test_no_other_order_can_be_cancelled(word, state):
    """Neither what is not paid, nor what has left, nor what is closed."""
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
            "request_id": "47-SF1",
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
    with pytest.raises(PlatformFault):
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
    ],
)
def test_a_write_is_done_also_where_it_was_done_before(response):
    """The same key twice, and a product that is off the shelf already, are as it was asked."""
    shop().read_done(response)


@pytest.mark.parametrize(
    ("sub_code", "text"),
    [
        ("isv.parameter-invalid:40010", "another call's own meaning"),
        ("isv.parameter-invalid:2010021", "another"),
        ("isv.parameter-invalid:5", "找不到对应的sku"),
    ],
)
def test_a_refusal_is_no_success_by_its_number_alone(sub_code, text):
    """The numbers behind a sub code are each call's own."""
    with pytest.raises(PlatformFault) as fault:
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
