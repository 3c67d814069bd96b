"""set_breaker.lua: trip, reset, policy, and locks that were rejected elsewhere."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from reservation.status import Status
from tests.reservation.lua.calls import (
    BY,
    MINUTE,
    POLICY,
    STOCK,
    T0,
    Advance,
    Call,
    batch,
    breaker,
    on_breaker,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, Row, check, logged
from tests.reservation.lua.test_reserve_breaker import (
    FAILED,
    OPEN,
    WINDOW,
    fail,
    lay,
    window,
)

FIRE = "fire in the hall"
NOW = T0 + 7
LATER = Advance(7)
TRIP = on_breaker("T", "CAT", FIRE)
RESET = on_breaker("R", "CAT", "checked")
TRIPPED = breaker("M", NOW, by="key", reason=FIRE)
COOLING = "3,300000,60000,0"
UNKNOWN = Status.UNKNOWN_SKU


def done(changed: int, value: str = "") -> list[object]:
    """Write the answer to a single act: the deployment's policy, then what became of it."""
    return [POLICY, [Status.DONE, changed, value]]


def opened(failures: int = 0, reason: str = FIRE) -> str:
    return f"O\tCAT\t{BY}\t{failures} 0 {reason}"


def closed(reason: str = "checked") -> str:
    return f"K\tCAT\t{BY}\t0 0 {reason}"


TRIPS = [
    Row(
        "a trip suspends, with the key's name and its reason",
        (STOCK, LATER),
        TRIP,
        done(1, TRIPPED),
        {"breaker CAT": TRIPPED, **logged(opened())},
    ),
    Row(
        "failures say how many had counted until then, the window is emptied",
        (STOCK, fail(1), Advance(WINDOW), fail(2), LATER),
        TRIP,
        done(1, breaker("M", NOW + WINDOW, failures=1, by="key", reason=FIRE)),
        {
            "breaker CAT": breaker("M", NOW + WINDOW, failures=1, by="key", reason=FIRE),
            **logged(opened(1)),
        },
    ),
    Row(
        "what failures have suspended stays so since then, from now on by hand",
        (*OPEN, LATER),
        TRIP,
        done(1, breaker("M", T0, failures=3, by="key", reason=FIRE)),
        {
            "breaker CAT": breaker("M", T0, failures=3, by="key", reason=FIRE),
            **logged(opened(3)),
        },
    ),
    Row(
        "a cool-down ends where the hand comes",
        (
            STOCK,
            lay(breaker("O", T0, failures=3, retry_at=NOW + 1, cool_down=8, policy=COOLING)),
            LATER,
        ),
        TRIP,
        done(1, breaker("M", T0, failures=3, by="key", reason=FIRE, policy=COOLING)),
        {
            "breaker CAT": breaker("M", T0, failures=3, by="key", reason=FIRE, policy=COOLING),
            **logged(opened(3)),
        },
    ),
    Row(
        "one that had ended already is told first",
        (
            STOCK,
            lay(breaker("O", T0, failures=3, retry_at=T0 + 3, cool_down=3, reason=FAILED)),
            LATER,
        ),
        TRIP,
        done(1, breaker("M", NOW, failures=3, by="key", reason=FIRE)),
        {
            "breaker CAT": breaker("M", NOW, failures=3, by="key", reason=FIRE),
            **logged(f"J\tCAT\t\t3 0 {FAILED}", opened(3)),
        },
    ),
    Row(
        "a half-open one is suspended anew",
        (STOCK, lay(breaker("H", T0, failures=3, successes=1)), LATER),
        TRIP,
        done(1, breaker("M", NOW, failures=3, by="key", reason=FIRE)),
        {
            "breaker CAT": breaker("M", NOW, failures=3, by="key", reason=FIRE),
            **logged(opened(3)),
        },
    ),
    Row("the same trip again changes nothing", (STOCK, LATER, TRIP), TRIP, done(0, TRIPPED)),
    Row(
        "another reason is recorded, since stays",
        (STOCK, LATER, TRIP, Advance(1)),
        on_breaker("T", "CAT", "recall"),
        done(1, breaker("M", NOW, by="key", reason="recall")),
        {
            "breaker CAT": breaker("M", NOW, by="key", reason="recall"),
            **logged(opened(reason="recall")),
        },
    ),
    Row(
        "a SKU that is known in one warehouse of two is suspended once",
        (STOCK, set_stock("CAT@w2", 1), LATER),
        TRIP,
        done(1, TRIPPED),
        {"breaker CAT": TRIPPED, **logged(opened())},
    ),
]

