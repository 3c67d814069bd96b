"""Sweeps: whatever changed is found, and what was seen as it is is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from channels.intake import sweeper
from channels.intake.desk import Desk
from channels.intake.inbox import CERTAIN_MS, Inbox
from channels.intake.looks import NO_ORDER, Seen
from channels.intake.sweeper import FAULT_SECONDS, OVERLAP_MS, Sweeper
from channels.model import Page, Unread
from channels.registry import adapter_of
from channels.transport import Platform
from partners.model import Response
from reservation import metrics
from reservation.shops import Shop
from tests.channels.bazaar import NOW_MS, Bazaar, BazaarServer
from tests.channels.corner import CornerShop

MINUTE_MS = 60_000
SWEEP_SECONDS = 60.0


class Small(Bazaar):
    """A bazaar that shows ten minutes at most."""

    longest_window_ms = 10 * MINUTE_MS


NAME = "holdfast_channel_asked_timestamp_seconds"
UNREAD = "HZ/8"


class Blind(Bazaar):
    """A bazaar with an order that has a name of its own."""

    def read_changed(self, response: Response) -> Page:
        """Read a page."""
        page = super().read_changed(response)
        orders = tuple(order for order in page.orders if order[0] != UNREAD)
        unread = (Unread(UNREAD, b"8"),) * (len(page.orders) - len(orders))
        return Page(orders, page.pages, unread=unread)


class Bed:
    """A bazaar, an inbox, a sweeper, and a clock that the test moves."""

    def __init__(self, bazaar: BazaarServer, path: Path, kind: str = "bazaar:Bazaar") -> None:
        self.bazaar, self.now_ms, self.path = bazaar, NOW_MS, path
        adapter = adapter_of("bazaar", Shop(platform=f"tests.channels.{kind}", url=bazaar.url))
        self.platform = Platform(adapter, now_ms=lambda: self.now_ms)
        self.open()

    def open(self) -> None:
        """Begin to sweep, or begin again after an end."""
        self.inbox = Inbox(self.path)
        self.sweeper = Sweeper(
            self.platform, self.inbox, seconds=SWEEP_SECONDS, now_ms=lambda: self.now_ms
        )

    def found(self) -> list[str]:
        """Name the orders that are to be looked at."""
        return sorted(look.order_id for look in self.inbox.due("bazaar", self.now_ms))

    async def see(self, *, after_ms: int = 0) -> None:
        """Look at all that is to be looked at, as it is now."""
        asked_ms = self.now_ms + after_ms
        adapter = self.platform.adapter
        for look in self.inbox.due("bazaar", self.now_ms):
            order = await self.platform.ask(
                lambda at, order_id=look.order_id: adapter.detail(order_id, at),
                adapter.read_detail,
            )
            assert order is not None
            self.inbox.done([look], [("bazaar", Seen(order, asked_ms, asked_ms))])

    def windows(self) -> Sequence[tuple[int, int]]:
        """Give the windows asked for, each once, and forget them; minutes before NOW_MS."""
        asked = dict.fromkeys((begin, end) for begin, end, _ in self.bazaar.windows)
        self.bazaar.windows.clear()
        return [
            ((NOW_MS - begin) // MINUTE_MS, (NOW_MS - end) // MINUTE_MS) for begin, end in asked
        ]


@pytest.fixture
async def bed(bazaar: BazaarServer, tmp_path: Path) -> AsyncIterator[Bed]:
    made = Bed(bazaar, tmp_path / "channels.sqlite3")
    yield made
    await made.platform.close()
    made.inbox.close()


async def test_what_nobody_told_of_is_found_once(bed: Bed) -> None:
    """Also an order that changes once more; not one that stays as it was seen."""
    bed.bazaar.tell("1", NOW_MS - 10_000)
    bed.bazaar.tell("2", NOW_MS - 20_000)
    bed.bazaar.tell("3", NOW_MS - OVERLAP_MS - 1)
    assert await bed.sweeper.round() == SWEEP_SECONDS
    assert bed.found() == ["1", "2"]
    await bed.see()
    bed.now_ms += MINUTE_MS
    bed.bazaar.tell("2", bed.now_ms - 1)
    await bed.sweeper.round()
    assert bed.found() == ["2"]


async def test_a_change_within_the_second_in_which_an_order_was_seen_is_found(bed: Bed) -> None:
    """Platforms count in seconds, and the message of the second change may be lost."""
    bed.bazaar.tell("1", NOW_MS, "on the slate")
    await bed.sweeper.round()
    await bed.see(after_ms=CERTAIN_MS - 1)
    bed.bazaar.tell("1", NOW_MS, "settled")
    bed.now_ms += MINUTE_MS
    await bed.sweeper.round()
    assert bed.found() == ["1"]
    await bed.see()
    bed.now_ms += MINUTE_MS
    await bed.sweeper.round()
    assert bed.found() == []


async def test_pages_are_read_from_the_last_to_the_first(bed: Bed) -> None:
    """After the first one, which tells how many there are; a single one is read once."""
    bed.bazaar.tell("0", NOW_MS)
    await bed.sweeper.round()
    assert [page for *_, page in bed.bazaar.windows] == [1]
    bed.bazaar.windows.clear()
    for number in range(1, 5):
        bed.bazaar.tell(str(number), NOW_MS - number)
    await bed.sweeper.round()
    assert [page for *_, page in bed.bazaar.windows] == [1, 3, 2, 1]
    assert bed.found() == ["0", "1", "2", "3", "4"]


async def test_an_order_that_leaves_its_page_hides_no_other_one(bed: Bed) -> None:
    """It changes while pages are read: those behind it move up by one."""
    for number in range(1, 7):
        bed.bazaar.tell(str(number), NOW_MS - number * 1_000)

    def change(path: str) -> None:
        if path.endswith("page=2"):
            bed.bazaar.tell("1", NOW_MS + 5_000)

    bed.bazaar.before = change
    await bed.sweeper.round()
    assert bed.found() == ["2", "3", "4", "5", "6"]
    bed.now_ms += MINUTE_MS
    await bed.sweeper.round()
    assert "1" in bed.found()


async def test_an_order_that_comes_to_the_top_hides_no_other_one_for_long(bed: Bed) -> None:
    """It changes at the very end of a window: those before it move down, to what was read."""
    bed.inbox.set_swept_to("bazaar", NOW_MS - 10 * MINUTE_MS)
    for number in range(6):
        bed.bazaar.tell(str(number), NOW_MS - (18 + number) * MINUTE_MS)
    read: list[str] = []

    def change(path: str) -> None:
        if path.endswith("page=1") and read and read[-1].endswith("page=2"):
            bed.bazaar.tell("5", NOW_MS)
        read.append(path)

    bed.bazaar.before = change
    await bed.sweeper.round()
    bed.now_ms += MINUTE_MS
    await bed.sweeper.round()
    assert bed.found() == ["0", "1", "2", "3", "4", "5"]


async def test_windows_join_and_overlap_what_was_swept(bed: Bed) -> None:
    """None is longer than the overlap."""
    bed.inbox.set_swept_to("bazaar", NOW_MS - 40 * MINUTE_MS)
    await bed.sweeper.round()
    assert bed.windows() == [(55, 40), (40, 25), (25, 10), (10, 0)]
    bed.now_ms += MINUTE_MS
    await bed.sweeper.round()
    assert bed.windows() == [(15, 0), (0, -1)]


async def test_windows_are_no_longer_than_a_platform_allows(
    bazaar: BazaarServer, tmp_path: Path
) -> None:
    """Then one ends before what was swept: a fault after it loses nothing of that."""
    bed = Bed(bazaar, tmp_path / "channels.sqlite3", "intake.test_sweeper:Small")
    bed.inbox.set_swept_to("bazaar", NOW_MS - MINUTE_MS)
    await bed.sweeper.round()
    assert bed.windows() == [(16, 6), (6, 0)]
    bed.bazaar.before = lambda path: bazaar.faults.extend([(500, {})] * len(bazaar.windows))
    assert await bed.sweeper.round() == FAULT_SECONDS
    assert bed.inbox.swept_to("bazaar") == NOW_MS
    await bed.platform.close()
    bed.inbox.close()


async def test_a_window_with_too_many_pages_is_halved(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its pages are few, or it is a second."""
    monkeypatch.setattr(sweeper, "MOST_PAGES", 2)
    orders = [str(number) for number in range(8)]
    for number, order in enumerate(orders[:6]):
        bed.bazaar.tell(order, NOW_MS - number * 2 * MINUTE_MS)
    for order in orders[6:]:
        bed.bazaar.tell(order, NOW_MS)
    await bed.sweeper.round()
    assert bed.found() == orders
    read = [(begin, end) for begin, end, page in bed.bazaar.windows if page == 2]
    assert all(end - begin < OVERLAP_MS for begin, end in read)
    for order in orders:
        bed.bazaar.tell(order, NOW_MS)
    bed.bazaar.windows.clear()
    await bed.sweeper.round()
    assert max(page for *_, page in bed.bazaar.windows) == 4


