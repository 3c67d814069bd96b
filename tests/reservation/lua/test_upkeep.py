"""retire.lua, trim.lua, ensure_partition.lua, move_clock.lua: what keeps a partition in order."""

from __future__ import annotations

import pytest
import redis

from reservation.status import Status
from reservation.store.keys import PARTITION_KEYS
from tests.reservation.lua.calls import (
    BY,
    DAY,
    MINUTE,
    POLICY,
    RETENTION,
    STOCK,
    T0,
    TTL,
    Advance,
    adjust_stock,
    batch,
    breaker,
    confirm,
    ensure_partition,
    expire,
    fulfil,
    move_clock,
    position,
    raw,
    release,
    reserve,
    retire,
    set_stock,
    trim,
)
from tests.reservation.lua.partition import COUNTED, Partition, Row, check, logged

MAX = 2**53 - 1
ENDED = (STOCK, reserve("tmall:1", "2 CAT@main", ttl=0), release("tmall:1"))
RECEIPT = f"ended {position(3)}.1\ntmall:1"

RETIRED = [
    Row("nothing has ended, nothing is cleared", (STOCK,), retire(), [0, 0, "0"]),
    Row(
        "a receipt stays to the last millisecond of its retention",
        (*ENDED, Advance(RETENTION - 1)),
        retire(),
        [0, 0, "0"],
    ),
    Row(
        "then it goes with its entry; no event tells it",
        (*ENDED, Advance(RETENTION)),
        retire(),
        [1, 0, "0"],
        {"reservations tmall:1": None, RECEIPT: None},
    ),
    Row(
        "the same for a fulfilled one and for one that expired",
        (
            STOCK,
            reserve("tmall:1", "2 CAT@main", ttl=0),
            fulfil("tmall:1"),
            reserve("tmall:2", "2 CAT@main", ttl=5),
            Advance(5),
            expire(),
            Advance(RETENTION),
        ),
        retire(),
        [2, 0, "0"],
        {
            "reservations tmall:1": None,
            RECEIPT: None,
            "reservations tmall:2": None,
            f"ended {T0 + 5}-0.1\ntmall:2": None,
        },
    ),
    Row(
        "an expired one that was reinstated is no receipt any more: the entry alone goes",
        (
            *(STOCK, reserve("tmall:1", "2 CAT@main", ttl=5), Advance(5)),
            *(confirm("tmall:1", reinstate=True), Advance(RETENTION)),
        ),
        retire(),
        [0, 0, "0"],
        {f"ended {T0 + 5}-0.1\ntmall:1": None},
    ),
    Row(
        "an id that was taken anew is not cleared by the entry of its former life",
        (*ENDED, Advance(RETENTION), reserve("tmall:1", "1 DOG@main", ttl=0)),
        retire(),
        [0, 0, "0"],
        {RECEIPT: None},
    ),
    Row(
        "nor where that has ended as well, later",
        (*ENDED, Advance(RETENTION), reserve("tmall:1", "1 DOG@main", ttl=0), release("tmall:1")),
        retire(),
        [0, 0, "0"],
        {RECEIPT: None},
    ),
    Row(
        "receipts of adjustments go too, one renewed in the meantime stays",
        (
            STOCK,
            batch(adjust_stock("CAT@main", 1, "a1"), adjust_stock("CAT@main", 1, "a2")),
            Advance(RETENTION),
            adjust_stock("CAT@main", 1, "a2"),
        ),
        retire(),
        [1, 0, "0"],
        {
            "adjustments CAT@main\ta1": None,
            f"ended {position(2)}.1\n+CAT@main\ta1\n+CAT@main\ta2": None,
        },
    ),
    Row(
        "four entries a call: more says whether to come again",
        (
            STOCK,
            *(reserve(f"tmall:{n}", "1 CAT@main", ttl=0) for n in range(5)),
            *(release(f"tmall:{n}") for n in range(5)),
            Advance(RETENTION),
        ),
        retire(),
        [4, 1, "0"],
        {
            # Of one score, members go by their bytes: -10 and -11 before -7.
            **{f"reservations tmall:{n}": None for n in (0, 1, 3, 4)},
            **{f"ended {position(7 + n)}.1\ntmall:{n}": None for n in (0, 1, 3, 4)},
        },
    ),
]

