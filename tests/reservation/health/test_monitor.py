"""The health monitor and reads on a real store: every crossing once, exact at every instant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from reservation import metrics
from reservation.config import HealthBase, Settings
from reservation.engine import Engine
from reservation.errors import StoreUnavailable
from reservation.events.archivist import Archivist
from reservation.health.level import Health, pack, unpack
from reservation.health.monitor import HealthMonitor
from reservation.health.reads import LevelHealth
from reservation.model import Confirm, Fulfil, HealthStatus, Line, Release, Reserve, SetStock
from reservation.store.keys import key
from reservation.store.store import Store
from tests.conftest import SERVERS, Clock
from tests.reservation.events.doings import LEVELS, ORIGIN, Doings
from tests.reservation.events.losing import kept, lose
from tests.reservation.events.told import told_of
from tests.reservation.health.following import Following

HEALTHY, AT_RISK = HealthStatus.HEALTHY, HealthStatus.AT_RISK


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Trim the log whatever its size."""
    return settings.model_copy(update={"event_log_trim_bytes": 0})


@pytest.fixture
async def monitor(store: Store, settings: Settings, clock: Clock) -> HealthMonitor:
    assert clock
    await store.set_stock([SetStock("CAT", "main", 100), SetStock("DOG", "main", 100)], ORIGIN)
    made = HealthMonitor(store, settings)
    await made.look()
    return made


async def hold(store: Store, number: int, units: int, sku: str = "CAT") -> None:
    order = Reserve(f"tmall:{number}", (Line(sku, "main", units),), 3_600_000)
    (outcome,) = await store.run(Reserve, [order], [ORIGIN])
    assert outcome.status.ok


async def release(store: Store, number: int) -> None:
    (outcome,) = await store.run(Release, [Release(f"tmall:{number}")], [ORIGIN])
    assert outcome.status.ok


async def crossings(store: Store) -> list[tuple[str, str]]:
    """Name the SKU and the status of every crossing that the log tells."""
    return [
        (event["subject"], event["data"]["status"])
        for event in await told_of(store)
        if event["type"] == "io.holdfast.health.changed"
    ]


async def of(engine: Engine, sku: str) -> LevelHealth:
    found = await engine.health.of_sku(sku)
    assert found is not None
    return found.levels[0]


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_crossing_is_one_event_with_its_figures(
    store: Store, monitor: HealthMonitor
) -> None:
    await hold(store, 1, 23)
    await monitor.look()
    assert await crossings(store) == []
    await hold(store, 2, 1)
    for number in range(3, 10):
        await hold(store, number, 1)
        await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk")]
    (event,) = [
        event for event in await told_of(store) if event["type"] == "io.holdfast.health.changed"
    ]
    data = event["data"]
    assert (data["sku"], data["warehouse"], data["status"]) == ("CAT", "main", "at_risk")
    assert (data["held"], data["committed"], data["available"]) == (24, 0, 76)
    assert data["unshipped_ratio"] == pytest.approx(24 / 76, rel=1e-5)
    assert data["exposure_weight"] == pytest.approx(1 - (24 / 76 - 0.2) / 0.8, abs=1e-4)


async def test_it_rises_by_time_alone_and_tells_it(
    store: Store, monitor: HealthMonitor, clock: Clock, engine: Engine
) -> None:
    await hold(store, 1, 50)
    await monitor.look()
    await release(store, 1)
    await monitor.look()
    await clock.advance(59.999)
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk")]
    assert (await of(engine, "CAT")).status is AT_RISK
    await clock.advance(0.001)
    assert (await of(engine, "CAT")).status is HEALTHY
    await monitor.look()
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk"), ("CAT", "healthy")]


async def test_two_crossings_between_two_looks_are_both_told(
    store: Store, monitor: HealthMonitor, clock: Clock
) -> None:
    await hold(store, 1, 50)
    await release(store, 1)
    await clock.advance(60)
    await hold(store, 2, 1)
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk"), ("CAT", "healthy")]


async def test_a_fall_and_its_rise_by_time_alone_between_two_looks_are_both_told(
    store: Store, monitor: HealthMonitor, clock: Clock
) -> None:
    """The fall was lost: the rise took its place before the store had been told."""
    await hold(store, 1, 50)
    await release(store, 1)
    await clock.advance(60)
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk"), ("CAT", "healthy")]


