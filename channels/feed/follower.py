"""The follower: reads what has changed, and says what each channel is to be told of it.

What happened only says which SKUs to look at; what is told is what they are by then, in one read.
So a burst on one SKU is one look, and nothing is told that has passed already.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from channels.feed.limits import Limits
from channels.feed.offers import Kind, Wanted
from channels.feed.policy import AT_RISK, sight
from reservation import metrics
from reservation.errors import PositionLost
from reservation.events.archive import archive_path
from reservation.events.entries import read_entry, skus_of, units_of
from reservation.events.feed import entries_behind
from reservation.health.level import taken
from reservation.model import HealthStatus, level_key, split_level_key
from reservation.shops import Exposure
from reservation.store.log import ENTRIES_PER_READ
from reservation.store.positions import version_key
from reservation.store.quotas import allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from channels.feed.listings import Window
    from channels.feed.offers import Offers
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.events.entries import LogEntry
    from reservation.health.reads import SkuHealth
    from reservation.store.quotas import Counts
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.1  # between looks at a log that had nothing new
SKUS_AT_ONCE: Final = 50  # of one read: below 1 ms of the store's time


@dataclass(frozen=True, slots=True)
class Moved:
    """The channels whose own orders took or gave back units of a SKU, and those that gave back."""

    by: set[str] = field(default_factory=set)
    back_by: set[str] = field(default_factory=set)


class Follower:
    """One background loop for all channels. `now_ms` is the wall clock."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        settings: Settings,
        windows: Iterable[Window],
        offers: Offers,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._engine = engine
        self._path = archive_path(settings.data_dir)
        self._warehouse_of = settings.warehouse_of
        self._windows = tuple(windows)
        self._shows_health = any(one.shop.exposure is not Exposure.NONE for one in self._windows)
        self._offers = offers
        self._now_ms = now_ms
        self._limits = Limits(engine.quotas)
        self._position = ""  # "" before everything has been looked at once
        self._seen_ms = now_ms()  # until when it has seen all

    async def round(self) -> float:
        """Take in what is new; returns the seconds until the next look.

        Raises OffersUnavailable, StoreUnavailable, Overloaded, ArchiveUnavailable and ScriptBug:
        nothing is passed over, the next round begins where this one did.
        """
        try:
            return await self._round()
        finally:
            lag_ms = max(0, self._now_ms() - self._seen_ms)
            metrics.FEED_LAG_SECONDS.labels(feed="channels").set(lag_ms / 1000)

    async def _round(self) -> float:
        if not self._position:
            self._position = await self._look_at_everything()
        try:
            entries = await entries_behind(self._store, self._path, version_key(self._position))
        except PositionLost as error:
            log.warning("feed_begins_anew", reason=str(error))
            await asyncio.to_thread(self._offers.want, (), "", self._now_ms())
            self._position = ""
            return 0.0
        touched: dict[str, Moved] = {}
        for _, fields in entries:
            entry = read_entry(fields)
            self._limits.hear(entry)
            _touch(touched, entry)
        if self._limits.may_change:
            now_ms, _ = await self._store.position()
            for level in self._limits.changed(now_ms):
                touched.setdefault(split_level_key(level)[0], Moved())
        if touched or entries:
            await self._want(touched, entries[-1][0] if entries else self._position)
        more = len(entries) == ENTRIES_PER_READ
        self._seen_ms = version_key(entries[-1][0])[0] if more else self._now_ms()
        return 0.0 if more else POLL_SECONDS

    async def _look_at_everything(self) -> str:
        """Look at every SKU once: settings may have changed since; returns where to go on.

        What happened before is told anew only from the place that the offers are as of.
        """
        kept = await asyncio.to_thread(lambda: self._offers.position)
        _, version = await self._store.position()
        await self._limits.begin()
        skus: set[str] = set()
        for window in self._windows:
            skus.update(window.listings or ())
        if any(window.listings is None for window in self._windows):
            levels, _ = await self._engine.history.every_level()
            skus.update(level.sku for level in levels)
        position = kept or version
        await self._want({sku: Moved() for sku in sorted(skus)}, position)
        return position

    async def _want(self, touched: Mapping[str, Moved], position: str) -> None:
        """Say what is to be told of SKUs, and up to where the log has been read then."""
        skus = [sku for sku in touched if any(one.listing(sku) for one in self._windows)]
        wanted: list[Wanted] = []
        for first in range(0, len(skus), SKUS_AT_ONCE):
            chunk = skus[first : first + SKUS_AT_ONCE]
            found = await self._engine.health.of_skus(chunk, noted=self._shows_health)
            levels = [level_key(one.sku, self._warehouse_of(one.sku)) for one in found]
            counts = await self._limits.counts(levels, found[0].as_of_ms)
            for health, level in zip(found, levels, strict=True):
                wanted += self._of_sku(health, touched[health.sku], counts.get(level))
        await asyncio.to_thread(self._offers.want, wanted, position, self._now_ms())
        self._position = position

    def _of_sku(self, health: SkuHealth, moved: Moved, counts: Counts | None) -> Iterable[Wanted]:
        warehouse = self._warehouse_of(health.sku)
        for window in self._windows:
            may_take = _quota_of(window.channel, counts, health.as_of_ms)
            seen = sight(health, warehouse, window.shop, may_take)
            if seen is None or window.listing(health.sku) is None:
                continue
            # Its own order has changed its figure: it is told ours although that is as before.
            # Of what is closed only units that came back count: closing may have been no stock.
            again = window.channel in (moved.by if seen.is_open else moved.back_by)
            yield Wanted(
                *(window.channel, health.sku, Kind.STOCK, seen.units, seen.weight, seen.why, again)
            )
            if window.shop.exposure is Exposure.WEBHOOK:
                why = AT_RISK if seen.status is HealthStatus.AT_RISK else ""
                yield Wanted(
                    *(window.channel, health.sku, Kind.EXPOSURE, seen.units, seen.weight, why)
                )


def _quota_of(channel: str, counts: Counts | None, now_ms: int) -> Callable[[int], int]:
    """Say what quotas let a channel have of free units."""
    if counts is None:
        return int
    return lambda units: allowance(counts, channel, units, now_ms)


def _touch(touched: dict[str, Moved], entry: LogEntry) -> None:
    """Note the SKUs that an entry concerns, and by whose orders units were taken or given back."""
    for level in entry.balances:
        touched.setdefault(split_level_key(level)[0], Moved())
    for event in entry.events:
        for sku in skus_of(event):
            touched.setdefault(sku, Moved())
        if sign := taken(event.kind, event.extra):
            channel = event.subject.partition(":")[0]
            for level, _ in units_of(event):
                moved = touched[split_level_key(level)[0]]
                moved.by.add(channel)
                if sign < 0:
                    moved.back_by.add(channel)
