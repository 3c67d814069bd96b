"""Every transition in a real store's log is noted for whom it concerns, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from ops.alerts.alert import Alert
from ops.alerts.alerter import FRESH_SECONDS, Alerter
from ops.alerts.deliveries import outbox_path
from ops.alerts.outbox import Outbox, SharedOutbox
from reservation import metrics
from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import ArchiveUnavailable
from reservation.events.archive import archive_path
from reservation.events.archivist import Archivist
from reservation.health.monitor import HealthMonitor
from reservation.model import Line, Origin, Reserve, SetStock
from reservation.store.keys import key
from reservation.store.store import Store
from tests.conftest import Clock
from tests.ops.alerts.conftest import suspended
from tests.reservation.events.losing import kept, lose

ORIGIN = "gateway|r-1"
TTL_MS = 1_800_000
RECEIVERS = {
    "ops": {"kind": "wecom", "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"},
    "trips": {
        "kind": "wecom",
        "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=2",
        "events": ["breaker.opened"],
    },
}


@pytest.fixture
def told(settings: Settings) -> Settings:
    """The settings of a deployment that alerts two."""
    return Settings(**{**settings.model_dump(mode="json"), "alerts": RECEIVERS})


@pytest.fixture
def outbox(told: Settings) -> Outbox:
    return Outbox(outbox_path(told.data_dir))


@pytest.fixture
async def alerter(store: Store, told: Settings) -> AsyncIterator[Alerter]:
    shared = SharedOutbox(outbox_path(told.data_dir))
    yield Alerter(store, told, shared)
    shared.close()


def alerts(outbox: Outbox, receiver: str = "ops") -> list[Alert]:
    return outbox.waiting(receiver, 1_000)[1]


async def stock(store: Store, *skus: str, units: int = 100) -> None:
    await store.set_stock([SetStock(sku, "main", units) for sku in skus], ORIGIN)


async def fail(store: Store, number: int, *skus: str, units: int = 180) -> None:
    """Ask for more than there is of some SKUs."""
    lines = tuple(Line(sku, "main", units) for sku in skus)
    (outcome,) = await store.run(Reserve, [Reserve(f"douyin:{number}", lines, TTL_MS)], [ORIGIN])
    assert not outcome.status.ok


async def test_a_trip_is_noted_with_its_figures(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """The third failed lock alerts with what it asked for, and with what there is."""
    await stock(store, "CAT", "DOG")
    for number in range(3):
        await fail(store, number, "CAT")
    await alerter.look()
    (alert,) = alerts(outbox)
    assert (alert.type, alert.sku, alert.failures, alert.by) == ("breaker.opened", "CAT", 3, "")
    (shortage,) = alert.shortages
    assert (shortage.channel, shortage.warehouse) == ("douyin", "main")
    assert (shortage.requested, shortage.available) == (180, 100)
    (level,) = alert.levels
    assert (level.on_hand, level.held, level.committed, level.available) == (100, 0, 0, 100)
    breaker = (await store.read_stock(["CAT"]))[0].breaker
    assert alert.at_ms == breaker.since_ms
    assert alerts(outbox, "trips") == [alert]


async def test_each_sku_of_an_order_alerts_for_itself(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """Three orders that are short in three SKUs trip three, each with its own figures."""
    await stock(store, "A", "B", "C")
    for number in range(3):
        await fail(store, number, "A", "B", "C")
    await alerter.look()
    assert sorted(alert.sku for alert in alerts(outbox)) == ["A", "B", "C"]
    assert all(len(alert.shortages) == 1 for alert in alerts(outbox))


async def test_a_whole_life_is_told_in_order(
    engine: Engine, store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """Opened, on trial by a restock, closed by two orders; by hand with who and why."""
    await stock(store, "CAT")
    for number in range(3):
        await fail(store, number, "CAT")
    await stock(store, "CAT", units=1_000)
    for number in range(2):
        await store.run(
            Reserve, [Reserve(f"tmall:{number}", (Line("CAT", "main", 1),), TTL_MS)], [ORIGIN]
        )
    operator = Origin("wang", "r-2")
    await engine.breakers.trip(["CAT"], "recall", operator)
    await engine.breakers.reset(["CAT"], "checked", operator)
    await alerter.look()
    assert [(alert.type, alert.by, alert.reason) for alert in alerts(outbox)] == [
        ("breaker.opened", "", "failed locks"),
        ("breaker.half_opened", "gateway", "failed locks"),
        ("breaker.closed", "", ""),
        ("breaker.opened", "wang", "recall"),
        ("breaker.closed", "wang", "checked"),
    ]
    assert [alert.reason for alert in alerts(outbox, "trips")] == ["failed locks", "recall"]


async def test_a_crossing_of_health_is_noted(
    store: Store, settings: Settings, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """At risk, and healthy again after a while: with ratio, weight and the level."""
    await stock(store, "CAT")
    await store.set_stock([SetStock("CAT", "east", 5)], ORIGIN)
    monitor = HealthMonitor(store, settings)
    await store.run(Reserve, [Reserve("tmall:1", (Line("CAT", "main", 40),), TTL_MS)], [ORIGIN])
    await monitor.look()
    await stock(store, "CAT", units=1_000)
    await clock.advance(61)
    await monitor.look()
    await alerter.look()
    first, second = alerts(outbox)
    assert (first.type, first.warehouse, round(first.ratio or 0, 4)) == (
        "health.at_risk",
        "main",
        0.6667,
    )
    assert first.weight < 1
    assert (second.type, second.weight) == ("health.healthy", 1.0)
    assert [level.on_hand for level in second.levels] == [1_000]


async def test_it_goes_on_where_it_was(
    store: Store, told: Settings, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """Agents that were away for a day tell what happened meanwhile, and nothing twice."""
    await stock(store, "CAT", "DOG")
    for number in range(3):
        await fail(store, number, "CAT")
    await alerter.look()
    alerter._shared.close()
    for number in range(3):
        await fail(store, number, "DOG")
    await clock.advance(86_400)
    for _ in range(2):
        shared = SharedOutbox(outbox_path(told.data_dir))
        await Alerter(store, told, shared).look()
        shared.close()
    assert [alert.sku for alert in alerts(outbox)] == ["CAT", "DOG"]


def test_what_is_noted_again_is_known(outbox: Outbox) -> None:
    """The log that is read twice, after a crash, alerts once: also what is on its way already."""
    alert = suspended(1)
    outbox.note({}, [("ops", alert)], 1)
    outbox.seal("ops", alerts(outbox), b"{}", 1)
    outbox.note({}, [("ops", alert)], 2)
    assert alerts(outbox) == []


async def test_nothing_is_passed_over_where_the_archive_cannot_be_read(
    store: Store, settings: Settings, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """What was trimmed is there: it is waited for, not skipped, and then told."""
    await stock(store, "CAT")
    await alerter.look()
    await alerter.tidy()
    for number in range(3):
        await fail(store, number, "CAT")
    await stock(store, "DOG")
    archivist = Archivist(store, settings)
    while await archivist.copy():
        pass
    archivist.close()
    await store.client.xtrim(key(0, "events"), maxlen=1, approximate=False)
    path = archive_path(settings.data_dir)
    await asyncio.to_thread(path.rename, path.with_suffix(".away"))
    with pytest.raises(ArchiveUnavailable):
        await alerter._round()
    assert alerts(outbox) == []
    await asyncio.to_thread(path.with_suffix(".away").rename, path)
    await alerter._round()
    assert [alert.sku for alert in alerts(outbox)] == ["CAT"]


async def test_old_news_is_not_told(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """Receivers that are configured again after a month do not get the month."""
    await stock(store, "OLD", "NEW")
    for number in range(3):
        await fail(store, number, "OLD")
    facts = {"position": "1-0", "store_born_ms": await store.born()}
    outbox.note(facts, [], 0)
    await clock.advance(86_401)
    for number in range(3):
        await fail(store, 10 + number, "NEW")
    await alerter.look()
    assert [alert.sku for alert in alerts(outbox)] == ["NEW"]


async def test_a_message_to_nobody_is_given_up(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """A receiver that was renamed leaves no message that is on its way for ever."""
    outbox.note({}, [("renamed", suspended(1))], 1)
    outbox.seal("renamed", [suspended(1)], b"{}", time.time_ns() // 1_000_000)
    await alerter.tidy()
    (letter,) = outbox.deliveries(None, None, 10)
    assert (letter.state, letter.reason) == ("dead", "no longer configured")


async def test_a_new_outbox_tells_of_what_is_fresh(
    store: Store, told: Settings, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """Without a position it begins a little while ago: not with last week, not with now."""
    await stock(store, "OLD", "NEW")
    for number in range(3):
        await fail(store, number, "OLD")
    await clock.advance(FRESH_SECONDS + 1)
    for number in range(3):
        await fail(store, 10 + number, "NEW")
    await alerter.look()
    assert [alert.sku for alert in alerts(outbox)] == ["NEW"]


async def test_the_position_of_another_store_is_none(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """A store that was made anew is followed from its own log on, wherever the old one was."""
    await stock(store, "CAT")
    for number in range(3):
        await fail(store, number, "CAT")
    _, last = await store.position()
    outbox.note({"position": last, "store_born_ms": "1"}, [], 0)
    await alerter.look()
    assert [alert.sku for alert in alerts(outbox)] == ["CAT"]


async def test_a_log_that_lost_its_end_is_followed(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """A position beyond the log's end is none: the store has lost what came before it."""
    outbox.note({"position": "9999999999999-0", "store_born_ms": await store.born()}, [], 0)
    await stock(store, "CAT")
    for number in range(3):
        await fail(store, number, "CAT")
    await alerter.look()
    assert [alert.sku for alert in alerts(outbox)] == ["CAT"]


