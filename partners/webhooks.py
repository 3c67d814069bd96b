"""A push signed by Standard Webhooks: whose it is, which one, and of when.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from partners.errors import Forged, Stale
from reservation.times import rfc3339
from reservation.webhooks import ID, SIGNATURE, TIMESTAMP, signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standardwebhooks import Webhook

    from partners.model import Push

TOLERANCE_MS: Final = 300_000  # between a message's time and now, either way: the specification's
MOST_SIGNATURES: Final = 16  # looked at in a header

# Without a dot, as the specification asks: it would blur where the id ends and the time begins.
MESSAGE_ID: Final = re.compile(r"[!-\-/-~]{1,128}", re.ASCII)
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,10}", re.ASCII)  # a datetime holds no more


def verified_id(push: Push, signers: Sequence[Webhook], now_ms: int) -> str:
    """Hold a push against our secrets, over its raw bytes, in constant time; return its id.

    Raises Forged and Stale.
    """
    message_id, time = push.headers.get(ID, ""), push.headers.get(TIMESTAMP, "")
    if not MESSAGE_ID.fullmatch(message_id) or not _SECONDS.fullmatch(time):
        raise Forged(f"{ID} or {TIMESTAMP} is missing or cannot be one")
    given = push.headers.get(SIGNATURE, "").split(" ")[:MOST_SIGNATURES]
    try:
        ours = [signature(one, message_id, int(time), push.body) for one in signers]
    except UnicodeDecodeError:
        raise Forged(f"{message_id} is no text: nobody can have signed it") from None
    # Each with its version before it, so those of another kind (v1a) are equal to none.
    matches = [
        hmac.compare_digest(mine.encode(), theirs.encode(errors="replace"))
        for mine in ours
        for theirs in given
    ]
    if not any(matches):
        raise Forged(f"{message_id} has no signature of ours")
    if abs(now_ms - int(time) * 1000) > TOLERANCE_MS:
        raise Stale(f"{message_id} is of {rfc3339(int(time) * 1000)}")
    return message_id
