"""The audit: every planted corruption is found, and work in progress is none."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from reservation.audit import AuditReport, LogTrimmed, audit
from reservation.config import Durability, load
from reservation.errors import StoreUnavailable
from reservation.model import (
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Release,
    Reserve,
    SetStock,
)
from reservation.store.embedded import EmbeddedStore
from reservation.store.keys import PARTITION_KEYS, key
from reservation.store.store import Store
from tests.conftest import SERVERS, Clock
from tests.reservation.store.proxy import proxied

HASHES = [name for name, kind in PARTITION_KEYS.items() if kind == "hash"]
ZSETS = [name for name, kind in PARTITION_KEYS.items() if kind == "zset"]


async def run(store: Store, *operations: Operation) -> None:
    """Run operations one by one."""
    for operation in operations:
        await store.run(type(operation), [operation], ["k|r"])


@pytest.fixture
async def busy(store: Store) -> Store:
    """Have a reservation of every state: a hold, an extended one, commitments, receipts."""
    cats, dogs = (Line("CAT", "main", 2),), (Line("CAT", "main", 1), Line("DOG", "w", 3))
    await store.set_stock([SetStock("CAT", "main", 50, 2), SetStock("DOG", "w", 50)], "k|r")
    await run(
        store,
        Reserve("tmall:held", dogs, 60_000),
        Reserve("tmall:extended", cats, 60_000),
        Extend("tmall:extended", 90_000),
        Reserve("tmall:confirmed", dogs, 0, confirm=True),
        Fulfil("tmall:confirmed", "a", (Line("DOG", "w", 1),)),
        Reserve("tmall:released", cats, 60_000),
        Release("tmall:released"),
        Reserve("tmall:fulfilled", cats, 0, confirm=True),
        Fulfil("tmall:fulfilled"),
    )
    return store


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_sound_store_has_no_finding(busy: Store, clock: Clock) -> None:
    """The report counts what there is, at the log's last position."""
    await run(busy, Reserve("tmall:expired", (Line("CAT", "main", 1),), 1_000))
    await clock.advance(1)
    await busy.expire()
    report = await audit(busy)
    assert report.findings == []
    assert report.ok
    assert report.reservations == {
        "held": 2,
        "confirmed": 1,
        "released": 1,
        "fulfilled": 1,
        "expired": 1,
    }
    assert report.levels == 2
    assert report.units == {"on_hand": 97, "safety": 2, "held": 6, "committed": 3}
    assert report.version == await busy.client.hget(key(0, "clock"), "version")


# What was done behind the scripts' back, and a part of what the audit says of it.
CORRUPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "held is one too high": (("HINCRBY", "held", "CAT@main", "1"), "held is 4, live"),
    "held is one too low": (("HINCRBY", "held", "DOG@w", "-1"), "held is 2, live"),
    "committed is one too high": (("HINCRBY", "committed", "CAT@main", "1"), "committed is 2"),
    "committed is one too low": (("HINCRBY", "committed", "DOG@w", "-1"), "committed is 1"),
    "the index has lost a SKU": (("HDEL", "levels", "DOG"), "DOG: levels names nothing"),
    "the index names a level too many": (
        ("HSET", "levels", "CAT", "main east"),
        "CAT: levels names main east",
    ),
    "held is below 0": (("HSET", "held", "CAT@main", "-1"), "held is -1, below 0"),
    "safety stock is below 0": (("HSET", "safety", "CAT@main", "-5"), "safety is -5, below 0"),
    "a hold is lost": (("HDEL", "reservations", "tmall:held"), "live reservations sum to 2"),
    "a commitment is lost": (("HDEL", "reservations", "tmall:confirmed"), "sum to 0"),
    "a hold appears from nowhere": (
        ("HSET", "reservations", "tmall:forged", "H1,9999999999999\n1 CAT@main"),
        "live reservations sum to 4",
    ),
    "a hold holds more than it took": (
        ("HSET", "reservations", "tmall:held", "H1,9999999999999\n9 CAT@main\n3 DOG@w"),
        "live reservations sum to 11",
    ),
    "a hold became a commitment by itself": (
        ("HSET", "reservations", "tmall:held", "C1,0\n1 CAT@main\n3 DOG@w"),
        "committed is 1, live reservations sum to 2",
    ),
    "a part is forgotten": (
        ("HSET", "reservations", "tmall:confirmed", "C1,0\n1 CAT@main\n3 DOG@w"),
        "committed is 2, live reservations sum to 3",
    ),
    "a hold names a level that is not there": (
        ("HSET", "reservations", "tmall:forged", "H1,9999999999999\n1 FOX@main"),
        "FOX@main: held is None, live reservations sum to 1",
    ),
    "held lacks a level": (("HDEL", "held", "DOG@w"), "do not have the same levels"),
    "committed lacks a level": (("HDEL", "committed", "DOG@w"), "do not have the same levels"),
    "safety has a level more": (("HSET", "safety", "FOX@w", "1"), "do not have the same levels"),
    "on_hand lacks a level": (("HDEL", "on_hand", "DOG@w"), "do not have the same levels"),
    "a level is in held alone": (("HSET", "held", "FOX@main", "0"), "not have the same levels"),
    "every hint is lost": (("ZREMRANGEBYSCORE", "due", "-inf", "(+inf"), "tmall:held is held"),
    **{f"{name} has lost its sentinel": (("HDEL", name, "."), f":{name} ") for name in HASHES},
    **{
        f"{name} has lost its sentinel": (("ZREM", name, "."), f"{name} has lost its sentinel")
        for name in ZSETS
    },
    "every receipt's entry is lost": (
        ("ZREMRANGEBYSCORE", "ended", "-inf", "(+inf"),
        "tmall:fulfilled has ended and has no entry in ended",
    ),
    "a released hold's hint is lost": (
        ("ZREMRANGEBYSCORE", "due", "-inf", "(+inf"),
        "tmall:released has ended and has no entry in ended",
    ),
    "a record is unreadable": (
        ("HSET", "reservations", "tmall:released", "Q1,2\n1 CAT@main"),
        "record of tmall:released is unreadable",
    ),
    "a breaker is unreadable": (("HSET", "breaker", "CAT", "C\t0"), "breaker of CAT is unreadable"),
    "a breaker's state is none": (
        ("HSET", "breaker", "CAT", "Z\t0\t0\t0\t0\t0\t\t\t\t"),
        "breaker of CAT is unreadable",
    ),
    "the default policy is unreadable": (("HSET", "breaker", ".", "3"), "breaker of . is"),
    "quotas count one too many": (
        ("HSET", "quota", "CAT@main", "\tdouyin 0 4,6,\ttmall 5"),
        "CAT@main: the quota of tmall counts 5, its live reservations sum to 4",
    ),
    "quotas count for another channel": (
        ("HSET", "quota", "CAT@main", "\tdouyin 4 4,6,"),
        "CAT@main: the quota of douyin counts 4, its live reservations sum to 0",
    ),
    "quotas are unreadable": (("HSET", "quota", "CAT@main", "\tx"), "quotas of CAT@main are unre"),
    "a key is gone": (("DEL", "quota"), "quota is none, must be a hash"),
}


