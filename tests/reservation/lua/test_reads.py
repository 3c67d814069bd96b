"""read_stock.lua, read_reservations.lua, audit_scan.lua, row by row: exact, and who writes."""

from __future__ import annotations

import pytest
import redis

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    POLICY,
    RETENTION,
    STOCK,
    T0,
    TTL,
    Advance,
    audit_scan,
    batch,
    breaker,
    confirm,
    expire,
    extend,
    fulfil,
    position,
    raw,
    read_reservations,
    read_stock,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

NOT_FOUND = Status.RESERVATION_NOT_FOUND
OVERDUE = (STOCK, reserve("tmall:1", "2 CAT@main", ttl=5), Advance(5))
BACKLOG = (
    STOCK,
    *(reserve(f"tmall:o{n}", "1 CAT@main", ttl=5) for n in range(5)),
    Advance(5),
)
RECLAIM = {
    "held CAT@main": 1,
    **{f"reservations tmall:o{n}": f"X{T0},,5\n1 CAT@main" for n in range(4)},
    **{f"due {position(2 + n)}.1 1\ntmall:o{n}": None for n in range(4)},
    f"ended {T0 + 5}-0.1\n" + "\n".join(f"tmall:o{n}" for n in range(4)): T0 + 5,
    **logged(
        *(f"X\ttmall:o{n}\t\t{T0 + 5}\t1 CAT@main" for n in range(4)),
        balances="10 0 1 0 CAT@main",
    ),
}

