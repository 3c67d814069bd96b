"""What has become of the alerts, as their file says it: deliveries, and what nobody was told yet.

`outbox` has the tables, and writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ops.alerts.alert import Alert
from reservation.database import Database, DatabaseReader, is_there
from reservation.errors import ArchiveUnavailable
from reservation.receivers import Receiver
from reservation.times import rfc3339_or_none

T = TypeVar("T")

FILE: Final = "alerts.sqlite3"
FORMAT: Final = 1  # of the tables; another one is refused
_DELIVERIES: Final = (
    "SELECT number, id, receiver, state, body, made_ms, attempts, next_ms, last_ms, reason,"
    " resent FROM delivery"
)


class AlertsUnavailable(ArchiveUnavailable):
    """The alerts' file cannot be used; the text says why. It is tried again."""


class DeliveryState(StrEnum):
    """What has become of a delivery."""

    PENDING = "pending"  # it is sent until it is taken
    DELIVERED = "delivered"
    DEAD = "dead"  # given up, or refused: it is sent again only when someone says so


class Delivery(msgspec.Struct, frozen=True):
    """A message to one receiver. Times are Unix time in ms; `last_ms` None: never sent."""

    number: int  # its place among all: the later one was made, the higher
    id: str
    receiver: str
    state: DeliveryState
    body: bytes
    made_ms: int
    attempts: int
    next_ms: int  # not sent before
    last_ms: int | None
    reason: str  # why it was not taken the last time
    resent: bool  # it was given up once: what is new goes first
    alerts: tuple[Alert, ...] = ()


class Backlog(msgspec.Struct, frozen=True):
    """How much a receiver has not been told: alerts that wait, and deliveries given up."""

    receiver: str
    waiting: int
    since_ms: int | None  # of the oldest that waits
    dead: int
    reason: str  # why the pending delivery was not taken the last time; "" where it was not sent


_decode_alert: Final = msgspec.json.Decoder(Alert).decode


def outbox_path(data_dir: Path) -> Path:
    """Name the outbox's file in a data directory."""
    return data_dir / FILE


class Deliveries:
    """What is in the alerts' file. Every method may raise AlertsUnavailable."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def fact(self, name: str) -> Any:
        """Read what is noted under a name; None where nothing is."""
        return self._db.fact(name)

    def waiting(self, receiver: str, limit: int) -> tuple[int | None, list[Alert]]:
        """Read what waits to be put into a message, oldest first, and since when it does (ms)."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT noted_ms, body FROM alert WHERE receiver = ? AND delivery IS NULL"
                " ORDER BY number LIMIT ?",
                (receiver, limit),
            ).fetchall()
        return (rows[0][0] if rows else None), [_decode_alert(body) for _, body in rows]

    def pending(self, receiver: str) -> Delivery | None:
        """Read the delivery that is to be sent next; None where there is none."""
        found = self._deliveries(
            "WHERE receiver = ? AND state = 'pending' ORDER BY resent, made_ms, number LIMIT 1",
            (receiver,),
        )
        return found[0] if found else None

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Read one delivery with its alerts."""
        found = self._deliveries("WHERE id = ?", (delivery_id,))
        return found[0] if found else None

    def deliveries(
        self, state: DeliveryState | None, before: int | None, limit: int
    ) -> list[Delivery]:
        """List deliveries, newest first: those with a number below `before`, None: all."""
        return self._deliveries(
            "WHERE number < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY number DESC LIMIT ?3",
            (1 << 62 if before is None else before, state, limit),
        )

    def backlogs(self) -> list[Backlog]:
        """Count what each receiver has not been told, by name; who has nothing is left out."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT receiver, SUM(waiting), MIN(since), SUM(dead) FROM ("
                " SELECT receiver, 1 AS waiting, noted_ms AS since, 0 AS dead FROM alert"
                "  WHERE delivery IS NULL"
                " UNION ALL SELECT alert.receiver, 1, noted_ms, 0 FROM delivery"
                "  JOIN alert ON alert.delivery = delivery.number WHERE state = 'pending'"
                " UNION ALL SELECT receiver, 0, NULL, 1 FROM delivery WHERE state = 'dead'"
                ") GROUP BY receiver ORDER BY receiver"
            ).fetchall()
        found = []
        for receiver, waiting, since_ms, dead in rows:
            pending = self.pending(receiver)
            found.append(
                Backlog(receiver, waiting, since_ms, dead, pending.reason if pending else "")
            )
        return found

    def _deliveries(self, where: str, values: tuple[Any, ...]) -> list[Delivery]:
        with self._db.reading():
            rows = self._db.execute(
                f"{_DELIVERIES} {where}",
                values,
            ).fetchall()
            return [self._read(row) for row in rows]

    def _read(self, row: tuple[Any, ...]) -> Delivery:
        number, delivery_id, receiver, state, body, *rest = row
        alerts = self._db.execute(
            "SELECT body FROM alert WHERE delivery = ? ORDER BY number", (number,)
        )
        told = tuple(_decode_alert(text) for (text,) in alerts)
        made_ms, attempts, next_ms, last_ms, reason, resent = rest
        return Delivery(
            number,
            delivery_id,
            receiver,
            DeliveryState(state),
            bytes(body),
            made_ms,
            attempts,
            next_ms,
            last_ms,
            reason,
            bool(resent),
            told,
        )


def look(path: Path, question: Callable[[Deliveries], T]) -> T | None:
    """Ask the alerts' file, and leave it as it is; None where there is none so far.

    Raises AlertsUnavailable.
    """
    if not is_there(path):
        return None
    found = Deliveries(DatabaseReader(path, form=FORMAT, fault=AlertsUnavailable))
    try:
        return question(found)
    finally:
        found.close()


def receiver_rows(
    receivers: Mapping[str, Receiver], backlogs: Sequence[Backlog]
) -> list[dict[str, Any]]:
    """Tell of every receiver that is configured, or was not told something, as JSON, by name."""
    known = {backlog.receiver: backlog for backlog in backlogs}
    rows = []
    for name in sorted({*receivers, *known}):
        receiver = receivers.get(name)
        backlog = known.get(name) or Backlog(name, 0, None, 0, "")
        rows.append(
            {
                "name": name,
                "kind": receiver.kind if receiver else None,
                "events": sorted(receiver.events) if receiver else [],
                "waiting": backlog.waiting,
                "since": rfc3339_or_none(backlog.since_ms),
                "dead": backlog.dead,
                "reason": backlog.reason or None,
            }
        )
    return rows
