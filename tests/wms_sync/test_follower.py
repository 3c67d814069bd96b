"""From the event log to rows: exactly once in effect, however often it is read."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from partners.errors import PartnerFault
from reservation import metrics
from reservation.model import SYSTEM, Confirm, Line, Reserve, State
from reservation.store.keys import key
from tests.conftest import Clock
from tests.wms_sync.bed import Bed, Book, dispatch
from wms_sync import details
from wms_sync.details import ASKED_AT_ONCE, Clerk
from wms_sync.model import Dispatch
from wms_sync.outbox.delivery import Anomaly, CancelState, DeliveryState
from wms_sync.outbox.entries import LOST

UNDETAILED, PENDING = DeliveryState.UNDETAILED, DeliveryState.PENDING
ACCEPTED, SHIPPED = DeliveryState.ACCEPTED, DeliveryState.SHIPPED
CANCELLED, REJECTED = DeliveryState.CANCELLED, DeliveryState.REJECTED


async def state_of(bed: Bed, number: int) -> State:
    """Read where the reservation is."""
    found = (await bed.engine.reservation(f"tmall:{number}")).reservation
    assert found is not None
    return found.state


def rows(bed: Bed) -> list:
    """Read all rows with the place as of which they are."""
    assert bed.outbox is not None
    return bed.outbox._db.execute("SELECT * FROM delivery ORDER BY code").fetchall()


async def test_orders_enter_when_they_are_paid(bed: Bed) -> None:
    """Confirmed, confirmed at once, or reinstated; one row for each warehouse with a system."""
    bed.open(["main", "east"])
    await bed.follow()
    await bed.hold(1)
    await bed.follow()
    assert bed.outbox is not None
    assert not bed.outbox.parts("tmall:1")
    await bed.confirm(1)
    await bed.pay(2, Line("A", "main", 2), Line("B", "main", 1), Line("A", "east", 3))
    await bed.follow()
    assert bed.state(1) is PENDING
    assert [(one.sku, one.quantity) for one in bed.part(2).lines] == [("A", 2), ("B", 1)]
    assert [(one.sku, one.quantity) for one in bed.part(2, "east").lines] == [("A", 3)]
    now_ms, _ = await bed.store.position()
    assert 0 <= now_ms - bed.part(2).entered_ms < 60_000  # when it was paid, not when it was read


async def test_a_reinstated_order_enters(bed: Bed, clock: Clock) -> None:
    """Its hold had expired."""
    await bed.hold(1)
    await clock.advance(1_801)
    step = Confirm("tmall:1", reinstate=True)
    assert (await bed.engine.confirm(step, SYSTEM)).status.ok
    await bed.follow()
    assert bed.state(1) is PENDING


async def test_other_warehouses_and_no_warehouse_are_left_alone(bed: Bed) -> None:
    """Without a system there is no outbox."""
    await bed.pay(1, Line("A", "east", 1))
    await bed.all()
    assert not rows(bed)


async def test_reading_the_log_again_changes_nothing(bed: Bed) -> None:
    """Each row knows as of which place it is."""
    await bed.pay(1, Line("A", "main", 5))
    await bed.pay(2)
    await bed.pay(3, Line("A", "main", 5))
    await bed.follow()
    await bed.fulfil(1, "p1", Line("A", "main", 2))
    await bed.release(2)
    await bed.all()
    await bed.fulfil(3, "p1", Line("A", "main", 1))
    await bed.all()
    before = rows(bed)
    assert bed.part(3).left == {1: 1}
    assert bed.outbox is not None
    first, _ = (await bed.store.log.read("", count=1))[0]
    with bed.outbox._db.transaction():
        bed.outbox._db.set_fact("position", first)
    await bed.all()
    assert rows(bed) == before
    assert len(bed.depot.calls) == 2


async def test_what_leaves_otherwise_is_not_handed_over(bed: Bed) -> None:
    """A part of what waits makes it smaller, all of it is its end."""
    await bed.pay(1, Line("A", "main", 5), Line("B", "main", 1))
    await bed.pay(2)
    await bed.follow()
    await bed.fulfil(1, "p1", Line("A", "main", 2), Line("B", "main", 1))
    await bed.fulfil(2)
    await bed.all()
    assert bed.depot.orders == {"tmall:1@main": [["A", 3]]}
    assert (bed.state(2), bed.part(2).reason) == (CANCELLED, "it has left otherwise")


async def test_what_has_left_of_what_the_warehouse_has(bed: Bed) -> None:
    """Part by part, until it is shipped; a repetition keeps its content."""
    await bed.pay(1, Line("A", "main", 3))
    await bed.all()
    await bed.fulfil(1, "p1", Line("A", "main", 1))
    await bed.follow()
    assert (bed.state(1), bed.part(1).left) == (ACCEPTED, {1: 1})
    assert bed.part(1).order().lines[0].quantity == 3
    await bed.fulfil(1, "p2", Line("A", "main", 2))
    await bed.follow()
    assert bed.state(1) is SHIPPED
    assert bed.steps(1)[-2:] == ["part shipped", "shipped"]


async def test_of_two_warehouses_each_has_its_own_end(bed: Bed) -> None:
    """One ships, the other's part is kept back: then the rest is released, not before."""
    bed.open(["main", "east"])
    await bed.all()
    await bed.later(3600)
    await bed.pay(1, Line("A", "main", 1), Line("A", "east", 1))
    await bed.all()
    assert {bed.state(1), bed.state(1, "east")} == {ACCEPTED}
    bed.depot.packed.add("tmall:1@main")
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.all()
    await bed.all()
    assert bed.part(1).cancel is CancelState.TOO_LATE
    assert bed.state(1, "east") is CANCELLED
    found = (await bed.engine.reservation("tmall:1")).reservation
    assert found is not None
    assert found.state == "confirmed"
    await bed.fulfil(1, "p1", Line("A", "main", 1))
    await bed.all()
    found = (await bed.engine.reservation("tmall:1")).reservation
    assert found is not None
    assert found.state == "released"
    assert sum(line.fulfilled for line in found.lines) == 1


