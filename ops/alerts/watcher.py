"""The watcher: sees what stands undone with channels and warehouses, and notes whom to tell.

That is no event of the log: their files say what stands now, the outbox what of it was noted
before. The two are compared, so none is missed and none is told twice, whatever dies; where the
outbox is new, all that stands is told.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from channels.feed.offers import OfferReads, offers_path
from channels.feed.offers import look_at as look_at_offers
from channels.intake.desk import DeskReads
from channels.intake.desk import look_at as look_at_desk
from channels.intake.inbox import inbox_path
from channels.parcels.parcels import NoticeState, ParcelReads, parcels_path
from channels.parcels.parcels import look_at as look_at_parcels
from ops.alerts.findings import Findings
from ops.alerts.houses import Houses
from ops.alerts.standing import alert_of_letter, alert_of_order, alert_of_parcel
from reservation.background import repeat
from reservation.errors import ArchiveUnavailable
from reservation.receivers import AlertType
from wms_sync.clock import clock_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.alerts.alert import Alert
    from ops.alerts.outbox import SharedOutbox
    from reservation.config import Settings

    Found = tuple[list[Alert], list[str]]  # what stands, and the ids of what was known and is over

POLL_SECONDS: Final = 1.0  # between two looks
REST: Final = 20.0  # times as long as a look took it rests: each reads all that stands
MOST_AT_ONCE: Final = 1_000  # alerts that are noted in one transaction; the rest in the next one
LETTERS_PER_READ: Final = 1_000
_ENDS: Final = frozenset({NoticeState.ACKNOWLEDGED, NoticeState.NOT_TOLD})


class Watcher:
    """One background loop over the files of channels and warehouses in a data directory."""

    def __init__(self, settings: Settings, outbox: SharedOutbox) -> None:
        self._channels = tuple(settings.channels)
        self._receivers = settings.alerts
        self._inbox = inbox_path(settings.data_dir)
        self._offers = offers_path(settings.data_dir)
        self._parcel_file = parcels_path(settings.data_dir)
        self._houses = Houses(settings, clock_of(settings).now_ms)
        self._findings = Findings(settings)
        self._shared = outbox

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what fails is tried again, forever."""
        await repeat(self._round, name="watcher", stop=stop, faults=(ArchiveUnavailable,))

    async def _round(self) -> float:
        started = time.monotonic()
        if await asyncio.to_thread(self.look):
            return 0.0
        return max(POLL_SECONDS, REST * (time.monotonic() - started))

    def look(self) -> bool:
        """Note what stands and was not noted, forget what is over; say whether there is more.

        Raises ArchiveUnavailable.
        """
        outbox = self._shared.opened()
        known = {alert.id: alert for alert in outbox.standing()}
        new: list[Alert] = []
        over: list[str] = []
        houses = (self._houses.look, self._findings.look)
        for found in (self._orders, self._letters, self._parcels, *houses):
            stands, gone = found(known)
            new += [alert for alert in stands if alert.id not in known]
            over += gone
        some = sorted(new, key=lambda alert: alert.at_ms)[:MOST_AT_ONCE]
        if some or over:
            told = [
                (name, alert)
                for alert in some
                for name, receiver in self._receivers.items()
                if alert.type in receiver.events
            ]
            outbox.note_standing(some, over, told, time.time_ns() // 1_000_000)
        return len(new) > len(some)

    def _orders(self, known: dict[str, Alert]) -> Found:
        """Look at orders that do not fit. One that is being looked at anew is not over by that."""

        def ask(desk: DeskReads) -> Found:
            stands = [alert for one in desk.reasons() if (alert := alert_of_order(one))]
            gone = [
                alert.id
                for alert in _missing(known, stands, AlertType.ANOMALY)
                if (look := desk.look(alert.channel, alert.order_id)) is None
                or look.since_ms != alert.at_ms
            ]
            return stands, gone

        return look_at_desk(self._inbox, ask) or ([], [])

    def _letters(self, known: dict[str, Alert]) -> Found:
        """Look at dead letters. One that is told again is not over before it is acknowledged."""

        def ask(offers: OfferReads) -> Found:
            stands = [alert for name in self._channels for alert in _dead(offers, name)]
            gone = [
                alert.id
                for alert in _missing(known, stands, AlertType.DEAD_LETTER, AlertType.NOT_CLOSED)
                if not any(
                    (offer.channel, offer.kind, offer.since_ms)
                    == (alert.channel, alert.kind, alert.at_ms)
                    and not offer.is_told
                    for offer in offers.of_sku(alert.sku)
                )
            ]
            return stands, gone

        return look_at_offers(self._offers, ask) or ([], [])

    def _parcels(self, known: dict[str, Alert]) -> Found:
        """Look at dead parcels. One that is told again is not over before it is acknowledged."""

        def ask(parcels: ParcelReads) -> Found:
            stands = [alert for name in self._channels for alert in _untold(parcels, name)]
            gone = [
                alert.id
                for alert in _missing(known, stands, AlertType.DEAD_PARCEL)
                if not any(
                    (one.fulfilment_id, one.since_ms) == (alert.parcel, alert.at_ms)
                    and one.state not in _ENDS
                    for one in parcels.of_order(alert.channel, alert.order_id)
                )
            ]
            return stands, gone

        return look_at_parcels(self._parcel_file, ask) or ([], [])


def _dead(offers: OfferReads, channel: str) -> Iterator[Alert]:
    place = None
    while page := offers.dead(channel, place, LETTERS_PER_READ):
        yield from map(alert_of_letter, page)
        place = page[-1].is_open, page[-1].sku, page[-1].kind


def _untold(parcels: ParcelReads, channel: str) -> Iterator[Alert]:
    place = 0
    while page := parcels.page(channel, [NoticeState.DEAD], place, LETTERS_PER_READ):
        yield from map(alert_of_parcel, page)
        place = page[-1].number


def _missing(
    known: dict[str, Alert], stands: Sequence[Alert], *kinds: AlertType
) -> Sequence[Alert]:
    """Name what was noted and does not stand as it did."""
    there = {alert.id for alert in stands}
    return [alert for alert in known.values() if alert.type in kinds and alert.id not in there]
