"""Standard Webhooks 1.0.0: how a message is signed, and what is held of a signature.

Source: standard-webhooks/standard-webhooks spec/standard-webhooks.md. Written from the
specification, with no library.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

TOLERANCE_SECONDS: Final = 300
_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = (24, 64)
_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)
MOST_SIGNATURES: Final = 20  # of one header; further ones are not looked at


class WrongSecret(ValueError):
    """This is no secret; the text says what one is."""


def key_of(secret: str) -> bytes:
    """Give the key that a secret stands for. Raises WrongSecret."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    least, most = _KEY_BYTES
    if not least <= len(key) <= most:
        raise WrongSecret(f"a secret is {_PREFIX} and the base64 of {least} to {most} bytes")
    return key


def signature(secrets: Sequence[str], message_id: str, timestamp: str, body: bytes) -> str:
    """Give the header: one signature for each secret."""
    return " ".join(f"v1,{_v1(key_of(each), message_id, timestamp, body)}" for each in secrets)


def is_signed(
    secrets: Sequence[str], message_id: str, timestamp: str, body: bytes, header: str
) -> bool:
    """Say whether any of a header's signatures is right by any of the secrets."""
    given = [
        value.encode()
        for version, _, value in (part.partition(",") for part in header.split(" "))
        if version == "v1"
    ][:MOST_SIGNATURES]
    right = False
    for secret in secrets:
        expected = _v1(key_of(secret), message_id, timestamp, body).encode()
        for each in given:
            right |= hmac.compare_digest(each, expected)
    return right


def is_fresh(timestamp: str, now_ms: int) -> bool:
    """Say whether a message was signed within five minutes, either way."""
    if not _SECONDS.fullmatch(timestamp):
        return False
    return abs(int(timestamp) - now_ms // 1000) <= TOLERANCE_SECONDS


def _v1(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
