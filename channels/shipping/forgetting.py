"""Forgets where orders went, once no warehouse can need it any more."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from channels.shipping.addresses import (
    FORGET_AFTER_MS,
    MOST_AT_ONCE,
    Addresses,
    addresses_path,
)
from reservation.background import repeat
from reservation.database import is_there
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reservation.config import Settings
    from reservation.store.store import Store

IDLE_SECONDS: Final = 60.0


async def forget_addresses(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Forget what is old until `stop` is set, also where no channel has a platform."""
    del store
    forgetter = Forgetter(addresses_path(settings.data_dir))
    await repeat(forgetter.round, name="forgetter", stop=stop, faults=(ArchiveUnavailable,))


class Forgetter:
    """One background loop. `now_ms` is the wall clock."""

    def __init__(
        self, path: Path, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._path = path
        self._now_ms = now_ms

    async def round(self) -> float:
        """Forget a bounded number; returns the seconds until the next time.

        Raises AddressesUnavailable.
        """
        forgotten = await asyncio.to_thread(self._forget)
        return 0.0 if forgotten == MOST_AT_ONCE else IDLE_SECONDS

    def _forget(self) -> int:
        if not is_there(self._path):
            return 0
        addresses = Addresses(self._path)
        try:
            return addresses.forget(self._now_ms() - FORGET_AFTER_MS)
        finally:
            addresses.close()
