"""The sweeper: expires overdue holds promptly, and clears old receipts.

Correctness never waits for it: every script reclaims what is overdue by itself. It keeps idle
partitions tidy and events prompt. Several may run at once; they only share the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reservation import metrics
from reservation.background import Every, repeat
from reservation.errors import StoreUnavailable
from reservation.model import BreakerState

if TYPE_CHECKING:
    import asyncio

    from reservation.config import Settings
    from reservation.store.store import Store

TIDY_INTERVAL_SECONDS = 5.0  # between looks at receipts and breakers
MEMORY_INTERVAL_SECONDS = 2.0  # between looks at the store's memory
MAX_CALLS_A_ROUND = 500  # a long backlog yields to the next round: 200,000 holds


class Sweeper:
    """One background loop over one partition."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._interval = settings.sweep_interval_ms / 1000
        self._cursor = "0"
        self._tidying = Every(TIDY_INTERVAL_SECONDS)
        self._measuring = Every(MEMORY_INTERVAL_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a store that fails is tried again, forever."""
        await repeat(
            self._round,
            name="sweeper",
            stop=stop,
            faults=(StoreUnavailable,),
            fault_seconds=self._interval,
        )

    async def _round(self) -> float:
        await self.expire()
        if self._tidying.is_due():
            await self.tidy()
        if self._measuring.is_due():
            metrics.STORE_MEMORY_BYTES.set(await self._store.memory_bytes())
        return self._interval

    async def expire(self) -> int:
        """Expire what is overdue; returns how many holds."""
        expired = 0
        for _ in range(MAX_CALLS_A_ROUND):
            count, more, next_ms, log_bytes, now_ms = await self._store.expire()
            expired += count
            metrics.EVENT_LOG_BYTES.set(log_bytes)
            metrics.EXPIRY_LAG_SECONDS.set(max(0, now_ms - next_ms) / 1000 if more else 0)
            if not more:
                break
        metrics.RECLAIMED_HOLDS.inc(expired)
        return expired

    async def tidy(self) -> int:
        """Clear receipts past their retention, and quiet breakers; returns receipts cleared."""
        cleared = 0
        for _ in range(MAX_CALLS_A_ROUND):
            count, more, self._cursor = await self._store.retire(self._cursor)
            cleared += count
            if not more and self._cursor == "0":
                break
        metrics.RETIRED_RECEIPTS.inc(cleared)
        breakers = await self._store.read_breakers()
        metrics.SUSPENDED_SKUS.set(sum(breaker.state is BreakerState.OPEN for breaker in breakers))
        return cleared