SHORT = reserve("tmall:f1", "99 CAT@main")
TIDIED = [
    Row(
        "a breaker whose youngest failure has aged out is dropped",
        (STOCK, SHORT, Advance(5 * MINUTE)),
        retire(),
        [0, 0, "0"],
        {"breaker CAT": None},
    ),
    Row(
        "not a millisecond earlier",
        (STOCK, SHORT, Advance(5 * MINUTE - 1)),
        retire(),
        [0, 0, "0"],
    ),
    Row(
        "one whose cool-down has ended goes on trial, and the log says so",
        (
            STOCK,
            raw("HSET", "breaker", "CAT", breaker("O", T0, failures=3, retry_at=T0 + 9)),
            raw("HSET", "breaker", "DOG", breaker("O", T0, failures=3, retry_at=T0 + 10)),
            Advance(9),
        ),
        retire(),
        [0, 0, "0"],
        {"breaker CAT": breaker("H", T0 + 9, failures=3), **logged("J\tCAT\t\t3 0 ")},
    ),
    Row(
        "one with a policy of its own stays, and so does one that is open or half-open",
        (
            STOCK,
            raw("HSET", "breaker", "CAT", breaker("C", policy="3,300000,0,0")),
            raw("HSET", "breaker", "DOG", breaker("O", T0)),
            raw("HSET", "breaker", "FOX", breaker("M", T0)),
            raw("HSET", "breaker", "OWL", breaker("H", T0)),
            Advance(DAY),
        ),
        retire(),
        [0, 0, "0"],
    ),
]

# The layout's entry is empty; that of STOCK is old after a minute, the hold's is the last.
LOGGED = (
    STOCK,
    Advance(MINUTE),
    reserve("tmall:1", "2 CAT@main"),
    reserve("tmall:2", "1 DOG@main"),
)
HOLD_BYTES = len(f"G\t1\t{BY}\x1etmall:1\x1eH{T0},{TTL}\n2 CAT@main" + "10 0 2 0 CAT@main")
OLD = {f"events {position(0)}": None, f"events {position(1)}": None}

TRIMMED = [
    Row("nothing is old, nothing is large", LOGGED, trim(MINUTE + 1, 1 << 30), [0, COUNTED]),
    Row(
        "what is as old as the bound goes, and its bytes are no longer counted",
        LOGGED,
        trim(MINUTE, 1 << 30),
        [2, COUNTED],
        {**OLD, "clock log_bytes": 2 * HOLD_BYTES - 1},
    ),
    Row(
        "too large: the oldest go until it is small enough",
        LOGGED,
        trim(DAY, 2 * HOLD_BYTES - 1),
        [2, COUNTED],
        {**OLD, "clock log_bytes": 2 * HOLD_BYTES - 1},
    ),
    Row(
        "a byte less takes one entry more",
        LOGGED,
        trim(DAY, 2 * HOLD_BYTES - 2),
        [3, COUNTED],
        {
            **OLD,
            f"events {T0 + MINUTE}-0": None,
            "clock log_bytes": HOLD_BYTES - 1,
        },
    ),
    Row(
        "the last entry stays whatever the bounds: it holds the position",
        (*LOGGED, Advance(DAY)),
        trim(1, 0),
        [3, COUNTED],
        {
            **OLD,
            f"events {T0 + MINUTE}-0": None,
            "clock log_bytes": HOLD_BYTES - 1,
            "clock now": T0 + MINUTE + DAY,
        },
    ),
    Row(
        "what the archive has not stays, however old and large, and so does its last entry",
        (*LOGGED, Advance(DAY)),
        trim(1, 0, archived=f"{T0}-1"),
        [1, COUNTED],
        {f"events {position(0)}": None, "clock now": T0 + MINUTE + DAY},
    ),
    Row(
        "an archive that ends in a later millisecond",
        (*LOGGED, Advance(DAY)),
        trim(1, 0, archived=f"{T0 + MINUTE}-0"),
        [2, COUNTED],
        {
            **OLD,
            "clock log_bytes": 2 * HOLD_BYTES - 1,
            "clock now": T0 + MINUTE + DAY,
        },
    ),
    Row(
        "an archive that has nothing",
        (*LOGGED, Advance(DAY)),
        trim(1, 0, archived="0-0"),
        [0, COUNTED],
    ),
    Row("an empty log keeps its first entry", (Advance(DAY),), trim(1, 0), [0, "0"]),
]


