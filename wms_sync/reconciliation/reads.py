"""What people and metrics ask of the reconciliation, also from other processes.

Every method may raise ReconciliationUnavailable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from reservation.database import Database, DatabaseReader, is_there
from wms_sync.reconciliation.file import FORMAT, ReconciliationUnavailable
from wms_sync.reconciliation.model import (
    Drift,
    DriftState,
    Note,
    Progress,
    Shortfall,
    Sku,
    Verdict,
    Walk,
)
from wms_sync.reconciliation.rule import Figures, Gap, Suspicion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

MOST_OF_A_PAGE: Final = 1_001  # with the one that says whether there is another page

_DRIFT: Final = (
    "number, warehouse, sku, state, since_ms, found_ms, seen_ms, gap, figures, delta,"
    " adjustment_id, decided_ms, ended_ms, by"
)
_SHORTFALL: Final = (
    "warehouse, sku, since_ms, seen_ms, missing, promised, there, drift, by"  # as in Shortfall
)

_gap: Final = msgspec.json.Decoder(Gap).decode
_figures: Final = msgspec.json.Decoder(Figures).decode
_suspicion: Final = msgspec.json.Decoder(Suspicion).decode
_walk: Final = msgspec.json.Decoder(Walk).decode


class ReconciliationReads:
    """What is in the file."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- one SKU ---------------------------------------------------------------------------------

    def sku(self, warehouse: str, sku: str) -> Sku | None:
        """Tell the last look at a SKU; None where there was none."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT looked_ms, verdict, figures, suspicion FROM sku"
                " WHERE warehouse = ? AND sku = ?",
                (warehouse, sku),
            ).fetchone()
        if row is None:
            return None
        looked_ms, verdict, figures, suspicion = row
        return Sku(
            warehouse=warehouse,
            sku=sku,
            looked_ms=looked_ms,
            verdict=Verdict(verdict),
            figures=_figures(figures),
            suspicion=None if suspicion is None else _suspicion(suspicion),
        )

    def drift(self, warehouse: str, sku: str) -> Drift | None:
        """Tell the drift that a SKU has now; None where it has none."""
        found = self._drifts("warehouse = ? AND sku = ? AND ended_ms IS NULL", (warehouse, sku))
        return next(iter(found), None)

    def shortfall(self, warehouse: str, sku: str) -> Shortfall | None:
        """Tell what of a SKU is promised and not there; None where all is."""
        return next(iter(self._shortfalls("warehouse = ? AND sku = ?", (warehouse, sku))), None)

    def history(self, warehouse: str, sku: str) -> Sequence[Note]:
        """Tell what was seen and done of a SKU, the oldest first; not all of it is kept."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT number, at_ms, what, detail, gap, figures FROM note"
                " WHERE warehouse = ? AND sku = ? ORDER BY number",
                (warehouse, sku),
            ).fetchall()
        return [
            Note(
                number=number,
                at_ms=at_ms,
                what=what,
                detail=detail,
                gap=None if gap is None else _gap(gap),
                figures=None if figures is None else _figures(figures),
            )
            for number, at_ms, what, detail, gap, figures in rows
        ]

    # -- all of them -----------------------------------------------------------------------------

    def all_drifts(self, state: DriftState, after: int, count: int) -> Sequence[Drift]:
        """Page through those of all warehouses, as `drifts` does."""
        return self._drifts(
            "state = ? AND number > ? ORDER BY number LIMIT ?",
            (state, after, min(count, MOST_OF_A_PAGE)),
        )

    def drifts(self, warehouse: str, state: DriftState, after: int, count: int) -> Sequence[Drift]:
        """Page through drifts in a state in the order in which they were found, behind a number.

        `count` is 1 … 1,001.
        """
        return self._drifts(
            "warehouse = ? AND state = ? AND number > ? ORDER BY number LIMIT ?",
            (warehouse, state, after, min(count, MOST_OF_A_PAGE)),
        )

    def drifts_of(self, warehouse: str, sku: str) -> Sequence[Drift]:
        """Tell all drifts of a SKU that are kept, the oldest first."""
        return self._drifts(
            "warehouse = ? AND sku = ? ORDER BY number LIMIT ?", (warehouse, sku, MOST_OF_A_PAGE)
        )

    def shortfalls(self, warehouse: str, after: str, count: int) -> Sequence[Shortfall]:
        """Page through what is promised and not there by SKU, behind one."""
        return self._shortfalls(
            "warehouse = ? AND sku > ? ORDER BY sku LIMIT ?",
            (warehouse, after, min(count, MOST_OF_A_PAGE)),
        )

    def open_shortfalls(self, after: tuple[str, str], count: int) -> Sequence[Shortfall]:
        """Page through those of all warehouses that nobody has dismissed, by warehouse and SKU."""
        return self._shortfalls(
            "by = '' AND (warehouse, sku) > (?, ?) ORDER BY warehouse, sku LIMIT ?",
            (*after, min(count, MOST_OF_A_PAGE)),
        )

    def open_shortfalls_of(self, warehouse: str) -> Sequence[str]:
        """Name the SKUs of a warehouse's shortfalls that nobody has dismissed."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT sku FROM shortfall WHERE warehouse = ? AND by = '' ORDER BY sku",
                (warehouse,),
            ).fetchall()
        return [sku for (sku,) in rows]

    def open_drifts(self, warehouse: str) -> int:
        """Count drifts that a person has to look into."""
        with self._db.reading():
            (count,) = self._db.execute(
                "SELECT count(*) FROM drift WHERE warehouse = ? AND state = ?",
                (warehouse, DriftState.OPEN),
            ).fetchone()
        return int(count)

    def progress(self, warehouse: str) -> Progress | None:
        """Tell how far the comparison of a warehouse has come; None where none has begun.

        Cost: O(SKUs of the warehouse).
        """
        walk = self.walk(warehouse)
        if walk is None:
            return None
        with self._db.reading():
            skus, checked, suspected = self._db.execute(
                "SELECT count(*), coalesce(sum(looked_ms >= ?), 0), count(suspicion) FROM sku"
                " WHERE warehouse = ?",
                (walk.began_ms, warehouse),
            ).fetchone()
        return Progress(walk=walk, skus=skus, checked=checked, suspected=suspected)

    def drift_units(self, warehouse: str) -> Mapping[str, int]:
        """Sum the certain units of open drifts: missing, surplus, and foreign ones."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT sum(max(0, -units)), sum(max(0, units)),"
                " sum(json_extract(gap, '$.foreign'))"
                " FROM (SELECT units, CAST(gap AS TEXT) gap FROM drift"
                " WHERE warehouse = ? AND state IN ('open', 'repairing'))",
                (warehouse,),
            ).fetchone()
        return {
            direction: units or 0
            for direction, units in zip(("missing", "surplus", "foreign"), row, strict=True)
        }

    def short_units(self, warehouse: str) -> int:
        """Sum the units that are promised and not there, dismissed ones too."""
        with self._db.reading():
            (units,) = self._db.execute(
                "SELECT sum(missing) FROM shortfall WHERE warehouse = ?", (warehouse,)
            ).fetchone()
        return units or 0

    def walk(self, warehouse: str) -> Walk | None:
        """Tell how far the pass has come; None where none has begun."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT walk FROM walk WHERE warehouse = ?", (warehouse,)
            ).fetchone()
        return None if row is None else _walk(row[0])

    # -- rows ------------------------------------------------------------------------------------

    def _drifts(self, condition: str, values: Iterable[Any]) -> Sequence[Drift]:
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_DRIFT} FROM drift WHERE {condition}",  # noqa: S608 (texts of ours)
                values,
            ).fetchall()
        return [_drift(*row) for row in rows]

    def _shortfalls(self, condition: str, values: Iterable[Any]) -> Sequence[Shortfall]:
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_SHORTFALL} FROM shortfall WHERE {condition}",  # noqa: S608 (ours)
                values,
            ).fetchall()
        names = Shortfall.__struct_fields__
        return [Shortfall(**dict(zip(names, row, strict=True))) for row in rows]


def look_at(path: Path, question: Callable[[ReconciliationReads], T]) -> T | None:
    """Ask the file, and leave it as it is; None where there is none so far."""
    if not is_there(path):
        return None
    found = ReconciliationReads(DatabaseReader(path, form=FORMAT, fault=ReconciliationUnavailable))
    try:
        return question(found)
    finally:
        found.close()


def _drift(*row: Any) -> Drift:
    """Make a drift of a row of _DRIFT."""
    number, warehouse, sku, state, since_ms, found_ms, seen_ms, gap, figures, *rest = row
    delta, adjustment_id, decided_ms, ended_ms, by = rest
    return Drift(
        number=number,
        warehouse=warehouse,
        sku=sku,
        state=DriftState(state),
        since_ms=since_ms,
        found_ms=found_ms,
        seen_ms=seen_ms,
        gap=_gap(gap),
        figures=_figures(figures),
        delta=delta,
        adjustment_id=adjustment_id,
        decided_ms=decided_ms,
        ended_ms=ended_ms,
        by=by,
    )
