"""From a paid order to the warehouse: once each in effect, whatever goes wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from partners.model import Request, Response
from reservation import metrics
from reservation.model import Line
from tests.wms_sync.bed import Bed, dispatch
from tests.wms_sync.depot import BatchConnector, Depot, DepotConnector, codes
from wms_sync.model import Created, DeliveryOrder
from wms_sync.outbox.delivery import Anomaly, DeliveryState
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, Capacity
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import BreakerState

SENT, ACCEPTED, PENDING = DeliveryState.SENT, DeliveryState.ACCEPTED, DeliveryState.PENDING
REJECTED, CANCELLED = DeliveryState.REJECTED, DeliveryState.CANCELLED


def share(bed: Bed) -> int:
    """Read the kept share of the capacity."""
    assert bed.outbox is not None
    kept = bed.outbox.kept("main")
    assert kept is not None
    return kept.pace.share


async def test_a_paid_order_is_handed_over(bed: Bed) -> None:
    """Its whole way is told; a second look at everything hands nothing over again."""
    await bed.pay(1, Line("A", "main", 2), Line("B", "main", 1))
    await bed.all()
    assert bed.depot.orders == {"tmall:1@main": [["A", 2], ["B", 1]]}
    part = bed.part(1)
    assert (part.state, part.warehouse_order_id) == (ACCEPTED, "W-tmall:1@main")
    assert bed.steps(1) == ["entered", "detailed", "sent", "accepted"]
    await bed.all()
    assert len(bed.depot.calls) == 1


@pytest.mark.parametrize("fault", [429, 503, 500, "cut", "mute"])
async def test_a_fault_is_repaired_by_the_same_code(bed: Bed, fault: int | str) -> None:
    """The order has one effect, also where the first call had one and nobody heard of it."""
    bed.timeout_seconds = 0.1
    bed.open()
    await bed.pay(1)
    bed.depot.faults.script = [fault]
    await bed.all()
    assert bed.state(1) is (PENDING if fault == 429 else SENT)
    assert bed.part(1).doubt is (fault != 429)
    assert bed.part(1).reason
    await bed.later(3600)
    await bed.all()
    assert (bed.state(1), bed.part(1).reason) == (ACCEPTED, "")
    assert bed.depot.effects == {"tmall:1@main": 1}
    assert codes(bed.depot) == ["tmall:1@main"] * 2


async def test_repetitions_wait_ever_longer(bed: Bed) -> None:
    """Full jitter: the bound doubles from half a second on; here chance takes all of it."""
    await bed.pay(1)
    bed.depot.faults.script = [503] * 3
    bed.breaker = type(bed.breaker)(threshold=100)
    bed.open()
    pauses = []
    for _ in range(3):
        await bed.all()
        pauses.append(bed.part(1).due_ms - bed.now_ms)
        bed.now_ms = bed.part(1).due_ms
    assert pauses == [500, 1_000, 2_000]


async def test_what_has_no_way_in_words_is_refused_without_a_call(bed: Bed) -> None:
    """It goes to people, with its reason, and holds nothing up."""
    bed.book.known["tmall:1"] = dispatch(mobile="")
    await bed.pay(1)
    await bed.pay(2)
    await bed.all()
    assert codes(bed.depot) == ["tmall:2@main"]
    part = bed.part(1)
    assert (part.state, part.anomaly, part.reason) == (REJECTED, Anomaly.REJECTED, "no mobile")


class Buggy(DepotConnector):
    """Has no idea of one order, and cannot read an answer."""

    has_failed = False

    def problem(self, order: DeliveryOrder) -> str:
        """Fail for one."""
        if order.code == "tmall:1@main":
            raise KeyError("no word")
        return ""

    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Fail for another one, the first time."""
        if orders[0].code == "tmall:2@main" and not self.has_failed:
            self.has_failed = True
            raise IndexError("no such row")
        return super().read_created(response, orders)


async def test_a_connectors_bug_holds_up_no_other_order(bed: Bed) -> None:
    """Each is told with its trace; where nobody could read the answer the order goes again."""
    bed.connector_kind = Buggy
    bed.open()
    for number in (1, 2, 3):
        await bed.pay(number)
    with capture_logs() as said:
        await bed.all()
    assert [bed.state(number) for number in (1, 2, 3)] == [REJECTED, SENT, ACCEPTED]
    assert [bed.part(number).reason for number in (1, 2)] == [
        "bug: KeyError('no word')",
        "bug: IndexError('no such row')",
    ]
    assert sum(line["event"] == "warehouse_bug" and bool(line["exc_info"]) for line in said) == 2
    await bed.later(3600)
    await bed.all()
    assert (bed.state(2), bed.depot.effects["tmall:2@main"]) == (ACCEPTED, 1)