@pytest.mark.parametrize(("command", "says"), CORRUPTIONS.values(), ids=CORRUPTIONS)
async def test_a_planted_corruption_is_found(
    busy: Store, command: tuple[str, ...], says: str
) -> None:
    """Each is named, and nothing else is."""
    verb, name, *arguments = command
    await busy.client.execute_command(verb, key(0, name), *arguments)
    report = await audit(busy)
    assert not report.ok
    assert [text for text in report.findings if says in text], report.findings


async def test_a_hint_that_only_one_hold_has_lost_is_found(busy: Store) -> None:
    """A hold that no entry of `due` names would never be reclaimed."""
    for member in await busy.client.zrange(key(0, "due"), 0, -1):
        if member.endswith("\ntmall:extended"):
            await busy.client.zrem(key(0, "due"), member)
    report = await audit(busy)
    assert report.findings == ["tmall:extended is held and has no entry in due by its deadline"]


async def test_a_hundred_findings_are_listed_and_the_rest_counted(store: Store) -> None:
    """A ruined store does not make an endless report."""
    rows = [SetStock(f"S{n}", "main", 1) for n in range(150)]
    await store.set_stock(rows, "k|r", report=False)
    for row in rows:
        await store.client.hset(key(0, "held"), f"{row.sku}@main", "5")
    report = await audit(store)
    assert (len(report.findings), report.more_findings) == (100, 50)


