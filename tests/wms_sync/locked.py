"""A bed whose depot locks, and takes nothing in for now: what is paid waits."""

from __future__ import annotations

import pytest

from tests.wms_sync.bed import Bed
from tests.wms_sync.depot import LockConnector
from wms_sync.outbox.lock import LockState
from wms_sync.rules.capacity import Capacity

MINUTE = 60
SLOW = Capacity(1, burst=1)  # so what is paid waits
WANTED, ASKED, LOCKED = LockState.WANTED, LockState.ASKED, LockState.LOCKED
EXPIRED, REFUSED = LockState.EXPIRED, LockState.REFUSED
ENDING, ENDED = LockState.ENDING, LockState.ENDED
ONE = "tmall:1@main"


@pytest.fixture
async def house(bed: Bed) -> Bed:
    """A depot with locks, that takes nothing in for now."""
    bed.connector_kind = LockConnector
    bed.capacity = SLOW
    bed.open()
    await bed.all()
    await begun(bed)
    return bed


async def begun(bed: Bed, seconds: float = 5) -> None:
    """Let the locker begin, and some credit be earned."""
    await bed.lock()
    await bed.later(seconds)


async def paid(bed: Bed, *numbers: int, details: bool = True) -> None:
    """Have orders paid that wait, and their locks asked for as soon as that is due."""
    for number in numbers:
        if not details:
            bed.book.known[f"tmall:{number}"] = None
        await bed.pay(number)
    await bed.follow()
    await bed.relay()
    await bed.later(1)
    await bed.lock()