class Speechless(BatchConnector):
    """A connector that cannot write some of its orders."""

    batch_size = 3
    unwritable = frozenset(f"tmall:{number}@main" for number in (2, 20, 21, 22, 23))

    def create(self, orders: Sequence[DeliveryOrder], now_ms: int) -> Request:
        """Fail for them."""
        if any(order.code in self.unwritable for order in orders):
            raise OverflowError("date value out of range")
        return super().create(orders, now_ms)

    def cancel(self, order: DeliveryOrder, reason: str, now_ms: int) -> Request:
        """Fail for the same ones."""
        if order.code in self.unwritable:
            raise OverflowError("date value out of range")
        return super().cancel(order, reason, now_ms)


async def test_what_cannot_be_written_is_for_people_and_no_fault_of_the_warehouse(bed: Bed) -> None:
    """Those of its batch go by themselves; nothing of it is there."""
    bed.connector_kind = Speechless
    bed.open()
    for number in range(1, 4):
        await bed.pay(number)
    await bed.all()
    await bed.later(60)
    await bed.all()
    assert [bed.state(number) for number in (1, 2, 3)] == [ACCEPTED, REJECTED, ACCEPTED]
    assert bed.part(2).reason == "bug: OverflowError('date value out of range')"
    assert "tmall:2@main" not in bed.depot.effects
    kept = bed.relays["main"]._kept
    assert kept is not None
    assert (kept.breaker.state, kept.breaker.streak) == (BreakerState.CLOSED, 0)


@pytest.mark.parametrize("cancels", [False, True])
async def test_what_cannot_be_written_closes_no_breaker(bed: Bed, *, cancels: bool) -> None:
    """Nor does it raise the pace: no call was made. The next trial does not wait for it."""
    bed.connector_kind = Speechless
    bed.open()
    for number in range(8, 16):
        await bed.pay(number)
    bed.depot.faults.chance = lambda: 503
    await bed.all()
    assert bed.outbox is not None
    for number in (2, 20, 21, 22, 23):
        await bed.pay(number)
    await bed.follow()
    if cancels:
        bed.outbox._db.execute(
            "UPDATE delivery SET state = 'accepted', handed = 1 WHERE code = 'tmall:2@main'"
        )
        assert bed.outbox.ask_cancel("tmall:2", "refunded", bed.now_ms) == "asked"
    seen, shares = set(), []
    for _ in range(40):
        await bed.later(60)
        await bed.relay()
        kept = bed.outbox.kept("main")
        assert kept is not None
        seen.add(kept.breaker.state)
        shares.append(kept.pace.share)
    steps = bed.steps(2)
    assert steps.count("cancel unknown") > 3 if cancels else steps[-1] == "rejected"
    assert BreakerState.CLOSED not in seen
    assert shares == sorted(shares, reverse=True)
    bed.depot.faults.chance = lambda: None
    for _ in range(5):
        await bed.later(300)
        await bed.relay()
    assert {bed.state(number) for number in range(8, 16)} == {ACCEPTED}


async def test_a_refused_order_is_an_anomaly(bed: Bed) -> None:
    """People see it with its reason; retried, it goes again by its code; dismissed, it is off."""
    bed.depot.refuses["tmall:1@main"] = {"reason": "the address is abroad"}
    await bed.pay(1)
    await bed.all()
    assert bed.outbox is not None
    (part,) = bed.outbox.anomalies((0, ""), 10)
    assert (part.state, part.reason) == (REJECTED, "the address is abroad")
    assert bed.outbox.retry(part.code, "li", bed.now_ms)
    assert not bed.outbox.anomalies((0, ""), 10)
    await bed.all()
    assert bed.state(1) is REJECTED
    assert bed.outbox.dismiss(part.code, "li", bed.now_ms)
    assert not bed.outbox.anomalies((0, ""), 10)
    assert not bed.outbox.dismiss(part.code, "li", bed.now_ms)
    del bed.depot.refuses["tmall:1@main"]
    assert bed.outbox.retry(part.code, "li", bed.now_ms)
    await bed.all()
    assert bed.state(1) is ACCEPTED
    assert not bed.outbox.retry(part.code, "li", bed.now_ms)


