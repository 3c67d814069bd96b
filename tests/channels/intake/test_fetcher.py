"""Messages that wait at a platform: kept, then confirmed, whatever fails in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.intake.desk import Desk
from channels.intake.fetcher import EMPTY_SECONDS, FAULT_SECONDS, FEW, FEW_SECONDS, Fetcher
from channels.intake.inbox import InboxUnavailable
from channels.intake.looks import NO_ORDER
from channels.registry import adapter_of
from channels.transport import Platform
from reservation import metrics
from reservation.shops import Shop
from tests.channels.bazaar import NOW_MS, BazaarServer


class Bed:
    """A bazaar, an inbox and a fetcher."""

    def __init__(self, bazaar: BazaarServer, path: Path) -> None:
        self.bazaar, self.inbox = bazaar, Desk(path)
        adapter = adapter_of(
            "bazaar", Shop(platform="tests.channels.bazaar:Bazaar", url=bazaar.url)
        )
        self.platform = Platform(adapter, now_ms=lambda: NOW_MS)
        self.fetcher = Fetcher(self.platform, self.inbox, now_ms=lambda: NOW_MS)

    def found(self) -> list[str]:
        """Name the orders that are to be looked at."""
        return sorted(look.order_id for look in self.inbox.due("bazaar", NOW_MS))


@pytest.fixture
async def bed(bazaar: BazaarServer, tmp_path: Path) -> AsyncIterator[Bed]:
    made = Bed(bazaar, tmp_path / "channels.sqlite3")
    yield made
    await made.platform.close()
    made.inbox.close()


async def test_messages_are_kept_and_then_confirmed(bed: Bed) -> None:
    """An empty queue is asked again a little later, one that had few sooner, else at once."""
    bed.bazaar.say("a", "1")
    bed.bazaar.say("b", "2")
    assert await bed.fetcher.round() == FEW_SECONDS
    assert bed.found() == ["1", "2"]
    assert bed.bazaar.messages == {}
    assert await bed.fetcher.round() == EMPTY_SECONDS
    for number in range(FEW):
        bed.bazaar.say(f"m{number}")
    assert await bed.fetcher.round() == 0.0


async def test_what_cannot_be_kept_is_not_confirmed(bed: Bed) -> None:
    """It waits where it was."""
    bed.bazaar.say("a")
    bed.inbox._db._db.execute("PRAGMA query_only=ON")
    with pytest.raises(InboxUnavailable):
        await bed.fetcher.round()
    bed.inbox._db._db.execute("PRAGMA query_only=OFF")
    assert list(bed.bazaar.messages) == ["a"]
    assert await bed.fetcher.round() == FEW_SECONDS
    assert bed.found() == ["1"]


async def test_what_could_not_be_confirmed_comes_again_and_is_kept_once(bed: Bed) -> None:
    bed.bazaar.say("a")
    bed.bazaar.before = lambda path: bed.bazaar.faults.extend([(500, {})] * ("confirm" in path))
    assert await bed.fetcher.round() == FAULT_SECONDS
    (look,) = bed.inbox.due("bazaar", NOW_MS)
    bed.inbox.done([look])
    bed.bazaar.before = lambda path: None
    assert await bed.fetcher.round() == FEW_SECONDS
    assert [kept.times for kept in bed.inbox.messages("bazaar", "1")] == [2]
    assert bed.found() == []
    assert bed.bazaar.messages == {}


async def test_a_platform_that_fails_is_left_alone_for_as_long_as_it_says(bed: Bed) -> None:
    bed.bazaar.say("a")
    bed.bazaar.faults = [(503, {}), (429, {"retry-after": "30"})]
    assert await bed.fetcher.round() == FAULT_SECONDS
    assert await bed.fetcher.round() == 30.0
    assert bed.found() == []
    assert list(bed.bazaar.messages) == ["a"]


async def test_one_that_cannot_be_read_holds_none_up_and_is_shown(bed: Bed) -> None:
    """With its word; it is counted as what a person has to look at."""
    series: Any = metrics.CHANNEL_ANOMALIES.labels(channel="bazaar", kind="unknown-word")
    before = series._value.get()
    bed.bazaar.say("a", "", "bartered")
    bed.bazaar.say("b", "2")
    assert await bed.fetcher.round() == FEW_SECONDS
    assert bed.found() == ["2"]
    assert [look.reason for look in bed.inbox.troubles()] == ["unknown-word: bartered"]
    (kept,) = bed.inbox.messages("bazaar", NO_ORDER)
    assert (kept.message_id, kept.unknown) == ("a", "bartered")
    assert series._value.get() == before + 1


async def test_when_messages_were_fetched_last_is_told(bed: Bed) -> None:
    """It stands still where none can be fetched, or confirmed."""

    def fetched_ms() -> float:
        name = "holdfast_channel_asked_timestamp_seconds"
        labels = {"channel": "bazaar", "job": "fetch"}
        return (metrics.REGISTRY.get_sample_value(name, labels) or 0.0) * 1000

    await bed.fetcher.round()
    assert fetched_ms() == NOW_MS
    bed.fetcher._now_ms = lambda: NOW_MS + 60_000
    bed.bazaar.faults = [(503, {})]
    await bed.fetcher.round()
    assert fetched_ms() == NOW_MS
    bed.bazaar.say("a")
    await bed.fetcher.round()
    assert fetched_ms() == NOW_MS + 60_000
