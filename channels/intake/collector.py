"""The collector: takes files with orders from a channel's folder, and answers with files.

A file is complete once the `.sha256` beside it fits, or nothing has changed there for a while. It
is moved to `taking`, so that one of its name that is sent meanwhile is another file. Its orders are
kept as messages; then what is wrong with it is written down; then it is moved to `done` or
`failed`, and its `.sha256` after it. Whoever dies in between leaves a file that is taken again: a
message is known by its file, its order and what that says, and the rest is written over.
"""

from __future__ import annotations

import asyncio
import csv
import os
import stat
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from channels.model import Hint
from channels.order_file import MOST_BYTES, OrderFile, is_of
from reservation import metrics
from reservation.csv_rows import RowError
from reservation.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from channels.adapter import Adapter
    from channels.intake.inbox import Inbox
    from channels.model import PlatformOrder

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 5.0  # between two looks into a folder without a complete file
# Nothing has changed for: whoever writes a file in pieces makes no such pauses, and its hash has
# come by then.
QUIET_SECONDS: Final = 30.0
ORPHAN_SECONDS: Final = 3_600.0  # then a hash belongs to the file that has gone, to none to come
KEPT_AT_ONCE: Final = 500  # orders of a transaction: pushed messages are written in between
TOPIC: Final = "order_file"
TAKING: Final = "taking"
DONE: Final = "done"
FAILED: Final = "failed"
MOST_NAME: Final = 200  # bytes of a file's name: that of its errors is longer
_CSV: Final = ".csv"
_HASH: Final = ".csv.sha256"
_COLUMNS: Final = ("row", "column", "reason")


class FolderUnavailable(HoldfastError):
    """A channel's folder, or a file in it, cannot be used."""


