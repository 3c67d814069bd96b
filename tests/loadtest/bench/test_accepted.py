"""The guard against getting worse, with figures made up by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench.accepted import Change, failed, judge, read, write
from loadtest.bench.bars import GUARDED
from reservation.errors import ConfigurationError

RATIO, BYTES = "store-hot", "memory-hot"  # more is better; less is better

# row, accepted, interval now -> what it is
CASES = {
    "as it was": (RATIO, 5.0, (4.9, 5.1), Change.HOLDS),
    "better": (RATIO, 5.0, (7.0, 7.5), Change.HOLDS),
    "worse, but within 15 %": (RATIO, 5.0, (4.3, 4.4), Change.HOLDS),
    "worse, but the interval reaches 85 %": (RATIO, 5.0, (3.0, 4.25), Change.HOLDS),
    "wholly below 85 %": (RATIO, 5.0, (3.0, 4.24), Change.WORSE),
    "bytes as they were": (BYTES, 100.0, (99.0, 101.0), Change.HOLDS),
    "fewer bytes": (BYTES, 100.0, (60.0, 61.0), Change.HOLDS),
    "more bytes, within 15 %": (BYTES, 100.0, (112.0, 114.0), Change.HOLDS),
    "more bytes, but the interval reaches 115 %": (BYTES, 100.0, (114.9, 130.0), Change.HOLDS),
    "wholly above 115 %": (BYTES, 100.0, (115.1, 130.0), Change.WORSE),
    "one repetition": (RATIO, 5.0, None, Change.UNPROVEN),
    "nothing accepted": (RATIO, None, (1.0, 1.1), Change.NEW),
}


def _summary(key: str, interval: tuple[float, float] | None) -> dict:
    result = sum(interval) / 2 if interval else 1.0
    side = {"median": 1.0}
    return {
        "key": key,
        "name": key,
        "unit": "µs",
        "result": result,
        "interval_95": interval,
        "a": side,
        "b": None,
        "notes": {},
    }


@pytest.mark.parametrize("case", CASES)
def test_a_row_is_worse_where_its_whole_interval_is_beyond_15_percent(case: str) -> None:
    key, was, interval, change = CASES[case]
    accepted = {"rows": {} if was is None else {key: {"result": was}}}
    judged = {row.key: row for row in judge(accepted, [_summary(key, interval)])}
    assert judged[key].change is change


def test_the_guard_fails_for_what_is_worse_or_was_not_measured_properly() -> None:
    rows = {key: {"result": 2.0} for key in GUARDED}
    good = [_summary(key, (1.9, 2.1)) for key in GUARDED]
    assert not failed(judge({"rows": rows}, good))
    assert not failed(judge({"rows": {}}, good))
    assert failed(judge({"rows": rows}, good[1:]))
    assert failed(judge({"rows": rows}, [*good[1:], _summary(GUARDED[0], None)]))
    assert failed(judge({"rows": rows}, [*good[1:], _summary(GUARDED[0], (1.0, 1.1))]))


def test_what_is_accepted_is_what_is_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "accepted.json"
    measured = [_summary(key, (1.9, 2.1)) for key in GUARDED]
    write(file, {"cpu": "x"}, [*measured, _summary("store-beside", (1.0, 2.0))])
    accepted = read(file)
    assert accepted["machine"] == {"cpu": "x"}
    assert set(accepted["rows"]) == set(GUARDED)
    assert {row.was for row in judge(accepted, measured)} == {2.0}


def test_a_part_of_the_rows_is_not_accepted(tmp_path: Path) -> None:
    file = tmp_path / "accepted.json"
    with pytest.raises(ConfigurationError, match="http-cpu"):
        write(file, {}, [_summary(key, (1.9, 2.1)) for key in GUARDED if key != "http-cpu"])
    assert not file.exists()


def test_where_nothing_was_accepted_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--accept"):
        read(tmp_path / "none.json")
