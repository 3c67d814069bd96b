"""What stands undone with channels is told once each, whatever is tried again and whatever dies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.feed.offers import Kind, Offers, Outcome, Wanted, offers_path
from channels.intake.desk import Desk
from channels.intake.inbox import InboxUnavailable, inbox_path
from channels.model import Hint
from channels.parcels.parcels import NoticeState, Parcels, parcels_path
from channels.parcels.parcels import Outcome as Sent
from ops.alerts import watcher as module
from ops.alerts.alert import Alert
from ops.alerts.deliveries import DeliveryState, outbox_path
from ops.alerts.outbox import Outbox, SharedOutbox
from ops.alerts.watcher import Watcher
from reservation.config import Settings, load
from reservation.receivers import AlertType

ROBOT = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key="
RECEIVERS = {
    "ops": {"kind": "wecom", "url": f"{ROBOT}1"},
    "orders": {"kind": "wecom", "url": f"{ROBOT}2", "events": ["order.anomaly"]},
    "trips": {"kind": "wecom", "url": f"{ROBOT}3", "events": ["breaker.opened"]},
}
SHOP = {"platform": "tmall", "app_key": "1", "secrets": ["s"]}
LONG_AFTER = 10**15


class Bed:
    """The channels' files as the agents write them, and a watcher that may die."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.desk = Desk(inbox_path(settings.data_dir))
        self.offers = Offers(offers_path(settings.data_dir))
        self.parcels = Parcels(parcels_path(settings.data_dir), settings.channels)
        self.outbox = Outbox(outbox_path(settings.data_dir))
        self._messages = 0
        self.restart()

    def restart(self) -> None:
        """Let the agents die and begin again."""
        if hasattr(self, "shared"):
            self.shared.close()
        self.shared = SharedOutbox(outbox_path(self.settings.data_dir))
        self.watcher = Watcher(self.settings, self.shared)

    def close(self) -> None:
        """Close all files."""
        for file in (self.desk, self.offers, self.parcels, self.outbox, self.shared):
            file.close()

    def tell(self, *orders: str, unknown: str = "") -> None:
        """Keep a message about each order."""
        for order in orders:
            self._messages += 1
            number = self._messages
            hint = Hint(message_id=f"m{number}", topic="t", order_id=order, unknown=unknown)
            self.desk.keep([("tmall", hint)], number)

    def unfit(self, reason: str) -> None:
        """See to what is due: none of it fits."""
        for look in self.desk.due("tmall", LONG_AFTER):
            if reason.startswith(("short", "suspended")):
                self.desk.wait(look, LONG_AFTER, reason, None, 1)
            else:
                self.desk.stuck(look, reason)

    def offer(self, *skus: str, units: int = 5, at_ms: int = 1, why: str = "") -> None:
        """Have the channel told of SKUs."""
        wanted = [Wanted("tmall", sku, Kind.STOCK, units, 1.0, why) for sku in skus]
        self.offers.want(wanted, "1-0", at_ms)

    def refused(self, reason: str = "isv.item-not-exist") -> None:
        """Let the channel refuse what it is told."""
        due = self.offers.due("tmall", LONG_AFTER, 10_000)
        self.offers.note([Outcome(offer, reason=reason, dead=True) for offer in due], 2)

    def taken(self) -> None:
        """Let the channel take what it is told."""
        due = self.offers.due("tmall", LONG_AFTER, 10_000)
        self.offers.note([Outcome(offer, told_open=True) for offer in due], 2)

    def told(self, receiver: str = "ops") -> list[str]:
        """Look, and say of what a receiver is told in all."""
        self.watcher.look()
        return [f"{alert.about} {alert.kind}" for alert in self.alerts(receiver)]

    def forget(self) -> None:
        """Let a week pass in which all was delivered: only what stands is known."""
        letter = self.outbox.seal("ops", self.alerts(), b"{}", 1)
        self.outbox.attempted(letter.id, 1)
        self.outbox.delivered(letter.id)
        self.outbox.forget(DeliveryState.DELIVERED, 2)

    def alerts(self, receiver: str = "ops") -> list[Alert]:
        """Read what a receiver is to be told."""
        return self.outbox.waiting(receiver, 10_000)[1]


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(load(data_dir=tmp_path, alerts=RECEIVERS, channels={"tmall": SHOP}))
    yield made
    made.close()


