"""reserve.lua and a breaker on its way back: the end of a cool-down, successes, another failure."""

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
    batch,
    breaker,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged
from tests.reservation.lua.test_reserve_breaker import (
    CATS,
    DOGS,
    FAILED,
    SHORT,
    SHORT_AND_OPENED,
    fail,
    lay,
    lost,
    window,
)

MAX_COOL_DOWN = 1 << 41
COOLING = "3,300000,60000,0"  # the default policy with a cool-down of a minute
AGAIN = "failed lock in half-open"
HALF_OPEN = (STOCK, lay(breaker("H", T0, failures=3, cool_down=MINUTE, policy=COOLING)))
COOLED = (STOCK, lay(breaker("C", policy=COOLING)), batch(fail(1), fail(2), fail(3)))
REOPENED_AT = T0 + MINUTE

COOLING_DOWN = [
    Row(
        "a cool-down says when it may be tried again",
        COOLED[:2],
        batch(fail(1), fail(2), fail(3)),
        [SHORT, SHORT, SHORT_AND_OPENED],
        {
            "breaker CAT": breaker(
                "O",
                T0,
                failures=3,
                retry_at=REOPENED_AT,
                cool_down=MINUTE,
                reason=FAILED,
                policy=COOLING,
            ),
            **logged(
                *(lost(1), lost(2), lost(3)),
                f"O\tCAT\t{BY}\t3 {REOPENED_AT} {FAILED}",
                balances=CATS,
            ),
        },
    ),
    Row(
        "to its last millisecond the SKU is suspended",
        (*COOLED, Advance(MINUTE - 1)),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.SKU_SUSPENDED, "CAT", T0, REOPENED_AT, FAILED]],
    ),
    Row(
        "from its end on everyone may try, and a grant is the first success",
        (*COOLED, Advance(MINUTE + 7)),
        reserve("tmall:1", "1 CAT@main", ttl=0),
        [Status.DONE],
        {
            "breaker CAT": breaker(
                "H",
                REOPENED_AT,
                failures=3,
                cool_down=MINUTE,
                successes=1,
                reason=FAILED,
                policy=COOLING,
            ),
            "committed CAT@main": 1,
            "reservations tmall:1": f"C{REOPENED_AT + 7},0\n1 CAT@main",
            **logged(
                f"J\tCAT\t\t3 0 {FAILED}",
                f"D\ttmall:1\t{BY}\t\t1 CAT@main",
                balances="10 0 0 1 CAT@main",
            ),
        },
    ),
    Row(
        "the next failure reopens with twice the cool-down, and ids count anew",
        (*COOLED, Advance(MINUTE)),
        fail(1),
        [SHORT_AND_OPENED],
        {
            "breaker CAT": breaker(
                "O",
                REOPENED_AT,
                failures=1,
                retry_at=REOPENED_AT + 2 * MINUTE,
                cool_down=2 * MINUTE,
                reason=AGAIN,
                policy=COOLING,
            ),
            **logged(
                f"J\tCAT\t\t3 0 {FAILED}",
                lost(1),
                f"O\tCAT\t{BY}\t1 {REOPENED_AT + 2 * MINUTE} {AGAIN}",
                balances=CATS,
            ),
        },
    ),
    Row(
        "a cool-down of a day doubles like any other",
        (STOCK, lay(breaker("H", T0, failures=1, cool_down=DAY, policy=COOLING))),
        fail(1),
        [SHORT_AND_OPENED],
        {
            "breaker CAT": breaker(
                "O",
                T0,
                failures=1,
                retry_at=T0 + 2 * DAY,
                cool_down=2 * DAY,
                reason=AGAIN,
                policy=COOLING,
            ),
            **logged(lost(1), f"O\tCAT\t{BY}\t1 {T0 + 2 * DAY} {AGAIN}", balances=CATS),
        },
    ),
    Row(
        "doubling ends at 70 years, before dates do",
        (STOCK, lay(breaker("H", T0, failures=1, cool_down=MAX_COOL_DOWN - 1, policy=COOLING))),
        fail(1),
        [SHORT_AND_OPENED],
        {
            "breaker CAT": breaker(
                "O",
                T0,
                failures=1,
                retry_at=T0 + MAX_COOL_DOWN,
                cool_down=MAX_COOL_DOWN,
                reason=AGAIN,
                policy=COOLING,
            ),
            **logged(lost(1), f"O\tCAT\t{BY}\t1 {T0 + MAX_COOL_DOWN} {AGAIN}", balances=CATS),
        },
    ),
    Row(
        "an order refused for another SKU still tells that a cool-down has ended",
        (*COOLED, lay(breaker("M", T0), "DOG"), Advance(MINUTE)),
        reserve("tmall:1", "1 CAT@main, 1 DOG@main"),
        [[Status.SKU_SUSPENDED, "DOG", T0, 0, ""]],
        {
            "breaker CAT": breaker(
                "H", REOPENED_AT, failures=3, cool_down=MINUTE, reason=FAILED, policy=COOLING
            ),
            **logged(f"J\tCAT\t\t3 0 {FAILED}"),
        },
    ),
]

