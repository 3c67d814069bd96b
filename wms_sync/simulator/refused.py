"""What a warehouse does not do, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from partners.simulation.forms import Declined

MOST_CHARACTERS: Final = 200  # of a code


class Refusal(StrEnum):
    """Why a warehouse does not do something."""

    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_ITEM = "unknown_item"
    OTHER_CONTENT = "other_content"  # the code of an order exists with other lines
    ENDED = "ended"  # the code of an order that was cancelled or rejected
    SHORT = "short"  # there are not enough units
    TOO_LATE = "too_late"  # picked, or gone
    THROTTLED = "throttled"  # above what the warehouse takes in
    BELOW_ZERO = "below_zero"
    WRONG_VALUE = "wrong_value"
    FULL = "full"


class Refused(Declined):
    """A warehouse has not done it, and nothing has changed; the text is a sentence."""

    _STATUS: ClassVar[dict[Refusal, int]] = {
        Refusal.UNKNOWN_ORDER: 404,
        Refusal.UNKNOWN_ITEM: 404,
        Refusal.WRONG_VALUE: 422,
    }

    def __init__(self, why: Refusal, text: str) -> None:
        super().__init__(text)
        self.why = why
        self.status = self._STATUS.get(why, 409)


def check(holds: bool, sentence: str) -> None:  # noqa: FBT001 (reads as an assertion)
    """Raise Refused, saying the rule, where it does not hold."""
    if not holds:
        raise Refused(Refusal.WRONG_VALUE, sentence)


def check_text(text: str, what: str) -> None:
    """Raise Refused where a text is empty, too long, or cannot be shown."""
    check(
        1 <= len(text) <= MOST_CHARACTERS and text.isprintable(),
        f"{what} has 1 to {MOST_CHARACTERS} printable characters",
    )
