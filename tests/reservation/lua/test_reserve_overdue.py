"""reserve.lua among overdue holds: what is reclaimed on the way, and when it answers MORE."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    STOCK,
    T0,
    TTL,
    Advance,
    batch,
    breaker,
    confirm,
    expire,
    extend,
    position,
    raw,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

SHORT_TTL = 5
NOW = T0 + SHORT_TTL
DONE = Status.DONE
MORE = [Status.MORE]

# Six overdue holds in six entries of `due`: a call reclaims four of them.
BACKLOG = (
    STOCK,
    *(reserve(f"tmall:o{n}", "1 CAT@main", ttl=SHORT_TTL) for n in range(6)),
    Advance(SHORT_TTL),
)


def expired(number: int) -> str:
    """Write the event of an expired hold of the backlog."""
    return f"X\ttmall:o{number}\t\t{NOW}\t1 CAT@main"


def reclaimed(
    numbers: Sequence[int], first_position: int = 2, ended: Sequence[int] = ()
) -> dict[str, object]:
    """Expect the entries of the backlog with these numbers to be worked off; `ended` has more."""
    ids = [f"tmall:o{n}" for n in ended or numbers]
    changes: dict[str, object] = {f"ended {NOW}-0.1\n" + "\n".join(ids): NOW}
    for number in numbers:
        changes[f"reservations tmall:o{number}"] = f"X{T0},,{SHORT_TTL}\n1 CAT@main"
        changes[f"due {position(first_position + number)}.1 1\ntmall:o{number}"] = None
    return changes


FOUR = range(4)
ONLY_THE_RECLAIM = {
    "held CAT@main": 2,
    **reclaimed(FOUR),
    **logged(*(expired(n) for n in FOUR), balances="10 0 2 0 CAT@main"),
}

ROWS = [
    Row(
        "what fits is granted at once, the backlog does not delay it",
        BACKLOG,
        reserve("tmall:1", "8 CAT@main", ttl=0),
        [DONE],
        {
            "held CAT@main": 2,
            "committed CAT@main": 8,
            "reservations tmall:1": f"C{NOW},0\n8 CAT@main",
            **reclaimed(FOUR),
            **logged(
                *(expired(n) for n in FOUR),
                f"D\ttmall:1\t{BY}\t\t8 CAT@main",
                balances="10 0 2 8 CAT@main",
            ),
        },
    ),
    Row(
        "what would be refused for stock answers MORE: only the reclaim is written",
        BACKLOG,
        reserve("tmall:1", "9 CAT@main"),
        MORE,
        ONLY_THE_RECLAIM,
    ),
    Row(
        "MORE is for the whole call: grants before the refused operation are dropped",
        BACKLOG,
        batch(
            reserve("tmall:1", "1 DOG@main"),
            reserve("tmall:2", "3 CAT@main", ttl=0),
            reserve("tmall:3", "9 CAT@main"),
            reserve("tmall:4", "1 DOG@main"),
        ),
        MORE,
        ONLY_THE_RECLAIM,
    ),
    Row(
        "the same call again finds the rest and is granted",
        (*BACKLOG, reserve("tmall:1", "10 CAT@main")),
        reserve("tmall:1", "10 CAT@main", ttl=0),
        [DONE],
        {
            "held CAT@main": 0,
            "committed CAT@main": 10,
            "reservations tmall:1": f"C{NOW},0\n10 CAT@main",
            "reservations tmall:o4": f"X{T0},,{SHORT_TTL}\n1 CAT@main",
            "reservations tmall:o5": f"X{T0},,{SHORT_TTL}\n1 CAT@main",
            f"due {position(6)}.1 1\ntmall:o4": None,
            f"due {position(7)}.1 1\ntmall:o5": None,
            f"ended {NOW}-1.1\ntmall:o4\ntmall:o5": NOW,
            **logged(
                expired(4),
                expired(5),
                f"D\ttmall:1\t{BY}\t\t10 CAT@main",
                balances="10 0 0 10 CAT@main",
            ),
        },
    ),
    Row(
        "a hold dropped by MORE leaves no hint, although an extended one falls due with it",
        (
            STOCK,
            reserve("tmall:x", "1 DOG@main", ttl=SHORT_TTL),
            extend("tmall:x", SHORT_TTL + TTL),
            *BACKLOG[1:],
        ),
        batch(reserve("tmall:1", "1 DOG@main", ttl=TTL), reserve("tmall:2", "10 CAT@main")),
        MORE,
        {
            "held CAT@main": 3,
            "reservations tmall:x": f"H{T0},{SHORT_TTL + TTL}\n1 DOG@main",
            f"due {position(2)}.1 1\ntmall:x": None,
            f"due {NOW}-0.1 1\ntmall:x": NOW + TTL,
            **reclaimed(range(3), 4),
            **logged(*(expired(n) for n in range(3)), balances="10 0 3 0 CAT@main"),
        },
    ),
    Row(
        "what is unknown or a replay is told without waiting for the backlog",
        BACKLOG,
        batch(reserve("tmall:1", "1 FOX@main"), reserve("tmall:o5", "1 CAT@main")),
        [
            [Status.UNKNOWN_SKU, "FOX@main"],
            [Status.REPLAYED, f"X{T0},,{SHORT_TTL}\n1 CAT@main"],
        ],
        {
            "held CAT@main": 1,
            **reclaimed(FOUR, ended=(*FOUR, 5)),
            "reservations tmall:o5": f"X{T0},,{SHORT_TTL}\n1 CAT@main",
            **logged(
                *(expired(n) for n in (*FOUR, 5)),
                balances="10 0 1 0 CAT@main",
            ),
        },
    ),
    Row(
        "a suspended SKU is told without waiting for the backlog",
        (*BACKLOG, raw("HSET", "breaker", "DOG", breaker("M", T0))),
        reserve("tmall:1", "1 DOG@main, 99 CAT@main"),
        [[Status.SKU_SUSPENDED, "DOG", T0, 0, ""]],
        ONLY_THE_RECLAIM,
    ),
    Row(
        "with four entries overdue there is no MORE: the refusal stands, the failure counts",
        (STOCK, *BACKLOG[1:5], Advance(SHORT_TTL)),
        reserve("tmall:1", "11 CAT@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "11", "10"]],
        {
            "held CAT@main": 0,
            "breaker CAT": breaker("C", window=f"{NOW} tmall:1"),
            **reclaimed(FOUR),
            **logged(
                *(expired(n) for n in FOUR),
                f"L\tCAT\t{BY}\ttmall:1\t11 10 CAT@main",
                balances="10 0 0 0 CAT@main",
            ),
        },
    ),
    Row(
        "a hold is overdue in the millisecond of its deadline",
        (STOCK, reserve("tmall:o0", "10 CAT@main", ttl=SHORT_TTL), Advance(SHORT_TTL)),
        reserve("tmall:1", "10 CAT@main", ttl=0),
        [DONE],
        {
            "held CAT@main": 0,
            "committed CAT@main": 10,
            "reservations tmall:o0": f"X{T0},,{SHORT_TTL}\n10 CAT@main",
            "reservations tmall:1": f"C{NOW},0\n10 CAT@main",
            f"due {position(2)}.1 1\ntmall:o0": None,
            f"ended {NOW}-0.1\ntmall:o0": NOW,
            **logged(
                f"X\ttmall:o0\t\t{NOW}\t10 CAT@main",
                f"D\ttmall:1\t{BY}\t\t10 CAT@main",
                balances="10 0 0 10 CAT@main",
            ),
        },
    ),
    Row(
        "a millisecond before, it is not",
        (STOCK, reserve("tmall:o0", "10 CAT@main", ttl=SHORT_TTL), Advance(SHORT_TTL - 1)),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "1", "0"]],
        {
            "breaker CAT": breaker("C", window=f"{NOW - 1} tmall:1"),
            **logged(f"L\tCAT\t{BY}\ttmall:1\t1 0 CAT@main", balances="10 0 10 0 CAT@main"),
        },
    ),
    Row(
        "of holds that were confirmed the hints are dropped, those of released ones clear receipts",
        (
            *(STOCK, *BACKLOG[1:4]),
            confirm("tmall:o0"),
            release("tmall:o1"),
            Advance(SHORT_TTL),
        ),
        reserve("tmall:1", "1 DOG@main", ttl=0),
        [DONE],
        {
            "held CAT@main": 0,
            "committed DOG@main": 1,
            "reservations tmall:1": f"C{NOW},0\n1 DOG@main",
            "reservations tmall:o2": f"X{T0},,{SHORT_TTL}\n1 CAT@main",
            **{f"due {position(2 + n)}.1 1\ntmall:o{n}": None for n in range(3)},
            f"ended {NOW}-0.1\ntmall:o1\ntmall:o2": NOW,
            **logged(
                expired(2),
                f"D\ttmall:1\t{BY}\t\t1 DOG@main",
                balances=("10 0 0 1 CAT@main", "5 1 0 1 DOG@main"),
            ),
        },
    ),
    Row(
        "a hold that was extended keeps its units: its hint moves to the new deadline",
        (
            STOCK,
            reserve("tmall:o0", "10 CAT@main", ttl=SHORT_TTL),
            extend("tmall:o0", 9),
            Advance(SHORT_TTL),
        ),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "1", "0"]],
        {
            "reservations tmall:o0": f"H{T0},9\n10 CAT@main",
            f"due {position(2)}.1 1\ntmall:o0": None,
            f"due {NOW}-0.1 1\ntmall:o0": T0 + 9,
            "breaker CAT": breaker("C", window=f"{NOW} tmall:1"),
            **logged(f"L\tCAT\t{BY}\ttmall:1\t1 0 CAT@main", balances="10 0 10 0 CAT@main"),
        },
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_a_cool_down_that_ends_is_not_told_by_a_call_that_answers_more(
    partition: Partition,
) -> None:
    """MORE decides nothing: what the clock did to a breaker waits for the call that decides."""
    for step in BACKLOG:
        partition.run(step)
    partition.client.hset(
        "hf:{p0000}:breaker",
        "CAT",
        breaker("O", T0, failures=3, retry_at=NOW, cool_down=SHORT_TTL),
    )
    before = partition.state()["breaker CAT"]
    assert partition.run(reserve("tmall:1", "11 CAT@main"))[2:] == MORE
    assert before == partition.state()["breaker CAT"]
    assert partition.run(reserve("tmall:1", "11 CAT@main"))[2][0] == Status.INSUFFICIENT_STOCK
    assert "J" in [text[0] for text in _last_events(partition)]


def _last_events(partition: Partition) -> list[str]:
    entries = partition.client.xrevrange("hf:{p0000}:events", count=1)
    return entries[0][1]["e"].split("\n")


def test_large_orders_are_reclaimed_by_lines(partition: Partition) -> None:
    """A call stops at 500 lines of overdue holds, but always takes one entry."""
    levels = [f"S{n}@main" for n in range(300)]
    partition.run(batch(*(set_stock(level, 9) for level in levels)))
    for n in range(3):
        partition.run(reserve(f"tmall:o{n}", [(1, level) for level in levels], ttl=SHORT_TTL))
    partition.run(Advance(SHORT_TTL))
    left = []
    for _ in range(3):
        reply = partition.run(expire())
        left.append((reply[2], reply[3]))
    assert left == [(1, 1), (1, 1), (1, 0)]


def test_many_holds_of_one_call_share_entries_of_a_hundred(partition: Partition) -> None:
    """An entry of `due` names at most 100 ids, so that one costs little to reclaim."""
    partition.run(set_stock("CAT@main", 250))
    holds = [reserve(f"tmall:{n}", "1 CAT@main", ttl=SHORT_TTL) for n in range(250)]
    assert partition.run(batch(*holds))[2:] == [DONE]
    entries = [place for place in partition.state() if place.startswith("due 1")]
    assert sorted((text.count("\n") for text in entries), reverse=True) == [100, 100, 50]
    partition.run(Advance(SHORT_TTL))
    assert partition.run(expire())[2:4] == [250, 0]
    assert partition.state()["held CAT@main"] == "0"
