"""Signatures: the published vectors, and what is signed and what is not."""

from __future__ import annotations

import pytest

from channels.simulator.tmall.signing import is_signed, sign, sign_callback

SELLER_GET = {
    "app_key": "test",
    "fields": "nick",
    "format": "xml",
    "method": "taobao.user.seller.get",
    "session": "test",
    "sign_method": "md5",
    "timestamp": "2013-05-06 13:52:03",
    "v": "2.0",
}
ITEM_GET = {
    "app_key": "12345678",
    "fields": "num_iid,title,nick,price,num",
    "format": "json",
    "method": "taobao.item.seller.get",
    "num_iid": "11223344",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "v": "2.0",
}
# node-top test/client.test.js, the documents' own example of 2011: a name in Chinese.
USER_GET = {
    "method": "taobao.user.get",
    "timestamp": "2011-07-01 13: 52:03",
    "format": "xml",
    "app_key": "test",
    "v": "2.0",
    "fields": "nick,location.state,location.city",
    "nick": "商家测试帐号17",
    "sign_method": "md5",
}


@pytest.mark.parametrize(
    ("parameters", "secret", "method", "expected"),
    [
        (SELLER_GET, "test", "md5", "72CB4D809B375A54502C09360D879C64"),
        (USER_GET, "test", "md5", "990FD28323F67A1EEC29336EDF373C0E"),
        (
            {**ITEM_GET, "sign_method": "md5"},
            "helloworld",
            "md5",
            "66987CB115214E59E6EC978214934FB8",
        ),
        (
            {**ITEM_GET, "sign_method": "hmac"},
            "helloworld",
            "hmac",
            "D56D7858309C31B6251083A874D48273",
        ),
        (
            {**ITEM_GET, "sign_method": "hmac-sha256"},
            "helloworld",
            "hmac-sha256",
            "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8",
        ),
    ],
)
def test_published_signatures(
    parameters: dict[str, str], secret: str, method: str, expected: str
) -> None:
    """As the platform's documents have them."""
    assert sign(parameters, secret, method) == expected
    assert is_signed({**parameters, "sign": expected}, secret, method)


def test_what_is_not_signed() -> None:
    """The signature itself and empty parameters are not; everything else is."""
    signed = sign(SELLER_GET, "test", "md5")
    assert sign({**SELLER_GET, "sign": "x", "topics": "", "": "y"}, "test", "md5") == signed
    for name in SELLER_GET:
        assert sign({**SELLER_GET, name: "other"}, "test", "md5") != signed


@pytest.mark.parametrize("given", ["", "72cb4d809b375a54502c09360d879c64", "签名", "72CB"])
def test_a_signature_that_is_not_it(given: str) -> None:
    """In lower case, cut short, or no ASCII: not signed, and no error."""
    assert not is_signed({**SELLER_GET, "sign": given}, "test", "md5")


def test_a_call_of_the_platforms() -> None:
    """Headers that are listed, the query and the raw body (derived from the official SDK)."""
    query = {
        "app_key": "12345678",
        "method": "demo.order.push",
        "sign_method": "md5",
        "timestamp": "2016-01-01 12:00:00",
        "v": "2.0",
    }
    signed = sign_callback({"x-a": "1"}, query, b'{"tid":"123"}', "test")
    assert signed == "1119B372953D462E424047B669276CD9"