STOCK_ROWS = [
    Row(
        "every warehouse of every SKU asked, in the order they came; none of an unknown one",
        (STOCK, set_stock("CAT@east", 3, 1), reserve("tmall:1", "2 CAT@main, 1 CAT@east")),
        read_stock("CAT", "FOX", "DOG"),
        [
            POLICY,
            ["", *("main", "10", "0", "2", "0"), *("east", "3", "1", "1", "0")],
            [""],
            ["", "main", "5", "1", "0", "0"],
        ],
    ),
    Row("nothing asked, nothing told but the policy", (STOCK,), read_stock(), [POLICY]),
    Row(
        "a SKU may be asked twice, and may look like a level",
        (set_stock("a@b@main", 3),),
        read_stock("a@b", "a", "a@b", "a@b@main"),
        [POLICY, ["", "main", "3", "0", "0", "0"], [""], ["", "main", "3", "0", "0", "0"], [""]],
    ),
    Row(
        "the breaker is told as it is kept, an ended cool-down for the reader to see",
        (STOCK, raw("HSET", "breaker", "CAT", breaker("O", T0 - 9, retry_at=T0 - 4))),
        read_stock("CAT"),
        [POLICY, [breaker("O", T0 - 9, retry_at=T0 - 4), "main", "10", "0", "0", "0"]],
    ),
    Row(
        "an overdue hold is free in its millisecond: the read reclaims it",
        OVERDUE,
        read_stock("CAT"),
        [POLICY, ["", "main", "10", "0", "0", "0"]],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"X{T0},,5\n2 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {T0 + 5}-0.1\ntmall:1": T0 + 5,
            **logged(f"X\ttmall:1\t\t{T0 + 5}\t2 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "of whichever SKU it was",
        OVERDUE,
        read_stock("DOG"),
        [POLICY, ["", "main", "5", "1", "0", "0"]],
        {
            "held CAT@main": 0,
            "reservations tmall:1": f"X{T0},,5\n2 CAT@main",
            f"due {position(2)}.1 1\ntmall:1": None,
            f"ended {T0 + 5}-0.1\ntmall:1": T0 + 5,
            **logged(f"X\ttmall:1\t\t{T0 + 5}\t2 CAT@main", balances="10 0 0 0 CAT@main"),
        },
    ),
    Row(
        "with a backlog a read answers MORE: no quantity is told that is not exact",
        BACKLOG,
        read_stock("DOG"),
        [Status.MORE],
        RECLAIM,
    ),
]

AT_ONCE = (STOCK, reserve("tmall:1", "2 CAT@main", ttl=0))
RESERVATION_ROWS = [
    Row(
        "a hold",
        (STOCK, reserve("tmall:1", "2 CAT@main, 1 DOG@main")),
        read_reservations("tmall:1"),
        [f"H{T0},{TTL}\n2 CAT@main\n1 DOG@main"],
    ),
    Row(
        "an overdue hold reads as expired at its deadline, and nothing is written",
        (*OVERDUE, Advance(7)),
        read_reservations("tmall:1"),
        [f"X{T0},,5\n2 CAT@main"],
    ),
    Row(
        "so does one that was extended and is overdue now",
        (STOCK, reserve("tmall:1", "2 CAT@main", ttl=5), extend("tmall:1", 9), Advance(9)),
        read_reservations("tmall:1"),
        [f"X{T0},,9\n2 CAT@main"],
    ),
    Row(
        "one that was extended and stands is held, with its hint",
        (STOCK, reserve("tmall:1", "2 CAT@main", ttl=5), extend("tmall:1", 9), Advance(8)),
        read_reservations("tmall:1"),
        [f"H{T0},9,5\n2 CAT@main"],
    ),
    Row(
        "several, known or not, in the order asked, also twice",
        (*AT_ONCE, fulfil("tmall:1", "a", "1 CAT@main")),
        read_reservations("tmall:2", "tmall:1", "tmall:1"),
        [
            NOT_FOUND,
            f"C{T0},0\n2-1 CAT@main\n#a 1 CAT@main",
            f"C{T0},0\n2-1 CAT@main\n#a 1 CAT@main",
        ],
    ),
    Row(
        "a receipt to the last millisecond of its retention",
        (*AT_ONCE, release("tmall:1"), Advance(RETENTION - 1)),
        read_reservations("tmall:1"),
        [f"R{T0},0,0\n2 CAT@main"],
    ),
    Row(
        "not a millisecond longer",
        (*AT_ONCE, release("tmall:1"), Advance(RETENTION)),
        read_reservations("tmall:1"),
        [NOT_FOUND],
    ),
    Row(
        "a fulfilled one is forgotten as well",
        (*AT_ONCE, Advance(3), fulfil("tmall:1"), Advance(RETENTION)),
        read_reservations("tmall:1"),
        [NOT_FOUND],
    ),
    Row(
        "an overdue one that nobody swept is forgotten a retention after its deadline",
        (*OVERDUE, Advance(RETENTION)),
        read_reservations("tmall:1"),
        [NOT_FOUND],
    ),
    Row(
        "and known until then",
        (*OVERDUE, Advance(RETENTION - 1)),
        read_reservations("tmall:1"),
        [f"X{T0},,5\n2 CAT@main"],
    ),
    Row("none asked, none told", (STOCK,), read_reservations(), []),
    Row(
        "a backlog does not delay it",
        BACKLOG,
        read_reservations("tmall:o4"),
        [f"X{T0},,5\n1 CAT@main"],
    ),
]

SCAN_ROWS = [
    Row(
        "a chunk of a hash, sentinel and all",
        (STOCK,),
        audit_scan("held"),
        ["0", [".", "", "CAT@main", "0", "DOG@main", "0"]],
    ),
    Row(
        "of a sorted set members with their scores",
        (STOCK, reserve("tmall:1", "2 CAT@main")),
        audit_scan("due"),
        ["0", [f"{position(2)}.1 1\ntmall:1", str(T0 + TTL), ".", "inf"]],
    ),
    Row(
        "an overdue hold is scanned as it is kept: the audit writes nothing",
        OVERDUE,
        audit_scan("reservations"),
        ["0", [".", "", "tmall:1", f"H{T0},5\n2 CAT@main"]],
    ),
]


@pytest.mark.parametrize("row", [*STOCK_ROWS, *RESERVATION_ROWS, *SCAN_ROWS], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_a_read_that_fails_has_not_reclaimed(partition: Partition) -> None:
    """A breaker key of a wrong type fails the read before its first write, not after."""
    for step in OVERDUE:
        partition.run(step)
    partition.audited = False
    partition.client.delete("hf:{p0000}:breaker")
    partition.client.set("hf:{p0000}:breaker", "x")
    before = partition.state()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        partition.run(read_stock("CAT"))
    assert before == partition.state()


@pytest.mark.parametrize("call", [read_reservations("tmall:1"), audit_scan("held")])
def test_a_read_without_writes_runs_in_a_read_only_call(partition: Partition, call: object) -> None:
    """The server itself holds these scripts to their flag: EVALSHA_RO takes them."""
    partition.run(STOCK)
    script = partition.scripts[call.script]  # type: ignore[attr-defined]
    keys = script.keys(0)
    reply = partition.client.execute_command(
        "EVALSHA_RO",
        script.sha,
        len(keys),
        *keys,
        *call.arguments,  # type: ignore[attr-defined]
    )
    assert reply[1] == position(1)


def test_a_scan_with_a_cursor_reaches_every_field(partition: Partition) -> None:
    """Chunks cover a hash of any size, whatever the cursors look like."""
    rows = [set_stock(f"S{n}@main", n) for n in range(1000)]
    for first in range(0, 1000, 250):
        partition.run(batch(*rows[first : first + 250]))
    found, cursor = set(), "0"
    while True:
        _, _, cursor, chunk = partition.run(audit_scan("on_hand", cursor, 100))
        found.update(chunk[::2])
        if cursor == "0":
            break
    assert {".", *(f"S{n}@main" for n in range(1000))} == found


def test_what_was_confirmed_after_a_sweep_reads_alike(partition: Partition) -> None:
    """Swept or not, an expired hold reads the same and can be reinstated the same."""
    for step in OVERDUE:
        partition.run(step)
    unswept = partition.run(read_reservations("tmall:1"))[2]
    partition.run(expire())
    assert unswept == partition.run(read_reservations("tmall:1"))[2]
    assert partition.run(confirm("tmall:1", reinstate=True))[2] == f"C{T0},5\n2 CAT@main"
    last = partition.client.xrevrange("hf:{p0000}:events", count=1)[0][1]
    assert last["e"] == f"GI\t1\t{BY}\x1etmall:1\x1eC{T0},5\n2 CAT@main"