async def test_progress_reaches_the_end(busy: Store) -> None:
    """Whoever shows a bar sees how far it is."""
    seen: list[tuple[int, int]] = []
    await audit(busy, progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


# Under load.


async def churn(store: Store, seed: int, stop: asyncio.Event) -> int:
    """Do what channels do until told to stop; returns how many operations."""
    chance, count = random.Random(seed), 0
    while not stop.is_set():
        reservation_id = f"c{seed}x:{chance.randrange(30)}"
        lines = tuple(Line(sku, "main", chance.randrange(1, 4)) for sku in ("CAT", "DOG"))
        operation: Operation = chance.choice(
            [
                Reserve(f"c{seed}x:{count}", lines, chance.choice([1, 5, 60_000])),
                Reserve(f"c{seed}x:{count}", lines[:1], 0, confirm=True),
                Confirm(reservation_id, reinstate=True),
                Extend(reservation_id, chance.choice([1, 20, 60_000])),
                Release(reservation_id),
                Fulfil(reservation_id),
                Fulfil(reservation_id, f"p{count}", (Line("CAT", "main", 1),)),
            ]
        )
        await run(store, operation)
        count += 1
    return count


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_an_audit_among_work_finds_nothing(store: Store) -> None:
    """Chunks are read at different moments; rolled forward by the log they agree to the unit."""
    skus = [*("CAT", "DOG"), *(f"S{n}" for n in range(600))]  # several chunks a key
    await store.set_stock([SetStock(sku, "main", 100_000) for sku in skus], "k|r", report=False)
    for first in range(0, 1_200, 200):
        orders = [
            Reserve(f"base:{n}", (Line(f"S{n % 600}", "main", 1),), 600_000)
            for n in range(first, first + 200)
        ]
        await store.run(Reserve, orders, ["k|r"] * 200)
    stop = asyncio.Event()
    load = [asyncio.create_task(churn(store, seed, stop)) for seed in range(4)]
    reports: list[AuditReport] = [await audit(store) for _ in range(8)]
    stop.set()
    assert sum(await asyncio.gather(*load)) > 100
    assert [report.findings for report in reports] == [[]] * 8
    assert (await audit(store)).findings == []


async def test_an_audit_starts_again_where_the_log_is_trimmed_under_it(
    busy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log cut past the audit's beginning cannot carry it: it begins anew, and agrees."""
    settings = busy.settings.model_copy(update={"event_log_trim_bytes": 0})
    monkeypatch.setattr(busy, "settings", settings)
    trimmed = 0

    async def meddle(_done: int, _total: int) -> None:
        await run(busy, Reserve(f"tmall:{trimmed}", (Line("CAT", "main", 1),), 60_000))
        await busy.trim((await busy.position())[1])

    call = busy.call

    async def calling(script: str, arguments: list[object], **options: object) -> object:
        nonlocal trimmed
        reply = await call(script, arguments, **options)  # type: ignore[arg-type]
        if script == "audit_scan" and trimmed < 1:
            trimmed += 1
            await meddle(0, 0)
        return reply

    monkeypatch.setattr(busy, "call", calling)
    report = await audit(busy)
    assert trimmed == 1
    assert report.findings == []


async def test_an_audit_that_never_catches_up_says_so(
    busy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trimmed under every attempt, it ends with an error, not with a verdict."""
    settings = busy.settings.model_copy(update={"event_log_trim_bytes": 0})
    monkeypatch.setattr(busy, "settings", settings)
    call, number = busy.call, iter(range(1_000_000))

    async def calling(script: str, arguments: list[object], **options: object) -> object:
        reply = await call(script, arguments, **options)  # type: ignore[arg-type]
        if script == "audit_scan":
            order = Reserve(f"tmall:{next(number)}", (Line("CAT", "main", 1),), 60_000)
            if order.reservation_id.endswith(tuple("02468")):
                await run(busy, order)
                await busy.trim((await busy.position())[1])
        return reply

    monkeypatch.setattr(busy, "call", calling)
    with pytest.raises(LogTrimmed):
        await audit(busy)


@pytest.mark.parametrize("at", ["at once", "in the middle"])
async def test_a_store_that_goes_away_is_unavailable(
    busy: Store, server: EmbeddedStore, tmp_path: Path, at: str
) -> None:
    """No verdict without a store, whenever it goes."""
    async with proxied(server.socket) as proxy:
        far = await Store.open(
            load(
                data_dir=tmp_path,
                redis_url=proxy.url,
                durability=Durability.MEMORY,
                test_clock=True,
                request_timeout_ms=500,
            )
        )
        if at == "at once":
            await proxy.stop()
        progress = (lambda _done, _total: proxy.refuse()) if at == "in the middle" else None
        with pytest.raises(StoreUnavailable):
            await audit(far, progress=progress)
        await far.close()


async def test_holds_shortened_as_their_hints_fall_due_end_in_time(
    store: Store, clock: Clock
) -> None:
    """One call that hints at two holds anew and shortens them keeps both hints apart.

    Both entries once had the same name: the later deadline could win, and the units stayed held.
    """
    await store.set_stock([SetStock("CAT", "main", 10)], "k|r")
    line, draw = (Line("CAT", "main", 1),), random.Random(1)
    for round_number in range(20):  # which of the two won was a matter of chance
        holds = [Reserve(f"tmall:{round_number}-{n}", line, 1_000) for n in range(4)]
        await store.run(Reserve, holds, ["k|r"] * len(holds))
        for least_ms, most_ms in ((50_000, 150_000), (1_500, 2_500)):
            ttls = [draw.randrange(least_ms, most_ms) for _ in holds]
            moved = [
                Extend(hold.reservation_id, ttl) for hold, ttl in zip(holds, ttls, strict=True)
            ]
            await store.run(Extend, moved, ["k|r"] * len(holds))
            assert (await audit(store)).findings == []
            await clock.advance(1.2)
        await clock.advance(2)
        await store.expire()
        (stock,) = await store.read_stock(["CAT"])
        assert stock.levels[0].held == 0


async def test_a_hint_that_comes_after_the_deadline_is_found(busy: Store) -> None:
    """A hold that nothing hints at in time would keep its units from others."""
    due = key(0, "due")
    for entry, score in await busy.client.zrange(due, 0, -1, withscores=True):
        if "tmall:held" in entry:
            await busy.client.zadd(due, {entry: score + 1})
    assert (await audit(busy)).findings == [
        "tmall:held is held and has no entry in due by its deadline"
    ]
