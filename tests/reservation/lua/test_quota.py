"""set_quota.lua, count_quota.lua, read_quota.lua, and what quotas do to reserve, row by row."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    STOCK,
    T0,
    TTL,
    Advance,
    Call,
    Step,
    adjust_stock,
    audit_scan,
    batch,
    breaker,
    confirm,
    count_quota,
    expire,
    extend,
    fulfil,
    position,
    read_quota,
    read_stock,
    release,
    reserve,
    set_quota,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged
from tests.reservation.lua.test_reads import BACKLOG, RECLAIM
from tests.reservation.lua.test_reserve_breaker import OPEN, SUSPENDED

CAT = "CAT@main"
STREAM = "douyin 4,6,"  # of the ten cats four are kept for douyin, which never has more than six
SET = set_quota(CAT, STREAM)
KEPT = (STOCK, SET)
COUNTING = (STOCK, reserve("tmall:1", f"2 {CAT}"), SET)  # entries 2 and 3 of the log
LATE = Advance(60_001)


def told(text: str) -> dict[str, object]:
    """Expect the event of quotas."""
    return logged(f"Q\t{CAT}\t{BY}\t{text}")


def beyond(*units: int) -> list[object]:
    """Write the answer: requested, available, used, ceiling, kept for others."""
    return [[Status.CHANNEL_QUOTA_EXCEEDED, CAT, *map(str, units)]]


def held(reservation_id: str, units: int, number: int, counts: str) -> dict[str, object]:
    """Expect a hold of cats in entry `number` of the log, and what is counted then."""
    return {
        f"held {CAT}": units,
        f"reservations {reservation_id}": f"H{T0},{TTL}\n{units} {CAT}",
        f"due {position(number)}.1 1\n{reservation_id}": T0 + TTL,
        f"quota {CAT}": counts,
        **logged(
            f"H\t{reservation_id}\t{BY}\t{TTL}\t{units} {CAT}", balances=f"10 0 {units} 0 {CAT}"
        ),
    }


SET_ROWS = [
    Row(
        "where nobody has units, quotas are in force at once",
        (STOCK,),
        SET,
        [[Status.DONE, ""]],
        {f"quota {CAT}": "\tdouyin 0 4,6,", **told(STREAM)},
    ),
    Row("the same again changes nothing", KEPT, SET, [[Status.DONE, ""]]),
    Row(
        "units that were promised before are not counted yet",
        COUNTING[:2],
        SET,
        [[Status.DONE, position(3)]],
        {f"quota {CAT}": f"{position(3)}\tdouyin 0 4,6,", **told(STREAM)},
    ),
    Row(
        "a count that is under way goes on",
        (*COUNTING, reserve("douyin:1", f"1 {CAT}")),
        set_quota(CAT, "tmall 0,3,", STREAM),
        [[Status.DONE, position(3)]],
        {
            f"quota {CAT}": f"{position(3)}\ttmall 0 0,3,\tdouyin 1 4,6,",
            **told(f"tmall 0,3,;{STREAM}"),
        },
    ),
    Row(
        "a count that began more than a minute ago was given up: it begins again",
        (*COUNTING, reserve("douyin:1", f"1 {CAT}"), LATE),
        SET,
        [[Status.DONE, position(4)]],
        {f"quota {CAT}": f"{position(4)}\tdouyin 0 4,6,"},
    ),
    Row(
        "a count begins again where its caller asks for it",
        (*COUNTING, reserve("douyin:1", f"1 {CAT}")),
        set_quota(CAT, STREAM, anew=True),
        [[Status.DONE, position(4)]],
        {f"quota {CAT}": f"{position(4)}\tdouyin 0 4,6,"},
    ),
    Row(
        "other quotas keep what is counted",
        (*KEPT, reserve("douyin:1", f"2 {CAT}")),
        set_quota(CAT, f"tmall 1,,{T0 + 9}"),
        [[Status.DONE, ""]],
        {f"quota {CAT}": f"\ttmall 0 1,,{T0 + 9}\tdouyin 2", **told(f"tmall 1,,{T0 + 9}")},
    ),
    Row(
        "none removes them",
        (*KEPT, reserve("douyin:1", f"2 {CAT}")),
        set_quota(CAT),
        [[Status.DONE, ""]],
        {f"quota {CAT}": None, **told("")},
    ),
    Row("none where there are none changes nothing", (STOCK,), set_quota(CAT), [[Status.DONE, ""]]),
    Row(
        "a level that is not there has none",
        (STOCK,),
        set_quota("FOX@main", STREAM),
        [Status.UNKNOWN_SKU],
    ),
]

COUNT_ROWS = [
    Row(
        "what channels had joins what they took since",
        (*COUNTING, reserve("tmall:2", f"1 {CAT}"), reserve("douyin:1", f"1 {CAT}")),
        count_quota(CAT, position(3), tmall=2),
        [1],
        {f"quota {CAT}": "\tdouyin 1 4,6,\ttmall 3"},
    ),
    Row(
        "what was given back since was counted below nothing",
        (*COUNTING, release("tmall:1")),
        count_quota(CAT, position(3), tmall=2),
        [1],
        {f"quota {CAT}": "\tdouyin 0 4,6,"},
    ),
    Row(
        "another count has begun since then",
        COUNTING,
        count_quota(CAT, position(2), tmall=2),
        [0],
    ),
    Row("somebody else has counted", KEPT, count_quota(CAT, position(2), tmall=2), [1]),
    Row("the quotas are gone", (STOCK,), count_quota(CAT, position(2), tmall=2), [1]),
]

READ_ROWS = [
    Row(
        "what each channel has and may take, then all others",
        (*KEPT, reserve("douyin:1", f"1 {CAT}"), reserve("tmall:1", f"2 {CAT}", ttl=0)),
        read_quota("CAT"),
        [["main", "", "3", "4", "douyin", "1", "4,6,", "5"]],
    ),
    Row(
        "a SKU without quotas shares all it has",
        (*KEPT, set_stock("DOG@west", 2)),
        read_quota("DOG"),
        [["main", "", "0", "4"], ["west", "", "0", "2"]],
    ),
    Row(
        "while it is counted nothing is in force",
        COUNTING,
        read_quota("CAT"),
        [["main", position(3), "2", "8", "douyin", "0", "4,6,", "8"]],
    ),
    Row("of a SKU that is unknown there is nothing", (STOCK,), read_quota("FOX"), []),
    Row(
        "what is overdue comes back first, as far as one call goes",
        BACKLOG,
        read_quota("CAT"),
        [Status.MORE],
        RECLAIM,
    ),
]

RESERVE_ROWS = [
    Row(
        "what is kept for one channel is not for another",
        KEPT,
        reserve("tmall:1", f"7 {CAT}"),
        beyond(7, 6, 0, -1, 4),
    ),
    Row(
        "all the rest is",
        KEPT,
        reserve("tmall:1", f"6 {CAT}"),
        [Status.DONE],
        held("tmall:1", 6, 3, "\tdouyin 0 4,6,\ttmall 6"),
    ),
    Row(
        "a channel has no more than its ceiling",
        KEPT,
        reserve("douyin:1", f"7 {CAT}"),
        beyond(7, 6, 0, 6, 0),
    ),
    Row(
        "up to its ceiling it has what it asks",
        KEPT,
        reserve("douyin:1", f"6 {CAT}"),
        [Status.DONE],
        held("douyin:1", 6, 3, "\tdouyin 6 4,6,"),
    ),
    Row(
        "what it has already counts",
        (*KEPT, reserve("douyin:1", f"3 {CAT}"), reserve("douyin:2", f"2 {CAT}", ttl=0)),
        reserve("douyin:3", f"2 {CAT}"),
        beyond(2, 1, 5, 6, 0),
    ),
    Row(
        "orders that arrive paid obey as well",
        KEPT,
        reserve("tmall:1", f"7 {CAT}", ttl=0),
        beyond(7, 6, 0, -1, 4),
    ),
    Row(
        "what is not there for anybody is a failed lock",
        KEPT,
        reserve("tmall:1", f"11 {CAT}"),
        [[Status.INSUFFICIENT_STOCK, 0, CAT, "11", "10"]],
        {
            "breaker CAT": breaker("C", window=f"{T0} tmall:1"),
            **logged(f"L\tCAT\t{BY}\ttmall:1\t11 10 {CAT}", balances=f"10 0 0 0 {CAT}"),
        },
    ),
    Row(
        "an order with a line beyond its quota is refused for that, and is no failed lock",
        KEPT,
        reserve("tmall:1", f"7 {CAT}, 9 DOG@main"),
        beyond(7, 6, 0, -1, 4),
    ),
    Row("a suspended SKU is told first", (*OPEN, SET), reserve("tmall:1", f"7 {CAT}"), [SUSPENDED]),
    Row(
        "floors above what is there: a channel's own goes first",
        (STOCK, set_quota(CAT, "douyin 8,,", "tmall 8,,")),
        reserve("douyin:1", f"9 {CAT}"),
        beyond(9, 8, 0, -1, 8),
    ),
    Row(
        "in the last millisecond of a quota it counts",
        (STOCK, set_quota(CAT, f"douyin 4,6,{T0 + 5}"), Advance(4)),
        reserve("tmall:1", f"7 {CAT}"),
        beyond(7, 6, 0, -1, 4),
    ),
    Row(
        "what is overdue of the channel's own comes back before it is refused",
        (
            STOCK,
            set_quota(CAT, "tmall 0,5,"),
            *(reserve(f"tmall:o{n}", f"1 {CAT}", ttl=5) for n in range(5)),
            Advance(5),
        ),
        reserve("tmall:1", f"5 {CAT}"),
        [Status.MORE],
        {
            **{
                place.replace(position(2 + n), position(3 + n)): value
                for n in reversed(range(4))
                for place, value in RECLAIM.items()
                if place.startswith(f"due {position(2 + n)}.")
            },
            **{place: value for place, value in RECLAIM.items() if not place.startswith("due ")},
            f"quota {CAT}": "\ttmall 1 0,5,",
        },
    ),
]

SCAN_ROWS = [
    Row(
        "only what contains a text",
        (STOCK, reserve("tmall:1", f"2 {CAT}"), reserve("tmall:2", "1 DOG@main")),
        audit_scan("reservations", containing=f" {CAT}"),
        ["0", ["tmall:1", f"H{T0},{TTL}\n2 {CAT}"]],
    ),
]


@pytest.mark.parametrize(
    "row", [*SET_ROWS, *COUNT_ROWS, *READ_ROWS, *RESERVE_ROWS, *SCAN_ROWS], ids=str
)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


TAKEN = reserve("tmall:1", f"3 {CAT}, 1 DOG@main")
SHIPPED = (reserve("tmall:1", f"3 {CAT}", ttl=0), fulfil("tmall:1", "a", f"2 {CAT}"))
OVERDUE = (reserve("tmall:1", f"3 {CAT}", ttl=5), Advance(5))
PAST = (*OVERDUE, expire())
NONE, THREE = "\tdouyin 0 4,6,", "\tdouyin 0 4,6,\ttmall 3"

COUNTED: dict[str, tuple[tuple[Step, ...], str]] = {
    "a hold": ((TAKEN,), THREE),
    "a commitment": ((TAKEN, confirm("tmall:1")), THREE),
    "an extended hold": ((TAKEN, extend("tmall:1", 5)), THREE),
    "a replay": ((TAKEN, TAKEN), THREE),
    "a released hold": ((TAKEN, release("tmall:1")), NONE),
    "a released commitment": ((TAKEN, confirm("tmall:1"), release("tmall:1")), NONE),
    "released again": ((TAKEN, release("tmall:1"), release("tmall:1")), NONE),
    "what is left of a shipped order": (SHIPPED, "\tdouyin 0 4,6,\ttmall 1"),
    "a shipped order": ((*SHIPPED, fulfil("tmall:1")), NONE),
    "a part released": ((*SHIPPED, release("tmall:1")), NONE),
    "a part sent again": ((*SHIPPED, SHIPPED[1]), "\tdouyin 0 4,6,\ttmall 1"),
    "an overdue hold, swept": (PAST, NONE),
    "an overdue hold, met by an order": (
        (*OVERDUE, reserve("douyin:1", f"6 {CAT}")),
        "\tdouyin 6 4,6,",
    ),
    "an overdue hold, met by a count": ((*OVERDUE, set_stock(CAT, 11)), NONE),
    "an overdue hold, met by an adjustment": ((*OVERDUE, adjust_stock(CAT, 1, "a")), NONE),
    "an overdue hold, met by a look": ((*OVERDUE, read_stock("DOG")), NONE),
    "an overdue hold, extended too late": ((*OVERDUE, extend("tmall:1", 5)), NONE),
    "an overdue hold, confirmed too late": ((*OVERDUE, confirm("tmall:1")), NONE),
    "an expired one released": ((*PAST, release("tmall:1")), NONE),
    "a reinstated one": ((*PAST, confirm("tmall:1", reinstate=True)), THREE),
    "two of one call": (
        (batch(reserve("tmall:1", f"1 {CAT}"), reserve("tmall:2", f"2 {CAT}")),),
        THREE,
    ),
}


@pytest.mark.parametrize(("steps", "counts"), COUNTED.values(), ids=COUNTED)
def test_what_is_counted(partition: Partition, steps: tuple[Step, ...], counts: str) -> None:
    """A channel has what it holds and what it has committed and not shipped; the audit agrees."""
    for step in (*KEPT, *steps):
        partition.run(step)
    assert partition.state()[f"quota {CAT}"] == counts


def test_in_one_call_each_order_meets_what_those_before_it_took(partition: Partition) -> None:
    """Two orders of three fit below a ceiling of six, the third one does not."""
    for step in KEPT:
        partition.run(step)
    orders = batch(*(reserve(f"douyin:{n}", f"3 {CAT}") for n in range(3)))
    assert partition.run(orders)[2:] == [Status.DONE, Status.DONE, *beyond(3, 0, 6, 6, 0)]


def test_a_floor_that_is_used_is_kept_no_longer(partition: Partition) -> None:
    """Kept is what a channel's floor promises it and it does not have."""
    for step in (*KEPT, reserve("douyin:1", f"3 {CAT}")):
        partition.run(step)
    assert partition.run(reserve("tmall:1", f"7 {CAT}"))[2:] == beyond(7, 6, 0, -1, 1)
    assert partition.run(reserve("tmall:1", f"6 {CAT}"))[2:] == [Status.DONE]
    assert partition.run(reserve("douyin:2", f"1 {CAT}"))[2:] == [Status.DONE]


