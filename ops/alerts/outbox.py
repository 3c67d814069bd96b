"""What is to be told, kept in SQLite until its receiver has it, or is given up visibly.

Alerts wait by receiver until a message is made of them: a delivery, which stays as it is however
often it is sent. The position in the log is stored with the alerts that were found up to it, so
none is missed and none is noted twice, whatever dies.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ops.alerts.alert import Alert
from ops.alerts.deliveries import FORMAT, AlertsUnavailable, Deliveries, Delivery, DeliveryState
from reservation.database import Database, held_alone

MOST_SILENCE_MS: Final = 3_600_000  # for which a receiver may ask

_TABLES: Final = """
CREATE TABLE delivery (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, receiver TEXT NOT NULL,
  state TEXT NOT NULL, body BLOB NOT NULL, made_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
  next_ms INTEGER NOT NULL, last_ms INTEGER, reason TEXT NOT NULL, resent INTEGER NOT NULL
);
CREATE TABLE alert (
  number INTEGER PRIMARY KEY, receiver TEXT NOT NULL, id TEXT NOT NULL, noted_ms INTEGER NOT NULL,
  body BLOB NOT NULL, delivery INTEGER REFERENCES delivery (number) ON DELETE CASCADE,
  UNIQUE (receiver, id)
);
CREATE TABLE pace (receiver TEXT PRIMARY KEY, next_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE silence (receiver TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX alert_waiting ON alert (receiver, number) WHERE delivery IS NULL;
CREATE INDEX alert_of ON alert (delivery);
CREATE INDEX delivery_by_state ON delivery (state, number);
"""
# What stands undone with channels and was noted, as it was told.
_LATER: Final = (
    "CREATE TABLE IF NOT EXISTS standing (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
)

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(Alert).decode


class Outbox(Deliveries):
    """The alerts' file, to write it. Any number of processes may; `alone` says who sends.

    Every method may raise AlertsUnavailable.
    """

    _db: Database

    def __init__(self, path: Path) -> None:
        super().__init__(
            Database(path, _TABLES, form=FORMAT, fault=AlertsUnavailable, later=_LATER)
        )
        self.path = path
        self._lock: int | None = None
        with self._db.reading():
            self._inode = path.stat().st_ino

    def close(self) -> None:
        """Close the file, and let another one send."""
        super().close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_in_place(self) -> bool:
        """Say whether the file under our name is still the one that is open."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def alone(self) -> None:
        """Be the one that sends, of all that share the data directory, until `close`."""
        if self._lock is None:
            self._lock = held_alone(self.path, fault=AlertsUnavailable)

    # -- what was found --------------------------------------------------------------------------

    def note(self, facts: dict[str, str], found: Sequence[tuple[str, Alert]], at_ms: int) -> None:
        """Note alerts, each with its receiver, and the facts that hold with them: all or none."""
        with self._db.transaction():
            self._add(found, at_ms)
            for name, value in facts.items():
                self._db.set_fact(name, value)

    def standing(self) -> list[Alert]:
        """Read what stood the last time and was noted."""
        with self._db.reading():
            rows = self._db.execute("SELECT body FROM standing").fetchall()
        return [_decode(body) for (body,) in rows]

    def note_standing(
        self,
        begun: Sequence[Alert],
        over: Sequence[str],
        found: Sequence[tuple[str, Alert]],
        at_ms: int,
    ) -> None:
        """Note what stands, by its ids what does no more, and alerts of it, each with its receiver.

        All or none.
        """
        with self._db.transaction():
            self._db.executemany("DELETE FROM standing WHERE id = ?", [(one,) for one in over])
            self._db.executemany(
                "INSERT OR IGNORE INTO standing VALUES (?, ?)",
                [(alert.id, _encode(alert)) for alert in begun],
            )
            self._add(found, at_ms)

    def _add(self, found: Sequence[tuple[str, Alert]], at_ms: int) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO alert (receiver, id, noted_ms, body) VALUES (?, ?, ?, ?)",
            [(receiver, alert.id, at_ms, _encode(alert)) for receiver, alert in found],
        )

    # -- what is sent ----------------------------------------------------------------------------

    def seal(self, receiver: str, alerts: Sequence[Alert], body: bytes, at_ms: int) -> Delivery:
        """Make a delivery of alerts that wait; it stays as it is from now on."""
        delivery_id = f"msg_{secrets.token_hex(12)}"
        with self._db.transaction():
            number = self._db.execute(
                "INSERT INTO delivery (id, receiver, state, body, made_ms, attempts, next_ms,"
                " reason, resent) VALUES (?, ?, 'pending', ?, ?, 0, 0, '', 0)",
                (delivery_id, receiver, body, at_ms),
            ).lastrowid
            self._db.executemany(
                "UPDATE alert SET delivery = ? WHERE receiver = ? AND id = ?",
                [(number, receiver, alert.id) for alert in alerts],
            )
        return self.delivery(delivery_id) or _vanished(delivery_id)

    def slot_in(self, receiver: str, at_ms: int, spacing_ms: int) -> int:
        """Return the ms until the receiver may be sent to; 0: now."""
        with self._db.transaction():
            # A clock that was set back must not silence us for as long.
            self._db.execute(
                "UPDATE pace SET next_ms = ?1 WHERE receiver = ?2 AND next_ms > ?1",
                (at_ms + spacing_ms, receiver),
            )
            self._db.execute(
                "UPDATE silence SET until_ms = ?1 WHERE receiver = ?2 AND until_ms > ?1",
                (at_ms + MOST_SILENCE_MS, receiver),
            )
            row = self._db.execute(
                "SELECT MAX(at) FROM (SELECT next_ms AS at FROM pace WHERE receiver = ?1"
                " UNION ALL SELECT until_ms FROM silence WHERE receiver = ?1)",
                (receiver,),
            ).fetchone()
        return max(0, (row[0] or 0) - at_ms)

    def be_silent(self, receiver: str, until_ms: int) -> None:
        """Send a receiver nothing at all before a time: it asked for it."""
        with self._db.transaction():
            self._db.execute("INSERT OR REPLACE INTO silence VALUES (?, ?)", (receiver, until_ms))

    def slot(self, receiver: str, at_ms: int, spacing_ms: int) -> int:
        """Take the next slot in which the receiver may be sent to, or say when it comes (ms).

        It is taken before the sending, so that whoever dies in between was not too quick.
        """
        wait_ms = self.slot_in(receiver, at_ms, spacing_ms)
        if wait_ms:
            return wait_ms
        with self._db.transaction():
            taken = self._db.execute(
                "INSERT INTO pace VALUES (?1, ?2) ON CONFLICT (receiver) DO UPDATE"
                " SET next_ms = ?2 WHERE next_ms <= ?3",
                (receiver, at_ms + spacing_ms, at_ms),
            ).rowcount
        return 0 if taken else spacing_ms  # another process was quicker

    def attempted(self, delivery_id: str, at_ms: int) -> None:
        """Note that a delivery is being sent."""
        self._change(
            "attempts = attempts + 1, last_ms = ?,"
            " reason = CASE reason WHEN '' THEN 'no answer' ELSE reason END",
            (at_ms,),
            delivery_id,
        )

    def delivered(self, delivery_id: str) -> None:
        """Note that the receiver has it."""
        self._change("state = 'delivered', reason = ''", (), delivery_id)

    def put_off(self, delivery_id: str, reason: str, next_ms: int) -> None:
        """Note that it was not taken, and when it is sent again."""
        self._change("reason = ?, next_ms = ?", (reason, next_ms), delivery_id)

    def give_up(self, delivery_id: str, reason: str) -> None:
        """Note that it is not sent any more."""
        self._change("state = 'dead', reason = ?", (reason,), delivery_id)

    def send_again(self, delivery_id: str, at_ms: int) -> bool:
        """Let a delivery that was given up be sent again; say whether there was one.

        Its patience begins anew.
        """
        with self._db.reading():
            return bool(
                self._db.execute(
                    "UPDATE delivery SET state = 'pending', next_ms = 0, made_ms = ?, resent = 1"
                    " WHERE id = ? AND state = 'dead'",
                    (at_ms, delivery_id),
                ).rowcount
            )

    def forget(self, state: DeliveryState, before_ms: int) -> None:
        """Drop deliveries in a state that were last sent before a time, with their alerts."""
        with self._db.transaction():
            self._db.execute(
                "DELETE FROM delivery WHERE state = ? AND COALESCE(last_ms, made_ms) < ?",
                (state, before_ms),
            )

    def give_up_others(self, receivers: Sequence[str]) -> None:
        """Give up what is on its way to receivers that are no longer configured."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE delivery SET state = 'dead', reason = 'no longer configured'"
                " WHERE state = 'pending' AND receiver NOT IN (SELECT value FROM json_each(?))",
                (_encode(receivers).decode(),),
            )

    def forget_others(self, receivers: Sequence[str], before_ms: int) -> None:
        """Drop what waits since before a time for receivers that are no longer configured."""
        with self._db.transaction():
            self._db.execute(
                "DELETE FROM alert WHERE delivery IS NULL AND noted_ms < ?"
                " AND receiver NOT IN (SELECT value FROM json_each(?))",
                (before_ms, _encode(receivers).decode()),
            )

    def _change(self, what: str, values: tuple[Any, ...], delivery_id: str) -> None:
        with self._db.reading():
            self._db.execute(
                f"UPDATE delivery SET {what} WHERE id = ?",  # noqa: S608 (a text of ours)
                (*values, delivery_id),
            )


def _vanished(delivery_id: str) -> Delivery:
    message = f"delivery {delivery_id} has vanished"
    raise AlertsUnavailable(message)


class SharedOutbox:
    """The outbox of one process's loops, opened when it is first wanted, by us alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._outbox: Outbox | None = None

    def opened(self) -> Outbox:
        """Return it. Raises AlertsUnavailable where the file, or another process, forbids it.

        A file that someone took away, or put another in its place, is opened anew.
        """
        with self._turn:
            if self._outbox is not None and not self._outbox.is_in_place():
                self._outbox.close()
                self._outbox = None
            if self._outbox is None:
                outbox = Outbox(self._path)
                try:
                    outbox.alone()
                except AlertsUnavailable:
                    outbox.close()
                    raise
                self._outbox = outbox
            return self._outbox

    def close(self) -> None:
        """Let another process have it."""
        with self._turn:
            if self._outbox is not None:
                self._outbox.close()
                self._outbox = None
