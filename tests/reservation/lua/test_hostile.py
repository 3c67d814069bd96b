"""Hostile arguments: whatever is sent, a script answers BADARG or business, never a partial write.

100 calls a script in the normal run; 100,000 a script, in some 20 minutes for both servers, by
`make chaos ARGS=tests/reservation/lua/test_hostile.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import redis

from reservation.store.scripts import LUA_DIRECTORY, assemble
from tests.chaos.sizes import sizes
from tests.reservation.lua.calls import (
    POLICY,
    RETENTION,
    TTL,
    Advance,
    Argument,
    Call,
    Step,
    adjust_stock,
    audit_scan,
    batch,
    breaker,
    confirm,
    count_quota,
    ensure_partition,
    expire,
    extend,
    fulfil,
    move_clock,
    on_breaker,
    raw,
    read_quota,
    read_reservations,
    read_stock,
    release,
    reserve,
    retire,
    set_health,
    set_quota,
    set_stock,
    trim,
)
from tests.reservation.lua.partition import Partition

SEED = "2026"
CALLS_PER_BLOCK = 1_000  # then the partition is audited and laid anew
LARGE = "x" * (1 << 20)

SCRIPTS = sorted(path.stem for path in LUA_DIRECTORY.glob("[!_]*.lua"))
IDS = [f"tmall:{n}" for n in range(12)]
SKUS = ["CAT", "DOG", "猫@1", "FOX"]
LEVELS = [f"{sku}@{warehouse}" for sku in SKUS for warehouse in ("main", "west")]

HOSTILE: tuple[Argument, ...] = (
    *("", "-1", "0", "-0", "00", "01", "+1", "1.0", "1.5", "1e3", "0x10", " 7 ", "7 ", "7\n"),
    *("inf", "-inf", "nan", "-nan", "1e308", "9007199254740991", "9007199254740992"),
    *("-9007199254740991", "9223372036854775807", "9223372036854775808", "18446744073709551616"),
    *("99999999999999999999", "9" * 19, "9" * 400, "1" + "0" * 15, "٣", "１", "1_000", "1,000"),
    *("@", "@main", "CAT@", "CAT", ".@main", "..@main", ".", "CAT@main ", "CAT@ma in", "@@@"),
    *("CAT@main@", "CAT@mäin", "x" * 316 + "@main", "x" * 315 + "@main", "CAT main", "#a 1 CAT"),
    *("tmall:", ":1", "TMALL:1", "tmall:1\n", "tmall:" + "x" * 200, "tmall:1 ", "t mall:1"),
    *("a\nb", "a\tb", "\r\n", "\x00", "\x7f", "x\x00y", "%s%n%d", "%", "^$()%.[]*+-?", "\\"),
    *("'; return redis.call('FLUSHALL') --", "]]", "hf:{p0000}:held", "nil", "false", "{}"),
    *("🦊", "\u2028", "e\u0301", "held", "clock", "reservations", "events", "_G", "__index"),
    *(b"\xff\xfe", b"\xc3", b"tmall:\xff", b"CAT@main\x80", b"\x00\x01\x02", b"\xed\xa0\x80"),
    *("3,300000,0,0", "3,300000,0,2", "3,300000,0", "0,0,0,0", "999999999999999999999,1,1,1"),
)


def _lines(chance: random.Random) -> list[tuple[int, str]]:
    count = chance.choice((1, 1, 1, 2, 3))
    return [(chance.choice((1, 2, 3, 50)), level) for level in chance.sample(LEVELS, count)]


def _reserve(chance: random.Random) -> Call:
    ttl = chance.choice((0, 1, 50, TTL))
    return reserve(chance.choice(IDS), _lines(chance), ttl=ttl)


def _fulfil(chance: random.Random) -> Call:
    if chance.random() < 0.5:
        return fulfil(chance.choice(IDS))
    return fulfil(chance.choice(IDS), chance.choice("abc"), _lines(chance))


WELL_FORMED: dict[str, Callable[[random.Random], Call]] = {
    "reserve": _reserve,
    "confirm": lambda chance: confirm(chance.choice(IDS), reinstate=chance.random() < 0.5),
    "release": lambda chance: release(chance.choice(IDS), "reason"),
    "extend": lambda chance: extend(chance.choice(IDS), chance.choice((1, 50, TTL, 2 * TTL))),
    "fulfil": _fulfil,
    "set_stock": lambda chance: set_stock(
        chance.choice(LEVELS), chance.choice((0, 5, 40)), chance.choice(("", 0, 2)), "", report=True
    ),
    "adjust_stock": lambda chance: adjust_stock(
        chance.choice(LEVELS), chance.choice((-3, 2, 9)), f"a{chance.randrange(99)}"
    ),
    "read_stock": lambda chance: read_stock(chance.choice(SKUS)),
    "read_reservations": lambda chance: read_reservations(chance.choice(IDS)),
    "expire": lambda _: expire(),
    "retire": lambda _: retire(),
    "trim": lambda chance: trim(
        chance.choice((1, RETENTION)),
        chance.choice((0, 500, 1 << 30)),
        archived=chance.choice(("0-0", f"{2**53 - 1}-0")),
    ),
    "ensure_partition": lambda _: ensure_partition(POLICY),
    "move_clock": lambda chance: move_clock(chance.choice((0, 1, TTL)), chance.choice(("", "1"))),
    "set_breaker": lambda chance: on_breaker(
        *chance.choice(
            (
                ("T", chance.choice(SKUS), "reason"),
                ("R", chance.choice(SKUS), "reason"),
                (
                    "P",
                    chance.choice(SKUS),
                    chance.choice(("2,,,", ",1000,50,", ",,,1", "3,1000,0,0")),
                ),
                ("F", chance.choice(SKUS), chance.choice(IDS)),
            )
        ),
        whole=chance.random() < 0.3,
    ),
    "set_health": lambda chance: set_health(
        chance.choice(LEVELS),
        chance.choice(("", "at_risk 0.5 7 1.5 7 7")),
        chance.choice(("", "at_risk inf 0.0 3 0 0")),
        expected=chance.choice(("", "5-0")),
    ),
    "set_quota": lambda chance: set_quota(
        chance.choice(LEVELS),
        *chance.sample(("tmall 2,5,", "douyin 3,,", "dealer 0,0,9"), chance.choice((0, 1, 2))),
        anew=chance.random() < 0.3,
    ),
    "count_quota": lambda chance: count_quota(
        chance.choice(LEVELS), chance.choice(("5-0", "1-1")), tmall=chance.choice((1, 2))
    ),
    "read_quota": lambda chance: read_quota(chance.choice(SKUS)),
    "audit_scan": lambda chance: audit_scan(chance.choice(("held", "reservations", "due"))),
}

# Quotas, holds, overdue ones, commitments, parts, receipts, breakers: something to be broken.
SETTLED: tuple[Step, ...] = (
    batch(*(set_stock(level, 20, 1) for level in LEVELS[:-1])),
    set_quota("DOG@main", "tmall 1,30,"),
    set_quota("猫@1@main", "tmall 2,3,", "douyin 2,,"),
    *(reserve(f"tmall:{n}", "1 CAT@main, 2 DOG@main", ttl=100) for n in range(3)),
    reserve("tmall:3", "2 CAT@west", ttl=0),
    reserve("tmall:4", "2 CAT@main", ttl=0),
    fulfil("tmall:4", "a", "1 CAT@main"),
    reserve("tmall:5", "1 DOG@main", ttl=0),
    release("tmall:5"),
    adjust_stock("CAT@main", 5, "a1"),
    raw("HSET", "breaker", "DOG", breaker("C", policy="1,1000,50,0")),
    raw("HSET", "breaker", "猫@1", breaker("H", 1, failures=1, cool_down=50)),
    Advance(100),
)


def spoil(chance: random.Random, arguments: list[Argument]) -> list[Argument]:
    """Replace, drop, add, swap or repeat a few arguments."""
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        at = chance.randrange(len(arguments) + 1)
        match chance.randrange(8):
            case 0 if at < len(arguments):
                del arguments[at]
            case 1:
                arguments.insert(at, chance.choice(HOSTILE))
            case 2:
                arguments = arguments[:at]
            case 3:
                arguments += arguments[at:]
            case 4 if len(arguments) > 1:
                other = chance.randrange(len(arguments))
                at = min(at, len(arguments) - 1)
                arguments[at], arguments[other] = arguments[other], arguments[at]
            case _ if at < len(arguments):
                value = LARGE if chance.random() < 0.01 else chance.choice(HOSTILE)
                arguments[at] = value
    return arguments


def changes(partition: Partition) -> int:
    """Count the changes that the server has ever made to its data."""
    return int(partition.client.info("persistence")["rdb_changes_since_last_save"])


@sizes(100, 100_000, "calls")
@pytest.mark.parametrize("name", SCRIPTS)
def test_hostile_arguments(partition: Partition, name: str, calls: int) -> None:
    """BADARG or an answer of the right shape; an error has written nothing; the audit is clean."""
    chance = random.Random(f"{SEED} {name}")
    answered = refused = 0
    for first in range(0, calls, CALLS_PER_BLOCK):
        if first:
            partition.check_invariants()
            partition.client.flushall()
            partition.lay()
        for step in SETTLED:
            partition.run(step)
        for _ in range(min(CALLS_PER_BLOCK, calls - first)):
            if attack(partition, name, chance, look_closely=calls <= CALLS_PER_BLOCK):
                answered += 1
            else:
                refused += 1
    assert refused or name == "expire"  # which takes none
    assert answered


def attack(partition: Partition, name: str, chance: random.Random, *, look_closely: bool) -> bool:
    """Send one hostile call; say whether it was answered. `look_closely` compares whole states."""
    well_formed = [WELL_FORMED[name](chance) for _ in range(chance.choice((1, 1, 2)))]
    arguments = spoil(chance, batch(*well_formed).arguments)
    state = partition.state() if look_closely else None
    before = changes(partition)
    error, reply = attempt(partition, name, arguments)
    if error is None:
        assert isinstance(reply, list)
        assert reply[0].isdigit()
        assert None not in reply
        return True
    assert error.startswith("BADARG "), f"{error} {arguments!r:.2000}"
    assert before == changes(partition), arguments
    if look_closely:
        assert state == partition.state(), arguments
    return False


def attempt(partition: Partition, name: str, arguments: list[Argument]) -> tuple[str | None, Any]:
    """Call a script; return the error's text or the answer."""
    try:
        return None, partition.evaluate(name, arguments)
    except redis.ResponseError as error:
        return str(error), None


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in SCRIPTS for key in assemble(name).key_names]
)
def test_a_key_of_a_wrong_type_writes_nothing(partition: Partition, name: str, key: str) -> None:
    """A key that something else has taken fails the call whole; no Lua error shows."""
    partition.audited = False
    for step in SETTLED:
        partition.run(step)
    partition.run(raw("DEL", key))
    partition.run(raw("SET", key, "x"))
    chance = random.Random(f"{SEED} {name} {key}")
    for _ in range(10):
        before = partition.state()
        error, _answer = attempt(partition, name, WELL_FORMED[name](chance).arguments)
        if error is not None:
            assert error.startswith("WRONGTYPE ")
            assert before == partition.state()