async def test_what_is_given_back_is_taken_off_the_pace(
    store: Store, monitor: HealthMonitor, engine: Engine, clock: Clock
) -> None:
    await hold(store, 1, 10)
    await clock.advance(5)
    await hold(store, 2, 10)
    await monitor.look()
    assert (await of(engine, "CAT")).sold_out_in_seconds is not None
    await release(store, 1)
    await release(store, 2)
    await monitor.look()
    assert (await of(engine, "CAT")).sold_out_in_seconds is None


async def test_what_leaves_lowers_the_ratio(
    store: Store, monitor: HealthMonitor, clock: Clock, engine: Engine
) -> None:
    await hold(store, 1, 40)
    await store.run(Confirm, [Confirm("tmall:1")], [ORIGIN])
    await monitor.look()
    assert (await of(engine, "CAT")).status is AT_RISK
    await store.run(Fulfil, [Fulfil("tmall:1")], [ORIGIN])
    await clock.advance(60)
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk"), ("CAT", "healthy")]


async def test_a_read_is_exact_although_the_monitor_is_behind(
    store: Store, monitor: HealthMonitor, clock: Clock, engine: Engine
) -> None:
    """It carries on what is noted: also a fall that is over, and holds the weight down."""
    await monitor.look()
    await monitor.tidy()
    await hold(store, 1, 50)
    await release(store, 1)
    await clock.advance(59)
    level = await of(engine, "CAT")
    assert (level.ratio, level.status, level.weight) == (0.0, AT_RISK, 0.0)
    await clock.advance(1)
    level = await of(engine, "CAT")
    assert (level.status, level.weight) == (HEALTHY, 1.0)


async def test_without_a_monitor_health_begins_now(store: Store, engine: Engine) -> None:
    await store.set_stock([SetStock("CAT", "main", 100)], ORIGIN)
    await hold(store, 1, 60)
    level = await of(engine, "CAT")
    assert (level.ratio, level.status, level.weight) == (1.5, AT_RISK, 0.0)
    assert await engine.health.of_sku("nowhere") is None


async def test_another_monitor_goes_on_and_tells_nothing_twice(
    store: Store, monitor: HealthMonitor, settings: Settings, clock: Clock
) -> None:
    await hold(store, 1, 50)
    await monitor.look()
    second = HealthMonitor(store, settings)
    await hold(store, 2, 50, "DOG")
    await second.look()
    await monitor.look()  # is behind: begins anew
    await monitor.look()
    await second.look()
    await release(store, 1)
    await clock.advance(60)
    await second.look()
    for _ in range(3):
        await monitor.look()  # the other one has ended: it goes on alone
    await release(store, 2)
    await clock.advance(60)
    await monitor.look()
    assert await crossings(store) == [
        ("CAT", "at_risk"),
        ("DOG", "at_risk"),
        ("CAT", "healthy"),
        ("DOG", "healthy"),
    ]