async def test_a_cancel_may_come_before_its_order(bed: Bed) -> None:
    """Asked before the log was read, or before the order was there at all: it never leaves."""
    assert bed.outbox is not None
    bed.outbox.ask_cancel("tmall:2", "refunded", bed.now_ms)
    await bed.settler.round()
    await bed.pay(1)
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.pay(2)
    for _ in range(2):
        await bed.all()
    assert (bed.state(1), bed.state(2)) == (CANCELLED, CANCELLED)
    assert not bed.depot.calls
    for reservation_id in ("tmall:1", "tmall:2"):
        found = (await bed.engine.reservation(reservation_id)).reservation
        assert found is not None
        assert found.state == "released"


# -- details -------------------------------------------------------------------------------------


async def test_an_order_without_details_waits_where_it_is_seen(bed: Bed) -> None:
    """It is asked for again after a while, and keeps its age."""
    bed.book.known["tmall:1"] = None
    bed.book.known["tmall:2"] = PartnerFault("timeout", "no answer", again=True)
    await bed.pay(1)
    await bed.pay(2)
    await bed.all()
    assert (bed.state(1), bed.part(1).reason) == (UNDETAILED, "there are no details yet")
    assert (bed.state(2), bed.part(2).reason) == (UNDETAILED, "timeout: no answer")
    assert not bed.depot.calls
    entered_ms = bed.part(1).entered_ms
    await bed.all()
    assert bed.book.asked == ["tmall:1", "tmall:2"]
    bed.book.known.clear()
    await bed.later(1)
    await bed.all()
    assert (bed.state(1), bed.part(1).entered_ms) == (ACCEPTED, entered_ms)
    bed.book.known["tmall:3"] = None
    await bed.pay(3)
    await bed.follow()
    await bed.release(3)
    await bed.follow()
    assert bed.state(3) is CANCELLED


