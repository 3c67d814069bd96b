"""What Holdfast makes of the platforms' orders, by its own account: event log, inbox and feed.

A platform is only told what it may sell: that an order was not held, nobody is answered. So what
the demonstration shows of it is read where Holdfast has noted it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.feed.offers import Kind, look_at, offers_path
from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from reservation.events.archive import archive_path
from reservation.events.entries import KINDS, read_entry, shortages_of
from reservation.events.feed import entries_behind
from reservation.store.log import ENTRIES_PER_READ
from reservation.store.positions import version_key
from reservation.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from channels.feed.offers import Offer, OfferReads
    from reservation.config import Settings

_PART = "part"


@dataclass(frozen=True, slots=True)
class Shortage:
    """What an order lacked."""

    sku: str
    requested: int
    available: int

    @property
    def prevented_units(self) -> int:
        """Count the units that would have been sold beyond what there was."""
        return self.requested - self.available


class Watch:
    """Follows the service of some settings, from when it is entered on.

    `moves` has the latest event of each reservation, as events are named on the wire; `shortages`
    what each order lacked whose lock failed; `tripped_ms` when the breaker of a SKU opened.
    Its methods raise StoreUnavailable, ArchiveUnavailable and PositionLost.
    """

    def __init__(self, settings: Settings) -> None:
        self.moves: dict[str, str] = {}
        self.shortages: dict[str, list[Shortage]] = {}
        self.tripped_ms: dict[str, int] = {}
        self._settings = settings
        self._archive = archive_path(settings.data_dir)
        self._offers = offers_path(settings.data_dir)

    async def __aenter__(self) -> Self:
        self._store = await Store.open(self._settings, adopt_policy=False)
        self._desk = await asyncio.to_thread(Desk, inbox_path(self._settings.data_dir))
        self._position = (await self._store.position())[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._desk.close()
        await self._store.close()

    async def catch_up(self) -> None:
        """Read what has happened since the last time."""
        more = True
        while more:  # ends: what happens is slower than reading it
            entries = await entries_behind(self._store, self._archive, version_key(self._position))
            for version, fields in entries:
                self._take(version, fields)
            more = len(entries) == ENTRIES_PER_READ

    def _take(self, version: str, fields: Mapping[str, str]) -> None:
        self._position = version
        for event in read_entry(fields).events:
            if event.kind == "L":
                self.shortages.setdefault(event.extra, []).extend(
                    Shortage(event.subject, requested, available)
                    for _, requested, available in shortages_of(event)
                )
            elif event.kind == "O":
                self.tripped_ms[event.subject] = version_key(version)[0]
            elif event.kind in "HDCIERX" or (
                event.kind == "F" and not event.extra.startswith(_PART)
            ):
                self.moves[event.subject] = KINDS[event.kind]

    async def seen_to(self, names: Iterable[str]) -> set[str]:
        """Say which orders, by reservation id, have been told of and need no look any more.

        What became of them is in `moves` and `shortages` then.
        """
        asked = list(names)
        seen = await asyncio.to_thread(lambda: {name for name in asked if self._is_seen_to(name)})
        await self.catch_up()
        return seen

    def _is_seen_to(self, name: str) -> bool:
        channel, _, order_id = name.partition(":")
        # A message comes with its look: read the other way round, one that came in between would
        # seem to have been dealt with already.
        if not self._desk.messages(channel, order_id, 1):
            return False
        return self._desk.look(channel, order_id) is None

    async def trouble(self, name: str) -> str | None:
        """Say why an order is not where its platform says; "" where there is no reason so far.

        None where nothing is left to do for it.
        """
        channel, _, order_id = name.partition(":")
        look = await asyncio.to_thread(self._desk.look, channel, order_id)
        return None if look is None else look.reason

    async def all_told(self) -> bool:
        """Say whether every channel has been told of all there is; not before the feed works."""
        channels = self._settings.channels

        def ask(offers: OfferReads) -> bool:
            return bool(offers.position) and not any(offers.counts(name)[0] for name in channels)

        return bool(await asyncio.to_thread(look_at, self._offers, ask))

    async def told(self, sku: str) -> Sequence[Offer]:
        """Read what each channel is told of a SKU."""

        def ask() -> Sequence[Offer]:
            return look_at(self._offers, lambda offers: offers.of_sku(sku)) or []

        return [offer for offer in await asyncio.to_thread(ask) if offer.kind is Kind.STOCK]
