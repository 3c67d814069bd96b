"""The history's format: what is written is read, and a broken file is named for what it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtest.history import (
    Balance,
    Call,
    End,
    Head,
    HistoryFile,
    HistoryUnreadable,
    HistoryWriter,
    Record,
    Reservation,
    Stock,
)

RUN = Head(scenario="hot_sku", seed=7, started_at="2026-01-22T10:00:00Z", clock_error_us=2_000)
CALL = '{"type":"call","client":"a","op":"reserve","id":"a:1","start":1,"end":2,'
RECORDS: tuple[Record, ...] = (
    Stock(sku="猫粮", warehouse="main", on_hand=5, safety_stock=1, start=1, end=2),
    Call(
        client="a",
        op="reserve",
        id="tmall:1",
        start=3,
        end=4,
        status=409,
        slug="insufficient-stock",
        lines=(("猫粮", "main", 5),),
        short=(("猫粮", "main", 5, 4),),
    ),
    Call(client="a", op="confirm", id="tmall:1", start=5, end=6, lost="timed_out"),
    Reservation(id="tmall:1", state="missing", start=7, end=8),
    Balance(
        sku="猫粮",
        warehouse="main",
        on_hand=5,
        safety_stock=1,
        held=0,
        committed=0,
        available=4,
        start=7,
        end=8,
    ),
)


def _write(path: Path) -> None:
    with HistoryWriter(path, RUN) as history:
        for record in RECORDS:
            history.write(record)


@pytest.mark.parametrize("name", ["history.ndjson", "history.ndjson.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str):
    """A history comes back record by record with its line numbers, plain and packed."""
    _write(tmp_path / name)
    file = HistoryFile(tmp_path / name)
    assert list(file) == list(enumerate([RUN, *RECORDS, End()], 1))
    assert file.complete
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_an_existing_history_is_kept(tmp_path: Path):
    """A writer never writes over what is there."""
    path = tmp_path / "history.ndjson"
    _write(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        _write(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["history.ndjson", "history.ndjson.gz"])
@pytest.mark.parametrize("lost", [1, 10, 30])
def test_a_file_that_breaks_off_is_not_complete(tmp_path: Path, name: str, lost: int):
    """What a killed generator leaves is read to where it ends, and said to be cut off."""
    path = tmp_path / name
    _write(path)
    path.write_bytes(path.read_bytes()[:-lost])
    file = HistoryFile(path)
    read = [record for _, record in file]
    assert read == [RUN, *RECORDS, End()][: len(read)]
    assert file.complete == (lost == 1)  # a newline, a byte of a checksum: no record is missing


@pytest.mark.parametrize("name", ["history.ndjson", "history.ndjson.gz"])
def test_what_was_handed_over_outlives_its_writer(tmp_path: Path, name: str):
    """A run that is killed has at least the stock that it began with."""
    writer = HistoryWriter(tmp_path / name, RUN)
    writer.write(RECORDS[0])
    writer.flush()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes((tmp_path / name).read_bytes())
    writer.close()
    file = HistoryFile(cut)
    assert [record for _, record in file] == [RUN, RECORDS[0]]
    assert not file.complete


def test_a_writer_that_fails_leaves_no_end(tmp_path: Path):
    """An error within the run leaves a history without `End`."""
    path = tmp_path / "history.ndjson"
    with pytest.raises(ZeroDivisionError), HistoryWriter(path, RUN):
        _ = 1 / 0
    file = HistoryFile(path)
    assert [record for _, record in file] == [RUN]
    assert not file.complete


@pytest.mark.parametrize(
    ("line", "text", "reason"),
    [
        (1, '{"type":"end"}', "the first line"),
        (2, '{"type":"run","scenario":"s","seed":1,"started_at":"x"}', "the first line"),
        (1, '{"type":"run","scenario":"s","seed":1,"started_at":"x","version":2}', "version 2"),
        (2, "{", "truncated"),
        (2, '{"type":"call"}', "missing required field"),
        (2, '{"type":"rumour"}', "Invalid value 'rumour'"),
        (2, '{"type":"reservation","id":"a:1","state":"missing","start":2,"end":1}', "ends before"),
        (2, '{"type":"end"}', "something follows the end"),
        (3, CALL + '"status":201,"lost":"reset"}', "either a `status`"),
        (3, CALL + '"state":"held"}', "either a `status`"),
        (3, CALL + '"status":201,"expires_at":5}', "unknown field `expires_at`"),
        (3, CALL + '"status":201,"expires_at_us":288230376151711745}', "Expected `int` <="),
        (3, CALL + '"status":201,"ttl_ms":70368744177665}', "Expected `int` <="),
        (3, CALL + '"status":201,"lines":[["a","main",1099511627777]]}', "Expected `int` <="),
        (6, '{"type":"end","x":1}', "unknown field `x`"),
    ],
)
def test_what_is_no_history_is_named(tmp_path: Path, line: int, text: str, reason: str):
    """A line that cannot be is refused with file, line and reason."""
    path = tmp_path / "history.ndjson"
    _write(path)
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(HistoryUnreadable, match=reason) as caught:
        list(HistoryFile(path))
    assert str(caught.value).startswith(f"{path}:")


def test_a_pipe_is_no_file(tmp_path: Path):
    """It cannot be looked at twice; the error says what to do."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HistoryUnreadable, match="write it to a file and name that"):
        HistoryFile(tmp_path / "pipe")


def test_a_file_that_is_not_there(tmp_path: Path):
    """A missing file is named."""
    with pytest.raises(HistoryUnreadable, match=r"nowhere\.ndjson: No such file"):
        HistoryFile(tmp_path / "nowhere.ndjson")
