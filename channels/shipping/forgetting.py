"""Forgets where orders went, once no warehouse can need it any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from channels.shipping.addresses import (
    FORGET_AFTER_MS,
    MOST_AT_ONCE,
    Addresses,
    addresses_path,
)
from channels.shipping.passing import KEPT_MS, Passing, passing_path
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
    forgetter = Forgetter(settings.data_dir)
    await repeat(forgetter.round, name="forgetter", stop=stop, faults=(ArchiveUnavailable,))


class Forgetter:
    """One background loop. `now_ms` is the wall clock."""

    def __init__(
        self, data_dir: Path, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._data_dir = data_dir
        self._now_ms = now_ms

    async def round(self) -> float:
        """Forget a bounded number; returns the seconds until the next time.

        Raises AddressesUnavailable.
        """
        forgotten = await asyncio.to_thread(self._forget)
        return 0.0 if MOST_AT_ONCE in forgotten else IDLE_SECONDS

    def _forget(self) -> tuple[int, int]:
        now_ms, addresses, passing = self._now_ms(), 0, 0
        if is_there(path := addresses_path(self._data_dir)):
            with contextlib.closing(Addresses(path)) as file:
                addresses = file.forget(now_ms - FORGET_AFTER_MS)
        if is_there(path := passing_path(self._data_dir)):
            with contextlib.closing(Passing(path)) as on_the_way:
                passing = on_the_way.forget(now_ms - KEPT_MS, MOST_AT_ONCE)
        return addresses, passing
