"""Hands on where a paid order goes, as its platform told it when the order was moved.

So a warehouse's system need not have the platform asked once more. It is on the way only: what
nobody has taken within `KEPT_MS` is forgotten, and asked for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from channels.model import PlatformOrder
from channels.shipping.addresses import AddressesUnavailable
from partners.recorder import Busy, LateRecorder
from reservation.database import Database, DatabaseReader, is_there
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

log = structlog.get_logger(__name__)

FORMAT: Final = 1
KEPT_MS: Final = 600_000
KEEP_SECONDS: Final = 1.0  # moving an order waits for no longer

_TABLES: Final = """
CREATE TABLE passed (
  reservation_id TEXT PRIMARY KEY, told BLOB NOT NULL, at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX passed_by_age ON passed (at_ms);
"""

_encode: Final = msgspec.json.encode
_order_of: Final = msgspec.json.Decoder(PlatformOrder).decode


def passing_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "passing.sqlite3"


class PassingReads:
    """What is on the way. Raises AddressesUnavailable."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def passed(self, reservation_id: str, now_ms: int) -> PlatformOrder | None:
        """Read an order with its `shipping`; None where none is on the way, or for too long."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT told FROM passed WHERE reservation_id = ? AND at_ms >= ?",
                (reservation_id, now_ms - KEPT_MS),
            ).fetchone()
        return None if row is None else _order_of(row[0])

    def passed_of(self, reservation_ids: Iterable[str], now_ms: int) -> Mapping[str, PlatformOrder]:
        """Read several; what is not on the way is not named."""
        with self._db.reading():
            found = {one: self.passed(one, now_ms) for one in reservation_ids}
        return {one: order for one, order in found.items() if order is not None}


class Passing(PassingReads):
    """The file of a data directory; several processes may use it. Raises AddressesUnavailable."""

    _db: Database

    def __init__(self, path: Path) -> None:
        fault = AddressesUnavailable
        super().__init__(
            Database(path, _TABLES, form=FORMAT, fault=fault, survives_power_loss=False)
        )

    def keep(self, orders: Iterable[tuple[str, PlatformOrder]], at_ms: int) -> None:
        """Pass orders on, each with its reservation's id, as they are told last."""
        with self._db.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO passed VALUES (?, ?, ?)",
                [(reservation_id, _encode(order), at_ms) for reservation_id, order in orders],
            )

    def forget(self, before_ms: int, count: int) -> int:
        """Forget what was told before a time, bounded by `count`; returns how many."""
        with self._db.transaction():
            return self._db.execute(
                "DELETE FROM passed WHERE reservation_id IN"
                " (SELECT reservation_id FROM passed WHERE at_ms < ? LIMIT ?)",
                (before_ms, count),
            ).rowcount


def passing_of(path: Path) -> PassingReads | None:
    """Open the file to read; None where there is none so far. Close it."""
    if not is_there(path):
        return None
    return PassingReads(DatabaseReader(path, form=FORMAT, fault=AddressesUnavailable))


class Passer:
    """Passes orders on, those of one moment together. `now_ms` is the wall clock.

    Where it cannot, it says so: their platform is asked once more, and no order waits for it.
    """

    def __init__(
        self, path: Path, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._recorder = LateRecorder[tuple[str, PlatformOrder]](lambda: Passing(path), now_ms)

    async def pass_on(self, reservation_id: str, order: PlatformOrder) -> None:
        """Return when it is in the file, or cannot be."""
        try:
            await self._recorder.keep([(reservation_id, order)], KEEP_SECONDS)
        except (ArchiveUnavailable, Busy, TimeoutError) as fault:
            log.warning("not_passed_on", reservation_id=reservation_id, reason=repr(fault))

    async def close(self) -> None:
        """Keep what has been taken, and close the file."""
        await self._recorder.close()
