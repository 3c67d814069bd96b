"""What may be wrong with what a partner says: a push that we refuse, a word, an answer."""

from __future__ import annotations

from typing import ClassVar

from reservation.errors import HoldfastError


class MessageRefused(HoldfastError):
    """A push that is not taken. The text is for our log, never for the sender."""

    reason: ClassVar[str]  # as it is counted


class Forged(MessageRefused):
    """No secret of ours has signed this, byte for byte."""

    reason = "forged"


class Stale(MessageRefused):
    """The signature is right, the time in it is too far from now."""

    reason = "stale"


class Malformed(MessageRefused):
    """The signature is right, the content is not what the partner is known to send."""

    reason = "malformed"


class Misdirected(MessageRefused):
    """The signature is right, and it is about an account of somebody else's."""

    reason = "misdirected"


class UnknownWord(HoldfastError):
    """A word of the partner's that stands in none of our tables."""

    def __init__(self, field: str, word: str) -> None:
        super().__init__(f"{field} {word!r} is in no table of ours")
        self.field = field
        self.word = word


class PartnerFault(HoldfastError):
    """A partner did not do what it was asked, or gave no answer that can be read.

    `again` says whether the same call may succeed later; `after_seconds` is how long the partner
    asks to be left alone, where it says so; `unknown` whether it may have taken effect.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        again: bool,
        after_seconds: float | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code
        self.again = again
        self.after_seconds = after_seconds
        self.unknown = unknown
