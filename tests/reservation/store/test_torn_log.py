"""torn_log.py: what a power cut left of a transaction goes before a server loads the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from reservation.store import torn_log
from reservation.store.torn_log import BEGIN, END, WINDOW_BYTES

SET = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
WHOLE = BEGIN + SET + SET + END
NAME = "appendonly.aof.7.incr.aof"
MANIFEST = f"file appendonly.aof.7.base.rdb seq 7 type b\nfile {NAME} seq 7 type i\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Lay the directory of a server's log; its last file is empty."""
    directory = tmp_path / "appendonlydir"
    directory.mkdir()
    (directory / "appendonly.aof.manifest").write_text(MANIFEST)
    (directory / "appendonly.aof.6.incr.aof").write_bytes(BEGIN)  # of an older generation
    made = directory / NAME
    made.write_bytes(b"")
    return made


@pytest.mark.parametrize("kept", [b"", SET, WHOLE, SET + WHOLE, WHOLE + SET, WHOLE * 3])
def test_what_is_whole_stays(tmp_path: Path, log: Path, kept: bytes) -> None:
    """A log without an unfinished transaction is left as it is."""
    log.write_bytes(kept)
    assert torn_log.mend(tmp_path) == 0
    assert log.read_bytes() == kept


@pytest.mark.parametrize("kept", [b"", SET, WHOLE, WHOLE + SET])
def test_every_cut_through_a_transaction(tmp_path: Path, log: Path, kept: bytes) -> None:
    """From the end of MULTI to before the end of EXEC the transaction goes, whole."""
    for length in range(len(WHOLE)):
        log.write_bytes(kept + WHOLE[:length])
        begun = length >= len(BEGIN)  # else the server itself drops the half word
        assert torn_log.mend(tmp_path) == (length if begun else 0)
        assert log.read_bytes() == kept + (b"" if begun else WHOLE[:length])


@pytest.mark.parametrize("by", range(-len(BEGIN), len(BEGIN)))
def test_a_transaction_longer_than_one_look(tmp_path: Path, log: Path, by: int) -> None:
    """Its beginning is found however far back it is, also across two looks."""
    log.write_bytes(WHOLE + BEGIN + b"x" * (WINDOW_BYTES - by))
    torn_log.mend(tmp_path)
    assert log.read_bytes() == WHOLE


def test_there_is_no_log(tmp_path: Path) -> None:
    """A first start has nothing to mend."""
    assert torn_log.mend(tmp_path) == 0
