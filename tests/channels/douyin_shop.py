"""A shop at Douyin, what is pushed to it, and how its calls and their answers look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from channels.adapter import Account, At
from channels.douyin import Douyin, event_sign_sha256
from channels.model import Hint, Listing
from partners.model import Push, Request, Response

GOLDEN = Path(__file__).parent / "golden" / "douyin"
KEY = "1234567890123456789"
SECRET = "contract-app-secret"
ACCOUNT = Account(
    channel="douyin", url=Douyin.default_url, app_key=KEY, secrets=(SECRET,), shop_id="77977"
)
AT = At(1_667_899_926_000, "token-1")
LISTING = Listing(sku="A1-RED", item_id="3539925204033339668", platform_sku_id="1736502463777799")
PROBE = b'[{"tag":"0","msg_id":"0","data":"2020-09-10T16:27:56.52842897+08:00"}]'


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


def shop(*, shop_id: str = ACCOUNT.shop_id, **options: str) -> Douyin:
    return Douyin(replace(ACCOUNT, shop_id=shop_id, options=options))


def push(body: bytes, how=event_sign_sha256, secret: str = SECRET, **headers: str) -> Push:
    return Push(body, {"app-id": KEY, "event-sign": how(secret, KEY, body), **headers})


def message(tag: object = "101", msg_id: object = "m-1", data: object = None) -> bytes:
    data = {"p_id": 4781320682406083640} if data is None else data
    return json.dumps({"tag": tag, "msg_id": msg_id, "data": data}).encode()


def read(body: bytes, *, shop_id: str = ACCOUNT.shop_id) -> list[Hint]:
    return list(shop(shop_id=shop_id).read_push(push(body), 0))


def query(request: Request) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(request.url).query).items()}


def answer(code: int = 10000, data: object = None, **members: object) -> Response:
    return Response(
        200, json.dumps({"code": code, "msg": "success", "data": data, **members}).encode()
    )