async def test_a_bug_with_one_orders_details_holds_up_no_other(bed: Bed) -> None:
    """It is told with its trace and counted; that order is seen, and asked for again."""
    bed.book.known["tmall:1"] = KeyError("no such row")
    for number in (1, 2):
        await bed.pay(number)
    counted = metrics.WAREHOUSE_BUGS.labels(warehouse="")._value.get()
    with capture_logs() as said:
        await bed.all()
    assert (bed.state(1), bed.state(2)) == (UNDETAILED, ACCEPTED)
    assert bed.part(1).reason == "bug: KeyError('no such row')"
    assert [line["reservation_id"] for line in said if line["event"] == "warehouse_bug"] == [
        "tmall:1"
    ]
    assert metrics.WAREHOUSE_BUGS.labels(warehouse="")._value.get() == counted + 1
    bed.book.known.clear()
    await bed.later(1)
    await bed.all()
    assert bed.state(1) is ACCEPTED


class Silent(Book):
    """Who gives no answer about the orders of a channel."""

    def __init__(self, channel: str) -> None:
        super().__init__()
        self.silent = channel
        self.may_answer = asyncio.Event()

    async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
        """Tell them, or wait."""
        if reservation_id.startswith(f"{self.silent}:"):
            self.asked.append(reservation_id)
            await self.may_answer.wait()
            return dispatch()
        return await super().dispatch_of(reservation_id)


async def silent(bed: Bed, channel: str, *orders: str) -> Silent:
    """Let nobody answer about a channel's orders, and have some orders paid."""
    bed.book = Silent(channel)
    bed.open()
    for reservation_id in orders:
        step = Reserve(reservation_id, (Line("A", "main", 1),), 1_800_000, confirm=True)
        assert (await bed.engine.reserve(step, SYSTEM)).status.ok
    return bed.book


