"""A SQLite file of ours under the data directory: what is committed there is on the disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from reservation.errors import ArchiveUnavailable

LOCK_SECONDS: Final = 5.0  # for which one process waits for another
AGAIN_SECONDS: Final = 0.01  # until it tries again where SQLite does not wait by itself

_FACTS: Final = "CREATE TABLE fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID"


class _Connection:
    """One connection to a file; threads take turns. Raises `fault` where it cannot be used."""

    _db: sqlite3.Connection

    def __init__(self, path: Path, fault: type[ArchiveUnavailable]) -> None:
        self.path = path
        self._fault = fault
        self._turn = threading.RLock()

    def close(self) -> None:
        """Close the file, once whatever thread uses it is done: a caller that left may have one."""
        with self._turn:
            self._db.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Let no other thread use the connection, and name what goes wrong as a fault of ours."""
        try:
            with self._turn:
                yield
        except (sqlite3.Error, OSError) as error:
            message = f"{self.path}: {error}"
            raise self._fault(message) from error

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement, within `reading` or, where there is one, `transaction`."""
        return self._db.execute(statement, tuple(values))

    def fact(self, name: str) -> Any:
        """Read what is noted under a name; None where nothing is."""
        with self.reading():
            return fact_of(self._db, name)

    def _refuse_other_forms(self, form: int) -> None:
        found = self.fact("format")
        if found != form:
            self._db.close()
            message = f"{self.path} has format {found}, this version reads {form}"
            raise self._fault(message)


class DatabaseReader(_Connection):
    """One connection that only reads what a `Database` writes: nothing is made or changed by it.

    Raises `fault` where the file cannot be read: here, in `reading`.
    """

    def __init__(
        self, path: Path, *, form: int, fault: type[ArchiveUnavailable] = ArchiveUnavailable
    ) -> None:
        super().__init__(path, fault)
        with self.reading():
            self._db = connected(path, read_only=True)
        self._refuse_other_forms(form)


class Database(_Connection):
    """One connection to a file that others may read and write too; threads take turns.

    `tables` are statements that make a new file, each with a semicolon at its line's end; `form` is
    the number of their form, and a file of another one is refused. `later` are statements that add
    what older files of this form lack, each harmless where it is there. Named facts have a table of
    their own. What need not survive the loss of power is written without a sync of the disk; the
    file stays whole. Raises `fault` where it cannot be used: here, in `transaction`, in `reading`.
    """

    def __init__(
        self,
        path: Path,
        tables: str,
        *,
        form: int,
        fault: type[ArchiveUnavailable] = ArchiveUnavailable,
        later: tuple[str, ...] = (),
        survives_power_loss: bool = True,
    ) -> None:
        super().__init__(path, fault)
        with self.reading():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connected(path)
            os.chmod(path, 0o600)  # noqa: PTH101 - it may be a path whose parent is a link
            # Others forget what we say we have: that must be on the disk.
            self._db.execute(f"PRAGMA synchronous={'FULL' if survives_power_loss else 'NORMAL'}")
            self._db.execute("PRAGMA foreign_keys=ON")
            # What is made is opened without a turn at writing: there may be many that write.
            if not self._is_made():
                with self.transaction():
                    if not self._is_made():
                        for statement in (_FACTS, *tables.strip().split(";\n")):
                            self._db.execute(statement)
                        self.set_fact("format", form)
            # Not before: until its tables are there as a whole, the file is empty (`is_there`).
            self._write_ahead()
        self._refuse_other_forms(form)
        if later:
            with self.transaction():
                for statement in later:
                    self._db.execute(statement)

    def _is_made(self) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None

    def _write_ahead(self) -> None:
        """Let readers and one who writes not wait for each other.

        SQLite does not wait here for another who writes, as who makes the same file may just now.
        """
        until = time.monotonic() + LOCK_SECONDS
        while True:  # ends: by then it is a fault
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() >= until:
                    raise
            else:
                return
            time.sleep(AGAIN_SECONDS)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is executed within take effect as a whole, or not at all."""
        with self.reading():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled it back already; what it was about must not be hidden.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def executemany(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute one statement for each row, within `transaction`."""
        self._db.executemany(statement, rows)

    def set_fact(self, name: str, value: Any) -> None:
        """Note something under a name, within `transaction`."""
        self._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))


def is_there(path: Path) -> bool:
    """Say whether there is a file, also where it cannot be used; one that is being made is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except OSError:  # who opens it says what is in the way
        return True
    return found.st_size > 0 or not stat.S_ISREG(found.st_mode)


def connected(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Connect to a file; `read_only` makes none and changes nothing. Raises sqlite3.Error."""
    # By its address: a name may have characters that mean something there.
    address = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
    return sqlite3.connect(
        address, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
    )


def fact_of(db: sqlite3.Connection, name: str) -> Any:
    """Read what is noted under a name in an open file; None where nothing is."""
    row = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def held_alone(path: Path, *, fault: type[ArchiveUnavailable] = ArchiveUnavailable) -> int:
    """Be the only process that works on a file, until the descriptor that is returned is closed.

    Raises `fault` where another process does.
    """
    lock_path = path.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"{lock_path}: {error.strerror}"
        raise fault(message) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        message = f"{path} is worked on by another process; this one waits for its end"
        raise fault(message) from error
    return lock
