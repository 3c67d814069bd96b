"""An order's lock at its warehouse: values (ADR 025)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

Items = tuple[tuple[str, int], ...]

LOCK_COLUMNS: Final = (
    "code, state, waits, since_ms, due_ms, until_ms, asked_ms, attempts, items, reason"
)
items_in: Final = msgspec.json.Decoder(Items).decode


class LockState(StrEnum):
    """How far a lock has come."""

    WANTED = "wanted"  # no call has left, or none was taken
    ASKED = "asked"  # a call may have been taken
    LOCKED = "locked"
    EXPIRED = "expired"  # it was locked, and could not be renewed in time
    REFUSED = "refused"
    ENDING = "ending"  # the order will not leave: the warehouse is to be told
    ENDED = "ended"


class LockRow(Struct, frozen=True, kw_only=True):
    """A lock. `items` are those of the last call; times are of the wall clock."""

    code: str
    state: LockState
    waits: bool  # its order waits to be handed over
    since_ms: int
    due_ms: int
    until_ms: int  # as of the last call that was taken; 0: none was
    asked_ms: int  # when a call left whose fate is not known; 0: there is none
    attempts: int  # since it was last taken
    items: Items
    reason: str

    @property
    def may_be_there(self) -> bool:
        """Say whether the warehouse may keep something for it."""
        return self.until_ms > 0 or self.asked_ms > 0


class Bound(Struct, frozen=True):
    """Units of a SKU at a warehouse: of orders there, and of locks of others; or maybe there."""

    handed: int = 0
    locks: int = 0


class LocksSeen(Struct, frozen=True):
    """The locks of a warehouse by state; off until a time where it is known to have none."""

    off_until_ms: int
    counts: Mapping[LockState, int]


def lock_of(*row: Any) -> LockRow:
    """Make a lock of a row of LOCK_COLUMNS."""
    code, state, waits, since_ms, due_ms, until_ms, asked_ms, attempts, items, reason = row
    return LockRow(
        code=code,
        state=LockState(state),
        waits=bool(waits),
        since_ms=since_ms,
        due_ms=due_ms,
        until_ms=until_ms,
        asked_ms=asked_ms,
        attempts=attempts,
        items=items_in(items),
        reason=reason,
    )
