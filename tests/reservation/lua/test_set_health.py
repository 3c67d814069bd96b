"""set_health.lua: what is noted of the health of levels, and what has crossed a limit."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from tests.reservation.lua.calls import STOCK, Call, batch, set_health
from tests.reservation.lua.partition import Partition, Row, check, logged

RISK = "at_risk 0.5 7 1.5 7 7"
FELL = "at_risk 0.6 0.5 3 0 5"

ROWS = [
    Row(
        "the first note",
        (STOCK,),
        set_health("CAT@main", RISK),
        [1],
        {"health CAT@main": RISK, "health .": "5-0"},
    ),
    Row(
        "a crossing is an event",
        (STOCK,),
        set_health("CAT@main", RISK, FELL),
        [1],
        {
            "health CAT@main": RISK,
            "health .": "5-0",
            **logged(f"W\tCAT@main\t\t{FELL}"),
        },
    ),
    Row(
        "a crossing that another caller has told already",
        (STOCK, set_health("CAT@main", RISK, FELL)),
        set_health("CAT@main", RISK, FELL, expected="5-0", position="5-0"),
        [1],
        {},
    ),
    Row(
        "back to healthy where nothing is noted",
        (STOCK,),
        set_health("CAT@main", "", "healthy 0.1 1 0 0 9"),
        [1],
        {"health .": "5-0"},
    ),
    Row(
        "several levels, one entry of the log",
        (STOCK,),
        batch(set_health("CAT@main", RISK, FELL), set_health("DOG@main", RISK, FELL)),
        [1],
        {
            "health CAT@main": RISK,
            "health DOG@main": RISK,
            "health .": "5-0",
            **logged(f"W\tCAT@main\t\t{FELL}", f"W\tDOG@main\t\t{FELL}"),
        },
    ),
    Row(
        "what is quiet again is cleared",
        (STOCK, set_health("CAT@main", RISK)),
        set_health("CAT@main", "", expected="5-0", position="6-0"),
        [1],
        {"health CAT@main": None, "health .": "6-0"},
    ),
    Row(
        "the position alone",
        (STOCK,),
        Call("set_health", ("", "7-1")),
        [1],
        {"health .": "7-1"},
    ),
    Row(
        "who expects another position changes nothing",
        (STOCK, set_health("CAT@main", RISK)),
        set_health("CAT@main", "", FELL, expected="4-0", position="6-0"),
        [0],
    ),
    Row(
        "nor who expects none",
        (STOCK, set_health("CAT@main", RISK)),
        set_health("CAT@main", "", FELL, position="6-0"),
        [0],
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


@pytest.mark.parametrize(
    "call",
    [
        Call("set_health", ("", "5")),
        Call("set_health", ("", "")),
        Call("set_health", ("", "5-0", "CAT@main", "x")),
        set_health("CAT", RISK),
        set_health(".@main", RISK),
        set_health("CAT@main", "a\tb"),
        set_health("CAT@main", RISK, "a\nb"),
        set_health("CAT@main", RISK, expected="\n"),
    ],
    ids=str,
)
def test_a_callers_bug_is_named(partition: Partition, call: Call) -> None:
    """And nothing is written."""
    partition.run(STOCK)
    before = partition.state()
    with pytest.raises(ResponseError, match="BADARG"):
        partition.run(call)
    assert partition.state() == before
