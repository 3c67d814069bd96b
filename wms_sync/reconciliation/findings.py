"""What looks make of rows: suspicions, drifts, shortfalls, and what is to be mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from wms_sync.model import message_id
from wms_sync.reconciliation.desk import Desk, encode
from wms_sync.reconciliation.file import NEVER
from wms_sync.reconciliation.model import Drift, DriftState, Shortfall, Sku, Verdict, Walk
from wms_sync.reconciliation.rule import (
    MINUTE_MS,
    Figures,
    Gap,
    Policy,
    Suspicion,
    gap_of,
    looked,
    missing_of,
    repair_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reservation.model import StockLevel

MOVED_MS: Final = MINUTE_MS // 2  # until what moved is looked at again
DAY_MS: Final = 1_440 * MINUTE_MS
MOST_AT_ONCE: Final = 500  # rows that are forgotten in one go
MENDS: Final = DriftState.REPAIRING, DriftState.REPAIRED


class Seen(Struct, frozen=True, kw_only=True):
    """One look at a SKU, as of a place in the event log.

    `moved`: ours changed meanwhile, so nothing can be said; `written`: our level was set or
    adjusted since the last look at what is suspected of it.
    """

    sku: str
    figures: Figures
    version: str
    moved: bool = False
    written: bool = False

    @property
    def verdict(self) -> Verdict:
        """Say what came of it."""
        if self.moved:
            return Verdict.MOVED
        return Verdict.AGREES if gap_of(self.figures).agrees else Verdict.DIFFERS


class Findings(Desk):
    """The side of the loop. Raises ReconciliationUnavailable."""

    # -- what is next ----------------------------------------------------------------------------

    def due(self, warehouse: str, at_ms: int, count: int) -> Sequence[str]:
        """Name SKUs that are to be looked at before their turn."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT sku FROM sku WHERE warehouse = ? AND due_ms <= ?"
                " AND due_ms < 4611686018427387904 ORDER BY due_ms LIMIT ?",
                (warehouse, at_ms, count),
            ).fetchall()
        return [sku for (sku,) in rows]

    def put_off(self, warehouse: str, skus: Sequence[str]) -> None:
        """Look at SKUs no sooner than in their turn."""
        with self._db.transaction():
            for sku in skus:
                self._db.execute(
                    "UPDATE sku SET due_ms = ? WHERE warehouse = ? AND sku = ?",
                    (NEVER, warehouse, sku),
                )

    def suspicions(self, warehouse: str, skus: Sequence[str]) -> dict[str, Suspicion]:
        """Tell what is suspected of SKUs."""
        found = {sku: self._suspicion(warehouse, sku) for sku in skus}
        return {sku: one for sku, one in found.items() if one is not None}

    def _suspicion(self, warehouse: str, sku: str) -> Suspicion | None:
        found = self.sku(warehouse, sku)
        return None if found is None else found.suspicion

    def keep_walk(self, warehouse: str, walk: Walk) -> None:
        """Note how far the pass has come."""
        with self._db.transaction():
            self._keep_walk(warehouse, walk)

    def _keep_walk(self, warehouse: str, walk: Walk) -> None:
        self._db.execute("INSERT OR REPLACE INTO walk VALUES (?, ?)", (warehouse, encode(walk)))

    # -- looks -----------------------------------------------------------------------------------

    def take(
        self,
        warehouse: str,
        looks: Sequence[Seen],
        policy: Policy,
        at_ms: int,
        walk: Walk | None = None,
    ) -> Sequence[Drift | Shortfall]:
        """Take in looks, and how far the pass has come: all of it, or nothing.

        Returns what people have to be told.
        """
        told: list[Drift | Shortfall] = []
        with self._db.transaction():
            for seen in looks:
                told += self._take(warehouse, seen, policy, at_ms)
            if walk is not None:
                self._keep_walk(warehouse, walk)
        return told

    def _take(
        self, warehouse: str, seen: Seen, policy: Policy, at_ms: int
    ) -> list[Drift | Shortfall]:
        sku, figures, gap = seen.sku, seen.figures, gap_of(seen.figures)
        before = self._suspicion(warehouse, sku)
        if seen.moved:
            # What was just shown unwritten is not read again at the next look.
            after = before
            if before is not None and not seen.written:
                after = replace(before, version=seen.version)
            due_ms = at_ms + MOVED_MS
        else:
            after = looked(before, gap, at_ms, seen.version, policy, written=seen.written)
            waits = after is not None and after.proven is None
            due_ms = at_ms + policy.apart_ms if waits else NEVER
        row = Sku(
            warehouse=warehouse,
            sku=sku,
            looked_ms=at_ms,
            verdict=seen.verdict,
            figures=figures,
            suspicion=after,
        )
        self._keep(row, due_ms)
        told: list[Drift | Shortfall] = []
        drift = self.drift(warehouse, sku)
        if not seen.moved:
            if after is not None and (before is None or after.since_ms != before.since_ms):
                detail = "our level was written meanwhile" if before and seen.written else ""
                self._note(warehouse, sku, at_ms, "suspected", detail, gap=gap, figures=figures)
            if after is None and before is not None:
                self._note(warehouse, sku, at_ms, "agrees again", gap=gap, figures=figures)
            drift, news = self._judged(row, drift, at_ms)
            told += news
            if drift is not None:
                self._decide(drift, row, policy, at_ms)
        told += self._compare_promises(row, drift, at_ms)
        return told

    def _keep(self, row: Sku, due_ms: int) -> None:
        suspicion = None if row.suspicion is None else encode(row.suspicion)
        self._db.execute(
            "INSERT INTO sku VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0) ON CONFLICT DO UPDATE SET"
            " looked_ms = ?3, due_ms = ?4, verdict = ?5, figures = ?6, suspicion = ?7",
            (
                *(row.warehouse, row.sku, row.looked_ms, due_ms, row.verdict),
                *(encode(row.figures), suspicion),
            ),
        )

    # -- drifts ----------------------------------------------------------------------------------

    def _judged(
        self, row: Sku, drift: Drift | None, at_ms: int
    ) -> tuple[Drift | None, list[Drift | Shortfall]]:
        """Bring a SKU's drift to what is proven now; returns it, and it again where it is news."""
        proven = None if row.suspicion is None else row.suspicion.proven
        if drift is not None and drift.state is DriftState.REPAIRING:
            return drift, []  # it is not known yet what has become of it
        if row.suspicion is None:
            if drift is not None:
                self._end(drift, DriftState.GONE, at_ms)
            return None, []
        if proven is None:
            return drift, []
        if drift is None:
            self._db.execute(
                "INSERT INTO drift VALUES (NULL, ?1, ?2, 'open', ?3, ?4, ?4, ?5, ?6, ?7, 0, '', 0,"
                " NULL, '')",
                (
                    *(row.warehouse, row.sku, row.suspicion.since_ms, at_ms),
                    *(encode(proven), proven.certain, encode(row.figures)),
                ),
            )
            self._note_drift(row, "drift found", proven, at_ms)
            news = True
        else:
            is_same = drift.gap.meets(proven) is not None and proven.foreign <= drift.gap.foreign
            state, by = (drift.state, drift.by) if is_same else (DriftState.OPEN, "")
            self._db.execute(
                "UPDATE drift SET seen_ms = ?, gap = ?, units = ?, figures = ?, state = ?, by = ?"
                " WHERE number = ?",
                (
                    *(at_ms, encode(proven), proven.certain, encode(row.figures)),
                    *(state, by, drift.number),
                ),
            )
            news = not is_same
            if news:
                self._note_drift(row, "drift changed", proven, at_ms)
        found = self.drift(row.warehouse, row.sku)
        return found, [found] if found is not None and news else []

    def _note_drift(self, row: Sku, what: str, proven: Gap, at_ms: int) -> None:
        self._note(row.warehouse, row.sku, at_ms, what, gap=proven, figures=row.figures)

    def _end(self, drift: Drift, state: DriftState, at_ms: int) -> None:
        self._db.execute(
            "UPDATE drift SET state = ?, ended_ms = ? WHERE number = ?",
            (state, at_ms, drift.number),
        )

    # -- mending ---------------------------------------------------------------------------------

    def _decide(self, drift: Drift, row: Sku, policy: Policy, at_ms: int) -> None:
        """Decide whether a drift is mended; it is done afterwards (`undone_repairs`)."""
        proven = None if row.suspicion is None else row.suspicion.proven
        if drift.state is not DriftState.OPEN or proven is None:
            return
        (today,) = self._db.execute(
            "SELECT count(*) FROM drift WHERE warehouse = ? AND state IN (?, ?) AND decided_ms > ?",
            (drift.warehouse, *MENDS, at_ms - DAY_MS),
        ).fetchone()
        if not (delta := repair_of(row.figures, proven, gap_of(row.figures), policy, today=today)):
            return
        name = message_id(
            "reconcile", drift.warehouse, drift.sku, str(drift.number), str(drift.found_ms)
        )
        self._db.execute(
            "UPDATE drift SET state = ?, delta = ?, adjustment_id = ?, decided_ms = ?"
            " WHERE number = ?",
            (DriftState.REPAIRING, delta, name, at_ms, drift.number),
        )
        self._note(drift.warehouse, drift.sku, at_ms, "repair decided", name, gap=proven)

    def undone_repairs(self, warehouse: str, count: int) -> Sequence[Drift]:
        """Name drifts whose adjustment is decided, and not known to be made."""
        return self.drifts(warehouse, DriftState.REPAIRING, 0, count)

    def repaired(self, drift: Drift, level: StockLevel | None, at_ms: int) -> Sequence[Shortfall]:
        """Note that our level was adjusted, and what it is since; returns what has to be told."""
        told: list[Shortfall] = []
        with self._db.transaction():
            self._end(drift, DriftState.REPAIRED, at_ms)
            self._forget_suspicion(drift, at_ms)
            detail = f"{drift.delta:+d} by {drift.adjustment_id}"
            self._note(drift.warehouse, drift.sku, at_ms, "repaired", detail)
            row = self.sku(drift.warehouse, drift.sku)
            if row is not None and level is not None:
                promised = level.held + level.committed
                figures = replace(row.figures, on_hand=level.on_hand, promised=promised)
                told += self._compare_promises(replace(row, figures=figures), None, at_ms)
        return told

    def repair_refused(self, drift: Drift, reason: str, at_ms: int) -> None:
        """Note that our level was not adjusted, for a reason of our stock's."""
        with self._db.transaction():
            self._db.execute("UPDATE drift SET state = 'open' WHERE number = ?", (drift.number,))
            self._note(drift.warehouse, drift.sku, at_ms, "repair refused", reason)

    def repair_given_up(self, drift: Drift, at_ms: int) -> None:
        """Begin anew with a SKU for which nobody knows any more whether it was mended."""
        with self._db.transaction():
            self._end(drift, DriftState.GONE, at_ms)
            self._forget_suspicion(drift, at_ms)
            self._note(drift.warehouse, drift.sku, at_ms, "repair given up", drift.adjustment_id)

    def _forget_suspicion(self, drift: Drift, at_ms: int) -> None:
        self._db.execute(
            "UPDATE sku SET suspicion = NULL, due_ms = ? WHERE warehouse = ? AND sku = ?",
            (at_ms, drift.warehouse, drift.sku),
        )

    # -- promises --------------------------------------------------------------------------------

    def _compare_promises(self, row: Sku, drift: Drift | None, at_ms: int) -> list[Shortfall]:
        """Bring a SKU's shortfall to what is so now; returns it where it is news."""
        figures = row.figures
        shown = drift is not None and figures.known and drift.gap.certain < 0
        missing = missing_of(figures, drift.gap if drift is not None and shown else None)
        before = self.shortfall(row.warehouse, row.sku)
        if not missing:
            if before is not None:
                self._db.execute(
                    "DELETE FROM shortfall WHERE warehouse = ? AND sku = ?",
                    (row.warehouse, row.sku),
                )
                self._note(row.warehouse, row.sku, at_ms, "shortfall over", figures=figures)
            return []
        is_more = before is None or missing > before.missing
        after = Shortfall(
            warehouse=row.warehouse,
            sku=row.sku,
            since_ms=at_ms if before is None else before.since_ms,
            seen_ms=at_ms,
            missing=missing,
            promised=figures.promised,
            there=figures.promised - missing,
            drift=drift.number if drift is not None and shown else None,
            by="" if before is None or is_more else before.by,
        )
        values = tuple(getattr(after, name) for name in Shortfall.__struct_fields__)
        self._db.execute(
            "INSERT OR REPLACE INTO shortfall VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values
        )
        if not is_more:
            return []
        detail = f"{missing} of {figures.promised} promised are not there"
        self._note(row.warehouse, row.sku, at_ms, "shortfall", detail, figures=figures)
        return [after]

    # -- keeping house ---------------------------------------------------------------------------

    def forget(self, before_ms: int, count: int = MOST_AT_ONCE) -> int:
        """Forget drifts that ended before a time, and notes, bounded by `count` of each."""
        with self._db.transaction():
            return (
                self._db.execute(
                    "DELETE FROM drift WHERE number IN"
                    " (SELECT number FROM drift WHERE ended_ms < ? LIMIT ?)",
                    (before_ms, count),
                ).rowcount
                + self._db.execute(
                    "DELETE FROM note WHERE (warehouse, sku, slot) IN"
                    " (SELECT warehouse, sku, slot FROM note WHERE at_ms < ? LIMIT ?)",
                    (before_ms, count),
                ).rowcount
            )