async def test_a_refused_lock_counts_for_the_breaker(bed: Bed) -> None:
    """Three orders that the warehouse lacks a SKU for suspend it on every channel."""
    for number in range(3):
        bed.depot.refuses[f"tmall:{number}@main"] = {"reason": "缺货", "short": ["A"]}
        await bed.pay(number, Line("A", "main", 1), Line("B", "main", 1))
    await bed.all()
    stock = await bed.engine.stock("A")
    assert stock is not None
    assert stock.breaker.state == "open"
    other = await bed.engine.stock("B")
    assert other is not None
    assert other.breaker.state == "closed"
    assert bed.outbox is not None
    assert not bed.outbox.refused_locks(10)


async def test_a_refused_lock_counts_also_where_its_order_is_given_back_at_once(bed: Bed) -> None:
    """Before the breakers were told: the goods lack all the same."""
    for number in range(3):
        bed.depot.refuses[f"tmall:{number}@main"] = {"reason": "缺货", "short": ["A"]}
        await bed.pay(number)
    await bed.follow()
    await bed.relay()
    assert bed.outbox is not None
    assert bed.outbox.ask_cancel("tmall:0", "refunded", bed.now_ms) == "in-time"
    for number in (1, 2):
        await bed.release(number)
    await bed.all()
    assert await open_breakers(bed) == ["A"]


async def open_breakers(bed: Bed) -> list[str]:
    """Name the SKUs of A, B and NONE of which no order is taken any more."""
    stocks = {sku: await bed.engine.stock(sku) for sku in ("A", "B", "NONE")}
    return [sku for sku, stock in stocks.items() if stock and stock.breaker.state == "open"]


async def test_a_refusal_blames_no_sku_that_its_order_does_not_have(bed: Bed) -> None:
    """Nor one that can be none: whoever tells the breakers would never come past it."""
    for number in range(3):
        short = [".", "a\nb", "B", "A"]
        bed.depot.refuses[f"tmall:{number}@main"] = {"reason": "缺货", "short": short}
        await bed.pay(number)
    await bed.all()
    assert await open_breakers(bed) == ["A"]


async def test_what_the_breakers_cannot_be_told_holds_up_no_refund(bed: Bed) -> None:
    """It stands in a file of an earlier version; it is told with its trace, and others go on."""
    assert bed.outbox is not None
    for number in range(4):
        bed.depot.refuses[f"tmall:{number}@main"] = {"reason": "缺货", "short": ["A"]}
        await bed.pay(number)
    await bed.follow()
    await bed.relay()
    bed.outbox._db.execute("UPDATE delivery SET short = '[\".\"]' WHERE code = 'tmall:0@main'")
    assert bed.outbox.ask_cancel("tmall:3", "refunded", bed.now_ms) == "in-time"
    counted = metrics.WAREHOUSE_BUGS.labels(warehouse="main")._value.get()
    with capture_logs() as said:
        await bed.settler.round()
    assert (await bed.engine.reservation("tmall:3")).reservation.state == "released"  # type: ignore[union-attr]
    assert [line["code"] for line in said if line["event"] == "lock_not_told"] == ["tmall:0@main"]
    assert metrics.WAREHOUSE_BUGS.labels(warehouse="main")._value.get() == counted + 1
    assert not bed.outbox.refused_locks(10)


async def test_a_call_that_is_refused_for_itself_leaves_its_order_to_people(bed: Bed) -> None:
    """Of a batch each goes alone first: the others are not its fault."""
    bed.connector_kind = BatchConnector
    bed.open()
    for number in range(3):
        await bed.pay(number)
    bed.depot.faults.script = [400]
    await bed.all()
    assert [bed.state(n) for n in range(3)] == [SENT] * 3
    bed.depot.faults.script = [400]
    await bed.later(60)
    await bed.all()
    assert sorted(bed.state(n) for n in range(3)) == [ACCEPTED, ACCEPTED, REJECTED]


async def test_a_batch_goes_in_one_call_and_what_it_does_not_name_by_itself(bed: Bed) -> None:
    """What a warehouse says nothing of is not taken for done."""
    bed.connector_kind = BatchConnector
    bed.open()
    for number in range(60):
        await bed.pay(number)
    bed.depot.faults.script = ["cut", "half"]
    await bed.all()
    assert [len(of_call) for _, of_call in bed.depot.calls] == [50, 10]
    unknown = sum(bed.state(n) is SENT for n in range(60))
    assert unknown in {51, 11}
    await bed.later(60)
    await bed.all()
    assert [len(of_call) for _, of_call in bed.depot.calls[2:]] == [1] * unknown
    assert set(bed.depot.effects.values()) == {1}
    assert all(bed.state(n) is ACCEPTED for n in range(60))


