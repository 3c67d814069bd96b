"""What each channel is to be told of each SKU, kept on disk until it has been told.

Only the latest of it: an *offer* that changes again before it was told takes the place of the one
before. Its version counts the changes; what was told of it is a version, too, so that an answer to
an older one does not hide a newer one. Whatever dies, what was not acknowledged is told again by
the same key.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reservation.database import Database, DatabaseReader, is_there
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

T = TypeVar("T")

FORMAT: Final = 1

_TABLES: Final = """
CREATE TABLE offer (
  channel TEXT NOT NULL, sku TEXT NOT NULL, kind TEXT NOT NULL, units INTEGER NOT NULL,
  weight REAL NOT NULL, why TEXT NOT NULL, version INTEGER NOT NULL, told INTEGER NOT NULL,
  told_open INTEGER, since_ms INTEGER NOT NULL, told_ms INTEGER, due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL, reason TEXT NOT NULL, dead INTEGER NOT NULL,
  PRIMARY KEY (channel, sku, kind)
) WITHOUT ROWID;
CREATE INDEX offer_closed ON offer (sku) WHERE why <> '';
CREATE INDEX offer_told ON offer (channel, told_ms) WHERE kind = 'stock' AND version <= told;
"""
# A dead letter is not told by itself any more, but what closes is: an open listing oversells.
_PENDING: Final = "version > told AND (dead = 0 OR why <> '')"
_WAITS: Final = "version > told AND dead = 0"
_NOT_CLOSED: Final = "dead = 1 AND why <> '' AND kind = 'stock'"
_LATER: Final = (
    "DROP INDEX IF EXISTS offer_to_tell",
    "DROP INDEX IF EXISTS offer_dead",
    (
        "CREATE INDEX IF NOT EXISTS offer_pending ON offer (channel, why = '', since_ms)"
        f" WHERE {_PENDING}"
    ),
    (
        "CREATE INDEX IF NOT EXISTS offer_given_up ON offer (channel, why = '', sku, kind)"
        " WHERE dead = 1"
    ),
)
_COLUMNS: Final = (
    "channel, sku, kind, units, weight, why, version, told, told_open, since_ms, told_ms, due_ms,"
    " attempts, reason, dead"
)


def offers_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "feed.sqlite3"


class OffersUnavailable(ArchiveUnavailable):
    """The file cannot be used: what changes is told when it can."""


class Kind(StrEnum):
    """What is told: to the platform how many may be sold, to a stream's console how much to show.

    Of the second each crossing is told once, and not each change of the weight.
    """

    STOCK = "stock"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a channel is to be told. `again` says: also where it is what was told last."""

    channel: str
    sku: str
    kind: Kind
    units: int
    weight: float
    why: str  # what closes it, "" where it is open
    again: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What a channel is to be told, and how far that has come. Times are ms of the wall clock."""

    channel: str
    sku: str
    kind: Kind
    units: int
    weight: float
    why: str
    version: int
    told: int  # the version that was acknowledged last, 0 for none
    told_open: bool | None  # whether the platform took orders after it, as far as we have told
    since_ms: int  # since when it waits to be told
    told_ms: int | None
    due_ms: int
    attempts: int
    reason: str  # why the last attempt failed
    dead: bool  # a person has to look; it is not told by itself any more, unless it closes

    @property
    def is_open(self) -> bool:
        """Say whether orders are to be taken for it."""
        return not self.why

    @property
    def is_not_closed(self) -> bool:
        """Say whether a platform was to close it, and has refused or not answered for long."""
        return self.dead and not self.is_open and self.kind is Kind.STOCK

    @property
    def is_told(self) -> bool:
        """Say whether the platform has acknowledged it as it is now."""
        return self.told >= self.version


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of telling an offer.

    `told_open`: whether the platform takes orders since then, None where nothing was acknowledged.
    `reason` says why not all of it was told; then `due_ms` says when it is told again, and `dead`
    that a person has to look: what does not close is told again when that person says so.
    """

    offer: Offer
    told_open: bool | None = None
    reason: str = ""
    due_ms: int = 0
    dead: bool = False


