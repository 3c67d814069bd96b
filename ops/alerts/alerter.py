"""The alerter: follows the log, and notes in the outbox whom each transition is to be told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from ops.alerts.alert import Alert, alerts_of, may_alert, with_levels
from ops.alerts.deliveries import DeliveryState
from ops.alerts.outbox import Outbox, SharedOutbox
from reservation import metrics
from reservation.background import Every, repeat
from reservation.config import DAY_SECONDS
from reservation.errors import ArchiveUnavailable, PositionLost, ScriptBug, StoreUnavailable
from reservation.events.archive import archive_path
from reservation.events.entries import read_entry
from reservation.events.feed import entries_behind
from reservation.store.log import ENTRIES_PER_READ
from reservation.store.positions import Version, version_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reservation.config import Settings
    from reservation.store.log import RawEntry
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.2  # between looks at a log that had nothing new
READS_A_ROUND: Final = 20  # of the log; a long backlog yields to the next round
TIDY_INTERVAL_SECONDS: Final = 2.0  # in which the position is stored, where nothing alerts
FORGET_INTERVAL_SECONDS: Final = 600.0
FRESH_SECONDS: Final = 600  # an outbox that is new tells of what happened so lately
SKUS_PER_READ: Final = 100  # a script call stays below 1 ms
# What was told, or could not be, is kept for people to look at.
DELIVERED_DAYS: Final = 7
DEAD_DAYS: Final = 30

_FAULTS: Final = (StoreUnavailable, ArchiveUnavailable, ScriptBug)


class Alerter:
    """One background loop over one partition.

    Where the store has lost what was read of its log, or nothing keeps what comes next, it goes on
    a little while ago, as a new outbox does; an alert bears the id of its event, so none is told
    twice. What was noted is told although it may not have survived: whom it stopped, it stopped.
    """

    def __init__(self, store: Store, settings: Settings, outbox: SharedOutbox) -> None:
        self._store = store
        self._settings = settings
        self._shared = outbox
        self._path = archive_path(settings.data_dir)
        self._position: Version | None = None  # behind which the log is still to be read
        self._seen = False  # whether that is an entry that was read, and no mere time
        self._stored: Version | None = None
        self._good_at: float | None = None  # when a round went well the last time
        self._tidying = Every(TIDY_INTERVAL_SECONDS)
        self._forgetting = Every(FORGET_INTERVAL_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what fails is tried again, forever."""
        await repeat(
            self._round,
            name="alerter",
            stop=stop,
            faults=_FAULTS,
        )

    async def _round(self) -> float:
        try:
            more = await self.look()
            if self._tidying.is_due():
                await self.tidy()
        except _FAULTS:
            self._position = None  # it goes on where it stored that it was
            if self._good_at is not None:  # one that only waits for another has nothing to say
                lag = time.monotonic() - self._good_at
                metrics.FEED_LAG_SECONDS.labels(feed="alerts").set(lag)
            raise
        self._good_at = time.monotonic()
        return 0.0 if more else POLL_SECONDS

    async def look(self) -> bool:
        """Note the alerts of what is new in the log; say whether there is more.

        Raises StoreUnavailable, ArchiveUnavailable and AlertsUnavailable.
        """
        outbox = await asyncio.to_thread(self._shared.opened)
        now_ms, last = await self._store.position()
        if self._position is None:
            await self._begin(outbox, now_ms, version_key(last))
        assert self._position is not None
        more = True
        for _ in range(READS_A_ROUND):
            try:
                entries = await entries_behind(
                    self._store, self._path, self._position, seen=self._seen
                )
            except PositionLost as error:
                log.warning("alerts_begin_anew", reason=str(error))
                self._position, self._seen = _fresh(now_ms), False
                return True
            await self._take(outbox, entries)
            if not self._seen:  # nothing is that new: what comes, comes behind the last entry
                self._position, self._seen = version_key(last), True
            more = len(entries) == ENTRIES_PER_READ
            if not more:
                break
        lag_ms = now_ms - self._position[0] if more else 0
        metrics.FEED_LAG_SECONDS.labels(feed="alerts").set(max(0, lag_ms) / 1000)
        return more

    async def tidy(self) -> None:
        """Store how far the log was read, forget what is long over, count what is not told."""
        outbox = await asyncio.to_thread(self._shared.opened)
        if self._position is not None and self._seen and self._position != self._stored:
            await asyncio.to_thread(outbox.note, self._facts(), [], 0)
            self._stored = self._position
        if self._forgetting.is_due():
            await asyncio.to_thread(_forget, outbox, tuple(self._settings.alerts))
        backlogs = await asyncio.to_thread(outbox.backlogs)
        metrics.ALERTS_WAITING.set(sum(backlog.waiting for backlog in backlogs))
        metrics.ALERT_DEAD_LETTERS.set(sum(backlog.dead for backlog in backlogs))

    async def _begin(self, outbox: Outbox, now_ms: int, last: Version) -> None:
        """Find where to go on: where we were in this store's log, else a little while ago.

        What is older than alerts are kept for is no news any more.
        """
        born = await self._store.born()
        kept = await asyncio.to_thread(outbox.fact, "position")
        of_this = await asyncio.to_thread(outbox.fact, "store_born_ms") == born
        self._born = born
        self._position, self._seen = _fresh(now_ms), False
        if kept and of_this and version_key(kept) <= last:
            oldest = (now_ms - self._settings.alerts_give_up_seconds * 1000, 0)
            self._position, self._seen = max((version_key(kept), True), (oldest, False))
        self._stored = self._position

    async def _take(self, outbox: Outbox, entries: Sequence[RawEntry]) -> None:
        if not entries:
            return
        found = [
            alert
            for version, fields in entries
            if may_alert(fields)
            for alert in alerts_of(version, read_entry(fields))
        ]
        position = version_key(entries[-1][0])
        told = [
            (name, alert)
            for alert in await self._with_levels(found)
            for name, receiver in self._settings.alerts.items()
            if alert.type in receiver.events
        ]
        self._position, self._seen = position, True
        if told:
            await asyncio.to_thread(outbox.note, self._facts(), told, _now_ms())
            self._stored = position

    async def _with_levels(self, alerts: list[Alert]) -> list[Alert]:
        """Add to alerts what there is of their SKUs now."""
        skus = list(dict.fromkeys(alert.sku for alert in alerts))
        stocks = {}
        for first in range(0, len(skus), SKUS_PER_READ):
            for stock in await self._store.read_stock(skus[first : first + SKUS_PER_READ]):
                stocks[stock.sku] = stock
        return [with_levels(alert, stocks[alert.sku]) for alert in alerts]

    def _facts(self) -> dict[str, str]:
        assert self._position is not None
        return {"position": f"{self._position[0]}-{self._position[1]}", "store_born_ms": self._born}


def _fresh(now_ms: int) -> Version:
    return (now_ms - FRESH_SECONDS * 1000, 0)


def _forget(outbox: Outbox, receivers: Sequence[str]) -> None:
    now_ms = _now_ms()
    kept_ms = DELIVERED_DAYS * DAY_SECONDS * 1000
    outbox.forget(DeliveryState.DELIVERED, now_ms - kept_ms)
    outbox.forget(DeliveryState.DEAD, now_ms - DEAD_DAYS * DAY_SECONDS * 1000)
    outbox.give_up_others(receivers)
    outbox.forget_others(receivers, now_ms - kept_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
