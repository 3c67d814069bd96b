"""`holdfast bench`: every suite runs to its end and says what it compared."""

from __future__ import annotations

import json

import pytest

from tests.ops.service import holdfast

RATIOS = {"store": 2, "breaker": 4, "engine": 1, "http": 2}


@pytest.mark.parametrize("suite", RATIOS)
def test_a_suite_says_what_it_compared(suite: str) -> None:
    """A short run: its figures mean nothing, but they are all there."""
    ended = holdfast("bench", suite, "--orders", "1000", "--repetitions", "1", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["machine"]
    assert len(told["comparisons"]) == RATIOS[suite]
    for comparison in told["comparisons"]:
        assert comparison["a_median"] > 0
        assert comparison["b_median"] > 0
        assert comparison["ratio_a_to_b"] > 0
