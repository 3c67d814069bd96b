"""Who is asked before what is committed is given back: whoever may have it in his warehouse."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from reservation.model import Reservation

# Between looks at an order that a warehouse was asked for: as long as it has lasted, within these.
FIRST_LOOK_MS: Final = 1_000
LAST_LOOK_MS: Final = 3_600_000


class Verdict(StrEnum):
    """What became of asking that an order does not leave."""

    OURS = "ours"  # no warehouse's system has it: who asks gives it back himself
    ASKED = "asked"  # it is given back for us as soon as it cannot leave any more
    TOO_LATE = "too-late"  # it has left or will: what is reported takes it out


class Withdrawal(Protocol):
    """Keeps orders back."""

    async def ask(self, reservation: Reservation, reason: str) -> Verdict:
        """Ask that an order does not leave; safe to repeat. What it answers is on the disk.

        Raises ArchiveUnavailable where that cannot be.
        """


class NoWarehouses:
    """Nobody else has anything: every order is ours to give back."""

    async def ask(self, reservation: Reservation, reason: str) -> Verdict:
        """Say so."""
        del reservation, reason
        return Verdict.OURS


def next_look_ms(since_ms: int, now_ms: int) -> int:
    """Say when to look again at an order that was asked for and has not come back."""
    return now_ms + min(max(now_ms - since_ms, FIRST_LOOK_MS), LAST_LOOK_MS)
