"""The file of the outbox: its tables and indexes (ADR 019, ADR 021)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reservation.database import Database
from reservation.errors import ArchiveUnavailable

FORMAT: Final = 1
NEVER: Final = 1 << 62  # due: not before somebody says so
SLOT_MS: Final = 300_000  # of `pulse`: how much was handed over, and what waited at its beginning

# A trigger is one line: statements are told apart by a semicolon at a line's end.
_TABLES: Final = """
CREATE TABLE delivery (
  code TEXT PRIMARY KEY, reservation_id TEXT NOT NULL, warehouse TEXT NOT NULL,
  lines BLOB NOT NULL, left BLOB NOT NULL, dispatch BLOB, lane TEXT NOT NULL,
  ship_by_ms INTEGER NOT NULL, entered_ms INTEGER NOT NULL, turn_ms INTEGER NOT NULL,
  state TEXT NOT NULL, since_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL, doubt INTEGER NOT NULL, handed INTEGER NOT NULL,
  cancel TEXT NOT NULL, released INTEGER NOT NULL, reason TEXT NOT NULL,
  warehouse_order_id TEXT NOT NULL, anomaly TEXT NOT NULL,
  as_of_ms INTEGER NOT NULL, as_of_number INTEGER NOT NULL, steps INTEGER NOT NULL,
  short BLOB
) WITHOUT ROWID;
CREATE TABLE step (
  code TEXT NOT NULL, slot INTEGER NOT NULL, number INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  what TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (code, slot),
  FOREIGN KEY (code) REFERENCES delivery (code) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE wish (
  reservation_id TEXT PRIMARY KEY, reason TEXT NOT NULL, asked_ms INTEGER NOT NULL,
  open INTEGER NOT NULL, verdict TEXT NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE warehouse (name TEXT PRIMARY KEY, kept BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE pulse (
  warehouse TEXT NOT NULL, slot INTEGER NOT NULL, handed INTEGER NOT NULL,
  waiting INTEGER, oldest_ms INTEGER, PRIMARY KEY (warehouse, slot)
) WITHOUT ROWID;
CREATE TRIGGER pulse_beats AFTER UPDATE OF state ON delivery\
 WHEN new.state = 'accepted' AND old.state <> 'accepted' BEGIN\
 INSERT INTO pulse VALUES (new.warehouse, new.since_ms / 300000, 1, NULL, NULL)\
 ON CONFLICT DO UPDATE SET handed = handed + 1; END;
CREATE TABLE tally (
  warehouse TEXT NOT NULL, state TEXT NOT NULL, lane TEXT NOT NULL, orders INTEGER NOT NULL,
  PRIMARY KEY (warehouse, state, lane)
) WITHOUT ROWID;
CREATE TRIGGER tally_enters AFTER INSERT ON delivery BEGIN\
 INSERT INTO tally VALUES (new.warehouse, new.state, new.lane, 1)\
 ON CONFLICT DO UPDATE SET orders = orders + 1; END;
CREATE TRIGGER tally_moves AFTER UPDATE OF state, lane ON delivery\
 WHEN (old.state, old.lane) <> (new.state, new.lane) BEGIN\
 UPDATE tally SET orders = orders - 1\
 WHERE warehouse = old.warehouse AND state = old.state AND lane = old.lane;\
 INSERT INTO tally VALUES (new.warehouse, new.state, new.lane, 1)\
 ON CONFLICT DO UPDATE SET orders = orders + 1; END;
CREATE TRIGGER tally_leaves AFTER DELETE ON delivery BEGIN\
 UPDATE tally SET orders = orders - 1\
 WHERE warehouse = old.warehouse AND state = old.state AND lane = old.lane; END;
CREATE INDEX delivery_turn ON delivery (warehouse, lane, turn_ms, entered_ms, code)
  WHERE state = 'pending';
CREATE INDEX delivery_undetailed ON delivery (due_ms) WHERE state = 'undetailed';
CREATE INDEX delivery_sent ON delivery (warehouse, due_ms) WHERE state = 'sent';
CREATE INDEX delivery_oldest ON delivery (warehouse, state, lane, entered_ms)
  WHERE state NOT IN ('shipped', 'cancelled');
CREATE INDEX delivery_page ON delivery (warehouse, state, lane, since_ms, code);
CREATE INDEX delivery_came ON delivery (warehouse, entered_ms, lane, turn_ms);
CREATE INDEX delivery_parts ON delivery (reservation_id, warehouse);
CREATE INDEX delivery_ended ON delivery (since_ms) WHERE state IN ('shipped', 'cancelled');
CREATE INDEX delivery_anomaly ON delivery (since_ms, code) WHERE anomaly <> '';
CREATE INDEX delivery_short ON delivery (code) WHERE short IS NOT NULL;
CREATE INDEX wish_open ON wish (due_ms) WHERE open = 1;
CREATE INDEX wish_by_age ON wish (asked_ms) WHERE open = 0;
"""

# What was added to files of this form, each harmless where it is there (ADR 025). A row of `lock`
# follows its delivery whoever moves that, and outlives it: what is kept there has to be ended. What
# was told again of an order that its warehouse has counts once it is rejected (ADR 023).
_LATER: Final = (
    "DROP INDEX IF EXISTS delivery_cancel",  # it had only what is accepted
    """CREATE INDEX IF NOT EXISTS delivery_wanted_back ON delivery (warehouse, due_ms)
 WHERE state IN ('accepted', 'rejected') AND cancel = 'asked'""",
    """CREATE TABLE IF NOT EXISTS retold (
  reservation_id TEXT PRIMARY KEY, due_ms INTEGER NOT NULL
) WITHOUT ROWID""",
    """CREATE TRIGGER IF NOT EXISTS retold_counts AFTER UPDATE OF state ON delivery
 WHEN new.state = 'rejected' BEGIN
 UPDATE retold SET due_ms = new.since_ms WHERE reservation_id = new.reservation_id; END""",
    """CREATE TRIGGER IF NOT EXISTS retold_leaves AFTER DELETE ON delivery BEGIN
 DELETE FROM retold WHERE reservation_id = old.reservation_id; END""",
    # What was handed over before another one was told: its warehouse may still name that buyer.
    """CREATE TABLE IF NOT EXISTS handed_to (
  code TEXT NOT NULL, dispatch BLOB NOT NULL, PRIMARY KEY (code, dispatch),
  FOREIGN KEY (code) REFERENCES delivery (code) ON DELETE CASCADE
) WITHOUT ROWID""",
    """CREATE TRIGGER IF NOT EXISTS handed_to_another AFTER UPDATE OF dispatch ON delivery
 WHEN old.handed AND old.dispatch <> new.dispatch BEGIN
 INSERT OR IGNORE INTO handed_to VALUES (old.code, old.dispatch); END""",
    """CREATE TABLE IF NOT EXISTS locking (
  warehouse TEXT PRIMARY KEY, off_until_ms INTEGER NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS lock (
  code TEXT PRIMARY KEY, warehouse TEXT NOT NULL, state TEXT NOT NULL, waits INTEGER NOT NULL,
  since_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
  asked_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, items BLOB NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID""",
    """CREATE INDEX IF NOT EXISTS lock_due ON lock (warehouse, due_ms)
 WHERE (waits = 1 AND state <> 'refused') OR state = 'ending'""",
    "CREATE INDEX IF NOT EXISTS lock_ends ON lock (warehouse, until_ms) WHERE state = 'locked'",
    "CREATE INDEX IF NOT EXISTS lock_state ON lock (warehouse, state) WHERE state <> 'ended'",
    "CREATE INDEX IF NOT EXISTS lock_busy ON lock (warehouse) WHERE due_ms = 4611686018427387904",
    """CREATE TRIGGER IF NOT EXISTS lock_enters AFTER INSERT ON delivery
 WHEN EXISTS (SELECT 1 FROM locking WHERE warehouse = new.warehouse) BEGIN
 INSERT INTO lock VALUES (new.code, new.warehouse, 'wanted', 1, new.since_ms,
 new.since_ms + 1000, 0, 0, 0, '[]', '')
 ON CONFLICT DO UPDATE SET waits = 1,
 due_ms = CASE WHEN state IN ('ended', 'refused') THEN excluded.due_ms ELSE due_ms END,
 since_ms = CASE WHEN state IN ('ended', 'refused') THEN excluded.since_ms ELSE since_ms END,
 state = CASE WHEN state IN ('ended', 'refused') THEN 'wanted' ELSE state END; END""",
    """CREATE TRIGGER IF NOT EXISTS lock_leaves AFTER DELETE ON delivery BEGIN
 DELETE FROM lock WHERE code = old.code AND state = 'ended'; END""",
    """CREATE TRIGGER IF NOT EXISTS lock_follows AFTER UPDATE OF state ON delivery
 WHEN old.state <> new.state AND EXISTS (SELECT 1 FROM lock WHERE code = new.code) BEGIN
 UPDATE lock SET waits = new.state IN ('undetailed', 'pending') WHERE code = new.code;
 UPDATE lock SET state = 'ended', since_ms = new.since_ms, due_ms = new.since_ms
 WHERE code = new.code AND state <> 'ended' AND new.state IN ('accepted', 'shipped');
 UPDATE lock SET since_ms = new.since_ms, attempts = 0,
 due_ms = CASE WHEN due_ms = 4611686018427387904 THEN due_ms ELSE new.since_ms END,
 state = CASE WHEN until_ms > 0 OR asked_ms > 0 THEN 'ending' ELSE 'ended' END
 WHERE code = new.code AND state NOT IN ('ended', 'ending') AND new.state = 'cancelled';
 UPDATE lock SET state = 'wanted', since_ms = new.since_ms, due_ms = new.since_ms, attempts = 0
 WHERE code = new.code AND state = 'ended' AND waits = 1
 AND EXISTS (SELECT 1 FROM locking WHERE warehouse = new.warehouse); END""",
)


class OutboxUnavailable(ArchiveUnavailable):
    """The file cannot be used: nothing is handed over, and nothing is passed over."""


def outbox_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "outbox.sqlite3"


def opened(path: Path) -> Database:
    """Open the file, to work on it. Raises OutboxUnavailable."""
    return Database(path, _TABLES, form=FORMAT, fault=OutboxUnavailable, later=_LATER)