class OfferReads:
    """What there is to tell, as the file has it. Raises OffersUnavailable throughout."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def position(self) -> str:
        """The place in the event log as of which all offers are, "" for none."""
        return self._db.fact("position") or ""

    def due(
        self, channel: str, at_ms: int, count: int, kind: Kind | None = None
    ) -> Sequence[Offer]:
        """Name what a channel is to be told now: what closes before the rest, then by age."""
        return self._read(
            f"channel = ?1 AND {_PENDING} AND due_ms <= ?2 AND (?4 IS NULL OR kind = ?4)"
            " ORDER BY why = '', since_ms LIMIT ?3",
            (channel, at_ms, count, kind),
        )

    def dead(
        self, channel: str, after: tuple[bool, str, str] | None, count: int
    ) -> Sequence[Offer]:
        """Name dead letters of a channel behind a place, by it: closings first, then by SKU.

        A place is whether it is open, its SKU and its kind.
        """
        return self._read(
            "channel = ? AND dead = 1 AND (why = '', sku, kind) > (?, ?, ?)"
            " ORDER BY why = '', sku, kind LIMIT ?",
            (channel, *(after or (False, "", "")), count),
        )

    def closed(self, skus: Sequence[str]) -> Sequence[Offer]:
        """Name what closes some SKUs, channel by channel, and how far that has come."""
        return self._read(
            f"why <> '' AND kind = 'stock' AND sku IN ({', '.join('?' * len(skus))})"
            " ORDER BY sku, channel",
            skus,
        )

    def of_sku(self, sku: str) -> Sequence[Offer]:
        """Name what each channel is told of a SKU."""
        return self._read("sku = ? ORDER BY channel, kind", (sku,))

    def counts(self, channel: str) -> tuple[int, int]:
        """Count what is to be told to a channel, and what is dead."""
        with self._db.reading():
            waiting, dead = self._db.execute(
                f"SELECT (SELECT count(*) FROM offer WHERE channel = ?1 AND {_WAITS}),"  # noqa: S608
                " (SELECT count(*) FROM offer WHERE channel = ?1 AND dead = 1)",
                (channel,),
            ).fetchone()
        return waiting, dead

    def not_closed(self, channel: str) -> int:
        """Count the dead letters that close a SKU: the channel may still sell what it must not."""
        with self._db.reading():
            (found,) = self._db.execute(
                f"SELECT count(*) FROM offer WHERE channel = ? AND {_NOT_CLOSED}",  # noqa: S608
                (channel,),
            ).fetchone()
        return int(found)

    def _read(self, condition: str, values: Iterable[Any]) -> Sequence[Offer]:
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM offer WHERE {condition}",  # noqa: S608 (texts of ours)
                values,
            ).fetchall()
        return [_offer(*row) for row in rows]


class Offers(OfferReads):
    """The file of a data directory; several processes may use it. Raises OffersUnavailable."""

    _db: Database

    def __init__(self, path: Path) -> None:
        super().__init__(
            Database(path, _TABLES, form=FORMAT, fault=OffersUnavailable, later=_LATER)
        )
        with self._db.transaction():
            # Versions of another file begin with 1, too: their keys must not be taken for ours.
            if (born := self._db.fact("born")) is None:
                born = secrets.token_hex(8)
                self._db.set_fact("born", born)
        self._born: str = born

    def key(self, offer: Offer) -> str:
        """Name what is told once and for all: 32 hexadecimal digits, the same at a repetition."""
        told = f"{self._born}\n{offer.channel}\n{offer.sku}\n{offer.kind}\n{offer.version}"
        return blake2b(told.encode(), digest_size=16).hexdigest()

    def want(self, wanted: Iterable[Wanted], position: str, at_ms: int) -> int:
        """Take what channels are to be told, as of a place in the log; returns how many are new.

        What begins as healthy is nothing to tell a console.
        """
        new = 0
        with self._db.transaction():
            for one in wanted:
                new += self._db.execute(
                    "INSERT INTO offer VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1,"
                    " ?3 = 'exposure' AND ?6 = '', NULL, ?7, NULL, ?7, 0, '', 0)"
                    " ON CONFLICT DO UPDATE SET units = ?4, weight = ?5, why = ?6,"
                    " version = version + 1, due_ms = ?7, attempts = 0, reason = '', dead = 0,"
                    # What has waited waits on in its place; a closing is one from now on.
                    " since_ms = IIF(version > told AND (why = '') = (?6 = ''), since_ms, ?7)"
                    # How many of what is closed there are is nothing to tell.
                    " WHERE (why = '') <> (?6 = '')"
                    " OR (?3 = 'stock' AND (?8 OR (?6 = '' AND units <> ?4)))",
                    (
                        *(one.channel, one.sku, one.kind, one.units, one.weight, one.why),
                        *(at_ms, one.again),
                    ),
                ).rowcount
            self._db.set_fact("position", position)
        return new

    def note(self, outcomes: Iterable[Outcome], at_ms: int) -> None:
        """Note what became of tellings, all at once; what is newer than what was told stays due."""
        with self._db.transaction():
            for one in outcomes:
                offer = one.offer
                if one.told_open is not None:
                    self._db.execute(
                        "UPDATE offer SET told_open = ?4, told = IIF(?5, max(told, ?6), told),"
                        " told_ms = ?7, attempts = 0, reason = '', dead = 0"
                        " WHERE channel = ?1 AND sku = ?2 AND kind = ?3",
                        (
                            *(offer.channel, offer.sku, offer.kind, one.told_open),
                            *(not one.reason, offer.version, at_ms),
                        ),
                    )
                if one.reason:
                    self._db.execute(
                        "UPDATE offer SET attempts = attempts + 1, due_ms = ?4, reason = ?5,"
                        " dead = ?6 WHERE channel = ?1 AND sku = ?2 AND kind = ?3 AND version = ?7",
                        (
                            *(offer.channel, offer.sku, offer.kind),
                            *(one.due_ms, one.reason, one.dead, offer.version),
                        ),
                    )

    def retell(self, channel: str, before_ms: int, at_ms: int) -> bool:
        """Have a channel told once more of the SKU of which it was told first, before a time.

        Says whether there is one: none while stock is to be told, also later, to the channel. It
        goes by a new key: by the old one the platform would take it for done.
        """
        with self._db.transaction():
            found = self._db.execute(
                "SELECT sku FROM offer WHERE channel = ?1 AND kind = 'stock' AND version <= told"  # noqa: S608
                " AND told_ms <= ?2 AND NOT EXISTS"
                f" (SELECT 1 FROM offer WHERE channel = ?1 AND {_WAITS} AND kind = 'stock')"
                " ORDER BY told_ms LIMIT 1",
                (channel, before_ms),
            ).fetchone()
            if found is not None:
                self._db.execute(
                    "UPDATE offer SET version = version + 1, since_ms = ?1, due_ms = ?1,"
                    " attempts = 0, reason = '' WHERE channel = ?2 AND sku = ?3 AND kind = 'stock'",
                    (at_ms, channel, *found),
                )
        return found is not None

    def send_again(self, channel: str, at_ms: int, skus: Sequence[str] | None = None) -> int:
        """Set dead letters of a channel going again: those of some SKUs, or all; returns how many.

        A platform that has heard of it takes it for the same, by its key.
        """
        chosen = "" if skus is None else f" AND sku IN ({', '.join('?' * len(skus))})"
        with self._db.transaction():
            return self._db.execute(
                "UPDATE offer SET dead = 0, attempts = 0, due_ms = ?, reason = ''"  # noqa: S608
                f" WHERE channel = ? AND dead = 1{chosen}",
                (at_ms, channel, *(skus or ())),
            ).rowcount


def look_at(path: Path, question: Callable[[OfferReads], T]) -> T | None:
    """Ask the file, and leave it as it is; None where there is none so far."""
    if not is_there(path):
        return None
    found = OfferReads(DatabaseReader(path, form=FORMAT, fault=OffersUnavailable))
    try:
        return question(found)
    finally:
        found.close()


def _offer(channel: str, sku: str, kind: str, *rest: Any) -> Offer:
    told_open = rest[5]
    values = [
        *rest[:5],
        None if told_open is None else bool(told_open),
        *rest[6:-1],
        bool(rest[-1]),
    ]
    return Offer(channel, sku, Kind(kind), *values)
