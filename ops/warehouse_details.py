"""Who knows what a warehouse must know of an order: so far nobody, beside its reservation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store
    from wms_sync.details import Details


def details_of(store: Store, settings: Settings) -> Details:
    """Say who is asked for the details of orders."""
    del store, settings
    return _Nobody()


class _Nobody:
    """Knows no address and no ship-by of any order: it waits, visibly, as `undetailed`."""

    async def dispatch_of(self, reservation_id: str) -> None:
        """Tell that they are not known."""
        del reservation_id