CLOSING = [
    Row(
        "the second success closes, clears window and cool-down, keeps the policy",
        (*HALF_OPEN, reserve("tmall:1", "1 CAT@main")),
        reserve("tmall:2", "1 CAT@main", ttl=0),
        [Status.DONE],
        {
            "breaker CAT": breaker("C", policy=COOLING),
            "committed CAT@main": 1,
            "reservations tmall:2": f"C{T0},0\n1 CAT@main",
            **logged(
                f"K\tCAT\t{BY}\t0 0 ",
                f"D\ttmall:2\t{BY}\t\t1 CAT@main",
                balances="10 0 1 1 CAT@main",
            ),
        },
    ),
    Row(
        "without a policy of its own nothing is left of a closed breaker",
        (STOCK, lay(breaker("H", T0, failures=3, successes=1))),
        reserve("tmall:2", "1 CAT@main", ttl=0),
        [Status.DONE],
        {
            "breaker CAT": None,
            "committed CAT@main": 1,
            "reservations tmall:2": f"C{T0},0\n1 CAT@main",
            **logged(
                f"K\tCAT\t{BY}\t0 0 ",
                f"D\ttmall:2\t{BY}\t\t1 CAT@main",
                balances="10 0 0 1 CAT@main",
            ),
        },
    ),
    Row(
        "an order that names a SKU in two warehouses is one success",
        (*HALF_OPEN, set_stock("CAT@west", 5)),
        reserve("tmall:1", "1 CAT@main, 1 CAT@west", ttl=0),
        [Status.DONE],
        {
            "breaker CAT": breaker(
                "H", T0, failures=3, cool_down=MINUTE, successes=1, policy=COOLING
            ),
            "committed CAT@main": 1,
            "committed CAT@west": 1,
            "reservations tmall:1": f"C{T0},0\n1 CAT@main\n1 CAT@west",
            **logged(
                f"D\ttmall:1\t{BY}\t\t1 CAT@main\t1 CAT@west",
                balances=("10 0 0 1 CAT@main", "5 0 0 1 CAT@west"),
            ),
        },
    ),
    Row(
        "a replay is no success",
        (STOCK, reserve("tmall:1", "1 CAT@main"), HALF_OPEN[1]),
        reserve("tmall:1", "1 CAT@main"),
        [[Status.REPLAYED, f"H{T0},{TTL}\n1 CAT@main"]],
    ),
    Row(
        "of an order refused for another SKU the half-open one has neither success nor failure",
        HALF_OPEN,
        reserve("tmall:f1", "1 CAT@main, 99 DOG@main"),
        [[Status.INSUFFICIENT_STOCK, 0, "DOG@main", "99", "4"]],
        {
            "breaker DOG": breaker("C", window=window((0, 1))),
            **logged(lost(1, "DOG", "99 4 DOG@main"), balances=DOGS),
        },
    ),
    Row(
        "two successes in one batch close, and the failure after them is the first of a window",
        HALF_OPEN,
        batch(
            reserve("tmall:1", "1 CAT@main", ttl=0),
            reserve("tmall:2", "1 CAT@main", ttl=0),
            fail(1),
        ),
        [Status.DONE, Status.DONE, [Status.INSUFFICIENT_STOCK, 0, "CAT@main", "99", "8"]],
        {
            "breaker CAT": breaker("C", policy=COOLING, window=window((0, 1))),
            "committed CAT@main": 2,
            "reservations tmall:1": f"C{T0},0\n1 CAT@main",
            "reservations tmall:2": f"C{T0},0\n1 CAT@main",
            **logged(
                f"D\ttmall:1\t{BY}\t\t1 CAT@main",
                f"K\tCAT\t{BY}\t0 0 ",
                f"D\ttmall:2\t{BY}\t\t1 CAT@main",
                lost(1, line="99 8 CAT@main"),
                balances="10 0 0 2 CAT@main",
            ),
        },
    ),
]


@pytest.mark.parametrize("row", [*COOLING_DOWN, *CLOSING], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)
