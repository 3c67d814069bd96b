"""Standard Webhooks: what a secret is, and how a message is signed. Pure.

The library `standardwebhooks` signs. Its `verify` is not used: it asks its own clock whether a
message is fresh, and leaves by ValueError, binascii.Error or UnicodeDecodeError where a header or a
body is odd; what it signs is compared by whoever takes messages.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Sequence

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (of every Standard Webhooks secret)
SECRET_BYTES: Final = (24, 64)  # the specification asks for so many


def is_secret(text: str) -> bool:
    """Say whether a text, without the prefix or with it, is the base64 of as many bytes as asked.

    The library skips what is no base64: a mistyped secret would silently be another one.
    """
    text = text.removeprefix(SECRET_PREFIX)
    try:
        length = len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError:  # binascii.Error is one, and what is not ASCII raises the other
        return False
    least, most = SECRET_BYTES
    return least <= length <= most


def signature(signer: Webhook, message_id: str, seconds: int, body: bytes) -> str:
    """Sign a message that is sent at `seconds` (Unix time).

    Raises UnicodeDecodeError where the body is not UTF-8: the library signs text.
    """
    # The library takes any time for UTC, whatever its offset: it must be one.
    return signer.sign(message_id, datetime.fromtimestamp(seconds, UTC), body.decode())


def signed_headers(
    signers: Sequence[Webhook], message_id: str, seconds: int, body: bytes
) -> dict[str, str]:
    """Write the headers of a message, with a signature by each secret: one may be leaving."""
    signatures = [signature(signer, message_id, seconds, body) for signer in signers]
    return {ID: message_id, TIMESTAMP: str(seconds), SIGNATURE: " ".join(signatures)}