async def test_a_channel_that_gives_no_answer_holds_up_no_other(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of its orders came first; their answers count when they come."""
    monkeypatch.setattr(details, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(details, "ORDERS_AT_ONCE", 20)
    silenced = [f"amall:{number}" for number in range(50)]
    book = await silent(bed, "amall", *silenced, "mall:1", "tmall:1")

    def states(*orders: str) -> set[DeliveryState]:
        assert bed.outbox is not None
        return {part.state for one in orders for part in bed.outbox.parts(one)}

    await bed.follow()
    assert states(*silenced, "mall:1", "tmall:1") == {UNDETAILED}
    await bed.clerk.round()
    assert states("mall:1", "tmall:1") == {PENDING}
    assert states(*silenced) == {UNDETAILED}
    assert len(book.asked) == ASKED_AT_ONCE + 2
    book.may_answer.set()
    async with asyncio.timeout(10):
        while states(*silenced) != {PENDING}:
            await bed.clerk.round()


async def test_an_order_without_an_answer_is_asked_for_again_and_seen(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its channel goes on with another order meanwhile; at last it is left to people."""
    monkeypatch.setattr(details, "LONGEST_ASK_SECONDS", 0.01)
    book = await silent(bed, "tmall", "tmall:1")
    await bed.follow()
    part = bed.part(1)
    assert (part.state, part.reason, part.attempts) == (UNDETAILED, "there is no answer", 1)
    await asked_in_vain(bed, bed.clerk, 1, 13)
    assert bed.part(1).anomaly is Anomaly.NO_DETAILS
    assert len(book.asked) == 14


async def hurried(bed: Bed, speed: float) -> Clerk:
    """Let an order enter that nobody knows of; returns a clerk who draws the longest pauses."""
    assert bed.outbox is not None
    bed.book.known["tmall:1"] = None
    await bed.pay(1)
    while not await bed.follower.round():
        pass
    return Clerk(
        *(bed.outbox.entries, bed.book, {}),
        now_ms=lambda: bed.now_ms,
        draw=lambda most: most - 1,
        speed=speed,
    )


async def test_a_fast_clock_makes_nobody_ask_faster(bed: Bed) -> None:
    """Who knows the details lives in the world's time: a pause of a second is one of its own."""
    clerk = await hurried(bed, 2_000.0)
    await clerk.round()
    assert bed.part(1).due_ms == bed.now_ms + 1 + 999 * 2_000


async def asked_in_vain(bed: Bed, clerk: Clerk, number: int, times: int) -> None:
    """Ask for an order's details so often, each time as soon as they are due."""
    for _ in range(times):
        bed.now_ms = max(bed.part(number).due_ms, bed.now_ms)
        await clerk.round()


async def test_an_order_that_nobody_details_for_half_an_hour_is_left_to_people(bed: Bed) -> None:
    """With the reason; once, where they dismiss it; it leaves their list when the details come."""
    assert bed.outbox is not None
    bed.book.known["tmall:1"] = PartnerFault("404", "no such order", again=False)
    await bed.pay(1)
    await bed.follow()
    await asked_in_vain(bed, bed.clerk, 1, 12)
    assert bed.now_ms - bed.part(1).since_ms < 1_800_000
    assert bed.part(1).anomaly is Anomaly.NONE
    await asked_in_vain(bed, bed.clerk, 1, 1)
    part = bed.part(1)
    assert (part.state, part.anomaly) == (UNDETAILED, Anomaly.NO_DETAILS)
    assert part.reason == "404: no such order"
    assert part.due_ms - part.since_ms >= 1_800_000
    assert [one.code for one in bed.outbox.anomalies((-1, ""), 10)] == [part.code]
    await asked_in_vain(bed, bed.clerk, 1, 3)
    assert bed.part(1).anomaly is Anomaly.NO_DETAILS
    assert bed.outbox.dismiss(part.code, "li", bed.now_ms)
    await asked_in_vain(bed, bed.clerk, 1, 20)
    assert bed.part(1).anomaly is Anomaly.NONE
    # Asked for anew at once, which is a beginning: after as long it is on the list again.
    bed.now_ms += 1
    assert bed.outbox.retry(part.code, "li", bed.now_ms)
    asked = len(bed.book.asked)
    await bed.clerk.round()
    assert len(bed.book.asked) == asked + 1
    await asked_in_vain(bed, bed.clerk, 1, 13)
    assert bed.part(1).anomaly is Anomaly.NO_DETAILS
    del bed.book.known["tmall:1"]
    assert bed.outbox.retry(part.code, "li", bed.now_ms)
    assert bed.part(1).anomaly is Anomaly.NONE
    await bed.all()
    assert (bed.state(1), bed.part(1).anomaly) == (ACCEPTED, Anomaly.NONE)


async def test_details_that_come_late_take_an_order_off_the_list(bed: Bed) -> None:
    """By themselves. A clock that is fast makes nobody despair within a second."""
    clerk = await hurried(bed, 1_800.0)
    await asked_in_vain(bed, clerk, 1, 7)
    assert bed.part(1).anomaly is Anomaly.NONE
    await asked_in_vain(bed, clerk, 1, 1)
    assert bed.part(1).anomaly is Anomaly.NO_DETAILS
    bed.book.known.clear()
    await asked_in_vain(bed, clerk, 1, 1)
    assert (bed.state(1), bed.part(1).anomaly, bed.part(1).reason) == (PENDING, Anomaly.NONE, "")


# -- beginning, and beginning anew ---------------------------------------------------------------


async def test_a_new_outbox_takes_what_is_paid_already(bed: Bed) -> None:
    """And what has left of it is taken off; so does one that gets another warehouse."""
    await bed.pay(1, Line("A", "main", 3))
    await bed.fulfil(1, "p1", Line("A", "main", 1))
    await bed.pay(2)
    await bed.release(2)
    await bed.hold(3)
    await bed.pay(4, Line("A", "east", 1))
    bed.outbox.close()  # type: ignore[union-attr]
    bed.outbox = None
    for name in ("outbox.sqlite3", "outbox.sqlite3-wal", "outbox.sqlite3-shm"):
        (bed.settings.data_dir / name).unlink(missing_ok=True)
    bed.open()
    await bed.follow()
    assert [row[0] for row in rows(bed)] == ["tmall:1@main"]
    assert bed.part(1).lines[0].quantity == 2
    bed.open(["main", "east"])
    await bed.follow()
    assert [row[0] for row in rows(bed)] == ["tmall:1@main", "tmall:4@east"]


async def lose_the_file(bed: Bed) -> None:
    """Let the outbox's file be gone, and begin with a new one."""
    assert bed.outbox is not None
    bed.outbox.close()
    bed.box.close()
    bed.outbox = None
    for file in bed.path.parent.glob("outbox.sqlite3*"):
        file.unlink()
    bed.open()
    await bed.relay()
    await bed.later(3600)  # a new warehouse has nothing to its credit


@pytest.mark.parametrize(
    "when", ["before details", "pending", "refused", "released", "before the file"]
)
async def test_what_a_lost_file_had_handed_over_is_asked_back(bed: Bed, when: str) -> None:
    """A new file does not know what its warehouse has: units are given back once that has said."""
    await bed.pay(1)
    await bed.all()
    assert bed.state(1) is ACCEPTED
    if when == "before details":
        bed.book.known["tmall:1"] = None
    await lose_the_file(bed)
    assert bed.outbox is not None
    if when == "before the file":
        bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.follow()
    if when == "refused":
        bed.depot.refuses["tmall:1@main"] = {"reason": "E77"}
        await bed.relay()
        assert bed.state(1) is REJECTED
    if when == "released":
        await bed.release(1)
        await bed.follow()
    else:
        assert bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms) == "asked"
    await bed.settler.round()
    assert bed.state(1) is not CANCELLED
    bed.book.known.clear()
    await bed.later(1)
    for _ in range(2):
        await bed.all()
    assert (bed.state(1), await state_of(bed, 1)) == (CANCELLED, State.RELEASED)
    assert bed.depot.cancelled == {"tmall:1@main"}


