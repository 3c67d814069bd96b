"""What a warehouse may answer to a hand-over, as far as pace and breaker care."""

from __future__ import annotations

from enum import StrEnum


class Answer(StrEnum):
    """The outcome of one call, be it for one order or for a batch.

    That the warehouse refuses an order's content is a TAKEN call here: it was there and had time.
    """

    TAKEN = "taken"
    TOO_MANY = "too_many"  # 429, or the warehouse's own word for it
    FAULT = "fault"  # 5xx, or an answer that cannot be read
    TIMED_OUT = "timed_out"  # no answer, or no connection: the effect is unknown
