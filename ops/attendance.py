"""The roll: says in the log when agents of another data directory work on the same store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import structlog

from reservation.api.sessions import session_secret
from reservation.background import repeat
from reservation.errors import ConfigurationError, ScriptBug, StoreUnavailable
from reservation.store.attendance import GONE_MS, REMEDY, attend, leave

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = GONE_MS / 1000 / 4


class Roll:
    """One background loop: notes that we work, and looks who else does."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._data_dir = settings.data_dir
        self._place = f"{socket.gethostname()}:{settings.data_dir.absolute()}"
        self._name: str | None = None  # of the directory, once it is known
        self._told: list[str] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then leave; what fails is tried again, forever."""
        faults = (StoreUnavailable, ConfigurationError, ScriptBug)
        await repeat(self.look, name="roll", stop=stop, faults=faults)
        with contextlib.suppress(*faults):
            await leave(self._store.client, await self._directory())

    async def look(self) -> float:
        """Note and look once; returns the seconds until the next time.

        Raises StoreUnavailable, ScriptBug where the store's key is of another type, and
        ConfigurationError where the directory cannot be used.
        """
        places = await attend(self._store.client, await self._directory(), self._place)
        if len(places) > 1 and places != self._told:
            log.error("agents_of_several_directories", places=places, remedy=REMEDY)
        self._told = places
        return LOOK_SECONDS

    async def _directory(self) -> str:
        """Name the directory, by whatever path and from whatever machine it is seen."""
        if self._name is None:
            secret = await asyncio.to_thread(session_secret, self._data_dir)
            self._name = blake2b(secret, digest_size=8, person=b"hf:agents").hexdigest()
        return self._name