@pytest.mark.parametrize("row", [*RETIRED, *TIDIED, *TRIMMED], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_a_long_log_is_trimmed_two_hundred_entries_a_call(partition: Partition) -> None:
    """A call is bounded; the counted bytes stay exact through all of them."""
    partition.run(STOCK)
    for n in range(250):
        partition.run(set_stock("CAT@main", 100 + n))
    partition.run(Advance(DAY))
    assert partition.run(trim(1, 0))[2] == 200
    partition.check_invariants()
    assert partition.run(trim(1, 0))[2] == 51
    assert partition.run(trim(1, 0))[2] == 0


def test_many_breakers_are_looked_at_in_turns(partition: Partition) -> None:
    """The cursor leads through all breakers, a hundred or so a call, and drops what is quiet."""
    skus = [f"S{n}" for n in range(1000)]
    for sku in skus:
        partition.run(raw("HSET", "breaker", sku, breaker("C", window=f"{T0} tmall:1")))
    partition.run(Advance(5 * MINUTE))
    cursor, calls = "0", 0
    while calls == 0 or cursor != "0":
        cursor = partition.run(retire(cursor))[4]
        calls += 1
    assert 5 <= calls <= 20
    assert [place for place in partition.state() if place.startswith("breaker S")] == []


def test_laying_a_partition_again_changes_the_policy_only(partition: Partition) -> None:
    """A start on a store in use leaves everything, and takes the deployment's policy."""
    for step in ENDED:
        partition.run(step)
    before = partition.state()
    assert partition.run(ensure_partition("5,60000,0,0")) == [str(T0), position(3), 1]
    assert {**before, "breaker .": "5,60000,0,0"} == partition.state()


@pytest.mark.parametrize("name", [name for name in PARTITION_KEYS if name != "clock"])
def test_an_older_layout_gains_what_it_lacks(partition: Partition, name: str) -> None:
    """A key that is missing is laid, with its sentinel; the others are not touched."""
    before = partition.state()
    partition.client.delete(f"hf:{{p0000}}:{name}")
    partition.run(Advance(7))
    partition.run(ensure_partition())
    after = partition.state()
    if name != "events":
        assert {**before, "clock frozen": str(T0 + 7)} == after
    else:
        assert f"events {T0 + 7}-0" in after
        assert after["clock version"] == f"{T0 + 7}-0"


@pytest.mark.parametrize("name", PARTITION_KEYS)
def test_a_foreign_key_stops_the_layout_before_it_begins(partition: Partition, name: str) -> None:
    """A key of a wrong type fails the call with nothing laid."""
    partition.audited = False
    partition.client.flushall()
    partition.client.set(f"hf:{{p0000}}:{name}", "x")
    before = partition.state()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        partition.run(ensure_partition())
    assert before == partition.state()


def test_a_fresh_layout_is_whole(partition: Partition) -> None:
    """Every key exists from the first moment, none empty; the log begins with the store's birth."""
    expected = {
        **{f"{name} .": "" for name, kind in PARTITION_KEYS.items() if kind == "hash"},
        "breaker .": POLICY,
        "due .": float("inf"),
        "ended .": float("inf"),
        f"events {T0}-0": {"e": "", "b": ""},
        "clock now": str(T0),
        "clock frozen": str(T0),
        "clock version": f"{T0}-0",
        "clock log_bytes": "0",
    }
    assert expected == partition.state()


def clock(partition: Partition) -> dict[str, str]:
    """Read the clock's fields."""
    return {
        place.partition(" ")[2]: value
        for place, value in partition.state().items()
        if place.startswith("clock ")
    }


def test_a_frozen_clock_moves_only_when_told(partition: Partition) -> None:
    """Advance while frozen: exactly so many milliseconds, and the next call sees them."""
    partition.run(STOCK)
    assert partition.run(move_clock(1500)) == [str(T0 + 1500), position(1)]
    partition.now = T0 + 1500
    fields = clock(partition)
    assert (fields["now"], fields["frozen"]) == (str(T0 + 1500), str(T0 + 1500))
    assert partition.run(expire())[0] == str(T0 + 1500)
    assert partition.run(move_clock(0, "1"))[0] == str(T0 + 1500)


def test_a_clock_runs_on_from_where_it_stood(partition: Partition) -> None:
    """Let go, it runs from the frozen time on, ahead of the server's by a kept distance."""
    assert int(partition.run(move_clock(0, "0"))[0]) == T0
    fields = clock(partition)
    assert "frozen" not in fields
    assert int(fields["offset"]) > 0
    first, second = (int(partition.run(expire())[0]) for _ in range(2))
    assert T0 <= first <= second < T0 + MINUTE
    jumped = int(partition.run(move_clock(DAY))[0])
    assert T0 + DAY <= jumped < T0 + DAY + MINUTE


def test_a_running_clock_can_be_frozen_and_advanced_at_once(partition: Partition) -> None:
    """Both in one call: it stands still at the time after the jump."""
    partition.run(move_clock(0, "0"))
    stood = partition.run(move_clock(DAY, "1"))[0]
    assert stood == clock(partition)["frozen"]
    assert stood == partition.run(expire())[0]


def test_time_never_runs_backwards(partition: Partition) -> None:
    """A mark ahead of the clock holds time still until the clock has caught up."""
    partition.run(raw("HSET", "clock", "now", T0 + 50))
    assert partition.run(expire())[0] == str(T0 + 50)
    partition.run(Advance(60))
    assert partition.run(expire())[0] == str(T0 + 60)


def test_the_clock_stays_within_what_a_double_can_count(partition: Partition) -> None:
    """A jump beyond 2^53 ms is refused, however it is taken; up to it every script works."""
    with pytest.raises(redis.ResponseError, match="BADARG advance_ms"):
        partition.run(move_clock(MAX))
    assert partition.run(move_clock(MAX - T0))[0] == str(MAX)
    with pytest.raises(redis.ResponseError, match="BADARG advance_ms"):
        partition.run(move_clock(1))
    partition.run(STOCK)
    assert partition.run(reserve("tmall:1", "2 CAT@main", ttl=0))[2] == Status.DONE
