"""What people ask of the reconciliation, from whatever process: look again, and dismiss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from wms_sync.reconciliation.file import opened
from wms_sync.reconciliation.model import DriftState
from wms_sync.reconciliation.reads import ReconciliationReads

if TYPE_CHECKING:
    from pathlib import Path

    from reservation.database import Database
    from wms_sync.reconciliation.rule import Figures, Gap

LAST_NOTES: Final = 40  # of a SKU's history are kept

encode: Final = msgspec.json.encode


class Desk(ReconciliationReads):
    """The file, to be written. Several processes may have it open.

    Raises ReconciliationUnavailable throughout.
    """

    _db: Database

    def __init__(self, path: Path) -> None:
        super().__init__(opened(path))

    def look_again(self, warehouse: str, sku: str) -> bool:
        """Have a SKU looked at with the next call; False where it was never looked at.

        That may clear a suspicion, and hurries none: what is suspected has to last.
        """
        with self._db.transaction():
            return bool(
                self._db.execute(
                    "UPDATE sku SET due_ms = 0 WHERE warehouse = ? AND sku = ?", (warehouse, sku)
                ).rowcount
            )

    def dismiss_drift(self, warehouse: str, sku: str, by: str, at_ms: int) -> bool:
        """Take a drift off the list until it is another one; False where there is none open.

        It is not mended by us any more.
        """
        with self._db.transaction():
            found = self._db.execute(
                "UPDATE drift SET state = 'dismissed', by = ? WHERE warehouse = ? AND sku = ?"
                " AND ended_ms IS NULL AND state = ?",
                (by, warehouse, sku, DriftState.OPEN),
            ).rowcount
            if found:
                self._note(warehouse, sku, at_ms, "drift dismissed", by)
        return bool(found)

    def dismiss_shortfall(self, warehouse: str, sku: str, by: str, at_ms: int) -> bool:
        """Note that somebody sees to a shortfall until more is missing; False if there is none."""
        with self._db.transaction():
            found = self._db.execute(
                "UPDATE shortfall SET by = ? WHERE warehouse = ? AND sku = ? AND by = ''",
                (by, warehouse, sku),
            ).rowcount
            if found:
                self._note(warehouse, sku, at_ms, "shortfall dismissed", by)
        return bool(found)

    def _note(
        self,
        warehouse: str,
        sku: str,
        at_ms: int,
        what: str,
        detail: str = "",
        *,
        gap: Gap | None = None,
        figures: Figures | None = None,
    ) -> None:
        """Note an event in a SKU's history, within `transaction`."""
        (number,) = self._db.execute(
            "UPDATE sku SET notes = notes + 1 WHERE warehouse = ? AND sku = ? RETURNING notes",
            (warehouse, sku),
        ).fetchone()
        values: tuple[Any, ...] = (
            *(warehouse, sku, number % LAST_NOTES, number, at_ms, what, detail),
            None if gap is None else encode(gap),
            None if figures is None else encode(figures),
        )
        self._db.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