@pytest.mark.parametrize("call", [reserve("tmall:1", f"10 {CAT}"), reserve("douyin:1", f"7 {CAT}")])
def test_from_its_end_on_a_quota_is_as_none(partition: Partition, call: Call) -> None:
    """The floor is back in the pool and the ceiling gone, without anybody's doing."""
    for step in (STOCK, set_quota(CAT, f"douyin 4,6,{T0 + 5}"), Advance(5)):
        partition.run(step)
    assert partition.run(call)[2:] == [Status.DONE]


def test_a_customer_who_has_paid_passes_every_quota(partition: Partition) -> None:
    """What is reinstated may lie above the ceiling and in what is kept for others; it counts."""
    for step in (*KEPT, reserve("tmall:1", f"5 {CAT}", ttl=5), Advance(5), expire()):
        partition.run(step)
    partition.run(set_quota(CAT, "douyin 8,,", "tmall 0,1,"))
    assert partition.run(confirm("tmall:1", reinstate=True))[2].startswith("C")
    assert partition.run(reserve("tmall:2", f"1 {CAT}"))[2:] == beyond(1, 0, 5, 1, 8)
    assert partition.run(reserve("douyin:1", f"5 {CAT}"))[2:] == [Status.DONE]


def test_while_it_is_counted_nothing_is_enforced(partition: Partition) -> None:
    """A quota without what channels had before would be a wrong one."""
    for step in COUNTING:
        partition.run(step)
    assert partition.run(reserve("tmall:2", f"8 {CAT}"))[2:] == [Status.DONE]


@pytest.mark.parametrize(
    "call",
    [
        set_quota(CAT, "Douyin 1,,"),
        set_quota(CAT, "d 1,,"),
        set_quota(CAT, "douyin 5,4,"),
        set_quota(CAT, "douyin -1,,"),
        set_quota(CAT, "douyin 1000000001,,"),
        set_quota(CAT, "douyin 1,,x"),
        set_quota(CAT, "douyin 1,,", "douyin 1,,"),
        set_quota(CAT, *(f"c{n:03d} 1,," for n in range(101))),
        Call("set_quota", (CAT, BY, "2")),
        Call("set_quota", (CAT, BY, "0", "douyin")),
        count_quota(CAT, "x", tmall=1),
        count_quota(CAT, "1-1", tmall=0),
        Call("count_quota", (CAT, "1-1", "tmall")),
        Call("count_quota", (CAT, "1-1", "tmall", 1, "tmall", 1)),
        read_quota("."),
    ],
)
def test_a_callers_bug_writes_nothing(partition: Partition, call: Call) -> None:
    """What no caller of ours can ask is BADARG."""
    partition.run(STOCK)
    before = partition.state()
    with pytest.raises(Exception, match="BADARG"):
        partition.run(call)
    assert before == partition.state()