async def test_a_platform_that_fails_is_swept_from_where_it_failed(bed: Bed) -> None:
    """Not before it wants to be."""
    bed.inbox.set_swept_to("bazaar", NOW_MS - 20 * MINUTE_MS)
    bed.bazaar.before = lambda path: bed.bazaar.faults.extend(
        [(429, {"retry-after": "40"})] * len(bed.bazaar.windows)
    )
    assert await bed.sweeper.round() == 40.0
    assert bed.windows() == [(35, 20)]
    bed.bazaar.faults, bed.bazaar.before = [(500, {})], lambda path: None
    assert await bed.sweeper.round() == FAULT_SECONDS
    assert await bed.sweeper.round() == SWEEP_SECONDS
    assert bed.windows() == [(35, 20), (20, 5), (5, 0)]


async def test_what_changes_while_the_first_sweeps_fail_is_swept(bed: Bed) -> None:
    """However long that takes."""
    bed.bazaar.faults = [(500, {})] * 2
    await bed.sweeper.round()
    bed.now_ms += 60 * MINUTE_MS
    await bed.sweeper.round()
    bed.windows()
    await bed.sweeper.round()
    assert bed.windows()[0][0] == 15
    assert bed.inbox.swept_to("bazaar") == bed.now_ms


async def test_an_order_that_cannot_be_read_is_passed(bazaar: BazaarServer, tmp_path: Path) -> None:
    """A sweep goes on, the order is shown to a person, and in the log once."""
    bed = Bed(bazaar, tmp_path / "channels.sqlite3", "intake.test_sweeper:Blind")
    bed.bazaar.tell("1", NOW_MS - 10_000)
    bed.bazaar.tell(UNREAD, NOW_MS - 20_000)
    with capture_logs() as logs:
        await bed.sweeper.round()
        bed.now_ms += MINUTE_MS
        bed.bazaar.tell("2", bed.now_ms)
        await bed.sweeper.round()
    assert (bed.found(), bed.inbox.swept_to("bazaar")) == (["1", "2"], bed.now_ms)
    assert [(log["event"], log["why"]) for log in logs] == [("message_unread", UNREAD)]
    desk = Desk(bed.path)
    assert [(look.order_id, look.reason) for look in desk.troubles()] == [
        (NO_ORDER, f"unknown-word: {UNREAD}")
    ]
    desk.close()
    await bed.platform.close()
    bed.inbox.close()