class Collector:
    """One background loop for one channel whose adapter names a folder. `now_ms`: wall clock."""

    def __init__(
        self,
        adapter: Adapter,
        inbox: Inbox,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._adapter = adapter
        self._channel = adapter.account.channel
        self._folder = Path(adapter.folder)
        self._inbox = inbox
        self._now_ms = now_ms
        self._passed_by: set[str] = set()  # names that are too long, which was said

    async def round(self) -> float:
        """Take one file, whichever: of two that describe an order the later one counts.

        Returns the seconds until the next time.

        Raises FolderUnavailable and InboxUnavailable.
        """
        try:
            return await asyncio.to_thread(self._round)
        except OSError as error:
            message = f"channel {self._channel}: {error.filename or self._folder}: {error.strerror}"
            raise FolderUnavailable(message) from error

    def _round(self) -> float:
        for name in (TAKING, DONE, FAILED):
            (self._folder / name).mkdir(exist_ok=True)
        if left := min(_files(self._folder / TAKING, _CSV), default=""):
            self._take(left)  # somebody has died who took it
            return 0.0
        found = self._without_long_names(_files(self._folder, (_CSV, _HASH)))
        for name in sorted(found):
            if name.endswith(_CSV) and self._is_complete(name, found):
                (self._folder / name).replace(self._folder / TAKING / name)
                self._take(name)
                return 0.0
        self._clear_orphans(found)
        return POLL_SECONDS

    def _without_long_names(self, found: dict[str, int]) -> dict[str, int]:
        """Leave those that could not be answered where they are, and say so of each once."""
        long = {name for name in found if len(os.fsencode(name)) > MOST_NAME}
        for name in sorted(long - self._passed_by):
            why = f"a name of more than {MOST_NAME} bytes"
            log.error("order_file_left", channel=self._channel, file=_shown(name), why=why)
        self._passed_by = long
        return {name: changed_ms for name, changed_ms in found.items() if name not in long}

    def _is_quiet(self, changed_ms: int, seconds: float) -> bool:
        return self._now_ms() >= changed_ms + seconds * 1000

    def _is_complete(self, name: str, found: dict[str, int]) -> bool:
        hash_name = f"{name}.sha256"
        changed_ms = max(found[name], found.get(hash_name, 0))
        if self._is_quiet(changed_ms, QUIET_SECONDS):
            return True
        sha256 = _read(self._folder / hash_name) if hash_name in found else None
        return sha256 is not None and is_of(sha256, _read(self._folder / name) or b"")

    def _take(self, name: str) -> None:
        """Take a file that is in `taking`; its hash is still where both were put."""
        taken, hash_path = self._folder / TAKING / name, self._folder / f"{name}.sha256"
        raw, sha256 = _read(taken), _read(hash_path)
        if raw is None:
            file = OrderFile((), (RowError(0, None, "the file cannot be read"),))
        else:
            file = self._adapter.read_file(name, raw, sha256, self._now_ms())
        self._keep(name, file.orders)
        where = FAILED if file.errors and not file.orders else DONE
        if file.errors:
            self._report(self._folder / where / f"{name.removesuffix(_CSV)}.errors.csv", file)
        taken.replace(self._folder / where / name)
        if sha256 is not None and _read(hash_path) == sha256:
            self._move(hash_path.name, where)
        self._tell(name, where, file)

    def _keep(self, name: str, orders: Sequence[PlatformOrder]) -> None:
        for start in range(0, len(orders), KEPT_AT_ONCE):
            hints = [(self._channel, _hint(name, order)) for order in orders[start:][:KEPT_AT_ONCE]]
            self._inbox.keep(hints, self._now_ms())

    def _report(self, path: Path, file: OrderFile) -> None:
        """Write down what is wrong, row by row."""
        part = path.with_suffix(".part")
        # With a byte-order mark, by which spreadsheets know what it is.
        with part.open("w", encoding="utf-8-sig", newline="") as report:
            rows = csv.writer(report)
            rows.writerow(_COLUMNS)
            rows.writerows((error.row, error.column or "", error.reason) for error in file.errors)
            if file.more_errors:
                rows.writerow((0, "", f"and {file.more_errors} more"))
        part.replace(path)

    def _move(self, name: str, where: str) -> None:
        (self._folder / name).replace(self._folder / where / name)

    def _clear_orphans(self, found: dict[str, int]) -> None:
        """Move the hash of a file that was moved by one who died before he moved this, too."""
        for name, changed_ms in found.items():
            file = name.removesuffix(".sha256")
            if name == file or file in found or not self._is_quiet(changed_ms, ORPHAN_SECONDS):
                continue
            for where in (DONE, FAILED):
                if (self._folder / where / file).exists():
                    self._move(name, where)
                    break

    def _tell(self, name: str, where: str, file: OrderFile) -> None:
        counted = metrics.CHANNEL_MESSAGES
        counted.labels(channel=self._channel, outcome="kept").inc(len(file.orders))
        told = {"channel": self._channel, "file": _shown(name), "rows": file.rows}
        if file.errors:
            counted.labels(channel=self._channel, outcome="malformed").inc()
            wrong = len(file.errors) + file.more_errors
            why = file.errors[0].reason
            log.error("order_file_wrong", **told, moved_to=where, errors=wrong, first=why)
        else:
            log.info("order_file_taken", **told, orders=len(file.orders))


def _files(folder: Path, ends: str | tuple[str, ...]) -> dict[str, int]:
    """Name the plain files whose names end so, each with the time of its last change in ms.

    A link is none: what it leads to is not the dealer's.
    """
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(ends):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    # Of the inode: nobody sets it to what it was.
                    found[entry.name] = status.st_ctime_ns // 1_000_000
    return found


def _read(path: Path) -> bytes | None:
    """Read a file, a byte more than is taken at most; None where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MOST_BYTES + 1)


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _hint(name: str, order: PlatformOrder) -> Hint:
    """Make a message of an order: the same of the same file, order and words."""
    said = blake2b(msgspec.json.encode(order), digest_size=8).hexdigest()
    return Hint(
        message_id=f"{name}:{order.order_id}:{said}",
        topic=TOPIC,
        order_id=order.order_id,
        order=order,
    )