async def test_a_new_file_hands_over_in_turn_and_what_comes_later_is_as_ever(bed: Bed) -> None:
    """What is paid waits for its turn again; of what comes later nothing is there."""
    await bed.pay(1)
    await lose_the_file(bed)
    await bed.follow()
    assert (bed.state(1), bed.part(1).doubt) == (PENDING, False)
    await bed.pay(2)
    await bed.follow()
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:2", "refunded", bed.now_ms) == "in-time"
    assert not bed.depot.calls


async def test_a_warehouse_that_was_away_from_the_settings_gets_what_came_meanwhile(
    bed: Bed,
) -> None:
    """The log was read without it."""
    bed.open(["main", "east"])
    await bed.follow()
    bed.open(["main"])
    await bed.pay(1, Line("A", "east", 1))
    await bed.follow()
    bed.open(["main", "east"])
    await bed.follow()
    assert bed.state(1, "east") is PENDING


async def test_a_lost_position_compares_with_what_is_true_now(bed: Bed) -> None:
    """The store came back without its end: it is said, and nothing is dropped."""
    await bed.pay(1)
    await bed.pay(2)
    await bed.pay(3, Line("A", "main", 2))
    await bed.all()
    bed.book.known |= dict.fromkeys(("tmall:4", "tmall:5"))
    await bed.pay(4)
    await bed.pay(5)
    await bed.follow()
    # What the outbox has seen is not what the store has: 1 and 5 are unknown, 2 is released,
    # of 3 a part has left, 6 has come.
    await bed.release(2)
    await bed.fulfil(3, "p1", Line("A", "main", 1))
    await bed.pay(6)
    await bed.store.client.hdel(key(0, "reservations"), "tmall:1", "tmall:5")
    assert bed.outbox is not None
    with bed.outbox._db.transaction():
        bed.outbox._db.set_fact("position", f"{bed.outbox.position}7")  # an entry that is not there
    bed.open()
    with capture_logs() as logs:
        await bed.follow()
    assert [(one["event"], one["log_level"]) for one in logs] == [
        ("outbox_compares", "error"),
        ("outbox_orders_not_in_store", "error"),
    ]
    assert (bed.state(1), bed.part(1).anomaly) == (ACCEPTED, Anomaly.NOT_IN_STORE)
    assert bed.part(2).cancel is CancelState.ASKED
    assert bed.part(3).left == {1: 1}
    assert bed.state(4) is UNDETAILED
    assert (bed.state(5), bed.part(5).reason) == (CANCELLED, LOST)
    assert bed.state(6) is PENDING
    await bed.pay(7)
    await bed.follow()
    assert bed.state(7) is PENDING


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_release_that_the_store_has_lost_is_wished(bed: Bed, *, leaves: bool) -> None:
    """The warehouse was asked to keep it back: when it has, the units are free once more."""
    await bed.pay(1)
    await bed.all()
    record = await bed.store.client.hget(key(0, "reservations"), "tmall:1")
    await bed.release(1)
    await bed.follow()
    if leaves:
        bed.depot.packed.add("tmall:1@main")
        await bed.relay()
        assert bed.part(1).anomaly is Anomaly.SHIPPED_THOUGH_RELEASED
    await bed.store.client.hset(key(0, "reservations"), "tmall:1", record)
    assert bed.outbox is not None
    with bed.outbox._db.transaction():
        bed.outbox._db.set_fact("position", f"{bed.outbox.position}7")  # an entry that is not there
    bed.open()
    await bed.all()
    part = bed.part(1)
    assert part.state is (ACCEPTED if leaves else CANCELLED)
    assert (part.released, part.anomaly) == (False, Anomaly.NONE)
    found = (await bed.engine.reservation("tmall:1")).reservation
    assert found is not None
    assert found.state == ("confirmed" if leaves else "released")
    wish = bed.outbox.wish("tmall:1")
    assert wish is not None
    assert wish.open is leaves


