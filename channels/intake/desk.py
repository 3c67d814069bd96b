"""The inbox as people see it: what has not come to its end by itself, and what they do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from channels.intake.inbox import TELL, Inbox, InboxReads, InboxUnavailable
from channels.intake.inbox_tables import FORMAT
from channels.intake.looks import Figure, Kept, Look, LookState, Trouble
from channels.model import PlatformOrder
from reservation.database import Database, DatabaseReader, is_there

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")

MOST_SHOWN: Final = 100  # looks, or messages of one, that are listed in one go

_decode: Final = msgspec.json.Decoder(PlatformOrder).decode


class DeskReads(InboxReads):
    """What people see. Every method may raise InboxUnavailable."""

    def troubles(
        self,
        *,
        channel: str | None = None,
        state: LookState | None = None,
        after: tuple[int, str, str] | None = None,
        count: int = MOST_SHOWN,
    ) -> Sequence[Look]:
        """List looks that have not come to their end at once, the longest waiting first.

        The next page comes after the `place` of the last one of this.
        """
        return self._looks(
            "l.reason != '' AND (?1 IS NULL OR l.channel = ?1) AND (?2 IS NULL OR l.state = ?2)"
            " AND (l.since_ms, l.channel, l.order_id) > (?3, ?4, ?5)"
            " ORDER BY l.since_ms, l.channel, l.order_id LIMIT ?6",
            channel,
            state,
            *(after or (-1, "", "")),
            count,
        )

    def reasons(self) -> Sequence[Trouble]:
        """Name all that `troubles` lists, in no order, with no more than why."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT channel, order_id, state, since_ms, reason FROM look WHERE reason != ''"
            ).fetchall()
        return [
            Trouble(channel, order_id, LookState(state), since_ms, reason)
            for channel, order_id, state, since_ms, reason in rows
        ]

    def figures(self) -> Sequence[Figure]:
        """Count what `troubles` lists, by channel, state and kind."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT channel, state, substr(reason, 1, instr(reason || ':', ':') - 1),"
                " COUNT(*), MIN(since_ms) FROM look WHERE reason != '' GROUP BY 1, 2, 3 ORDER BY"
                " 1, 2, 3"
            ).fetchall()
        return [
            Figure(channel, LookState(state), kind, looks, since_ms)
            for channel, state, kind, looks, since_ms in rows
        ]

    def look(self, channel: str, order_id: str) -> Look | None:
        """Read the look at an order; None where none is to be taken."""
        found = self._looks("l.channel = ? AND l.order_id = ?", channel, order_id)
        return found[0] if found else None

    def shown(self, channel: str, order_id: str) -> tuple[PlatformOrder, int] | None:
        """Read how an order was when no step led on, and when that was; None where nobody knows."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT detail, at_ms FROM shown WHERE channel = ? AND order_id = ?",
                (channel, order_id),
            ).fetchone()
        return None if row is None else (_decode(row[0]), row[1])

    def messages(self, channel: str, order_id: str, count: int = MOST_SHOWN) -> Sequence[Kept]:
        """Read what was told of an order and is still kept, the latest first.

        Of NO_ORDER those that could not be read.
        """
        with self._db.reading():
            rows = self._db.execute(
                "SELECT id, topic, unknown, at_ms, times FROM message WHERE channel = ?1"
                " AND order_id = ?2 AND (?2 != '' OR unknown != '')"
                " ORDER BY at_ms DESC, id DESC LIMIT ?3",
                (channel, order_id, count),
            ).fetchall()
        return [Kept(*row) for row in rows]


class Desk(DeskReads, Inbox):
    """An inbox for people."""

    _db: Database

    def want(self, channel: str, order_id: str, at_ms: int) -> None:
        """Have an order looked at of which nothing may have been told."""
        with self._db.transaction():
            self._db.execute(TELL, (channel, order_id, None, "", at_ms))

    def look_now(self, channel: str, order_id: str, at_ms: int) -> bool:
        """Have an order of `troubles` looked at now; False where there is no such one."""
        with self._db.transaction():
            cursor = self._db.execute(
                "UPDATE look SET state = 'waiting', told = told + 1, due_ms = ?, attempts = 0"
                " WHERE channel = ? AND order_id = ? AND order_id != ''",
                (at_ms, channel, order_id),
            )
        return cursor.rowcount == 1

    def dismiss(self, channel: str, order_id: str) -> bool:
        """Forget a look that is stuck, since a person has seen to it; False where it is none."""
        with self._db.transaction():
            cursor = self._db.execute(
                "DELETE FROM look WHERE channel = ? AND order_id = ? AND state = 'stuck'",
                (channel, order_id),
            )
        return cursor.rowcount == 1


def look_at(path: Path, question: Callable[[DeskReads], T]) -> T | None:
    """Ask the inbox, and leave it as it is; None where there is none so far.

    Raises InboxUnavailable.
    """
    if not is_there(path):
        return None
    found = DeskReads(DatabaseReader(path, form=FORMAT, fault=InboxUnavailable))
    try:
        return question(found)
    finally:
        found.close()