RESETS = [
    Row("nothing to reset changes nothing", (STOCK,), RESET, done(0)),
    Row(
        "failures that no longer count change nothing either",
        (STOCK, fail(1), Advance(WINDOW)),
        RESET,
        done(0, breaker("C", window=window((0, 1)))),
    ),
    Row(
        "failures are forgotten",
        (STOCK, fail(1), fail(2)),
        RESET,
        done(1, breaker("C")),
        {"breaker CAT": None, **logged(closed())},
    ),
    Row(
        "what failures have suspended is closed",
        OPEN,
        RESET,
        done(1, breaker("C")),
        {"breaker CAT": None, **logged(closed())},
    ),
    Row(
        "what a hand has suspended is closed, its policy stays",
        (STOCK, lay(breaker("M", T0, by="boss", reason=FIRE, policy=COOLING))),
        RESET,
        done(1, breaker("C", policy=COOLING)),
        {"breaker CAT": breaker("C", policy=COOLING), **logged(closed())},
    ),
    Row(
        "a half-open one is closed, and its cool-down forgotten",
        (STOCK, lay(breaker("H", T0, failures=3, cool_down=MINUTE, successes=1))),
        RESET,
        done(1, breaker("C")),
        {"breaker CAT": None, **logged(closed())},
    ),
]

POLICIES = [
    Row(
        "what is not named stays as the deployment has it",
        (STOCK,),
        on_breaker("P", "CAT", "5,,,"),
        done(1, breaker("C", policy="5,300000,0,0")),
        {
            "breaker CAT": breaker("C", policy="5,300000,0,0"),
            **logged(f"P\tCAT\t{BY}\t5,300000,0,0"),
        },
    ),
    Row(
        "or as the SKU has it",
        (STOCK, on_breaker("P", "CAT", "5,,,")),
        on_breaker("P", "CAT", ",60000,1000,"),
        done(1, breaker("C", policy="5,60000,1000,0")),
        {
            "breaker CAT": breaker("C", policy="5,60000,1000,0"),
            **logged(f"P\tCAT\t{BY}\t5,60000,1000,0"),
        },
    ),
    Row(
        "the same policy again changes nothing",
        (STOCK, on_breaker("P", "CAT", "5,,,")),
        on_breaker("P", "CAT", "5,300000,0,0"),
        done(0, breaker("C", policy="5,300000,0,0")),
    ),
    Row(
        "failures so far count on under it",
        (STOCK, fail(1), fail(2)),
        on_breaker("P", "CAT", "2,,,"),
        done(1, breaker("C", policy="2,300000,0,0", window=window((0, 1), (0, 2)))),
        {
            "breaker CAT": breaker("C", policy="2,300000,0,0", window=window((0, 1), (0, 2))),
            **logged(f"P\tCAT\t{BY}\t2,300000,0,0"),
        },
    ),
    Row(
        "a wider window brings back no failure",
        (STOCK, on_breaker("P", "CAT", ",1000,,"), fail(1), Advance(1000)),
        on_breaker("P", "CAT", ",300000,,"),
        done(1, breaker("C", policy="3,300000,0,0")),
        {
            "breaker CAT": breaker("C", policy="3,300000,0,0"),
            **logged(f"P\tCAT\t{BY}\t3,300000,0,0"),
        },
    ),
    Row(
        "an exempt SKU has no failures, and opens again",
        OPEN,
        on_breaker("P", "CAT", ",,,1"),
        done(1, breaker("C", policy="3,300000,0,1")),
        {
            "breaker CAT": breaker("C", policy="3,300000,0,1"),
            **logged(f"P\tCAT\t{BY}\t3,300000,0,1", closed("exempt")),
        },
    ),
    Row(
        "what a hand has suspended stays, exempt or not",
        (STOCK, LATER, TRIP),
        on_breaker("P", "CAT", ",,,1"),
        done(1, breaker("M", NOW, by="key", reason=FIRE, policy="3,300000,0,1")),
        {
            "breaker CAT": breaker("M", NOW, by="key", reason=FIRE, policy="3,300000,0,1"),
            **logged(f"P\tCAT\t{BY}\t3,300000,0,1"),
        },
    ),
]

