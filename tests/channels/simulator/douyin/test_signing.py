"""Doudian's signatures: the vectors of the reference."""

from __future__ import annotations

import pytest

from channels.simulator.douyin.signing import event_sign, sign

KEY, SECRET, TIME = "1234567890123456789", "contract-app-secret", "1667899926"
SEARCH = '{"a":[3,{"a":1,"b":2}],"nested":{"a":true,"汉":"<&"},"z":1}'
SYNC = '{"idempotent_id":"r-1","incremental":false,"sku_id":1736502463777799,"stock_num":5}'
OFFLINE = '{"product_id":3539925204033339668}'
PROBE = '[{"tag":"0","msg_id":"0","data":"2020-09-10T16:27:56.52842897+08:00"}]'


@pytest.mark.parametrize(
    ("method", "param_json", "by", "expected"),
    [
        (  # published, id 67283525977
            "order.searchList",
            SEARCH,
            "hmac-sha256",
            "cfb0c61c20926f758e13f4bd3d59a0de0e22f3c6059f1045cae36e6cea2bd417",
        ),
        ("order.searchList", SEARCH, "md5", "6a50fd3554490c8651eb774e4b12ff6d"),
        (
            "sku.syncStock",
            SYNC,
            "hmac-sha256",
            "94b7fbf02cc94e150dd6532d34ad5ee53748ff2f11eabc09f5eb7e31534aa3eb",
        ),
        ("sku.syncStock", SYNC, "md5", "50640208de719049db59f26f86a3a29a"),
        (
            "product.setOffline",
            OFFLINE,
            "hmac-sha256",
            "f144c8e874a0ba8a7dac1f4d219d0328ec027723797706a857e2fccb50964b4c",
        ),
    ],
)
def test_calls(method: str, param_json: str, by: str, expected: str) -> None:
    """A call's signature is that of the documents."""
    signed = sign(
        app_key=KEY,
        secret=SECRET,
        method=method,
        param_json=param_json.encode(),
        timestamp=TIME,
        by=by,
    )
    assert expected == signed


@pytest.mark.parametrize(
    ("app_id", "secret", "body", "by", "expected"),
    [
        (  # published, id 67283525977
            "fixed-app",
            "fixed-secret",
            "body",
            "hmac-sha256",
            "382c11208cd1f85f08f12c576fa0f80fd8482203d56894a3aab0b188cf2049da",
        ),
        ("fixed-app", "fixed-secret", "body", "md5", "52ffa83d0da319aa6394a013350c7556"),
        (KEY, SECRET, PROBE, "md5", "ed29a81c5714c2ba0532bddaf89ff82b"),
        (
            KEY,
            SECRET,
            PROBE,
            "hmac-sha256",
            "152a3e98574b641a4a9885dc915059a6b98604f8883951622c04d8f8ff472eb7",
        ),
    ],
)
def test_messages(app_id: str, secret: str, body: str, by: str, expected: str) -> None:
    """A push's signature is that of the documents."""
    assert expected == event_sign(app_id=app_id, secret=secret, body=body.encode(), by=by)
