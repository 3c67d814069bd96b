"""The outbox, opened by the process that works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wms_sync.outbox.desk import Desk
from wms_sync.outbox.entries import Entries
from wms_sync.outbox.file import opened
from wms_sync.outbox.handing import Handing
from wms_sync.outbox.locks import LockRows
from wms_sync.outbox.told import Told

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class Outbox(Desk):
    """The file of a data directory, and the sides from which it is worked on.

    One process works on it (`database.held_alone`); others ask by `reads.look_at`.
    Raises OutboxUnavailable throughout.
    """

    def __init__(self, path: Path, warehouses: Collection[str]) -> None:
        super().__init__(opened(path))
        self.entries = Entries(self._db, warehouses)
        self.told = Told(self._db)
        self.warehouses = tuple(sorted(warehouses))

    def handing(self, warehouse: str) -> Handing:
        """Give the side of one warehouse's relay."""
        return Handing(self._db, warehouse)

    def lock_rows(self, warehouse: str) -> LockRows:
        """Give the side of one warehouse's locker."""
        return LockRows(self._db, warehouse)
