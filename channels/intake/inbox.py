"""What platforms have told us, kept on disk before it is acknowledged; and what is to be looked at.

A message is kept once by its platform's id, however often it comes. What it leads to is a *look*
at its order: one waits for an order at most, however many messages are about it. A look stays
until its order is where it should be; one that a message came to meanwhile stays longer. What
cannot be read and names no order is gathered in one look without an order, for a person.
Whatever dies, nothing acknowledged is lost, and steps that were taken are taken again without
harm: they carry the order's own id.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from channels.intake.inbox_tables import FORMAT, LATER, TABLES
from channels.intake.looks import NO_ORDER, Lacking, Look, LookState, Seen
from channels.intake.moves import state_of
from channels.model import Hint, OrderState, PlatformOrder
from reservation.database import Database, DatabaseReader
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from channels.model import Page

MOST_AT_ONCE: Final = 500  # looks that are taken in one go
MOST_REASON: Final = 500  # characters of a reason that grows
# TOP and Douyin count in whole seconds, by clocks that are not ours: an order that was asked for
# so long after its last change has had no other one within that second.
CERTAIN_MS: Final = 5_000
LISTED: Final = "listed"  # the topic of what a sweep has found, and of no message

# What was the end of an order stays its end, whatever is told of it later. Of two descriptions of
# one time the one further along is true, where its platform was not asked: times may be of seconds.
# Words that an older version kept do not say how far along they are.
_DESCRIBE: Final = (
    "INSERT INTO described VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE"
    " SET changed_ms = ?3, asked_ms = ?4, words = ?5, settled = MAX(settled, ?6), at_ms = ?7"
    " WHERE changed_ms < ?3 OR changed_ms = ?3 AND (?4 OR length(words) != length(?5)"
    " OR substr(words, 1, 1) <= substr(?5, 1, 1)) RETURNING 1"
)
TELL: Final = (
    "INSERT INTO look VALUES (?1, ?2, 'waiting', ?3, ?4, 1, ?5, ?5, 0, '', 0, 0)"
    " ON CONFLICT DO UPDATE SET state = 'waiting', told = told + 1, due_ms = ?5, attempts = 0,"
    " reason = ''"
)
# To an order that waits already a message brings what is true now, or that it has to be asked for;
# one that cannot be read brings its word alone, which what is older leaves to be seen. Lists lag
# behind: what they have is asked for.
_LATER_WORD: Final = (
    "SELECT 1 FROM misread WHERE channel = ?1 AND order_id = ?2 AND changed_ms > ?6"
)
_NEWS: Final = (
    f"{TELL}, detail = ?3, unknown = CASE WHEN EXISTS ({_LATER_WORD}) THEN unknown ELSE ?4 END"
)
_UNKNOWN: Final = f"{TELL}, unknown = ?4"
_LATER_WAS_TOLD: Final = (
    "SELECT 1 FROM described WHERE channel = ?1 AND order_id = ?2 AND changed_ms > ?3"
    " UNION ALL SELECT 1 FROM misread WHERE channel = ?1 AND order_id = ?2 AND changed_ms > ?3"
)
_LISTED: Final = f"{TELL}, detail = NULL"

# A look that a person has dismissed meanwhile shows nothing.
_SHOW: Final = (
    "INSERT OR REPLACE INTO shown SELECT channel, order_id, ?3, ?4 FROM look"
    " WHERE channel = ?1 AND order_id = ?2"
)

_LOOK: Final = (
    "SELECT l.channel, l.order_id, l.state, l.told, l.since_ms, l.due_ms, l.attempts, l.reason,"
    " l.detail, l.unknown, l.short_ms, l.rejected_ms, COALESCE(d.settled, 0), s.at_ms"
    " FROM look l LEFT JOIN described d USING (channel, order_id)"
    " LEFT JOIN shown s USING (channel, order_id)"
)

_ALONG: Final = {
    OrderState.UNPAID: b"\0",
    OrderState.PAID: b"\1",
    OrderState.SHIPPED: b"\2",
    OrderState.CLOSED: b"\3",
}

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(PlatformOrder).decode


def inbox_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "channels.sqlite3"


class InboxUnavailable(ArchiveUnavailable):
    """The file cannot be used: nothing is acknowledged, and platforms send again."""


class InboxReads:
    """What is in the file. Every method may raise InboxUnavailable."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _looks(self, where: str, *values: object) -> Sequence[Look]:
        with self._db.reading():
            rows = self._db.execute(f"{_LOOK} WHERE {where}", values).fetchall()
        return [_look(*row) for row in rows]

    def unfit(self, channel: str) -> dict[LookState, int]:
        """Count the orders of a channel that are not where their platform says, by state."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT state, COUNT(*) FROM look WHERE channel = ? AND reason != ''"
                " GROUP BY state",
                (channel,),
            ).fetchall()
        return {LookState(state): orders for state, orders in rows}


class Inbox(InboxReads):
    """The file, to write it. Any number of processes may."""

    _db: Database

    def __init__(self, path: Path) -> None:
        super().__init__(Database(path, TABLES, form=FORMAT, fault=InboxUnavailable, later=LATER))

    # -- what is told ----------------------------------------------------------------------------

    def keep(self, channel_hints: Iterable[tuple[str, Hint]], at_ms: int) -> int:
        """Keep messages, each once, and what is to be looked at because of them.

        Returns how many were new. When it returns they are on the disk.
        """
        with self._db.transaction():
            return sum(self._keep(channel, hint, at_ms) for channel, hint in channel_hints)

    def _keep(self, channel: str, hint: Hint, at_ms: int) -> bool:
        """Keep a message; says whether it is new."""
        cursor = self._db.execute(
            "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)"
            " ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
            (channel, hint.message_id, hint.topic, hint.order_id, hint.unknown, at_ms),
        )
        is_new: bool = cursor.fetchone()[0] == 1
        if is_new:
            self._heed(channel, hint, at_ms)
        return is_new

    def _heed(self, channel: str, hint: Hint, at_ms: int) -> None:
        """Let a look wait, unless a later description of the order has been here before."""
        if not hint.order_id:
            if hint.unknown:
                self._gather(channel, hint.unknown, at_ms)
            return
        told = (channel, hint.order_id, None, hint.unknown, at_ms)
        if hint.unknown:
            self._misread(told, hint.changed_at_ms)
        elif hint.order is None:
            self._db.execute(_NEWS, (*told, None))
        elif self._describe(channel, Seen(hint.order, at_ms)):
            detail = _encode(hint.order)
            self._db.execute(_NEWS, (*told[:2], detail, *told[3:], hint.order.changed_at_ms))

    def _misread(self, told: tuple[str, str, None, str, int], changed_ms: int | None) -> None:
        """Let a look wait with a word that nobody knows, unless something later was told before."""
        order = told[:2]
        if self._db.execute(_LATER_WAS_TOLD, (*order, changed_ms)).fetchone():
            return
        self._db.execute(_UNKNOWN, told)
        if changed_ms is not None:
            self._db.execute(
                "INSERT OR REPLACE INTO misread VALUES (?, ?, ?)", (*order, changed_ms)
            )

    def _gather(self, channel: str, unknown: str, at_ms: int) -> None:
        """Note the word of a message that names no order, each word once."""
        self._db.execute(
            "INSERT INTO look VALUES (?1, ?2, 'stuck', NULL, ?3, 1, ?4, ?4, 0, ?5, 0, 0)"
            " ON CONFLICT DO UPDATE SET told = told + 1, unknown = ?3, reason ="
            " CASE WHEN instr(reason || ',', ' ' || ?3 || ',') THEN reason"
            " ELSE substr(reason || ', ' || ?3, 1, ?6) END",
            (channel, NO_ORDER, unknown, at_ms, f"unknown-word: {unknown}", MOST_REASON),
        )

    def _describe(self, channel: str, seen: Seen) -> bool:
        """Note how an order is; False where it has been described as of later."""
        order = seen.order
        words = _words(order)
        values = (order.changed_at_ms, seen.asked_ms, words, int(seen.spent), seen.at_ms)
        cursor = self._db.execute(_DESCRIBE, (channel, order.order_id, *values))
        return cursor.fetchone() is not None

    def found(self, channel: str, page: Page, at_ms: int) -> Sequence[Hint]:
        """Have those orders of a page looked at that have not been seen as they are now.

        What names none is kept as if it was a message that cannot be read; returns what is new.
        """
        whole = {order.order_id: order for order in page.details}
        unread = [
            Hint(message_id=_digest(one.said).hex(), topic=LISTED, unknown=one.why)
            for one in page.unread
        ]
        with self._db.transaction():
            new = [hint for hint in unread if self._keep(channel, hint, at_ms)]
            for order_id, changed_ms in page.orders:
                order = whole.get(order_id)
                row = self._db.execute(
                    "SELECT changed_ms, asked_ms, words FROM described"
                    " WHERE channel = ? AND order_id = ?",
                    (channel, order_id),
                ).fetchone()
                if row is not None and changed_ms is not None:
                    if _is_as_seen(changed_ms, order, *row):
                        continue
                    if row[0] == changed_ms:
                        order = None  # which of the two is later its platform must say
                if order is not None:
                    self._describe(channel, Seen(order, at_ms))
                detail = None if order is None else _encode(order)
                self._db.execute(_LISTED, (channel, order_id, detail, "", at_ms))
        return new

    def begun(self, channel: str, at_ms: int) -> int:
        """Say since when a channel's orders are moved here: since this was asked first."""
        name = f"begun {channel}"
        with self._db.transaction():
            begun_ms: int | None = self._db.fact(name)
            if begun_ms is None:
                self._db.set_fact(name, begun_ms := at_ms)
        return begun_ms

    # -- looking ---------------------------------------------------------------------------------

    def due(self, channel: str, at_ms: int, count: int = MOST_AT_ONCE) -> Sequence[Look]:
        """Name the looks of a channel that are due, the longest waiting first."""
        where = "l.channel = ? AND l.state = 'waiting' AND l.due_ms <= ? ORDER BY l.due_ms LIMIT ?"
        return self._looks(where, channel, at_ms, count)

    def done(self, looks: Iterable[Look], seen: Iterable[tuple[str, Seen]] = ()) -> None:
        """Forget looks that have been seen to; one that was told of meanwhile stays.

        `seen` are the orders as they were then, each with its channel.
        """
        with self._db.transaction():
            for channel, one in seen:
                self._describe(channel, one)
            self._db.executemany(
                "DELETE FROM look WHERE channel = ? AND order_id = ? AND told = ?",
                [(look.channel, look.order_id, look.told) for look in looks],
            )

    def again(self, look: Look, due_ms: int, reason: str) -> None:
        """Look once more at a time, since it failed; what was told of meanwhile is due already."""
        self._put(look, LookState.WAITING, due_ms, reason, attempts=look.attempts + 1)

    def wait(self, look: Look, due_ms: int, reason: str, seen: Seen | None, short_ms: int) -> None:
        """Look once more at a time, since what an order needs may come by itself."""
        self._put(look, LookState.WAITING, due_ms, reason, seen=seen, short_ms=short_ms)

    def stuck(
        self, look: Look, reason: str, seen: Seen | None = None, short_ms: int | None = None
    ) -> None:
        """Leave an order to a person; whatever is told of it later sets it going again."""
        self._put(look, LookState.STUCK, look.due_ms, reason, seen=seen, short_ms=short_ms)

    def rejected(self, look: Look, reason: str, seen: Seen, at_ms: int) -> None:
        """Note that an order's platform was told that it cannot be covered; it is, whatever came.

        Until the platform has closed it, it is left to a person.
        """
        with self._db.transaction():
            self._db.execute(
                "UPDATE look SET rejected_ms = ? WHERE channel = ? AND order_id = ?",
                (at_ms, look.channel, look.order_id),
            )
        self._put(look, LookState.STUCK, look.due_ms, reason, seen=seen)

    def _put(
        self,
        look: Look,
        state: LookState,
        due_ms: int,
        reason: str,
        *,
        attempts: int = 0,
        seen: Seen | None = None,
        short_ms: int | None = None,
    ) -> None:
        """Note what has become of a look; of one that was told of meanwhile, only what is known."""
        order = look.channel, look.order_id
        short_ms = look.short_ms if short_ms is None else short_ms
        with self._db.transaction():
            if seen is not None:
                self._describe(look.channel, seen)
                shown = _encode(_without_shipping(seen.order))
                self._db.execute(_SHOW, (*order, shown, seen.at_ms))
            self._db.execute(
                "UPDATE look SET short_ms = ? WHERE channel = ? AND order_id = ?",
                (short_ms, *order),
            )
            self._db.execute(
                "UPDATE look SET state = ?, due_ms = ?, attempts = ?, reason = ?"
                " WHERE channel = ? AND order_id = ? AND told = ?",
                (state, due_ms, attempts, reason, *order, look.told),
            )

    def lacking(
        self, channel: str, at_ms: int, seen_before_ms: int, after: tuple[int, str], count: int
    ) -> Sequence[Lacking]:
        """Name orders that lack stock or are suspended and are not due at a time, oldest first.

        Those behind a place that were looked at last before another time; none that a quota limits.
        """
        with self._db.reading():
            rows = self._db.execute(
                "SELECT l.since_ms, s.detail FROM look l JOIN shown s USING (channel, order_id)"
                " WHERE l.channel = ?1 AND l.state = 'waiting' AND l.reason != ''"
                " AND l.due_ms > ?2 AND s.at_ms <= ?3 AND (l.since_ms, l.order_id) > (?4, ?5)"
                " AND (l.reason LIKE 'short:%' OR l.reason LIKE 'suspended:%')"
                " AND instr(l.reason, ' of a quota''s ') = 0"
                " ORDER BY l.since_ms, l.order_id LIMIT ?6",
                (channel, at_ms, seen_before_ms, *after, count),
            ).fetchall()
        return [Lacking(since_ms, _decode(detail)) for since_ms, detail in rows]

    def look_soon(self, channel: str, orders: Iterable[str], at_ms: int) -> None:
        """Have orders that wait looked at by a time, since what they need may be there."""
        with self._db.transaction():
            self._db.executemany(
                "UPDATE look SET due_ms = min(due_ms, ?)"
                " WHERE channel = ? AND order_id = ? AND state = 'waiting'",
                [(at_ms, channel, order_id) for order_id in orders],
            )

    # -- keeping house ---------------------------------------------------------------------------

    def swept_to(self, channel: str) -> int | None:
        """Read up to when a channel's changes have been swept; None where they never were."""
        swept: int | None = self._db.fact(f"swept {channel}")
        return swept

    def set_swept_to(self, channel: str, at_ms: int) -> None:
        """Note up to when they have been."""
        with self._db.transaction():
            self._db.set_fact(f"swept {channel}", at_ms)

    def forget(
        self, messages_before_ms: int, orders_before_ms: int, count: int = MOST_AT_ONCE
    ) -> int:
        """Forget messages, and how orders were, from before a time each; returns how many.

        Bounded by `count` of each. What belongs to a look stays as long as that.
        """
        forgotten = 0
        with self._db.transaction():
            for table, name, before_ms in (
                ("message", "id", messages_before_ms),
                ("described", "order_id", orders_before_ms),
            ):
                forgotten += self._db.execute(
                    f"DELETE FROM {table} WHERE (channel, {name}) IN"  # noqa: S608 (names of ours)
                    f" (SELECT channel, {name} FROM {table} t WHERE at_ms < ? AND NOT EXISTS"
                    " (SELECT 1 FROM look WHERE channel = t.channel AND order_id = t.order_id"
                    " AND order_id != '') LIMIT ?)",
                    (before_ms, count),
                ).rowcount
        return forgotten


