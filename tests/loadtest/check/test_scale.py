"""The judge's cost grows with the history as n log n does, also where all of it is one SKU."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from loadtest.check.judge import judge
from loadtest.check.rules import Rule
from loadtest.history import Call, Record
from tests.loadtest.check.scale import write_long
from tests.loadtest.check.story import LONG_MS, TEA, Story, write

ORDERS = 2_000
TIMES = 4  # as long; n log n takes 4.7 times as long, n squared 16 times


def _seconds(path: Path) -> float:
    """Take the better of two: the machine may be busy."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        assert judge([path]).ok
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.chaos
@pytest.mark.parametrize("skus", [1, 100])
def test_four_times_the_calls_take_about_four_times_as_long(tmp_path: Path, skus: int):
    """Hot with thousands of refusals looked up, and wide: neither grows like the square."""
    write_long(tmp_path / "short", ORDERS, skus=skus)
    write_long(tmp_path / "long", ORDERS * TIMES, skus=skus)
    assert _seconds(tmp_path / "long") < 2 * TIMES * _seconds(tmp_path / "short")
    refused = judge([tmp_path / "long"]).judged[Rule.REFUSALS]
    assert refused > ORDERS if skus == 1 else refused == 0


def test_one_id_with_very_many_calls(tmp_path: Path):
    """Thousands of overlapping repeats of one order, every fifth unanswered, are one life."""
    _write_repeats(tmp_path / "short", ORDERS)
    _write_repeats(tmp_path / "long", ORDERS * TIMES)
    assert _seconds(tmp_path / "long") < 2 * TIMES * _seconds(tmp_path / "short")
    assert judge([tmp_path / "long"]).notes == []


def _write_repeats(path: Path, count: int) -> None:
    draw = Random(1)
    story = Story()
    story.stock("stock", TEA, 10)
    story.reserve("repeated", {TEA: 1}, ttl_ms=count * LONG_MS)
    granted = story.records["reserve repeated"]
    assert isinstance(granted, Call)
    calls: list[Record] = []
    for number in range(count):
        start = granted.end + 1 + number * 100
        interval = {"start": start, "end": start + draw.randrange(5_000)}
        if draw.random() < 0.2:
            lost = {"lost": "thrown_away", "status": None, "state": None, "expires_at_us": None}
            calls.append(replace(granted, **interval, **lost))
        else:
            calls.append(replace(granted, **interval, status=200, replayed=True))
    story.wait(count + 6_000)
    story.read("repeated", "held", {TEA: (1, 0)})
    story.balance(TEA, on_hand=10, safety_stock=0, held=1, committed=0)
    write(path, [*story.records.values(), *calls])
