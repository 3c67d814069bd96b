"""Channel quotas for people: set them, read them. The scripts enforce them (`lua/_quota.lua`).

A level with quotas counts what each channel has. What channels had when the first quota was set is
counted once, from the records and the log, while work goes on (ADR 016).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reservation.errors import StoreUnavailable
from reservation.events.balances import promised_by
from reservation.events.entries import LoggedEvent, read_entry
from reservation.model import LIVE_STATES, AvailabilityItem, Origin, Reservation, level_key
from reservation.quota_model import ChannelQuota, SkuQuotas
from reservation.status import Status
from reservation.store.keys import SENTINEL
from reservation.store.positions import Version, version_key
from reservation.store.quotas import allowance, pack_quotas, read_level
from reservation.store.records import pack_origin, unpack_reservation

if TYPE_CHECKING:
    from reservation.store.quotas import Counts
    from reservation.store.store import Bounded, Store

GRANTS = "HD"  # kinds of the log's events
MAX_COUNTS = 3  # tries; the log may be trimmed under one, or someone else may begin anew


class Quotas:
    """Channel quotas of levels. Raises, from every method: StoreUnavailable.

    `bounded` runs a call of the store until the request's deadline, `reading` one that changes
    nothing (`Engine` gives its own).
    """

    def __init__(self, store: Store, bounded: Bounded, reading: Bounded) -> None:
        self._store = store
        self._bounded = bounded
        self._reading = reading

    async def read(self, sku: str) -> SkuQuotas | None:
        """Read the quotas of a SKU, what channels have and may take; None where it has no level."""
        found: SkuQuotas | None = await self._bounded(self._read(sku))
        return found

    async def set(
        self, sku: str, warehouse: str, quotas: Sequence[ChannelQuota], origin: Origin
    ) -> SkuQuotas | None:
        """Set all quotas of a level; none removes them. None where there is no such level.

        They are in force when this returns. Safe to repeat.
        Cost: a level that had none and has reservations is counted, one read of all records.
        """
        call = self._set(sku, level_key(sku, warehouse), quotas, pack_origin(origin))
        found: SkuQuotas | None = await self._bounded(call)
        return found

    async def counts(self, levels: Sequence[str]) -> dict[str, Counts]:
        """Read what channels have of levels (`sku@warehouse`); one without quotas is left out."""
        found: dict[str, Counts] = await self._reading(self._store.read_quotas(levels))
        return found

    async def cut(
        self, items: Sequence[AvailabilityItem], channel: str, now_ms: int
    ) -> list[AvailabilityItem]:
        """Cut what is available down to what a channel may take of it."""
        names = [level_key(item.sku, item.warehouse) for item in items]
        found = await self.counts(names)
        return [
            replace(item, available=allowance(found[name], channel, item.available, now_ms))
            if name in found
            else item
            for item, name in zip(items, names, strict=True)
        ]

    async def limited(self) -> Collection[str]:
        """Name the levels that have quotas. Cost: O(such levels)."""
        return {
            level
            async for _, chunk in self._store.scan("quota")
            for level, _ in chunk
            if level != SENTINEL
        }

    async def _read(self, sku: str) -> SkuQuotas | None:
        now, version, *rows = await self._store.call("read_quota", [sku])
        levels = tuple(read_level(row) for row in rows)
        return SkuQuotas(sku, levels, version, int(now)) if levels else None

    async def _set(
        self, sku: str, level: str, quotas: Sequence[ChannelQuota], origin: str
    ) -> SkuQuotas | None:
        for attempt in range(MAX_COUNTS):
            arguments = [level, origin, int(attempt > 0), *pack_quotas(quotas)]
            answer = (await self._store.call("set_quota", arguments, repeatable=False))[2]
            if answer == Status.UNKNOWN_SKU:
                return None
            since: str = answer[1]
            if not since or await self._count(level, since):
                return await self._read(sku)
        detail = "what channels have could not be counted: the log was cut, or others began anew"
        raise StoreUnavailable(detail, effect="unknown")

    async def _count(self, level: str, since: str) -> bool:
        """Count in what channels had at a position; False where it has to begin anew."""
        had = await self._had(level, since)
        if had is None:
            return False
        arguments: list[str | int] = [level, since]
        for channel, units in had.items():
            if units:
                arguments += [channel, units]
        return bool((await self._store.call("count_quota", arguments))[2] == 1)

    async def _had(self, level: str, since: str) -> Counter[str] | None:
        """Say what each channel had of a level at a position of the log.

        That is what records say it has, each when it is read, less what the log says that has
        changed until then. None where the log does not reach back so far any more.
        """
        had: Counter[str] = Counter()
        read_at: dict[str, Version] = {}
        last = since
        async for position, chunk in self._store.scan("reservations", containing=f" {level}"):
            last = position
            for reservation_id, raw in chunk:
                if reservation_id not in read_at:
                    read_at[reservation_id] = version_key(position)
                    found = unpack_reservation(reservation_id, raw)
                    had[found.channel] += _left_of(found, level)
        young: set[str] = set()  # granted since, behind the chunk that would have had them
        async for version, event, units in self._moves(level, since, last):
            if event.kind in GRANTS and event.subject not in read_at:
                young.add(event.subject)
            # What is not young and no chunk has had was cleared before its chunk was read.
            if event.subject not in young and version <= read_at.get(event.subject, version):
                had[event.subject.partition(":")[0]] -= units
        return had if await self._store.log.entry(since) is not None else None

    async def _moves(
        self, level: str, since: str, last: str
    ) -> AsyncIterator[tuple[Version, LoggedEvent, int]]:
        """Read which events between two positions took units of a level, or gave some back."""
        async for version, fields in self._store.log.between(since, last):
            for event in read_entry(fields).events:
                units = sum(units for name, units in promised_by(event) if name == level)
                if units:
                    yield version_key(version), event, units


def _left_of(found: Reservation, level: str) -> int:
    """Count the units of a level that a reservation claims."""
    if found.state not in LIVE_STATES:
        return 0
    return sum(
        line.quantity - line.fulfilled
        for line in found.lines
        if level_key(line.sku, line.warehouse) == level
    )
