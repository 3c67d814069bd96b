"""Qimen's signature: what was derived from the published steps, and what is none."""

from __future__ import annotations

import pytest

from tests.wms_sync.simulator.qimen.conftest import signature
from wms_sync.simulator.qimen.signing import is_signed, sign

QUERY = {
    "app_key": "testerp_appkey",
    "customerId": "stub-cust-code",
    "format": "xml",
    "method": "taobao.qimen.itemlack.report",
    "sign_method": "md5",
    "timestamp": "2015-04-26 00:00:07",
    "v": "2.0",
}
CANCEL = (
    '<?xml version="1.0" encoding="utf-8"?><request><warehouseCode>W01</warehouseCode>'
    "<orderCode>D20150426001</orderCode><orderType>JYCK</orderType>"
    "<cancelReason>买家取消</cancelReason></request>"
)


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("taobao.qimen.itemlack.report", "body", "E4E83589F1454C1B677DDF0B59026C6A"),
        ("taobao.qimen.itemlack.report", "", "349F96AB42F33BE919D3612688085D48"),
        ("taobao.qimen.entryorder.query", "body", "5A8DF0731F0126C88118533F2C4A98DA"),
        ("taobao.qimen.order.cancel", CANCEL, "4A5482DD33811FC9F2DC4281BEE8CE33"),
    ],
)
def test_derived_vectors(method: str, body: str, expected: str) -> None:
    """The simulator's signer and the tests' own agree with them."""
    query = QUERY | {"method": method, "empty": ""}
    assert sign(query, body.encode(), "test") == expected
    assert signature(query, body.encode(), "test") == expected
    assert is_signed(query | {"sign": expected}, body.encode(), "test")


@pytest.mark.parametrize(
    "changed", [{"v": "3.0"}, {"sign": ""}, {"sign": "0" * 32}, {"more": "x"}, {"sign": "é"}]
)
def test_what_is_no_signature(changed: dict[str, str]) -> None:
    """Another parameter, none, a wrong one."""
    query = QUERY | {"sign": "E4E83589F1454C1B677DDF0B59026C6A"}
    assert is_signed(query, b"body", "test")
    assert not is_signed(query | changed, b"body", "test")
    assert not is_signed(query, b"bodY", "test")
    assert not is_signed(query, b"body", "tesT")
