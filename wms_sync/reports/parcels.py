"""The port to whoever is told of parcels: a sales channel, which the warehouse does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wms_sync.model import Shipped


class Parcels(Protocol):
    """Who is told which parcels of an order have left."""

    async def shipped(self, reservation_id: str, report: Shipped) -> None:
        """Take what has left of an order, once by the report's `message_id`.

        Returns when it is kept for good. May raise PartnerFault, UnknownWord, ArchiveUnavailable
        and StoreUnavailable: then it is told again.
        """


class NoParcels:
    """Nobody is told."""

    async def shipped(self, reservation_id: str, report: Shipped) -> None:
        """Do nothing."""
