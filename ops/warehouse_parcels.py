"""Tells channels what a warehouse has sent: a report's parcels become theirs (ADR 018, ADR 023).

A parcel is known by the report's message and its own number, so a report may be told again. It
moves no stock: that is the report's own business, before this.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

import structlog

from channels.parcels.parcels import Kept, Parcels, parcels_path
from reservation.model import Line
from wms_sync.model import message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reservation.config import Settings
    from wms_sync.model import Parcel, Shipped

log = structlog.get_logger(__name__)


def parcels_of(settings: Settings) -> ChannelParcels:
    """Make the one who tells channels."""
    return ChannelParcels(settings)


class ChannelParcels:
    """Adds a warehouse's parcels to those that platforms are told of. `now_ms`: wall clock.

    The warehouse's carriers are ours by now; each channel has its own names of ours (`carriers`).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._path = parcels_path(settings.data_dir)
        self._channels = frozenset(settings.channels)
        self._now_ms = now_ms
        self._kept: Parcels | None = None  # opened by the first parcel, and once
        self._opening = Lock()

    def close(self) -> None:
        """Close the file."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def shipped(self, reservation_id: str, report: Shipped) -> None:
        """Take what has left of an order, once by the report's `message_id`.

        Returns when it is on the disk; an order whose channel has no platform has nobody to tell.
        Raises ParcelsUnavailable: then it is told again.
        """
        if reservation_id.partition(":")[0] in self._channels and report.parcels:
            await asyncio.to_thread(self._add, reservation_id, report)

    def _add(self, reservation_id: str, report: Shipped) -> None:
        warehouse = report.code.rpartition("@")[2]
        with self._opening:
            parcels = self._kept = self._kept or Parcels(self._path, self._channels)
        for parcel, items in _contents(report):
            name = message_id("parcel", report.message_id, parcel.tracking_number)
            lines = [Line(sku, warehouse, units) for sku, units in items]
            kept, _ = parcels.add(
                reservation_id,
                name,
                company=parcel.carrier,
                tracking_number=parcel.tracking_number,
                lines=lines,
                at_ms=self._now_ms(),
            )
            if kept is Kept.REUSED:  # the warehouse says something else under the same name
                log.error("parcel_told_otherwise", order=reservation_id, parcel=name)


def _contents(report: Shipped) -> Iterator[tuple[Parcel, Sequence[tuple[str, int]]]]:
    """Say what is in each parcel of a report; one whose units nobody knows is left out.

    Parcels of one number are one. What a single parcel does not say of itself the report does: what
    is in none of the others.
    """
    packed: dict[str, Counter[str]] = {}
    first: dict[str, Parcel] = {}
    for parcel in report.parcels:
        first.setdefault(parcel.tracking_number, parcel)
        packed.setdefault(parcel.tracking_number, Counter()).update(dict(parcel.items))
    rest = Counter(dict(report.items))
    for units in packed.values():
        rest.subtract(units)
    silent = [number for number, units in packed.items() if not units]
    if len(silent) == 1:
        packed[silent[0]] = Counter({sku: units for sku, units in rest.items() if units > 0})
    for number, units in packed.items():
        if units:
            yield first[number], tuple(units.items())
        else:
            log.error("parcel_without_contents", code=report.code, tracking_number=number)