async def test_an_outbox_that_cannot_be_used_is_said(store: Store, told: Settings) -> None:
    """A file that is no database is named, and nothing is lost: it is tried again."""
    path = outbox_path(told.data_dir)
    await asyncio.to_thread(path.write_text, "this is no database, and longer than a header")
    alerter = Alerter(store, told, SharedOutbox(path))
    with pytest.raises(Exception, match=r"alerts\.sqlite3: file is not a database"):
        await alerter.look()


async def test_what_is_long_over_is_forgotten(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """Delivered messages go after a week, dead ones after a month, a week what has no receiver."""
    now_ms = time.time_ns() // 1_000_000
    day_ms = 86_400_000

    def sealed(number: int, days: float) -> str:
        at_ms = now_ms - round(days * day_ms)
        outbox.note({}, [("ops", suspended(number))], at_ms)
        return outbox.seal("ops", [suspended(number)], b"{}", at_ms).id

    old, new = sealed(1, 7.1), sealed(2, 6.9)
    for letter in (old, new):
        outbox.delivered(letter)
    dead, dying = sealed(3, 30.1), sealed(4, 29.9)
    for letter in (dead, dying):
        outbox.give_up(letter, "refused")
    for number, days in ((5, 7.1), (6, 6.9)):
        for receiver in ("gone", "trips"):
            alert = suspended(number)
            outbox.note({}, [(receiver, alert)], now_ms - round(days * day_ms))
    await alerter.tidy()
    kept = [letter.id for letter in outbox.deliveries(None, None, 10)]
    assert kept == [dying, new]
    assert [alert.sku for alert in alerts(outbox, "gone")] == ["SKU-0006"]
    assert [alert.sku for alert in alerts(outbox, "trips")] == ["SKU-0005", "SKU-0006"]
    assert metrics.ALERTS_WAITING._value.get() == 3
    assert metrics.ALERT_DEAD_LETTERS._value.get() == 1


@pytest.mark.parametrize("seconds", [0, 3_600], ids=["at once", "an hour later"])
async def test_a_store_that_lost_what_was_told_is_followed_on(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox, seconds: int
) -> None:
    """What was told stays told, once; what comes is told, whatever its position is."""
    await stock(store, "CAT", "DOG", "OWL")
    for number in range(3):
        await fail(store, number, "CAT")
    await alerter.look()
    past = await kept(store)
    for number in range(3):
        await fail(store, number, "DOG")
        await clock.advance(1)
    await alerter.look()
    await alerter.tidy()
    assert [alert.sku for alert in alerts(outbox)] == ["CAT", "DOG"]
    await lose(store, past)
    await clock.advance(seconds)
    for number in range(3):
        await fail(store, 10 + number, "OWL")
    while await alerter.look():
        pass
    assert [alert.sku for alert in alerts(outbox)] == ["CAT", "DOG", "OWL"]


async def test_a_log_that_does_not_go_on_is_followed_from_where_it_does(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox, told: Settings
) -> None:
    """What came in between is kept nowhere: it cannot be told, what comes is."""
    await stock(store, "CAT", "DOG", "OWL")
    await alerter.look()
    for number in range(3):
        await fail(store, number, "CAT")
    store.settings = told.model_copy(update={"event_log_trim_bytes": 0})
    await stock(store, "CAT", units=90)
    await store.trim((await store.position())[1])
    archivist = Archivist(store, told)
    await archivist.copy()  # begins with what there is
    archivist.close()
    for number in range(3):
        await fail(store, number, "DOG")
    while await alerter.look():
        pass
    assert [alert.sku for alert in alerts(outbox)] == ["DOG"]
    await alerter.tidy()
    assert outbox.fact("position") == (await store.position())[1]


async def test_where_nothing_is_new_it_goes_on_behind_the_last_entry(
    store: Store, clock: Clock, alerter: Alerter, outbox: Outbox
) -> None:
    """A mere time is no position to go on from: nobody could say whether it was lost."""
    await stock(store, "CAT")
    await clock.advance(3_600)
    await alerter.look()
    await alerter.tidy()
    assert outbox.fact("position") == (await store.position())[1]