async def test_a_clock_that_was_ahead_hides_nothing(bed: Bed) -> None:
    """It has been set back since: what changes now is swept all the same."""
    bed.inbox.set_swept_to("bazaar", NOW_MS + 60 * MINUTE_MS)
    bed.bazaar.tell("1", NOW_MS)
    await bed.sweeper.round()
    assert (bed.found(), bed.windows()) == (["1"], [(15, 0)])


async def test_after_an_end_it_goes_on_from_where_it_was(bed: Bed) -> None:
    """So nothing that changed meanwhile is missed, however long that was."""
    await bed.sweeper.round()
    bed.windows()
    bed.inbox.close()
    bed.bazaar.tell("1", NOW_MS + MINUTE_MS)
    bed.now_ms += 60 * MINUTE_MS
    bed.open()
    await bed.sweeper.round()
    assert bed.found() == ["1"]
    assert bed.windows()[0] == (15, 0)


async def test_a_platform_that_tells_of_no_changes_is_not_asked(
    shop: CornerShop, tmp_path: Path
) -> None:
    inbox = Inbox(tmp_path / "channels.sqlite3")
    adapter = adapter_of("corner", Shop(platform="tests.channels.corner:Corner", url=shop.url))
    platform = Platform(adapter)
    assert await Sweeper(platform, inbox, seconds=SWEEP_SECONDS).round() == SWEEP_SECONDS
    assert shop.asked == []
    assert inbox.swept_to("corner") is None
    await platform.close()
    inbox.close()


async def test_until_when_all_is_known_is_told(bed: Bed) -> None:
    """It stands still where nothing can be asked, also over an end."""

    def known_ms() -> float:
        labels = {"channel": "bazaar", "job": "sweep"}
        return (metrics.REGISTRY.get_sample_value(NAME, labels) or 0.0) * 1000

    bed.inbox.set_swept_to("bazaar", NOW_MS)
    await bed.sweeper.round()
    assert known_ms() == NOW_MS
    metrics.CHANNEL_ASKED.clear()
    bed.inbox.close()
    bed.now_ms += 20 * MINUTE_MS
    bed.open()
    bed.bazaar.faults = [(500, {})]
    await bed.sweeper.round()
    assert known_ms() == NOW_MS
    await bed.sweeper.round()
    assert known_ms() == bed.now_ms
