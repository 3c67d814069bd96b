"""A made-up platform, the corner shop: what a platform's file must have, and no more.

A push is `{"id", "order", "what"}`, signed `x-corner: SIGNATURE;SECONDS`: the hexadecimal
HMAC-SHA256 of the unix seconds, a dot and the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from channels.adapter import Adapter, At
from channels.errors import Forged, Malformed, MessageRefused, PlatformFault, Stale
from channels.model import Hint, Listing, Push, Reply, Request, Response

FRESH_MS = 300_000


class Said(Struct):
    """A push."""

    id: str
    order: str
    what: str


class Corner(Adapter):
    """The corner shop's words."""

    platform = "corner"
    default_url = "http://127.0.0.1:9"

    def read_push(self, push: Push, now_ms: int) -> Sequence[Hint]:
        """Verify and read a push."""
        signature, _, at = push.headers.get("x-corner", "").partition(";")
        signed = [sign(secret, push.body, at) for secret in self.account.secrets]
        if not any(hmac.compare_digest(signature.encode(), one.encode()) for one in signed):
            raise Forged("no secret of ours")
        if not at.isdecimal() or abs(now_ms - int(at) * 1000) > FRESH_MS:
            raise Stale(f"signed at {at}")
        try:
            said = msgspec.json.decode(push.body, type=Said)
        except msgspec.DecodeError as error:
            raise Malformed(str(error)) from error
        return [Hint(message_id=said.id, topic=said.what, order_id=said.order)]

    def acknowledge(self) -> Reply:
        """Take it."""
        return Reply(200, b"thanks", "text/plain")

    def refuse(self, why: MessageRefused) -> Reply:
        """Refuse it."""
        del why
        return Reply(403, b"no", "text/plain")

    def later(self) -> Reply:
        """Put it off."""
        return Reply(503, b"later", "text/plain")

    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Show stock."""
        return self._say("show", listing, units, key, at)

    def close(self, listing: Listing, key: str, at: At) -> Request:
        """Sell no more."""
        return self._say("close", listing, 0, key, at)

    def reopen(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Sell again."""
        return self._say("reopen", listing, units, key, at)

    def _say(self, verb: str, listing: Listing, units: int, key: str, at: At) -> Request:
        body = msgspec.json.encode({"verb": verb, "item": listing.item_id, "units": units})
        seconds = str(at.now_ms // 1000)
        signed = {"x-corner": f"{sign(self.account.secrets[0], body, seconds)};{seconds}"}
        return Request("POST", f"{self.account.url}/{verb}", body, signed | {"x-key": key})

    def read_done(self, response: Response) -> None:
        """Read an answer."""
        if response.status != 200:
            raise PlatformFault(str(response.status), "", again=response.status >= 500)


def sign(secret: str, body: bytes, seconds: str) -> str:
    """Sign as the corner shop does."""
    return hmac.digest(secret.encode(), seconds.encode() + b"." + body, "sha256").hex()