REJECTED = [
    Row(
        "a lock that was rejected elsewhere counts like a failed one",
        (STOCK, fail(1)),
        on_breaker("F", "CAT", "tmall:f2"),
        done(0, breaker("C", window=window((0, 1), (0, 2)))),
        {
            "breaker CAT": breaker("C", window=window((0, 1), (0, 2))),
            **logged(f"L\tCAT\t{BY}\ttmall:f2"),
        },
    ),
    Row(
        "once for an id",
        (STOCK, fail(1)),
        on_breaker("F", "CAT", "tmall:f1"),
        done(0, breaker("C", window=window((0, 1)))),
    ),
    Row(
        "while a SKU is suspended nothing counts, however it came to be",
        (STOCK, LATER, TRIP),
        on_breaker("F", "CAT", "tmall:f1"),
        done(0, TRIPPED),
    ),
    Row(
        "the third opens",
        (STOCK, fail(1), fail(2)),
        on_breaker("F", "CAT", "tmall:f3"),
        done(1, breaker("O", T0, failures=3, reason=FAILED)),
        {
            "breaker CAT": breaker("O", T0, failures=3, reason=FAILED),
            **logged(f"L\tCAT\t{BY}\ttmall:f3", f"O\tCAT\t{BY}\t3 0 {FAILED}"),
        },
    ),
]

MANY = [
    Row(
        "an unknown SKU is named alone",
        (STOCK, LATER),
        batch(TRIP, on_breaker("T", "FOX", FIRE)),
        [POLICY, [Status.DONE, 1, TRIPPED], UNKNOWN],
        {"breaker CAT": TRIPPED, **logged(opened())},
    ),
    Row(
        "or refuses all where that is asked",
        (STOCK, LATER),
        batch(on_breaker("T", "CAT", FIRE, whole=True), on_breaker("T", "FOX", FIRE)),
        [POLICY, [Status.DONE, 0, ""], UNKNOWN],
    ),
    Row(
        "all known, all are tripped in one step",
        (STOCK, LATER),
        batch(on_breaker("T", "CAT", FIRE, whole=True), on_breaker("T", "DOG", FIRE)),
        [POLICY, [Status.DONE, 1, TRIPPED], [Status.DONE, 1, TRIPPED]],
        {
            "breaker CAT": TRIPPED,
            "breaker DOG": TRIPPED,
            **logged(opened(), opened().replace("CAT", "DOG")),
        },
    ),
]


@pytest.mark.parametrize("row", [*TRIPS, *RESETS, *POLICIES, *REJECTED, *MANY], ids=str)
def test_row(partition: Partition, row: Row) -> None:
    """Every row's answer and whole state are as it says."""
    check(partition, row)


def test_the_next_reserve_is_refused_and_after_a_reset_granted(partition: Partition) -> None:
    """By hand as by failures: on every channel, at once."""
    partition.run(STOCK)
    partition.run(TRIP)
    assert partition.run(reserve("douyin:1", "1 CAT@main"))[2] == [
        *(Status.SKU_SUSPENDED, "CAT", T0, 0, FIRE)
    ]
    partition.run(set_stock("CAT@main", 99))
    assert partition.run(reserve("douyin:1", "1 CAT@main"))[2][0] == Status.SKU_SUSPENDED
    partition.run(RESET)
    assert partition.run(reserve("douyin:1", "1 CAT@main"))[2] == Status.DONE


@pytest.mark.parametrize(
    "arguments",
    [
        ("T", ".", BY, FIRE),
        ("X", "CAT", BY, FIRE),
        ("T", "CAT", BY, "a\tb"),
        ("F", "CAT", BY, "no id"),
        *(
            ("P", "CAT", BY, text)
            for text in ("", "0,,,", "21,,,", ",999,,", ",,86400001,", ",,,2")
        ),
    ],
)
def test_bad_arguments(partition: Partition, arguments: tuple[str, ...]) -> None:
    """They are a bug of the caller and change nothing."""
    partition.run(STOCK)
    before = partition.state()
    with pytest.raises(ResponseError, match="BADARG"):
        partition.run(Call("set_breaker", (0,), (arguments,)))
    assert partition.state() == before