def test_an_order_that_is_tried_every_minute_is_told_once(bed: Bed) -> None:
    """With the figures of the first time; news that change nothing are no news."""
    bed.tell("1")
    bed.unfit("short: A 3 of 1")
    assert bed.told() == ["tmall:1 short"]
    (alert,) = bed.alerts()
    assert (alert.reason, alert.at_ms) == ("A 3 of 1", 1)
    bed.forget()
    for available in (0, 2, 1):
        bed.unfit(f"short: A 3 of {available}")
        assert bed.told() == []
    bed.tell("1")
    assert bed.told() == []  # it is being looked at
    bed.unfit("short: A 3 of 1")
    bed.restart()
    assert bed.told() == []


def test_what_becomes_of_it_is_told_and_its_way_back_is_not(bed: Bed) -> None:
    """Short, refused to the platform; short and suspended in turns."""
    bed.tell("1")
    for reason in ("short: A 3 of 1", "suspended: A", "short: A 3 of 1", "rejected: A 3 of 1"):
        bed.unfit(reason)
        bed.watcher.look()
    assert bed.told() == ["tmall:1 short", "tmall:1 suspended", "tmall:1 rejected"]


@pytest.mark.parametrize("end", ["done", "dismissed"])
def test_what_has_come_to_its_end_and_begins_anew_is_told_anew(bed: Bed, end: str) -> None:
    bed.tell("1")
    bed.unfit("unknown-sku: A in main")
    assert bed.told() == ["tmall:1 unknown-sku"]
    if end == "done":
        bed.desk.look_now("tmall", "1", 1)
        bed.desk.done(bed.desk.due("tmall", LONG_AFTER))
    else:
        assert bed.desk.dismiss("tmall", "1")
    bed.told()
    assert bed.outbox.standing() == []
    bed.tell("1")
    bed.unfit("unknown-sku: A in main")
    assert bed.told() == ["tmall:1 unknown-sku"] * 2


def test_words_of_no_order_are_told_one_by_one(bed: Bed) -> None:
    """The same word again is none."""
    for word in ("2090", "2090", "209"):
        bed.tell("", unknown=word)
        bed.watcher.look()
    assert [alert.reason for alert in bed.alerts()] == ["2090", "2090, 209"]


def test_a_dead_letter_is_told_once(bed: Bed) -> None:
    """A later figure that is refused as well, or a resending, is the same until one is taken."""
    bed.offer("A", "B")
    bed.refused()
    assert bed.told() == ["A stock", "B stock"]
    bed.forget()
    bed.offer("A", units=6, at_ms=5)
    assert bed.told() == []  # it is being told
    bed.refused()
    bed.offers.send_again("tmall", 7)
    bed.watcher.look()
    bed.refused()
    bed.restart()
    assert bed.told() == []
    bed.offers.send_again("tmall", 8)
    bed.taken()
    bed.watcher.look()
    assert bed.outbox.standing() == []
    bed.offer("A", units=7, at_ms=9)
    bed.refused()
    assert bed.told() == ["A stock"]


def test_a_closing_that_is_refused_is_told_once_until_it_is_taken(bed: Bed) -> None:
    """However often it is tried on; refused at a later suspension, it is told anew."""
    bed.offer("A", why="suspended")
    bed.refused()
    assert bed.told() == ["A stock"]
    (alert,) = bed.alerts()
    assert (alert.type, alert.closes) == (AlertType.NOT_CLOSED, "suspended")
    bed.forget()
    bed.refused()  # tried on
    bed.offers.send_again("tmall", 7)
    bed.watcher.look()
    bed.refused()
    bed.restart()
    assert bed.told() == []
    bed.taken()
    bed.watcher.look()
    assert bed.outbox.standing() == []
    bed.offer("A", at_ms=8)
    bed.taken()
    bed.offer("A", at_ms=9, why="suspended")
    bed.refused()
    assert bed.told() == ["A stock"]


def test_a_dead_parcel_is_told_once(bed: Bed) -> None:
    """Sent again and refused again it is the same; what a person has dismissed is over."""
    for order in ("1", "2"):
        bed.parcels.add(f"tmall:{order}", "F", company="SF", tracking_number="1", at_ms=1)

    def dead() -> None:
        for notice in bed.parcels.due("tmall", LONG_AFTER, 9):
            bed.parcels.note([Sent(notice, NoticeState.DEAD, "isv.no-such-company")], 2)

    dead()
    assert bed.told() == ["tmall:1 ", "tmall:2 "]
    assert {alert.type for alert in bed.alerts()} == {AlertType.DEAD_PARCEL}
    bed.forget()
    bed.parcels.send_again("tmall", 3)
    bed.watcher.look()
    dead()
    bed.restart()
    assert bed.told() == []
    bed.parcels.dismiss("tmall", "1")
    bed.parcels.send_again("tmall", 4)
    (notice,) = bed.parcels.due("tmall", 4, 9)
    bed.parcels.note([Sent(notice, NoticeState.ACKNOWLEDGED)], 5)
    assert bed.told() == []
    assert bed.outbox.standing() == []


