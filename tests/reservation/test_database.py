"""The SQLite files of ours: on the disk when they say so, and nobody else's to read."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from reservation import database as database_module
from reservation.database import Database, DatabaseReader, held_alone, is_there
from reservation.errors import ArchiveUnavailable

TABLES = "CREATE TABLE thing (name TEXT);\nCREATE INDEX by_name ON thing (name);\n"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "things.sqlite3", TABLES, form=1)


def test_what_is_committed_is_on_the_disk(database: Database) -> None:
    """Others forget what we say we have: every commit is synced (2 is FULL)."""
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_it_is_nobody_else_s_to_read(database: Database) -> None:
    """Orders and keys of robots stand in it."""
    database.set_fact("one", 1)
    for file in database.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """And the connection goes on."""

    def fails() -> None:
        with database.transaction():
            database.execute("INSERT INTO thing VALUES ('x')")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with database.transaction():
        database.execute("INSERT INTO thing VALUES ('y')")
    assert database.execute("SELECT name FROM thing").fetchall() == [("y",)]


def test_another_form_is_refused(database: Database) -> None:
    """A file of a later version is not guessed at."""
    with pytest.raises(ArchiveUnavailable, match="has format 1, this version reads 2"):
        Database(database.path, TABLES, form=2)


def test_a_reader_reads_while_another_writes_and_changes_nothing(database: Database) -> None:
    """It waits for nobody, and nobody for it; what is not committed it does not see."""
    with database.transaction():
        database.execute("INSERT INTO thing VALUES ('x')")
    reader = DatabaseReader(database.path, form=1)
    with database.transaction():
        database.execute("INSERT INTO thing VALUES ('y')")
        assert reader.execute("SELECT name FROM thing").fetchall() == [("x",)]
    assert reader.execute("SELECT name FROM thing").fetchall() == [("x",), ("y",)]
    with pytest.raises(ArchiveUnavailable, match="readonly"), reader.reading():
        reader.execute("DELETE FROM thing")
    reader.close()


def test_it_is_opened_while_another_writes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens it for each thing that is asked would else wait for two turns at writing."""
    monkeypatch.setattr(database_module, "LOCK_SECONDS", 0.0)
    with database.transaction():
        other = Database(database.path, TABLES, form=1)
        with pytest.raises(ArchiveUnavailable, match="locked"), other.transaction():
            pass
    with other.transaction():
        other.execute("INSERT INTO thing VALUES ('x')")
    other.close()


def test_it_is_opened_while_another_makes_it(database: Database) -> None:
    """Two that start at once: the second one waits, though SQLite would not."""
    database.close()
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode=DELETE")  # as it is for a moment after its tables are there
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.1, other.execute, ("ROLLBACK",)).start()
    opened = Database(database.path, TABLES, form=1)
    assert opened.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()
    other.close()


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    """What is not there is a fault; so is what is no file of ours, or of another version."""
    with pytest.raises(ArchiveUnavailable, match="unable to open"):
        DatabaseReader(tmp_path / "none.sqlite3", form=1)
    assert list(tmp_path.iterdir()) == []
    Database(tmp_path / "things.sqlite3", TABLES, form=1).close()
    with pytest.raises(ArchiveUnavailable, match="has format 1, this version reads 2"):
        DatabaseReader(tmp_path / "things.sqlite3", form=2)
    sqlite3.connect(tmp_path / "theirs.sqlite3").close()
    with pytest.raises(ArchiveUnavailable, match="no such table"):
        DatabaseReader(tmp_path / "theirs.sqlite3", form=1)


def test_in_no_instant_is_a_file_there_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is made it is none; once it is there all of it is. A file of nothing is none."""
    path = tmp_path / "things.sqlite3"
    seen = []

    class Watched(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            seen.append(look())
            return super().execute(statement, *values)

    def look() -> bool:
        if is_there(path):
            DatabaseReader(path, form=1).close()
            return True
        return False

    made = database_module.connected

    def connected(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
        if read_only:
            return made(path, read_only=True)
        return sqlite3.connect(path, isolation_level=None, factory=Watched)

    monkeypatch.setattr(database_module, "connected", connected)
    Database(path, TABLES, form=1).close()
    seen.append(look())
    assert seen == sorted(seen)  # it was not there, and then it was
    assert set(seen) == {False, True}
    assert is_there(tmp_path)
    (tmp_path / "empty").touch()
    assert not is_there(tmp_path / "empty")


def test_a_name_of_any_kind_is_a_file_s(tmp_path: Path) -> None:
    """SQLite is told the file by address: what means something there is written otherwise."""
    path = tmp_path / "50% 猫?mode=memory#1.sqlite3"
    Database(path, TABLES, form=1).close()
    DatabaseReader(path, form=1).close()
    assert path.exists()


def test_threads_take_turns(database: Database) -> None:
    """A transaction of one is never mixed with what another executes."""

    def add() -> None:
        for _ in range(50):
            with database.transaction():
                (count,) = database.execute("SELECT COUNT(*) FROM thing").fetchone()
                database.execute("INSERT INTO thing VALUES (?)", (str(count),))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {name for (name,) in database.execute("SELECT name FROM thing")}
    assert names == {str(number) for number in range(200)}


def test_one_process_works_on_a_file(tmp_path: Path) -> None:
    """The second is told so, until the first lets go."""
    path = tmp_path / "things.sqlite3"
    lock = held_alone(path)
    with pytest.raises(ArchiveUnavailable, match="another process"):
        held_alone(path)
    os.close(lock)
    os.close(held_alone(path))


def test_an_older_file_gets_what_it_lacks(database: Database) -> None:
    """A table that came later is no other form: it is added, and what is there stays."""
    with database.transaction():
        database.execute("INSERT INTO thing VALUES ('x')")
    later = ("CREATE TABLE IF NOT EXISTS more (name TEXT)",)
    for _ in range(2):
        opened = Database(database.path, TABLES, form=1, later=later)
        with opened.transaction():
            opened.execute("INSERT INTO more VALUES ('y')")
        opened.close()
    assert database.execute("SELECT COUNT(*) FROM more").fetchone() == (2,)
    assert database.execute("SELECT COUNT(*) FROM thing").fetchone() == (1,)
