"""What a former run's festival day has left unshipped: given back, before a new one begins.

Its warehouse and its platforms are gone, with all that they knew: nobody will send it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ops.demonstration.house import HOUSE
from reservation.engine import Engine
from reservation.model import LIVE_STATES, Origin, Release
from reservation.store.keys import SENTINEL
from reservation.store.records import unpack_reservation
from reservation.store.store import Store

if TYPE_CHECKING:
    from reservation.config import Settings

REASON: Final = "its demonstration has ended"
AT_ONCE: Final = 200
WHO: Final = Origin(actor="demonstration")


async def give_back(settings: Settings) -> int:
    """Release what is held or committed in the simulated warehouse; returns how many orders.

    Raises StoreUnavailable. Cost: one read of all reservations, in chunks below 1 ms.
    """
    store = await Store.open(settings, adopt_policy=False)
    try:
        left = []
        async for _, chunk in store.scan("reservations"):
            for name, record in chunk:
                found = None if name == SENTINEL else unpack_reservation(name, record)
                if (
                    found is not None
                    and found.state in LIVE_STATES
                    and any(line.warehouse == HOUSE for line in found.lines)
                ):
                    left.append(name)
        engine = Engine(store, settings)
        try:
            for first in range(0, len(left), AT_ONCE):
                some = [Release(name, REASON) for name in left[first : first + AT_ONCE]]
                for outcome in await engine.apply(some, WHO):
                    if isinstance(outcome, Exception):
                        raise outcome
        finally:
            await engine.drain()
    finally:
        await store.close()
    return len(left)
