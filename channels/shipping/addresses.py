"""Where orders go of which nobody can be asked: what was told of them, kept on disk for a while.

It is the buyer's, and kept for no longer than a warehouse may need it: `FORGET_AFTER_MS`. What a
platform can be asked for is never here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from channels.model import PlatformOrder, Shipping
from reservation.database import Database, DatabaseReader, is_there
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

FORMAT: Final = 1
FORGET_AFTER_MS: Final = 30 * 86_400_000  # as the outbox of warehouses does with what has ended
MOST_AT_ONCE: Final = 500  # rows that are forgotten in one go

_TABLES: Final = """
CREATE TABLE told (
  reservation_id TEXT PRIMARY KEY, shipping BLOB NOT NULL, detail BLOB, by_hand INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX told_by_age ON told (at_ms);
"""

# What was added to files of this form, each harmless where it is there: the orders that were told
# by hand, or otherwise than before, in the order in which that was kept, which no clock tells.
_LATER: Final = (
    """CREATE TABLE IF NOT EXISTS telling (
  number INTEGER PRIMARY KEY AUTOINCREMENT, reservation_id TEXT NOT NULL, at_ms INTEGER NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS telling_by_age ON telling (at_ms)",
)

_encode: Final = msgspec.json.encode
_shipping_of: Final = msgspec.json.Decoder(Shipping).decode
_order_of: Final = msgspec.json.Decoder(PlatformOrder).decode


def addresses_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "addresses.sqlite3"


class AddressesUnavailable(ArchiveUnavailable):
    """The file cannot be used: nothing is acknowledged, and nothing told."""


@dataclass(frozen=True, slots=True)
class Told:
    """Where an order goes, and the order itself where its channel has described it."""

    shipping: Shipping
    order: PlatformOrder | None


class AddressReads:
    """What the file has. Raises AddressesUnavailable."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def told(self, reservation_id: str) -> Told | None:
        """Say where an order goes, as it was told last; None where it was not."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT shipping, detail FROM told WHERE reservation_id = ?", (reservation_id,)
            ).fetchone()
        if row is None:
            return None
        return Told(_shipping_of(row[0]), None if row[1] is None else _order_of(row[1]))

    def told_of(self, reservation_ids: Iterable[str]) -> Mapping[str, Told]:
        """Say the same of several; of those that were told nothing is named."""
        with self._db.reading():
            found = {one: self.told(one) for one in reservation_ids}
        return {one: told for one, told in found.items() if told is not None}

    def retold(self, after: int, count: int = MOST_AT_ONCE) -> tuple[Sequence[str], int]:
        """Name orders that were told anew behind a number, and the number of the last of them.

        It is `after` where there are none, and 0 where the file is a newer one than that number.
        """
        with self._db.reading():
            rows = self._db.execute(
                "SELECT reservation_id, number FROM telling WHERE number > ?"
                " ORDER BY number LIMIT ?",
                (after, count),
            ).fetchall()
            (last,) = self._db.execute(
                "SELECT IFNULL(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'telling'"
            ).fetchone()
        if not rows:
            return (), after if after <= last else 0
        return [reservation_id for reservation_id, _ in rows], rows[-1][1]


class Addresses(AddressReads):
    """The file of a data directory; several processes may use it. Raises AddressesUnavailable."""

    _db: Database

    def __init__(self, path: Path) -> None:
        super().__init__(
            Database(path, _TABLES, form=FORMAT, fault=AddressesUnavailable, later=_LATER)
        )

    def tell(self, reservation_id: str, shipping: Shipping, at_ms: int) -> None:
        """Keep where an order goes, as whoever sends it says: that goes before its channel's word.

        What a channel has said of the order beside that stays.
        """
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO told VALUES (?1, ?2, NULL, 1, ?3) ON CONFLICT DO UPDATE"
                " SET shipping = ?2, by_hand = 1, at_ms = ?3",
                (reservation_id, _encode(shipping), at_ms),
            )
            self._db.execute(
                "INSERT INTO telling (reservation_id, at_ms) VALUES (?, ?)", (reservation_id, at_ms)
            )

    def remember(self, channel: str, orders: Iterable[PlatformOrder], at_ms: int) -> None:
        """Keep of orders, as their channel describes them now, where they go, if that is told.

        One that goes elsewhere than was known is named by `retold`.
        """
        rows = [
            (
                f"{channel}:{order.order_id}",
                _encode(order.shipping),
                _encode(replace(order, shipping=None)),
                at_ms,
            )
            for order in orders
            if order.shipping is not None
        ]
        if not rows:
            return
        with self._db.transaction():
            self._db.executemany(
                "INSERT INTO telling (reservation_id, at_ms) SELECT reservation_id, ?4 FROM told"
                " WHERE reservation_id = ?1 AND NOT by_hand AND shipping <> ?2",
                rows,
            )
            self._db.executemany(
                "INSERT INTO told VALUES (?1, ?2, ?3, 0, ?4) ON CONFLICT DO UPDATE"
                " SET shipping = IIF(by_hand, shipping, ?2), detail = ?3, at_ms = ?4",
                rows,
            )

    def forget(self, before_ms: int, count: int = MOST_AT_ONCE) -> int:
        """Forget what was told last before a time, bounded by `count`; returns how many."""
        with self._db.transaction():
            self._db.execute(
                "DELETE FROM telling WHERE number IN"
                " (SELECT number FROM telling WHERE at_ms < ? LIMIT ?)",
                (before_ms, count),
            )
            return self._db.execute(
                "DELETE FROM told WHERE reservation_id IN"
                " (SELECT reservation_id FROM told WHERE at_ms < ? LIMIT ?)",
                (before_ms, count),
            ).rowcount


def reads_of(path: Path) -> AddressReads | None:
    """Open the file to read; None where there is none so far. Close it."""
    if not is_there(path):
        return None
    return AddressReads(DatabaseReader(path, form=FORMAT, fault=AddressesUnavailable))


def look_at(path: Path, question: Callable[[AddressReads], T]) -> T | None:
    """Ask the file, and leave it as it is; None where there is none so far."""
    found = reads_of(path)
    if found is None:
        return None
    try:
        return question(found)
    finally:
        found.close()