async def test_figures_tell_what_waits_and_what_became_of_it(bed: Bed) -> None:
    """By state and lane, with the age of the oldest, the pace and the breaker."""

    def value(name: str, **labels: str) -> float | None:
        labels = {"warehouse": "main", **labels}
        return metrics.REGISTRY.get_sample_value(f"holdfast_warehouse_{name}", labels)

    before = value("handed_total", outcome="accepted") or 0.0
    bed.depot.refuses["tmall:1@main"] = {"reason": "no"}
    bed.book.known["tmall:2"] = dispatch(Lane.RUSH)
    bed.book.known["tmall:3"] = None
    for number in range(1, 4):
        await bed.pay(number)
    bed.depot.faults.script = []
    await bed.all()
    bed.now_ms = bed.part(3).entered_ms + 7_000
    bed.relays["main"]._count()
    assert value("orders", state="accepted", lane="rush") == 1
    assert value("orders", state="rejected", lane="normal") == 1
    assert value("orders", state="pending", lane="normal") == 0
    assert value("oldest_seconds", state="undetailed", lane="normal") == 7
    assert value("oldest_seconds", state="pending", lane="normal") == 0
    assert (value("handed_total", outcome="accepted") or 0.0) - before == 1
    assert (value("pace"), value("breaker")) == (1.0, 0.0)


async def test_an_idle_relay_writes_nothing(bed: Bed) -> None:
    """It looks ten times a second: the disk is not synced for that."""
    await bed.pay(1)
    await bed.all()
    assert bed.outbox is not None
    before = bed.outbox._db._db.total_changes
    for _ in range(3):
        bed.now_ms += 1_000
        await bed.all()
    assert bed.outbox._db._db.total_changes == before


# -- pace ----------------------------------------------------------------------------------------


async def test_the_capacity_is_never_exceeded_and_a_restart_keeps_the_pace(bed: Bed) -> None:
    """750 an hour and a burst of 5, over four minutes, restarted every twenty seconds."""
    bed.capacity = Capacity(18_000, burst=5)
    bed.open()
    for number in range(60):
        await bed.pay(number)
    left: list[int] = []
    bed.depot.before = lambda verb, of_call: left.append(bed.now_ms)
    for step in range(120):
        if step % 10 == 0:
            bed.open()
        await bed.all()
        bed.now_ms += 2_000
    assert len(left) == 5 + 2 * 119 * 750 // 3_600  # all of it was used
    for first, since_ms in enumerate(left):
        for last in range(first, len(left)):
            span_ms = left[last] - since_ms
            assert last - first + 1 <= span_ms * 18_000 / DAY_MS + 5


async def test_a_busy_warehouse_is_fed_more_slowly(bed: Bed) -> None:
    """A 429 takes a quarter off the share; each order that is taken gives 2 % back."""
    await bed.pay(1)
    bed.depot.faults.script = [429]
    await bed.all()
    assert share(bed) == 750
    await bed.all()
    assert bed.state(1) is PENDING  # it asked for a pause
    await bed.later(2)
    await bed.all()
    assert (bed.state(1), share(bed)) == (ACCEPTED, 770)


async def test_a_rush_order_overtakes_what_waits(bed: Bed) -> None:
    """One at a time: it came last and leaves first."""
    bed.calls_in_flight = 1
    bed.open()
    for number in range(5):
        await bed.pay(number)
    bed.book.known["tmall:rush"] = dispatch(Lane.RUSH)
    await bed.pay("rush")
    await bed.all()
    assert codes(bed.depot)[0] == "tmall:rush@main"


async def test_the_earliest_ship_by_goes_first(bed: Bed) -> None:
    """Whenever they came; a sample is two hours ahead."""
    bed.calls_in_flight = 1
    bed.open()
    now_ms, _ = await bed.store.position()
    for number, (lane, hours) in enumerate([("normal", 30), ("normal", 5), ("sample", 6)]):
        details = dispatch(Lane(lane), ship_by_ms=now_ms + hours * HOUR_MS)
        bed.book.known[f"tmall:{number}"] = details
        await bed.pay(number)
    await bed.all()
    assert codes(bed.depot) == ["tmall:2@main", "tmall:1@main", "tmall:0@main"]


# -- the breaker ---------------------------------------------------------------------------------


def _breaker(bed: Bed) -> BreakerState:
    assert bed.outbox is not None
    kept = bed.outbox.kept("main")
    return kept.breaker.state if kept else BreakerState.CLOSED


