"""The settler: lets our stock know what became of orders at warehouses, and keeps the file small.

The units of an order whose cancel was asked for are released once no part of it can leave any more,
and never before. SKUs that a warehouse did not have for a lock count as failed locks.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import structlog

from reservation import metrics
from reservation.background import Every
from reservation.errors import StoreUnavailable
from reservation.model import Origin, Release
from reservation.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reservation.engine import Engine
    from wms_sync.outbox.delivery import Wish
    from wms_sync.outbox.desk import Desk

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 0.5
AT_ONCE: Final = 100
FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 60_000
MOST_DOUBLINGS: Final = 20
REMEMBER_MS: Final = 30 * 86_400_000  # what has ended; platforms ask for less
FORGET_SECONDS: Final = 60.0
WAREHOUSE: Final = Origin(actor="warehouse")

_DONE: Final = {
    Status.DONE: "released",
    Status.REPLAYED: "released",
    Status.RESERVATION_NOT_FOUND: "not-found",
    Status.RESERVATION_FULFILLED: "too-late",
}


class Settler:
    """One background loop. `now_ms` is the wall clock, `draw(n)` is chance in 0 … n-1."""

    def __init__(
        self,
        desk: Desk,
        engine: Engine,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        draw: Callable[[int], int] = random.randrange,
    ) -> None:
        self._desk = desk
        self._engine = engine
        self._now_ms = now_ms
        self._draw = draw
        self._forgetting = Every(FORGET_SECONDS)

    async def round(self) -> float:
        """Settle what can be; returns the seconds until the next time.

        Raises OutboxUnavailable, StoreUnavailable: what was not noted is done again, harmlessly.
        """
        if self._forgetting.is_due():
            await asyncio.to_thread(self._desk.forget, self._now_ms() - REMEMBER_MS)
        refused, wishes = await asyncio.to_thread(self._unsettled)
        for code, reservation_id, skus in refused:
            await self._reject_lock(code, reservation_id, skus)
            await asyncio.to_thread(self._desk.lock_told, code)
        for wish in wishes:
            if verdict := await self._release(wish):
                await asyncio.to_thread(self._desk.close_wish, wish.reservation_id, verdict)
        return 0.0 if len(wishes) == AT_ONCE else IDLE_SECONDS

    def _unsettled(self) -> tuple[Sequence[tuple[str, str, Sequence[str]]], Sequence[Wish]]:
        """Read which locks were refused, and which wishes can be settled."""
        desk = self._desk
        return desk.refused_locks(AT_ONCE), desk.settled_wishes(self._now_ms(), AT_ONCE)

    async def _reject_lock(self, code: str, reservation_id: str, skus: Sequence[str]) -> None:
        """Tell the breakers; a bug is counted and told, and holds up no other order."""
        try:
            await self._engine.breakers.reject_lock(reservation_id, skus, WAREHOUSE)
        except StoreUnavailable:
            raise
        except Exception:  # the same one would come again
            warehouse = code.rpartition("@")[2]
            metrics.WAREHOUSE_BUGS.labels(warehouse=warehouse).inc()
            log.exception("lock_not_told", code=code, skus=skus)

    async def _release(self, wish: Wish) -> str:
        """Release what has not left; returns what became of it, "" where that is tried again."""
        release = Release(wish.reservation_id, wish.reason)
        try:
            status = (await self._engine.release(release, WAREHOUSE)).status
        except StoreUnavailable as error:
            log.warning("release_waits", reservation_id=wish.reservation_id, reason=str(error))
        except Exception:  # it comes again, and holds up no other order
            metrics.WAREHOUSE_BUGS.labels(warehouse="").inc()
            log.exception("not_released", reservation_id=wish.reservation_id)
        else:
            return _DONE.get(status, status.name.lower())
        bound = min(FIRST_PAUSE_MS << min(wish.attempts, MOST_DOUBLINGS), LONGEST_PAUSE_MS)
        due_ms = self._now_ms() + 1 + self._draw(bound)
        await asyncio.to_thread(self._desk.put_off_wish, wish.reservation_id, due_ms)
        return ""