async def test_an_order_that_was_lost_and_comes_again_is_handed_over(bed: Bed) -> None:
    """By its own code: what the warehouse has not seen under it."""
    bed.book.known["tmall:1"] = None
    await bed.pay(1)
    await bed.follow()
    assert bed.outbox is not None
    bed.outbox.entries.lost(["tmall:1"], bed.now_ms)
    assert bed.state(1) is CANCELLED
    await bed.store.client.hdel(key(0, "reservations"), "tmall:1")
    bed.book.known.clear()
    await bed.pay(1)
    await bed.all()
    assert bed.state(1) is ACCEPTED


async def test_an_id_that_is_used_again_goes_to_people(bed: Bed) -> None:
    """The warehouse would take its code for the order that it has shipped."""
    await bed.pay(1)
    await bed.all()
    await bed.fulfil(1)
    await bed.follow()
    await bed.store.client.hdel(key(0, "reservations"), "tmall:1")
    await bed.pay(1)
    await bed.all()
    assert (bed.state(1), bed.part(1).anomaly) == (REJECTED, Anomaly.CODE_USED)
    assert bed.outbox is not None
    code = bed.part(1).code
    for is_dismissed in (False, True):  # the earlier order's lines would go, to its address
        assert not bed.outbox.retry(code, "li", bed.now_ms)
        assert bed.outbox.dismiss(code, "li", bed.now_ms) is not is_dismissed
    await bed.all()
    assert (bed.state(1), len(bed.depot.calls)) == (REJECTED, 1)


