"""Taobao's signatures: of calls to its gateway, and of its calls to us.

Sources: developer.alibaba.com docs 101617 (calls), SpiUtils of the official SDK (call-backs).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Final


def _md5(secret: bytes, text: bytes) -> str:
    return hashlib.md5(secret + text + secret, usedforsecurity=False).hexdigest()


def _hmac_md5(secret: bytes, text: bytes) -> str:
    return hmac.new(secret, text, hashlib.md5).hexdigest()


def _hmac_sha256(secret: bytes, text: bytes) -> str:
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


METHODS: Final[dict[str, Callable[[bytes, bytes], str]]] = {
    "md5": _md5,
    "hmac": _hmac_md5,
    "hmac-sha256": _hmac_sha256,
}


def sign(parameters: Mapping[str, str], secret: str, method: str) -> str:
    """Sign a call: all parameters but `sign` and empty ones, by name, names and values joined."""
    return METHODS[method](secret.encode(), _joined(parameters.items(), keep_empty=False)).upper()


def is_signed(parameters: Mapping[str, str], secret: str, method: str) -> bool:
    """Say whether the `sign` of a call is right."""
    given = parameters.get("sign", "").encode()
    return hmac.compare_digest(given, sign(parameters, secret, method).encode())


def sign_callback(
    headers: Mapping[str, str], query: Mapping[str, str], body: bytes, secret: str
) -> str:
    """Sign a call of the platform's: the listed headers and the query by name, then the body."""
    merged = {**headers, **query}
    return _md5(secret.encode(), _joined(merged.items(), keep_empty=True) + body).upper()


def _joined(parameters: Iterable[tuple[str, str]], *, keep_empty: bool) -> bytes:
    pairs = sorted(
        (name.encode(), value.encode())
        for name, value in parameters
        if name != "sign" and (keep_empty or (name and value))
    )
    return b"".join(name + value for name, value in pairs)