def test_what_began_anew_between_two_looks_is_told_and_the_one_before_forgotten(bed: Bed) -> None:
    """As if both had been seen."""
    bed.tell("1")
    bed.unfit("unknown-sku: A in main")
    bed.offer("A")
    bed.refused()
    bed.watcher.look()
    assert bed.desk.dismiss("tmall", "1")
    bed.tell("1")
    bed.unfit("unknown-sku: A in main")
    bed.offers.send_again("tmall", 7)
    bed.taken()
    bed.offer("A", units=7, at_ms=9)
    bed.refused()
    bed.watcher.look()
    assert len(bed.alerts()) == 4
    assert sorted(alert.about for alert in bed.outbox.standing()) == ["A", "tmall:1"]


def test_each_receiver_is_told_what_it_asks_for(bed: Bed) -> None:
    """All of it, where nothing is asked for; what nobody asked for was seen all the same."""
    bed.tell("1")
    bed.unfit("short: A 3 of 1")
    bed.offer("A")
    bed.refused()
    assert sorted(bed.told("ops")) == ["A stock", "tmall:1 short"]
    assert bed.told("orders") == ["tmall:1 short"]
    assert bed.told("trips") == []
    assert len(bed.outbox.standing()) == 2


def test_who_dies_in_between_has_told_all_or_nothing(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands and what is to be told of it are noted at once."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    bed.tell("1")
    bed.unfit("short: A 3 of 1")
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "_add", dies)
        with pytest.raises(KeyboardInterrupt):
            bed.watcher.look()
    bed.restart()
    assert bed.told() == ["tmall:1 short"]


def test_many_are_noted_in_several_steps_each_once(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest waiting first; over a death in between."""
    monkeypatch.setattr(module, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(module, "LETTERS_PER_READ", 3)
    orders = [f"{number:02}" for number in range(25)]
    bed.tell(*reversed(orders))
    bed.unfit("short: A 3 of 1")
    bed.offer(*(f"S{number}" for number in range(10)), at_ms=10**6)
    bed.refused()
    assert bed.watcher.look()
    bed.restart()
    assert bed.watcher.look()
    assert bed.watcher.look()
    assert not bed.watcher.look()
    assert [alert.order_id for alert in bed.alerts()[:25]] == orders[::-1]
    assert len(bed.alerts()) == len({alert.id for alert in bed.alerts()}) == 35


def test_an_outbox_that_is_new_tells_all_that_stands(bed: Bed) -> None:
    """Nobody knows what was told before."""
    bed.tell("1", "2")
    bed.unfit("short: A 3 of 1")
    assert len(bed.told()) == 2
    bed.outbox.close()
    for file in bed.settings.data_dir.glob("alerts.sqlite3*"):
        file.unlink()
    bed.outbox = Outbox(outbox_path(bed.settings.data_dir))
    assert bed.told() == ["tmall:1 short", "tmall:2 short"]


def test_an_outbox_of_before_is_taken_over(bed: Bed) -> None:
    """It lacks a table, which is added; what it has is kept."""
    bed.outbox.note({"position": "7-0"}, [], 1)
    with sqlite3.connect(bed.outbox.path) as db:
        db.execute("DROP TABLE standing")
    bed.restart()
    bed.tell("1")
    bed.unfit("short: A 3 of 1")
    assert bed.told() == ["tmall:1 short"]
    assert bed.outbox.fact("position") == "7-0"


def test_where_there_is_nothing_nothing_is_made(tmp_path: Path) -> None:
    """The channels' files are theirs to make."""
    settings = load(data_dir=tmp_path, alerts=RECEIVERS, channels={"tmall": SHOP})
    shared = SharedOutbox(outbox_path(tmp_path))
    assert not Watcher(settings, shared).look()
    shared.close()
    assert not inbox_path(tmp_path).exists()
    assert not offers_path(tmp_path).exists()


async def test_a_file_that_cannot_be_read_is_waited_for(bed: Bed) -> None:
    """It says so, and goes on when it can be read again."""
    bed.tell("1")
    bed.unfit("short: A 3 of 1")
    path = inbox_path(bed.settings.data_dir)
    bed.desk.close()
    kept = path.read_bytes()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(InboxUnavailable):
        await bed.watcher._round()
    path.write_bytes(kept)
    assert bed.told() == ["tmall:1 short"]
