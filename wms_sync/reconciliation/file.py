"""The file of the reconciliation: its tables and indexes (ADR 024)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reservation.database import Database
from reservation.errors import ArchiveUnavailable

FORMAT: Final = 1
NEVER: Final = 1 << 62  # due: not before the next pass

_TABLES: Final = """
CREATE TABLE sku (
  warehouse TEXT NOT NULL, sku TEXT NOT NULL, looked_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
  verdict TEXT NOT NULL, figures BLOB NOT NULL, suspicion BLOB, notes INTEGER NOT NULL,
  PRIMARY KEY (warehouse, sku)
) WITHOUT ROWID;
CREATE INDEX sku_due ON sku (warehouse, due_ms) WHERE due_ms < 4611686018427387904;
CREATE TABLE drift (
  number INTEGER PRIMARY KEY AUTOINCREMENT, warehouse TEXT NOT NULL, sku TEXT NOT NULL,
  state TEXT NOT NULL, since_ms INTEGER NOT NULL, found_ms INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL, gap BLOB NOT NULL, units INTEGER NOT NULL, figures BLOB NOT NULL,
  delta INTEGER NOT NULL, adjustment_id TEXT NOT NULL, decided_ms INTEGER NOT NULL,
  ended_ms INTEGER, by TEXT NOT NULL
);
CREATE UNIQUE INDEX drift_now ON drift (warehouse, sku) WHERE ended_ms IS NULL;
CREATE INDEX drift_of_sku ON drift (warehouse, sku, number);
CREATE INDEX drift_state ON drift (warehouse, state, number);
CREATE INDEX drift_ended ON drift (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE TABLE shortfall (
  warehouse TEXT NOT NULL, sku TEXT NOT NULL, since_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,
  missing INTEGER NOT NULL, promised INTEGER NOT NULL, there INTEGER NOT NULL, drift INTEGER,
  by TEXT NOT NULL, PRIMARY KEY (warehouse, sku)
) WITHOUT ROWID;
CREATE TABLE note (
  warehouse TEXT NOT NULL, sku TEXT NOT NULL, slot INTEGER NOT NULL, number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL, gap BLOB, figures BLOB,
  PRIMARY KEY (warehouse, sku, slot)
) WITHOUT ROWID;
CREATE INDEX note_age ON note (at_ms);
CREATE TABLE walk (warehouse TEXT PRIMARY KEY, walk BLOB NOT NULL) WITHOUT ROWID;
"""
_LATER: Final = ("CREATE INDEX IF NOT EXISTS drift_of_all ON drift (state, number)",)


class ReconciliationUnavailable(ArchiveUnavailable):
    """The file cannot be used: no figures are compared."""


def reconciliation_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "reconciliation.sqlite3"


def opened(path: Path) -> Database:
    """Open the file, to work on it. Raises ReconciliationUnavailable."""
    return Database(path, _TABLES, form=FORMAT, fault=ReconciliationUnavailable, later=_LATER)