def _digest(said: bytes) -> bytes:
    """Shorten what was said to what tells it from anything else."""
    return blake2b(said, digest_size=12).digest()


def _words(order: PlatformOrder) -> bytes:
    """Shorten a description to how far along it is, a byte, and what tells it from another one.

    Where it goes is no part of that: it is told only where it was asked for.
    """
    return _ALONG[state_of(order)] + _digest(_encode(_without_shipping(order)))


def _without_shipping(order: PlatformOrder) -> PlatformOrder:
    return order if order.shipping is None else replace(order, shipping=None)


def _is_as_seen(
    changed_ms: int, order: PlatformOrder | None, seen_changed_ms: int, asked_ms: int, words: bytes
) -> bool:
    """Say whether an order of a list was seen as it is there, or later.

    Of the same second it was if its platform was asked for it after that, or in the same words.
    """
    if seen_changed_ms != changed_ms:
        return seen_changed_ms > changed_ms
    return asked_ms >= changed_ms + CERTAIN_MS or (order is not None and _words(order) == words)


def _look(*row: Any) -> Look:
    """Make a look of a row of _LOOK."""
    *head, detail, unknown, short_ms, rejected_ms, spent, shown_ms = row
    channel, order_id, state, told, since_ms, due_ms, attempts, reason = head
    return Look(
        channel=channel,
        order_id=order_id,
        state=LookState(state),
        told=told,
        since_ms=since_ms,
        due_ms=due_ms,
        attempts=attempts,
        reason=reason,
        order=None if detail is None else _decode(detail),
        unknown=unknown,
        short_ms=short_ms,
        rejected_ms=rejected_ms,
        spent=bool(spent),
        unfit=shown_ms is not None,
    )
