"""Outcome codes that the Lua scripts answer, in their order of precedence.

The scripts see this enumeration as the table `STATUS` (written into them by `store/scripts.py`).
Codes are append-only: a number, once released, keeps its meaning.
"""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What became of one operation."""

    DONE = 0
    REPLAYED = 1  # known id, same content: the effect was there already

    RESERVATION_NOT_FOUND = 10
    ID_REUSED = 11  # known id, other content
    RESERVATION_EXPIRED = 12
    RESERVATION_RELEASED = 13
    RESERVATION_FULFILLED = 14
    ALREADY_CONFIRMED = 15
    NOT_CONFIRMED = 16
    HOLD_LIMIT_REACHED = 17
    FOREIGN_LINE = 18  # a fulfilled line is not in the reservation
    UNKNOWN_SKU = 20  # no stock level for this SKU in this warehouse
    SKU_SUSPENDED = 21
    CHANNEL_QUOTA_EXCEEDED = 29  # there is stock, but not for this channel
    INSUFFICIENT_STOCK = 22
    EXCEEDS_RESERVED = 23
    STALE_STOCK = 24
    STOCK_BELOW_ZERO = 25
    STOCK_TOO_LARGE = 26  # an adjustment would end above the largest level
    TOO_MANY_WAREHOUSES = 27  # a SKU has its most warehouses already
    LOG_FULL = 28  # the event log has reached its bound; only reserve is refused

    MORE = 90  # not decided, send again: after a reclaim, or what was too much for one call

    @property
    def ok(self) -> bool:
        """Say whether the operation stands as asked."""
        return self <= Status.REPLAYED

    @property
    def may_succeed_later(self) -> bool:
        """Say whether the very same request may succeed at another time."""
        return self in _MAY_SUCCEED_LATER


_MAY_SUCCEED_LATER = frozenset(
    {
        Status.RESERVATION_NOT_FOUND,
        Status.NOT_CONFIRMED,
        Status.UNKNOWN_SKU,
        Status.SKU_SUSPENDED,
        Status.CHANNEL_QUOTA_EXCEEDED,
        Status.INSUFFICIENT_STOCK,
        Status.STALE_STOCK,
        Status.STOCK_BELOW_ZERO,
        Status.STOCK_TOO_LARGE,
        Status.LOG_FULL,
        Status.MORE,
    }
)
