"""A store that may not be there yet, so that a process can serve before, and say so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from reservation.config import Settings
from reservation.errors import StoreUnavailable, UnsafeStore
from reservation.store.link import Link, connect
from reservation.store.places import socket_url
from reservation.store.scripts import assemble_all
from reservation.store.store import Store

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.05  # between looks whether the store is there
LONGEST_PAUSE_SECONDS = 1.0


class AwaitedStore(Store):
    """Until the store has passed its start-up checks every call is refused, `not_applied`.

    A store that loads its data, is not reachable or is refused by a check becomes usable by
    itself as soon as that changes: whoever waits for it need not be started again.
    """

    def __init__(self, settings: Settings) -> None:
        address = settings.redis_url or socket_url(settings.data_dir)
        super().__init__(Link(connect(settings, address), assemble_all(), settings), settings)
        self._refusal: str | None = "the store has not been reached yet"
        self.looked = asyncio.Event()  # once, whatever was found

    def call(self, script: str, arguments: list[Any], **options: Any) -> Awaitable[list[Any]]:
        """Call a script, as `Store.call` does. Raises StoreUnavailable while it is not there."""
        if self._refusal is not None:
            raise StoreUnavailable(self._refusal, effect="not_applied")
        return super().call(script, arguments, **options)

    async def open_when_there(self, first: Callable[[], Awaitable[None]] | None = None) -> None:
        """Look until the store passes its checks, run `first`, then let calls through.

        Ends because the store is there, or cancelled: it has no deadline on purpose.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                checked = await Store.open(self.settings)
                await checked.close()
                if first is not None:
                    await first()
            except (StoreUnavailable, UnsafeStore) as error:
                if self._refusal != str(error):
                    log.warning("store_awaited", reason=str(error))
                self._refusal = str(error)
                self.looked.set()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self.warnings = checked.warnings
                self._refusal = None
                self.looked.set()
                log.info("store_opened")
                return
