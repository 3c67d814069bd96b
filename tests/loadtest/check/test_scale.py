"""The judge's cost grows with the history as n log n does, also where all of it is one SKU."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from loadtest.check.judge import judge
from loadtest.check.rules import Rule
from tests.loadtest.check.scale import write_long

ORDERS = 4_000
TIMES = 4  # as long; n log n takes 4.7 times as long, n squared 16 times


def _seconds(path: Path) -> float:
    """Take the best of three: the machine may be busy."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        assert judge([path]).ok
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize("wide", [False, True])
def test_four_times_the_calls_take_about_four_times_as_long(tmp_path: Path, wide: bool):  # noqa: FBT001  # a row
    """Hot with thousands of refusals looked up, and wide: neither grows like the square."""
    write_long(tmp_path / "short", ORDERS, wide=wide)
    write_long(tmp_path / "long", ORDERS * TIMES, wide=wide)
    assert _seconds(tmp_path / "long") < 2 * TIMES * _seconds(tmp_path / "short")
    refused = judge([tmp_path / "long"]).judged[Rule.REFUSALS]
    assert refused > ORDERS if not wide else refused == 0
