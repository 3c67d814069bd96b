"""Calls of the platform to us (奇门自定义场景, SPI): written and signed as its own SDK checks them.

What a scene sends is agreed with whoever owns it: the method and the body are the caller's.

Source: SpiUtils of the official SDKs (ids 3568636476, 983461022).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from channels.simulator.tmall.call import written
from channels.simulator.tmall.seller import Seller
from channels.simulator.tmall.signing import sign_callback

SIGN_LIST: Final = "top-sign-list"  # the header that names the headers which are signed


def callback(
    seller: Seller,
    method: str,
    body: bytes,
    at_ms: int,
    headers: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """Write the query and the headers of a call; `headers` are signed too."""
    signed = {name.lower(): value for name, value in (headers or {}).items()}
    query = {
        "app_key": seller.app_key,
        "method": method,
        "sign_method": "md5",
        "timestamp": written(at_ms) or "",
        "v": "2.0",
    }
    query["sign"] = sign_callback(signed, query, body, seller.secret)
    sent = {name: quote(value) for name, value in signed.items()}
    if signed:
        sent[SIGN_LIST] = ",".join(signed)
    sent["content-type"] = "application/json;charset=UTF-8"
    return urlencode(query), sent