@pytest.mark.parametrize("taken", [False, True], ids=["before the store", "after the store"])
async def test_a_call_whose_answer_is_lost_is_told_once(
    store: Store, monitor: HealthMonitor, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    await monitor.look()
    await hold(store, 1, 50)
    set_health = store.set_health

    async def lost(*arguments: object, **options: object) -> bool:
        if taken:
            await set_health(*arguments, **options)  # type: ignore[arg-type]
        raise StoreUnavailable("lost", effect="unknown")

    monkeypatch.setattr(store, "set_health", lost)
    with pytest.raises(StoreUnavailable):
        await monitor.look()
    monkeypatch.undo()
    monitor._in_step = False  # as its loop does
    await monitor.look()
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk")]


async def test_it_begins_with_what_the_store_has(
    store: Store, settings: Settings, engine: Engine
) -> None:
    """Levels that were at risk before anyone looked are told once."""
    monitor = HealthMonitor(store, settings)
    await store.set_stock([SetStock("CAT", "main", 100)], ORIGIN)
    await hold(store, 1, 50)
    await store.trim((await store.position())[1])
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk")]
    assert (await of(engine, "CAT")).status is AT_RISK


async def test_it_begins_at_the_birth_of_the_store(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """A fall that was over before anyone looked is told, and holds until its dwell has passed."""
    assert clock
    await store.set_stock([SetStock("CAT", "main", 100)], ORIGIN)
    await hold(store, 1, 50)
    await release(store, 1)
    await HealthMonitor(store, settings).look()
    assert await crossings(store) == [("CAT", "at_risk")]


async def test_what_is_quiet_leaves_nothing(
    store: Store, monitor: HealthMonitor, clock: Clock
) -> None:
    await hold(store, 1, 1)
    await hold(store, 2, 50, "DOG")
    await monitor.look()
    assert await store.client.hlen(key(0, "health")) == 3
    await release(store, 1)
    await release(store, 2)
    await monitor.look()
    await clock.advance(1_800)
    await monitor.look()
    await monitor.tidy()
    assert await store.client.hlen(key(0, "health")) == 1


async def test_many_levels_are_noted_in_several_calls(
    store: Store, monitor: HealthMonitor, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reservation.health.monitor.LEVELS_PER_CALL", 3)
    await store.set_stock([SetStock(f"S{n}", "main", 10) for n in range(10)], ORIGIN)
    lines = tuple(Line(f"S{n}", "main", 5) for n in range(10))
    await store.run(Reserve, [Reserve("tmall:1", lines, 60_000)], [ORIGIN])
    await monitor.look()
    assert sorted(await crossings(store)) == [(f"S{n}", "at_risk") for n in range(10)]
    assert await store.health_position() == monitor._position


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(8), id="short"),
        pytest.param(range(8, 1_008), id="long", marks=pytest.mark.chaos),
    ],
)
@pytest.mark.timeout(7200)
async def test_health_is_what_the_model_says(
    store: Store, engine: Engine, settings: Settings, clock: Clock, seeds: range
) -> None:
    """Whatever is done, and however seldom the monitor looks. A seed does ten times ten things."""
    for seed in seeds:
        await store.client.flushdb()
        fresh = await Store.open(settings)
        await fresh.close()
        await clock.freeze()
        doings = Doings(store, clock, seed)
        following = Following(store, [sku for sku, _ in LEVELS])
        monitor = HealthMonitor(store, settings)
        await doings.begin()
        for round_ in range(10):
            await doings.some(10)
            await following.check(engine, monitor)
            if round_ % 4 == 3:
                monitor = HealthMonitor(store, settings)


async def test_the_base_can_be_what_is_on_hand(
    store: Store, settings: Settings, clock: Clock
) -> None:
    assert clock
    other = settings.model_copy(update={"health_base": HealthBase.ON_HAND})
    await store.set_stock([SetStock("CAT", "main", 100)], ORIGIN)
    await hold(store, 1, 30)
    engine = Engine(store, other)
    level = await of(engine, "CAT")
    assert (level.ratio, level.status) == (0.3, HEALTHY)
    await hold(store, 2, 1)
    assert (await of(engine, "CAT")).status is AT_RISK


@pytest.fixture
async def running(store: Store, settings: Settings) -> AsyncIterator[None]:
    """Run the loop."""
    stop = asyncio.Event()
    task = asyncio.create_task(HealthMonitor(store, settings).run(stop))
    yield
    stop.set()
    await asyncio.wait_for(task, 5)


@pytest.mark.usefixtures("running")
async def test_its_loop_tells_by_itself(store: Store, clock: Clock) -> None:
    assert clock
    await store.set_stock([SetStock("CAT", "main", 10)], ORIGIN)
    await hold(store, 1, 9)
    async with asyncio.timeout(10):
        while await crossings(store) != [("CAT", "at_risk")]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_tidying_counts_what_is_at_risk(store: Store, monitor: HealthMonitor) -> None:
    """For who watches from outside."""
    await hold(store, 1, 50)
    await hold(store, 2, 5, "DOG")
    await monitor.look()
    await monitor.tidy()
    assert metrics.LEVELS_AT_RISK._value.get() == 1


# -- a store that came back without its end, a log that does not go on ---------------------------


async def test_it_goes_back_with_the_store(
    store: Store, monitor: HealthMonitor, clock: Clock, engine: Engine
) -> None:
    """What it knew of what was lost is forgotten, though no connection told it of the loss."""
    await hold(store, 1, 1)
    await monitor.look()
    await monitor.tidy()
    past = await kept(store)
    await hold(store, 2, 50)
    await monitor.look()
    assert await crossings(store) == [("CAT", "at_risk")]
    await lose(store, past)
    await clock.advance(10)
    await hold(store, 3, 50, "DOG")
    for _ in range(3):
        await monitor.look()
        await monitor.tidy()
    assert await crossings(store) == [("DOG", "at_risk")]
    assert (await of(engine, "CAT")).status is HEALTHY
    await hold(store, 4, 50)
    await monitor.look()
    assert await crossings(store) == [("DOG", "at_risk"), ("CAT", "at_risk")]


