"""Qimen's signature, over the query and the body as it came.

Source: developer.alibaba.com doc 118404; both directions sign the same way.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


def sign(query: Mapping[str, str], body: bytes, secret: str) -> str:
    """Sign a call: the parameters but `sign` and empty ones, by name, decoded; then the body."""
    pairs = sorted(
        (name.encode(), value.encode())
        for name, value in query.items()
        if name != "sign" and name and value
    )
    text = b"".join(name + value for name, value in pairs)
    secret_bytes = secret.encode()
    digest = hashlib.md5(secret_bytes + text + body + secret_bytes, usedforsecurity=False)
    return digest.hexdigest().upper()


def is_signed(query: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Say whether the `sign` of a call is right."""
    given = query.get("sign", "").encode()
    return hmac.compare_digest(given, sign(query, body, secret).encode())
