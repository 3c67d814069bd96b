"""Doudian's signatures: of calls to its gateway, and of its messages to us.

Sources: zsmhub/doudian-sdk utils/sign_util.go, westng/doudian-sdk SignUtil.php (calls); four SDKs
for the md5 of messages, id 67283525977 for their hmac-sha256.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Literal

Method = Literal["md5", "hmac-sha256"]


def _md5(secret: bytes, text: bytes) -> str:
    del secret  # it stands in the text
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _hmac_sha256(secret: bytes, text: bytes) -> str:
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


METHODS: Final[dict[str, Callable[[bytes, bytes], str]]] = {
    "md5": _md5,
    "hmac-sha256": _hmac_sha256,
}
DEFAULT: Final = "md5"  # of a call that names none


def sign(
    *, app_key: str, secret: str, method: str, param_json: bytes, timestamp: str, by: str
) -> str:
    """Sign a call; the access token and the name of the signature are not signed."""
    key = secret.encode()
    parts = ("app_key", app_key, "method", method, "param_json")
    before = "".join(parts).encode()
    after = f"timestamp{timestamp}v2".encode()
    return METHODS[by](key, key + before + param_json + after + key)


def event_sign(*, app_id: str, secret: str, body: bytes, by: str) -> str:
    """Sign a push: the secret stands at the end only."""
    key = secret.encode()
    return METHODS[by](key, app_id.encode() + body + key)
