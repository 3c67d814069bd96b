"""Origins: what would break the grammar of events is refused by every script alike.

Of the verbs that take theirs behind a `|`, `test_verbs.py` tells the same.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import ResponseError

from tests.reservation.lua.calls import (
    BY,
    STOCK,
    Argument,
    Call,
    adjust_stock,
    fulfil,
    on_breaker,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition

CALLS = {
    call.script: call
    for call in (
        set_stock("CAT@main", 7),
        adjust_stock("CAT@main", 7, "a1"),
        on_breaker("T", "CAT", "fire"),
        fulfil("tmall:1"),
    )
}
BAD = {
    "a tab": "k|r\tk|r",
    "a line": "k|r\nX",
    "a record": "k|r\x1etmall:1",
    "too long": "x" * 601,
}


def from_origin(call: Call, origin: Argument) -> Call:
    """Let another origin ask."""
    (operation,) = call.operations
    return replace(call, operations=(tuple(origin if each == BY else each for each in operation),))


@pytest.fixture
def settled(partition: Partition) -> Partition:
    """Lay stock, and a confirmed order."""
    partition.run(STOCK)
    partition.run(reserve("tmall:1", "1 CAT@main", ttl=0))
    return partition


@pytest.mark.parametrize("script", CALLS)
@pytest.mark.parametrize("what", BAD)
def test_an_origin_that_would_break_the_log_is_refused(
    settled: Partition, script: str, what: str
) -> None:
    """It is a bug of the caller and changes nothing."""
    before = settled.state()
    with pytest.raises(ResponseError, match="BADARG origin"):
        settled.run(from_origin(CALLS[script], BAD[what]))
    assert before == settled.state()


@pytest.mark.parametrize("script", CALLS)
def test_the_longest_origin_is_taken(settled: Partition, script: str) -> None:
    before = settled.state()
    settled.run(from_origin(CALLS[script], "k|" + "r" * 598))
    assert before != settled.state()


def test_a_missing_origin_is_refused(settled: Partition) -> None:
    """Only fulfilments have no count of arguments that would show it."""
    with pytest.raises(ResponseError, match="BADARG origin"):
        settled.run(replace(CALLS["fulfil"], operations=(("tmall:1",),)))
