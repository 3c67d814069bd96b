"""_verbs.lua: how operations on reservations are given, and what the scripts refuse to take."""

from __future__ import annotations

from typing import Any

import pytest
from redis import ResponseError

from tests.reservation.lua.calls import (
    BY,
    MAX_HOLD,
    RETENTION,
    STOCK,
    T0,
    Advance,
    Call,
    batch,
    confirm,
    extend,
    release,
    reserve,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

TWO_HELD = (STOCK, batch(reserve("tmall:1", "1 CAT@main"), reserve("tmall:2", "1 CAT@main")))
HEADS = {"confirm": (RETENTION,), "release": (RETENTION,), "extend": (RETENTION, MAX_HOLD)}
OWN = {"confirm": "=0", "release": "=why", "extend": "=5"}

ROWS = [
    Row(
        "deadlines of holds that were made together differ",
        TWO_HELD,
        batch(extend("tmall:1", 5), extend("tmall:2", 6)),
        [f"H{T0},5\n1 CAT@main", f"H{T0},6\n1 CAT@main"],
        {
            "reservations tmall:1": f"H{T0},5\n1 CAT@main",
            "reservations tmall:2": f"H{T0},6\n1 CAT@main",
            f"due {T0}-3@{T0 + 5}.1 1\ntmall:1": T0 + 5,
            f"due {T0}-3@{T0 + 6}.1 1\ntmall:2": T0 + 6,
            **logged(
                f"E\ttmall:1\t{BY}\t{T0 + 5}\t1 CAT@main",
                f"E\ttmall:2\t{BY}\t{T0 + 6}\t1 CAT@main",
            ),
        },
    ),
    Row(
        "reasons and origins of releases differ",
        (*TWO_HELD, Advance(7)),
        batch(release("tmall:1", "no pay"), release("tmall:2", "lost", by="other|req")),
        [f"R{T0},,7\n1 CAT@main", f"R{T0},,7\n1 CAT@main"],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"R{T0},,7\n1 CAT@main",
            "reservations tmall:2": f"R{T0},,7\n1 CAT@main",
            **logged(
                f"R\ttmall:1\t{BY}\tH no pay\t1 CAT@main",
                "R\ttmall:2\tother|req\tH lost\t1 CAT@main",
                balances="10 0 0 0 CAT@main",
            ),
        },
    ),
    Row(
        "one of two that were made together is confirmed later",
        (*TWO_HELD, confirm("tmall:1"), Advance(7)),
        batch(confirm("tmall:1"), confirm("tmall:2")),
        [f"C{T0},0\n1 CAT@main", f"C{T0},7\n1 CAT@main"],
        {
            "held CAT@main": 0,
            "committed CAT@main": 2,
            "reservations tmall:2": f"C{T0},7\n1 CAT@main",
            **logged(f"C\ttmall:2\t{BY}\t\t1 CAT@main", balances="10 0 0 2 CAT@main"),
        },
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def bad(verb: str) -> dict[str, list[Any]]:
    """Give argument lists that only a bug of the caller would send."""
    own = OWN[verb]
    return {
        "an id twice": ["|k|r", own, "tmall:1", "tmall:2", "tmall:1"],
        "an id that none can have": ["|k|r", own, "tmall:1", "no id"],
        "the sentinel": ["|k|r", own, "."],
        "no origin": [own, "tmall:1"],
        "no argument of the verb": ["|k|r", "tmall:1"],
        "an origin of two": ["|k|r\tk|r", own, "tmall:1"],
        "an origin of two lines": ["|k|r\nX", own, "tmall:1"],
        "an origin with a record": ["|k|r\x1etmall:1", own, "tmall:1"],
        "a large origin": ["|" + "x" * 601, own, "tmall:1"],
        "an argument that is none of the verb's": ["|k|r", "=\t", "tmall:1"],
    }


@pytest.mark.parametrize("verb", HEADS)
@pytest.mark.parametrize("what", bad("confirm"))
def test_bad_arguments(partition: Partition, verb: str, what: str) -> None:
    """They are refused whole; nothing is written."""
    for step in TWO_HELD:
        partition.run(step)
    before = partition.state()
    with pytest.raises(ResponseError, match="BADARG"):
        partition.run(Call(verb, HEADS[verb], (tuple(bad(verb)[what]),)))
    assert before == partition.state()
