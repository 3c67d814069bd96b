"""The tables of the inbox: messages as they came, looks at orders, how each was last described."""

from __future__ import annotations

from typing import Final

FORMAT: Final = 2

TABLES: Final = """
CREATE TABLE message (
  channel TEXT NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL, order_id TEXT NOT NULL,
  unknown TEXT NOT NULL, at_ms INTEGER NOT NULL, times INTEGER NOT NULL,
  PRIMARY KEY (channel, id)
) WITHOUT ROWID;
CREATE TABLE look (
  channel TEXT NOT NULL, order_id TEXT NOT NULL, state TEXT NOT NULL, detail BLOB,
  unknown TEXT NOT NULL, told INTEGER NOT NULL, since_ms INTEGER NOT NULL,
  due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
  short_ms INTEGER NOT NULL, rejected_ms INTEGER NOT NULL, PRIMARY KEY (channel, order_id)
) WITHOUT ROWID;
CREATE TABLE described (
  channel TEXT NOT NULL, order_id TEXT NOT NULL, changed_ms INTEGER NOT NULL,
  asked_ms INTEGER NOT NULL, words BLOB NOT NULL, settled INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY (channel, order_id)
) WITHOUT ROWID;
CREATE INDEX message_by_age ON message (at_ms);
CREATE INDEX message_by_order ON message (channel, order_id);
CREATE INDEX described_by_age ON described (at_ms);
CREATE INDEX look_by_time ON look (channel, state, due_ms);
"""
# What files of this format that are older may lack.
LATER: Final = (
    # How an order was when no step led on, for people; it goes with its look.
    (
        "CREATE TABLE IF NOT EXISTS shown (channel TEXT NOT NULL, order_id TEXT NOT NULL,"
        " detail BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (channel, order_id),"
        " FOREIGN KEY (channel, order_id) REFERENCES look (channel, order_id) ON DELETE CASCADE"
        ") WITHOUT ROWID"
    ),
    # As of when a look's unknown word is, where that was told; it goes with its look.
    (
        "CREATE TABLE IF NOT EXISTS misread (channel TEXT NOT NULL, order_id TEXT NOT NULL,"
        " changed_ms INTEGER NOT NULL, PRIMARY KEY (channel, order_id),"
        " FOREIGN KEY (channel, order_id) REFERENCES look (channel, order_id) ON DELETE CASCADE"
        ") WITHOUT ROWID"
    ),
    "CREATE INDEX IF NOT EXISTS look_unfit ON look (channel, state) WHERE reason != ''",
)