async def be_of_today(bed: Bed) -> None:
    """Let the outbox have the store's time, or a little more."""
    bed.now_ms = (await bed.store.position())[0] + 60_000


async def given_back(bed: Bed) -> None:
    """Have an order refunded in time, whose wish is closed by that."""
    assert bed.outbox is not None
    await be_of_today(bed)
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    for _ in range(2):
        await bed.all()
    assert (bed.state(1), await state_of(bed, 1)) == (CANCELLED, State.RELEASED)
    wish = bed.outbox.wish("tmall:1")
    assert wish is not None
    assert (wish.open, wish.verdict) == (False, "released")


@pytest.mark.parametrize("was_handed", [True, False])
async def test_an_id_that_is_used_again_after_a_refund_is_another_order(
    bed: Bed, clock: Clock, *, was_handed: bool
) -> None:
    """The earlier one's wish is not its own: it goes on, or to people, as any used id does."""
    if not was_handed:
        bed.book.known["tmall:1"] = None
    await bed.pay(1)
    await bed.all()
    await given_back(bed)
    bed.book.known.clear()
    await clock.advance(8 * 86_400)
    await be_of_today(bed)
    await bed.pay(1)
    for _ in range(2):
        await bed.all()
    anomaly = Anomaly.CODE_USED if was_handed else Anomaly.NONE
    assert (bed.state(1), bed.part(1).anomaly) == (REJECTED if was_handed else ACCEPTED, anomaly)
    assert await state_of(bed, 1) is State.CONFIRMED
    assert bed.outbox is not None
    assert bed.outbox.wish("tmall:1") is None


async def come_back_with(bed: Bed, record: bytes) -> None:
    """Let the store come back without its end, with a reservation as it was."""
    assert bed.outbox is not None
    await bed.store.client.hset(key(0, "reservations"), "tmall:1", record)
    with bed.outbox._db.transaction():
        bed.outbox._db.set_fact("position", f"{bed.outbox.position}7")  # an entry that is not there
    bed.open()
    for _ in range(2):
        await bed.all()


async def test_a_release_that_the_store_has_lost_is_done_again(bed: Bed) -> None:
    """The order will not leave, and nobody else would give its units back."""
    await bed.pay(1)
    await bed.all()
    record = await bed.store.client.hget(key(0, "reservations"), "tmall:1")
    await given_back(bed)
    await come_back_with(bed, record)
    assert (bed.state(1), await state_of(bed, 1)) == (CANCELLED, State.RELEASED)
    assert len(bed.depot.calls) == 2  # the one that handed over, and the one that cancelled


async def test_what_has_left_is_not_given_back_where_the_store_has_lost_that(bed: Bed) -> None:
    """It was wanted back too late; people see it."""
    assert bed.outbox is not None
    await bed.pay(1)
    await bed.all()
    record = await bed.store.client.hget(key(0, "reservations"), "tmall:1")
    await be_of_today(bed)
    bed.depot.packed.add("tmall:1@main")
    bed.outbox.ask_cancel("tmall:1", "refunded", bed.now_ms)
    await bed.all()
    await bed.fulfil(1)
    await bed.all()
    assert bed.state(1) is SHIPPED
    await come_back_with(bed, record)
    assert (bed.part(1).anomaly, await state_of(bed, 1)) == (Anomaly.CODE_USED, State.CONFIRMED)


@pytest.mark.parametrize("when", ["before", "behind"])
async def test_place_and_rows_are_kept_together(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Whatever fails, what was read is taken in whole or read again."""
    await bed.pay(1)
    assert bed.outbox is not None
    before = bed.outbox.position
    broken = {"before": "insert", "behind": "set_as_of"}[when]

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(bed.outbox.entries._rows, broken, fail)
        with pytest.raises(RuntimeError):
            await bed.follower.round()
    assert (bed.outbox.position, rows(bed)) == (before, [])
    await bed.follow()
    assert bed.state(1) is PENDING
