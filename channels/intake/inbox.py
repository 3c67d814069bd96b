"""What platforms have told us, kept on disk before it is acknowledged; and what is to be looked at.

A message is kept once by its platform's id, however often it comes. What it leads to is a *look*
at its order: one waits for an order at most, however many messages are about it. A look stays
until its order is where it should be; one that a message came to meanwhile stays longer.
Whatever dies, nothing acknowledged is lost, and steps that were taken are taken again without
harm: they carry the order's own id.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from channels.model import PlatformOrder
from reservation.database import Database
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from channels.model import Hint, Page

FORMAT: Final = 1
MOST_AT_ONCE: Final = 500  # looks that are taken in one go

_TABLES: Final = """
CREATE TABLE message (
  channel TEXT NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL, order_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (channel, id)
) WITHOUT ROWID;
CREATE TABLE look (
  channel TEXT NOT NULL, order_id TEXT NOT NULL, state TEXT NOT NULL, detail BLOB,
  told INTEGER NOT NULL, since_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (channel, order_id)
) WITHOUT ROWID;
CREATE TABLE described (
  channel TEXT NOT NULL, order_id TEXT NOT NULL, changed_ms INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY (channel, order_id)
) WITHOUT ROWID;
CREATE INDEX message_by_age ON message (at_ms);
CREATE INDEX described_by_age ON described (at_ms);
CREATE INDEX look_by_time ON look (channel, state, due_ms);
"""

_DESCRIBE: Final = (
    "INSERT INTO described VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE"
    " SET changed_ms = ?3, at_ms = ?4 WHERE changed_ms <= ?3"
)

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(PlatformOrder).decode


def inbox_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "channels.sqlite3"


class InboxUnavailable(ArchiveUnavailable):
    """The file cannot be used: nothing is acknowledged, and platforms send again."""


class LookState(StrEnum):
    """Whether an order is looked at by itself, or a person has to say so."""

    WAITING = "waiting"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Look:
    """An order that is to be looked at. `order` is its detail where a message brought it."""

    channel: str
    order_id: str
    told: int  # counts what has been told of the order: more than before is something new
    since_ms: int
    attempts: int
    order: PlatformOrder | None = None
    reason: str = ""


class Inbox:
    """The file. Any number of processes may use it; every method may raise InboxUnavailable."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _TABLES, form=FORMAT, fault=InboxUnavailable)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def keep(self, channel_hints: Iterable[tuple[str, Hint]], at_ms: int) -> int:
        """Keep messages, each once, and what is to be looked at because of them.

        Returns how many were new. When it returns they are on the disk.
        """
        new = 0
        with self._db.transaction():
            for channel, hint in channel_hints:
                cursor = self._db.execute(
                    "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, 1)"
                    " ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
                    (channel, hint.message_id, hint.topic, hint.order_id, at_ms),
                )
                if cursor.fetchone()[0] == 1:
                    new += 1
                    if hint.order_id:
                        self._want(channel, hint.order_id, hint.order, at_ms)
        return new

    def want(self, channel: str, order_ids: Iterable[str], at_ms: int) -> None:
        """Have orders looked at, whatever told us of them: a sweep, or a person."""
        with self._db.transaction():
            for order_id in order_ids:
                self._want(channel, order_id, None, at_ms)

    def found(self, channel: str, page: Page, at_ms: int) -> None:
        """Have those orders of a page looked at that have not been seen as they are now."""
        whole = {order.order_id: order for order in page.details}
        with self._db.transaction():
            for order_id, changed_ms in page.orders:
                row = self._db.execute(
                    "SELECT changed_ms FROM described WHERE channel = ? AND order_id = ?",
                    (channel, order_id),
                ).fetchone()
                if row is None or changed_ms is None or row[0] < changed_ms:
                    self._want(channel, order_id, whole.get(order_id), at_ms)

    def _want(self, channel: str, order_id: str, order: PlatformOrder | None, at_ms: int) -> None:
        """Let a look wait, unless a later description of the order has been here before."""
        detail = None
        if order is not None:
            cursor = self._db.execute(
                f"{_DESCRIBE} RETURNING 1", (channel, order_id, order.changed_at_ms, at_ms)
            )
            if cursor.fetchone() is None:
                return
            detail = _encode(order)
        self._db.execute(
            "INSERT INTO look VALUES (?1, ?2, 'waiting', ?3, 1, ?4, ?4, 0, '')"
            " ON CONFLICT DO UPDATE SET state = 'waiting', detail = COALESCE(?3, detail),"
            " told = told + 1, due_ms = ?4, attempts = 0, reason = ''",
            (channel, order_id, detail, at_ms),
        )

    def due(self, channel: str, at_ms: int, count: int = MOST_AT_ONCE) -> Sequence[Look]:
        """Name the looks of a channel that are due, the longest waiting first."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT order_id, told, since_ms, attempts, detail, reason FROM look WHERE"
                " channel = ?1 AND state = 'waiting' AND due_ms <= ?2 ORDER BY due_ms LIMIT ?3",
                (channel, at_ms, count),
            ).fetchall()
        return [
            Look(
                channel,
                order_id,
                told,
                since_ms,
                attempts,
                None if detail is None else _decode(detail),
                reason,
            )
            for order_id, told, since_ms, attempts, detail, reason in rows
        ]

    def done(self, looks: Iterable[Look], seen: Iterable[tuple[str, str, int, int]] = ()) -> None:
        """Forget looks that have been seen to; one that was told of meanwhile stays.

        `seen` are the orders as they were then: channel, id, when it changed, and now.
        """
        with self._db.transaction():
            self._db.executemany(_DESCRIBE, seen)
            self._db.executemany(
                "DELETE FROM look WHERE channel = ? AND order_id = ? AND told = ?",
                [(look.channel, look.order_id, look.told) for look in looks],
            )

    def again(self, look: Look, due_ms: int, reason: str) -> None:
        """Look once more at a time, and say why; what was told of meanwhile is due already."""
        self._put(look, LookState.WAITING, due_ms, reason)

    def stuck(self, look: Look, reason: str) -> None:
        """Leave an order to a person; whatever is told of it later sets it going again."""
        self._put(look, LookState.STUCK, look.since_ms, reason)

    def _put(self, look: Look, state: LookState, due_ms: int, reason: str) -> None:
        with self._db.transaction():
            self._db.execute(
                "UPDATE look SET state = ?, due_ms = ?, attempts = attempts + 1, reason = ?"
                " WHERE channel = ? AND order_id = ? AND told = ?",
                (state, due_ms, reason, look.channel, look.order_id, look.told),
            )

    def swept_to(self, channel: str) -> int | None:
        """Read up to when a channel's changes have been swept; None where they never were."""
        swept: int | None = self._db.fact(f"swept {channel}")
        return swept

    def set_swept_to(self, channel: str, at_ms: int) -> None:
        """Note up to when they have been."""
        with self._db.transaction():
            self._db.set_fact(f"swept {channel}", at_ms)

    def forget(self, before_ms: int, count: int = MOST_AT_ONCE) -> int:
        """Forget messages and descriptions from before a time, bounded; returns how many.

        Their platforms do not send them again by then; a look does not need them.
        """
        forgotten = 0
        with self._db.transaction():
            for table, name in (("message", "id"), ("described", "order_id")):
                forgotten += self._db.execute(
                    f"DELETE FROM {table} WHERE (channel, {name}) IN"  # noqa: S608 (names of ours)
                    f" (SELECT channel, {name} FROM {table} WHERE at_ms < ? LIMIT ?)",
                    (before_ms, count),
                ).rowcount
        return forgotten