async def test_a_warehouse_that_is_down_is_left_alone(bed: Bed) -> None:
    """Five faults open it; then one order at a time tries; when it is back all leaves."""
    for number in range(40):
        await bed.pay(number)
    bed.depot.faults.chance = lambda: 503
    await bed.all()
    assert 5 <= len(bed.depot.calls) <= 8
    assert _breaker(bed) is BreakerState.OPEN
    before = len(bed.depot.calls)
    await bed.later(2)
    await bed.all()
    assert len(bed.depot.calls) == before + 1
    bed.depot.faults.chance = lambda: None
    for _ in range(5):
        await bed.later(300)
        await bed.all()
    assert all(bed.state(number) is ACCEPTED for number in range(40))
    assert set(bed.depot.effects.values()) == {1}


async def test_a_trial_risks_one_order(bed: Bed) -> None:
    """Not a whole batch."""
    bed.connector_kind = BatchConnector
    bed.breaker = type(bed.breaker)(threshold=1)
    bed.open()
    for number in range(60):
        await bed.pay(number)
    bed.depot.faults.script = [503]
    await bed.follow()
    await bed.until(lambda: _breaker(bed) is BreakerState.OPEN)
    assert bed.outbox is not None
    with bed.outbox._db.transaction():  # those of unknown fate go alone anyway
        bed.outbox._db.execute("UPDATE delivery SET due_ms = ? WHERE state = 'sent'", (1 << 62,))
    for number in range(60, 120):
        await bed.pay(number)
    await bed.follow()
    bed.depot.calls.clear()
    await bed.later(2)
    await bed.until(lambda: bool(bed.depot.calls))
    assert len(bed.depot.calls[0][1]) == 1


async def test_a_warehouse_without_a_door_has_taken_nothing(bed: Bed) -> None:
    """What could not be brought waits in its place: cancelled, it costs no call."""
    async with Depot() as gone:
        url = gone.url
    bed.depot.url = url
    bed.open()
    await bed.pay(1)
    await bed.all()
    assert (bed.state(1), bed.part(1).doubt) == (PENDING, False)
    await bed.release(1)
    await bed.follow()
    assert bed.state(1) is CANCELLED


# -- several at a time ---------------------------------------------------------------------------


async def test_calls_are_under_way_at_the_same_time_but_no_more_than_set(bed: Bed) -> None:
    """A setting bounds them."""
    bed.calls_in_flight = 3
    bed.depot.gate = asyncio.Event()
    bed.open()
    for number in range(10):
        await bed.pay(number)
    await bed.follow()
    await bed.until(lambda: bed.depot.under_way == 3)
    for _ in range(3):
        await bed.relays["main"].round()
    assert (bed.depot.under_way, bed.depot.most_under_way) == (3, 3)
    bed.depot.gate.set()
    await bed.relay()
    assert bed.depot.most_under_way == 3
    assert len(bed.depot.orders) == 10


@pytest.mark.parametrize("seed", range(2))
async def test_with_faults_of_all_kinds_each_has_one_effect(bed: Bed, seed: int) -> None:
    """A third of all calls fail; the outbox dies now and then, with calls under way."""
    chance = random.Random(seed)
    kinds: list[int | str | None] = [429, 503, 500, "cut", "mute"]
    bed.depot.faults.chance = lambda: chance.choice(kinds) if chance.random() < 0.33 else None
    bed.timeout_seconds = 0.1
    bed.connector_kind = BatchConnector if seed else bed.connector_kind
    bed.open()
    for number in range(60):
        await bed.pay(number)
    for turn in range(200):
        await bed.follow()
        for _ in range(chance.randrange(1, 8)):
            await bed.relays["main"].round()
        if turn % 7 == 3:
            bed.open()  # what was under way goes on by itself, unheard
        bed.now_ms += 60_000
        if all(bed.state(number) is ACCEPTED for number in range(60)):
            break
    assert all(bed.state(number) is ACCEPTED for number in range(60))
    assert bed.depot.effects == {f"tmall:{number}@main": 1 for number in range(60)}


# -- how often it looks --------------------------------------------------------------------------


async def test_with_places_left_one_transaction_notes_what_came_one_by_one(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever was answered first: nothing waits for the place that it leaves."""
    bed.open()
    for number in range(3):
        await bed.pay(number)
    await bed.follow()
    relay = bed.relays["main"]
    monkeypatch.setattr(relay, "_idle_seconds", 0.5)
    send, pauses = relay._connection.send, iter((0.0, 0.1, 0.2))

    async def late(request: Request) -> Response:
        await asyncio.sleep(next(pauses))
        return await send(request)

    monkeypatch.setattr(relay._connection, "send", late)
    await relay.round()
    assert [bed.state(number) for number in range(3)] == [SENT] * 3
    await relay.round()
    assert [bed.state(number) for number in range(3)] == [ACCEPTED] * 3
