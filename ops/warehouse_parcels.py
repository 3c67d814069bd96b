"""Tells channels what a warehouse has sent: a report's parcels become theirs (ADR 018, ADR 023).

A parcel is known by the report's message and its own number, so a report may be told again. It
moves no stock: that is the report's own business, before this.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from channels.parcels.parcels import Added, Kept, Parcels, ParcelsUnavailable, parcels_path
from partners.recorder import Busy, LateRecorder
from reservation.model import MAX_STOCK, Line, canonical_lines
from wms_sync.model import message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reservation.config import Settings
    from wms_sync.model import Parcel, Shipped

log = structlog.get_logger(__name__)

KEEP_SECONDS: Final = 30.0  # for which a report waits; SQLite itself gives up before


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
        path, self._channels = parcels_path(settings.data_dir), frozenset(settings.channels)
        self._recorder = LateRecorder[Added](lambda: _File(Parcels(path, self._channels)), now_ms)

    async def aclose(self) -> None:
        """Keep what has been taken, and close the file."""
        await self._recorder.close()

    async def shipped(self, reservation_id: str, report: Shipped) -> None:
        """Take what has left of an order, once by the report's `message_id`.

        Returns when it is on the disk, by a transaction that serves what else is told meanwhile; an
        order whose channel has no platform has nobody to tell.
        Raises ParcelsUnavailable: then it is told again.
        """
        if reservation_id.partition(":")[0] not in self._channels:
            return
        if added := list(_added(reservation_id, report)):
            try:
                await self._recorder.keep(added, KEEP_SECONDS)
            except (Busy, TimeoutError) as error:
                message = f"{report.message_id} is not kept yet: {error!r}"
                raise ParcelsUnavailable(message) from error


class _File:
    """The file of parcels, for a recorder."""

    def __init__(self, parcels: Parcels) -> None:
        self._parcels = parcels

    def keep(self, added: Sequence[Added], at_ms: int, /) -> None:
        """Keep parcels; one that a warehouse tells otherwise under the same name stays."""
        for parcel, kept, _ in self._parcels.add_all(added, at_ms):
            if kept is Kept.REUSED:
                order, name = parcel.reservation_id, parcel.fulfilment_id
                log.error("parcel_told_otherwise", order=order, parcel=name)

    def close(self) -> None:
        """Close it."""
        self._parcels.close()


def _added(reservation_id: str, report: Shipped) -> Iterator[Added]:
    """Name the parcels of a report. Raises InvalidRequest for what no order could have."""
    warehouse = report.code.rpartition("@")[2]
    for parcel, items in _contents(report):
        yield Added(
            reservation_id=reservation_id,
            fulfilment_id=message_id("parcel", report.message_id, parcel.tracking_number),
            company=parcel.carrier,
            tracking_number=parcel.tracking_number,
            lines=canonical_lines(
                (Line(sku, warehouse, units) for sku, units in items), max_quantity=MAX_STOCK
            ),
        )


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
