"""reserve.lua and the SKU's breaker: what counts, what opens, what is refused."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    DAY,
    MINUTE,
    STOCK,
    T0,
    TTL,
    Advance,
    Call,
    Raw,
    batch,
    breaker,
    confirm,
    extend,
    fulfil,
    position,
    raw,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged

WINDOW = 5 * MINUTE
FAILED = "failed locks"


def fail(number: int, level: str = "CAT@main") -> Call:
    """Ask for more than there is."""
    return reserve(f"tmall:f{number}", f"99 {level}")


def window(*failures: tuple[int, int]) -> str:
    """Write failures as (ms after T0, number)."""
    return ",".join(f"{T0 + at} tmall:f{number}" for at, number in failures)


def lay(value: str, sku: str = "CAT") -> Raw:
    """Lay a breaker; trip and policy have no calls before the next issue."""
    return raw("HSET", "breaker", sku, value)


OPEN = (STOCK, lay(breaker("O", T0, failures=3, reason=FAILED)))
SUSPENDED = [Status.SKU_SUSPENDED, "CAT", T0, 0, FAILED]
SHORT = [Status.INSUFFICIENT_STOCK, 0, "CAT@main", "99", "10"]
SHORT_AND_OPENED = [Status.INSUFFICIENT_STOCK, 1, "CAT", "CAT@main", "99", "10"]


def lost(number: int, sku: str = "CAT", line: str = "99 10 CAT@main") -> str:
    """Write the event of a failed lock."""
    return f"L\t{sku}\t{BY}\ttmall:f{number}\t{line}"


CATS, DOGS = "10 0 0 0 CAT@main", "5 1 0 0 DOG@main"  # what there is when a lock fails


COUNTING = [
    Row(
        "the second failure joins the first in the window",
        (STOCK, fail(1), Advance(7)),
        fail(2),
        [SHORT],
        {
            "breaker CAT": breaker("C", window=window((0, 1), (7, 2))),
            **logged(lost(2), balances=CATS),
        },
    ),
    Row(
        "the third failure opens in the same step and says so",
        (STOCK, fail(1), fail(2), Advance(7)),
        fail(3),
        [SHORT_AND_OPENED],
        {
            "breaker CAT": breaker("O", T0 + 7, failures=3, reason=FAILED),
            **logged(lost(3), f"O\tCAT\t{BY}\t3 0 {FAILED}", balances=CATS),
        },
    ),
    Row(
        "the same id again neither counts nor refreshes nor is told twice",
        (STOCK, fail(1), fail(2), Advance(7)),
        fail(2),
        [SHORT],
    ),
    Row(
        "another amount under an id that failed is still that id",
        (STOCK, fail(1), fail(2)),
        reserve("tmall:f1", "50 CAT@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "50", "10"]],
    ),
    Row(
        "a failure of 299.999 s counts",
        (STOCK, fail(1), fail(2), Advance(WINDOW - 1)),
        fail(3),
        [SHORT_AND_OPENED],
        {
            "breaker CAT": breaker("O", T0 + WINDOW - 1, failures=3, reason=FAILED),
            **logged(lost(3), f"O\tCAT\t{BY}\t3 0 {FAILED}", balances=CATS),
        },
    ),
    Row(
        "a failure of 300.000 s does not",
        (STOCK, fail(1), Advance(1), fail(2), Advance(WINDOW - 1)),
        fail(3),
        [SHORT],
        {
            "breaker CAT": breaker("C", window=window((1, 2), (WINDOW, 3))),
            **logged(lost(3), balances=CATS),
        },
    ),
    Row(
        "an id counts again once its failure has aged out",
        (STOCK, fail(1), Advance(WINDOW)),
        fail(1),
        [SHORT],
        {"breaker CAT": breaker("C", window=window((WINDOW, 1))), **logged(lost(1), balances=CATS)},
    ),
    Row(
        "one order short in two warehouses of a SKU counts once",
        (STOCK, set_stock("CAT@west", 0), fail(1)),
        reserve("tmall:f2", "99 CAT@main, 1 CAT@west"),
        [[Status.INSUFFICIENT_STOCK, 0, "CAT@main", "99", "10", "CAT@west", "1", "0"]],
        {
            "breaker CAT": breaker("C", window=window((0, 1), (0, 2))),
            **logged(
                lost(2, line="99 10 CAT@main\t1 0 CAT@west"), balances=(CATS, "0 0 0 0 CAT@west")
            ),
        },
    ),
    Row(
        "failures in several warehouses count for the SKU together",
        (STOCK, set_stock("CAT@west", 0), fail(1), fail(2)),
        reserve("tmall:f3", "1 CAT@west"),
        [[Status.INSUFFICIENT_STOCK, 1, "CAT", "CAT@west", "1", "0"]],
        {
            "breaker CAT": breaker("O", T0, failures=3, reason=FAILED),
            **logged(
                lost(3, line="1 0 CAT@west"),
                f"O\tCAT\t{BY}\t3 0 {FAILED}",
                balances="0 0 0 0 CAT@west",
            ),
        },
    ),
    Row(
        "one order may open the breakers of several SKUs",
        (STOCK, fail(1), fail(2), fail(1, "DOG@main"), fail(2, "DOG@main")),
        reserve("tmall:f3", "99 CAT@main, 99 DOG@main"),
        [
            [
                Status.INSUFFICIENT_STOCK,
                2,
                *("CAT", "DOG"),
                *("CAT@main", "99", "10"),
                *("DOG@main", "99", "4"),
            ]
        ],
        {
            "breaker CAT": breaker("O", T0, failures=3, reason=FAILED),
            "breaker DOG": breaker("O", T0, failures=3, reason=FAILED),
            **logged(
                lost(3),
                f"O\tCAT\t{BY}\t3 0 {FAILED}",
                lost(3, "DOG", "99 4 DOG@main"),
                f"O\tDOG\t{BY}\t3 0 {FAILED}",
                balances=(CATS, DOGS),
            ),
        },
    ),
    Row(
        "only the SKU that was short counts, not the others of the order",
        (STOCK,),
        reserve("tmall:f1", "1 CAT@main, 99 DOG@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "DOG@main", "99", "4"]],
        {
            "breaker DOG": breaker("C", window=window((0, 1))),
            **logged(lost(1, "DOG", "99 4 DOG@main"), balances=DOGS),
        },
    ),
    Row(
        "within a batch the third operation opens and the fourth is refused",
        (STOCK,),
        batch(fail(1), fail(2), fail(3), reserve("tmall:4", "1 CAT@main")),
        [SHORT, SHORT, SHORT_AND_OPENED, SUSPENDED],
        {
            "breaker CAT": breaker("O", T0, failures=3, reason=FAILED),
            **logged(lost(1), lost(2), lost(3), f"O\tCAT\t{BY}\t3 0 {FAILED}", balances=CATS),
        },
    ),
    Row(
        "an exempt SKU tells its failed locks and keeps no window",
        (STOCK, lay(breaker("C", policy="1,300000,0,1"))),
        batch(fail(1), fail(2), fail(3), reserve("tmall:4", "1 CAT@main", ttl=0)),
        [SHORT, SHORT, SHORT, Status.DONE],
        {
            "committed CAT@main": 1,
            "reservations tmall:4": f"C{T0},0\n1 CAT@main",
            **logged(
                *(lost(1), lost(2), lost(3)),
                f"D\ttmall:4\t{BY}\t\t1 CAT@main",
                balances="10 0 0 1 CAT@main",
            ),
        },
    ),
    Row(
        "a SKU's own threshold and window count instead of the deployment's",
        (STOCK, lay(breaker("C", policy="2,1000,0,0")), fail(1), Advance(999)),
        fail(2),
        [SHORT_AND_OPENED],
        {
            "breaker CAT": breaker("O", T0 + 999, failures=2, reason=FAILED, policy="2,1000,0,0"),
            **logged(lost(2), f"O\tCAT\t{BY}\t2 0 {FAILED}", balances=CATS),
        },
    ),
]

SUSPENDING = [
    Row("the very next reserve is refused", OPEN, reserve("tmall:1", "1 CAT@main"), [SUSPENDED]),
    Row(
        "one suspended line among ten refuses the order whole and counts nothing",
        (
            *OPEN,
            batch(*(set_stock(f"S{n}@main", 5) for n in range(9))),
        ),
        reserve("tmall:1", [(1, "CAT@main"), *((9, f"S{n}@main") for n in range(9))]),
        [SUSPENDED],
    ),
    Row(
        "every suspended SKU is named once, opened by hand or not",
        (set_stock("CAT@west", 1), *OPEN, lay(breaker("M", T0 - 5, reason="fake"), "DOG")),
        reserve("tmall:1", "1 CAT@main, 1 CAT@west, 1 DOG@main"),
        [[*SUSPENDED, "DOG", T0 - 5, 0, "fake"]],
    ),
    Row(
        "suspended is told before short",
        OPEN,
        reserve("tmall:1", "99 CAT@main, 99 DOG@main"),
        [SUSPENDED],
    ),
    Row(
        "unknown is told before suspended",
        OPEN,
        reserve("tmall:1", "1 CAT@main, 1 FOX@main"),
        [[Status.UNKNOWN_SKU, "FOX@main"]],
    ),
    Row(
        "a replay passes an open breaker",
        (STOCK, reserve("tmall:1", "1 CAT@main"), *OPEN[1:]),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.REPLAYED, f"H{T0},{TTL}\n1 CAT@main"]],
    ),
    Row(
        "other SKUs are sold on",
        OPEN,
        reserve("tmall:1", "1 DOG@main", ttl=0),
        [Status.DONE],
        {
            "committed DOG@main": 1,
            "reservations tmall:1": f"C{T0},0\n1 DOG@main",
            **logged(f"D\ttmall:1\t{BY}\t\t1 DOG@main", balances="5 1 0 1 DOG@main"),
        },
    ),
    Row(
        "one opened by hand has no clock that would close it",
        (STOCK, lay(breaker("M", T0, cool_down=MINUTE, policy="3,300000,60000,0")), Advance(DAY)),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.SKU_SUSPENDED, "CAT", T0, 0, ""]],
    ),
]


@pytest.mark.parametrize("row", [*COUNTING, *SUSPENDING], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


@pytest.mark.parametrize(
    "call",
    [
        release("tmall:1"),
        extend("tmall:1", TTL + 1),
        confirm("tmall:1"),
        fulfil("tmall:2"),
        confirm("tmall:3", reinstate=True),
    ],
    ids=lambda call: call.script,
)
def test_every_other_verb_passes_an_open_breaker(partition: Partition, call: Call) -> None:
    """Confirm, release, extend, fulfil and reinstate never ask the breaker."""
    partition.run(STOCK)
    partition.run(reserve("tmall:3", "1 CAT@main", ttl=1))
    partition.run(reserve("tmall:2", "1 CAT@main", ttl=0))
    partition.run(reserve("tmall:1", "1 CAT@main"))
    partition.run(OPEN[1])
    partition.run(Advance(1))
    (answer,) = partition.run(call)[2:]
    assert isinstance(answer, str)
    assert breaker("O", T0, failures=3, reason=FAILED) == partition.state()["breaker CAT"]


def test_the_log_names_the_position_of_each_failure(partition: Partition) -> None:
    """A failed lock is an entry of its own: its position is the answer's version."""
    partition.run(STOCK)
    assert [position(2), position(3)] == [partition.run(fail(n))[1] for n in (1, 2)]