async def test_it_notes_no_position_that_was_lost(
    store: Store, monitor: HealthMonitor, clock: Clock
) -> None:
    """What is noted is as of an entry of the log: readers carry it on from there."""
    await monitor.tidy()
    past = await kept(store)
    await store.set_stock([SetStock("OWL", "main", 5)], ORIGIN)  # moves no health
    await monitor.look()
    await lose(store, past)
    await clock.advance(10)
    for _ in range(2):
        await monitor.look()
        await monitor.tidy()
        noted = await store.health_position()
        assert await store.log.entry(noted) is not None


async def test_where_the_log_does_not_go_on_it_begins_with_now(
    store: Store, monitor: HealthMonitor, settings: Settings, engine: Engine, clock: Clock
) -> None:
    """On top of what was noted: what has fallen rises by the rule, and is not told again."""
    await hold(store, 1, 50)
    await monitor.look()
    (before,) = (await store.read_health(["CAT@main"]))[1]
    await release(store, 1)
    await hold(store, 3, 30)  # still at risk, and less so
    await clock.advance(61)
    await hold(store, 2, 50, "DOG")
    await store.trim((await store.position())[1])  # no archive has it
    archivist = Archivist(store, settings)  # comes late
    await archivist.copy()
    archivist.close()
    second = HealthMonitor(store, settings)
    for _ in range(2):
        await second.look()
        await second.tidy()
    assert await crossings(store) == [("DOG", "at_risk")]  # the log has no more than that
    assert (await of(engine, "DOG")).status is AT_RISK
    (after,) = (await store.read_health(["CAT@main"]))[1]
    weight = round(1 - (30 / 70 - 0.2) / 0.8, 4)
    assert unpack(after) == replace(unpack(before), weight=weight)
    assert await store.health_position() == second._position


async def test_the_new_position_is_noted_with_the_last_call_only(
    store: Store,
    monitor: HealthMonitor,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who goes on where one call of several failed tells what it had not told."""
    await monitor.tidy()
    monkeypatch.setattr("reservation.health.monitor.LEVELS_PER_CALL", 3)
    await store.set_stock([SetStock(f"S{n}", "main", 10) for n in range(10)], ORIGIN)
    lines = tuple(Line(f"S{n}", "main", 5) for n in range(10))
    await store.run(Reserve, [Reserve("tmall:1", lines, 60_000)], [ORIGIN])
    set_health, calls = store.set_health, []

    async def fails_later(*arguments: object, **options: object) -> bool:
        calls.append(options["position"])
        if len(calls) == 3:
            raise StoreUnavailable("gone", effect="not_applied")
        return await set_health(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store, "set_health", fails_later)
        with pytest.raises(StoreUnavailable):
            await monitor.look()
    second = HealthMonitor(store, settings)
    await second.look()
    assert sorted(await crossings(store)) == [(f"S{n}", "at_risk") for n in range(10)]


async def test_where_it_begins_with_a_snapshot_it_judges_every_level(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """By the rule, at the snapshot's time: what falls there rises no sooner than any other."""
    rows = [SetStock(sku, "main", 100) for sku in ("CAT", "DOG", "OWL")]
    await store.set_stock(rows, ORIGIN)
    await hold(store, 1, 50)
    await hold(store, 2, 24, "DOG")
    await hold(store, 3, 10, "OWL")
    await store.trim((await store.position())[1])
    begun = await clock.advance(5)
    await store.set_stock([SetStock("FOX", "main", 1)], ORIGIN)
    monitor = HealthMonitor(store, settings)
    await monitor.look()
    _, (cat, dog, owl) = await store.read_health(["CAT@main", "DOG@main", "OWL@main"])
    weight = round(1 - (24 / 76 - 0.2) / 0.8, 4)
    assert cat == pack(Health(AT_RISK, 0.0, fell_at_ms=begun))
    assert dog == pack(Health(AT_RISK, weight, fell_at_ms=begun))
    assert owl is None
    assert sorted(await crossings(store)) == [("CAT", "at_risk"), ("DOG", "at_risk")]
