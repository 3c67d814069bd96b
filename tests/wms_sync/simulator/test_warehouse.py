"""The life of orders, without any wire: what is locked, what leaves, what cannot be stopped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.simulation.clock import Clock
from tests.wms_sync.simulator.conftest import MINUTE_MS, NOON_MS, free, order
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.orders import Event, Order, Status
from wms_sync.simulator.refused import Refusal, Refused
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

SHIRT = "SHIRT:红"


def take(warehouse: Warehouse, *orders: Order) -> Order:
    """Take orders in; the last one, as it is then. Raises what it was refused for."""
    answer = warehouse.take_in(orders)[-1]
    if isinstance(answer, Refused):
        raise answer
    return answer


def later(warehouse: Warehouse, clock: Clock, minutes: float) -> None:
    clock.advance(round(minutes * MINUTE_MS))
    warehouse.catch_up()


def told(events: list[Event]) -> list[str]:
    return [event.what.value for event in events]


def test_an_orders_life(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """Its units are set aside at once; each step comes in its minute, not before."""
    taken = take(warehouse, order("D1", 3))
    assert (taken.status, free(warehouse)) == (Status.NEW, (7, 3, 0))
    later(warehouse, clock, 1 - 1 / MINUTE_MS)
    assert taken.status is Status.NEW
    later(warehouse, clock, 1 / MINUTE_MS)
    assert (taken.status, taken.picked) == (Status.ACCEPT, False)
    later(warehouse, clock, 10)
    assert taken.picked
    later(warehouse, clock, 20)
    assert (taken.status, free(warehouse)) == (Status.DELIVERED, (7, 0, 3))
    assert told(events) == ["accepted", "picked", "sent"]
    assert [(event.at_ms - NOON_MS) // MINUTE_MS for event in events] == [1, 11, 31]
    assert (events[-1].units, events[-1].final) == ({"1": 3}, True)
    (parcel,) = events[-1].parcels
    assert (parcel.carrier, parcel.units) == ("SF", {"1": 3})


def test_a_warehouse_that_works_for_long_forgets_what_has_ended(clock: Clock, ways: Ways) -> None:
    """The oldest first; what left with it is still counted, and what goes on is known for ever."""
    warehouse = Warehouse(clock, ways, seed=1, forgets_above=2)
    warehouse.put_in("CATFOOD-10KG", Kind.GOOD, 10)
    warehouse.take_in([order("D1", 3), order("D2", 1)])
    warehouse.put_aside("D1")
    later(warehouse, clock, 60)
    assert warehouse.order("D2").status is Status.DELIVERED
    warehouse.take_in([order("D3", 2)])
    assert list(warehouse.orders) == ["D1", "D3"]
    assert free(warehouse) == (4, 5, 1)
    assert warehouse.audit() == []


def test_a_leap_does_what_it_leaps_over(
    warehouse: Warehouse, clock: Clock, events: list[Event]
) -> None:
    """In the order in which it was due, with the times at which it was."""
    take(warehouse, order("D1", 1))
    clock.advance(5 * MINUTE_MS)
    take(warehouse, order("D2", 1))
    later(warehouse, clock, 1_000)
    steps = [(event.order.code, event.what.value) for event in events if event.order]
    assert steps == [
        *(("D1", "accepted"), ("D2", "accepted")),
        *(("D1", "picked"), ("D2", "picked")),
        *(("D1", "sent"), ("D2", "sent")),
    ]
    assert [(event.at_ms - NOON_MS) // MINUTE_MS for event in events] == [1, 6, 11, 16, 31, 36]


def test_the_same_code_is_the_same_order(warehouse: Warehouse) -> None:
    """It holds its units once; with other lines it is refused."""
    first = take(warehouse, order("D1", 3))
    assert take(warehouse, order("D1", 3)) is first
    with pytest.raises(Refused) as refused:
        take(warehouse, order("D1", 4))
    assert refused.value.why is Refusal.OTHER_CONTENT
    assert free(warehouse) == (7, 3, 0)


def test_more_than_is_there_is_refused(warehouse: Warehouse) -> None:
    """Whole, also where two lines of one item are too much together; nothing is set aside."""
    for units in ((11,), (6, 5), ((SHIRT, 6), 1)):
        with pytest.raises(Refused) as refused:
            take(warehouse, order("D1", *units))
        assert refused.value.why is Refusal.SHORT
    assert (free(warehouse), free(warehouse, SHIRT)) == ((10, 0, 0), (5, 0, 0))
    assert take(warehouse, order("D1", 1)).code == "D1"  # the refused code is free
    with pytest.raises(Refused) as unknown:
        take(warehouse, order("D2", ("NONE", 1)))
    assert unknown.value.why is Refusal.UNKNOWN_ITEM


def test_or_it_is_taken_and_lacks(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """Where the ways have it so: what is there leaves, the rest is told as lacking by the books."""
    warehouse.ways.short = "accept"
    taken = take(warehouse, order("D1", 8, 4))
    nothing = take(warehouse, order("D2", 1))
    assert free(warehouse) == (0, 10, 0)
    later(warehouse, clock, 1)
    assert (taken.status, nothing.status) == (Status.EXCEPTION, Status.EXCEPTION)
    lacks = [(event.units, event.on_paper) for event in events if event.what == "lacking"]
    assert lacks == [({"2": 2}, True), ({"1": 1}, True)]
    later(warehouse, clock, 30)
    assert (taken.status, nothing.status) == (Status.DELIVERED, Status.CLOSED)
    assert (events[-2].units, events[-1].units) == ({"1": 8, "2": 2}, {})
    assert warehouse.audit() == []


def test_in_time_and_too_late(warehouse: Warehouse, clock: Clock) -> None:
    """An order can be stopped until the ms in which it is picked; then nothing stops it."""
    for code in ("D1", "D2"):
        take(warehouse, order(code, 2))
    later(warehouse, clock, 11 - 1 / MINUTE_MS)
    assert warehouse.cancel("D1", "refund").status is Status.CANCELED
    assert free(warehouse) == (8, 2, 0)
    clock.advance(1)
    with pytest.raises(Refused) as refused:
        warehouse.cancel("D2")
    assert refused.value.why is Refusal.TOO_LATE
    assert warehouse.cancel("D1").status is Status.CANCELED  # again: it is
    later(warehouse, clock, 100)
    assert free(warehouse) == (8, 0, 2)
    with pytest.raises(Refused) as ended:
        take(warehouse, order("D1", 2))
    assert ended.value.why is Refusal.ENDED
    with pytest.raises(Refused) as unknown:
        warehouse.cancel("D3")
    assert unknown.value.why is Refusal.UNKNOWN_ORDER


def test_put_aside_and_restored(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """Nothing happens to it meanwhile; then what is overdue happens at once, the rest in time."""
    waiting = take(warehouse, order("D1", 2))
    assert warehouse.put_aside("D1", "地址").pending
    assert warehouse.put_aside("D1").pending
    later(warehouse, clock, 100)
    assert (waiting.status, free(warehouse)) == (Status.NEW, (8, 2, 0))
    warehouse.restore("D1")
    warehouse.restore("D1")
    later(warehouse, clock, 0)
    assert waiting.status is Status.ACCEPT
    later(warehouse, clock, 10)
    assert waiting.picked
    assert told(events) == ["pending", "restored", "accepted", "picked"]
    for late in (warehouse.put_aside, warehouse.cancel):
        with pytest.raises(Refused) as refused:
            late("D1")
        assert refused.value.why is Refusal.TOO_LATE


def test_what_is_put_aside_can_be_cancelled(warehouse: Warehouse, clock: Clock) -> None:
    """And is not restored then."""
    take(warehouse, order("D1", 2))
    warehouse.put_aside("D1")
    warehouse.cancel("D1")
    with pytest.raises(Refused):
        warehouse.restore("D1")
    later(warehouse, clock, 100)
    assert free(warehouse) == (10, 0, 0)


def test_in_parts(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """Some leaves first, the rest an hour later; together it is all."""
    warehouse.ways.parts = 1.0
    taken = take(warehouse, order("D1", 3, ("SHIRT:红", 2)))
    one = take(warehouse, order("D2", 1))
    later(warehouse, clock, 31)
    assert (taken.status, one.status) == (Status.PARTDELIVERED, Status.DELIVERED)
    first = next(event for event in events if event.what == "sent")
    assert 1 <= sum(first.units.values()) <= 4
    assert not first.final
    later(warehouse, clock, 60)
    rest = events[-1]
    assert (taken.status, rest.final, taken.confirmations) == (Status.DELIVERED, True, 2)
    both = {line: first.units.get(line, 0) + rest.units.get(line, 0) for line in ("1", "2")}
    assert both == {"1": 3, "2": 2}


def test_in_several_packages(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """With numbers of their own; what is in them is what leaves."""
    warehouse.ways.several_packages = 1.0
    take(warehouse, order("D1", 3))
    take(warehouse, order("D2", 2))
    later(warehouse, clock, 31)
    parcels = [parcel for event in events for parcel in event.parcels]
    assert len({parcel.tracking_number for parcel in parcels}) == 4
    assert sum(parcel.units["1"] for parcel in parcels[:2]) == 3


def test_what_is_not_found(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """It is told as lacking and struck out; the rest leaves."""
    warehouse.ways.lacks = 1.0
    taken = take(warehouse, order("D1", 3))
    later(warehouse, clock, 11)
    lacking, changed = events[-2:]
    missing = lacking.units["1"]
    assert 1 <= missing <= 3
    assert (taken.status, lacking.on_paper) == (Status.EXCEPTION, False)
    assert [(each.item_code, each.by) for each in changed.changes] == [("CATFOOD-10KG", -missing)]
    assert changed.document == "D1"
    later(warehouse, clock, 20)
    assert free(warehouse) == (7, 0, 3 - missing)
    assert warehouse.goods.level("CATFOOD-10KG").put_in == 10 - missing


def test_what_the_warehouse_does_not_want(
    warehouse: Warehouse, clock: Clock, events: list[Event]
) -> None:
    """By chance when it would be accepted, or by hand until it is picked; its units are free."""
    take(warehouse, order("D1", 3))
    assert warehouse.reject("D1", "no box is large enough").status is Status.REJECT
    warehouse.ways.rejects = 1.0
    second = take(warehouse, order("D2", 3))
    later(warehouse, clock, 1)
    assert (second.status, free(warehouse)) == (Status.REJECT, (10, 0, 0))
    assert told(events) == ["rejected", "rejected"]
    assert warehouse.cancel("D2").status is Status.REJECT


def test_a_count(warehouse: Warehouse, clock: Clock, events: list[Event]) -> None:
    """What is found is believed; free units go first, then those of the latest order."""
    first, second = take(warehouse, order("D1", 4)), take(warehouse, order("D2", 4))
    key = ("CATFOOD-10KG", Kind.GOOD)
    (change,) = warehouse.count({key: 12}, "PD1")
    assert (change.by, change.there, free(warehouse)) == (2, 12, (4, 8, 0))
    (change,) = warehouse.count({key: 6}, "PD2")
    assert (change.by, free(warehouse)) == (-6, (0, 6, 0))
    assert (first.lines["1"].lacking, second.lines["1"].lacking) == (0, 2)
    assert (second.status, told(events)) == (Status.EXCEPTION, ["counted", "counted", "lacking"])
    later(warehouse, clock, 31)
    assert (free(warehouse), warehouse.audit()) == ((0, 0, 6), [])
    assert told(events).count("lacking") == 1
    with pytest.raises(Refused):
        warehouse.count({key: 1, ("NONE", Kind.GOOD): 1}, "PD3")
    assert free(warehouse) == (0, 0, 6)


def test_stock_that_changes(warehouse: Warehouse, events: list[Event]) -> None:
    """All of it or nothing; what is set aside cannot be taken out."""
    take(warehouse, order("D1", 8))
    good, bad = Kind.GOOD, Kind.DEFECTIVE
    warehouse.change([("CATFOOD-10KG", good, -2), ("CATFOOD-10KG", bad, 2)], "YD1", "QTCK")
    assert free(warehouse) == (0, 8, 0)
    assert warehouse.goods.level("CATFOOD-10KG", bad).quantity == 2
    with pytest.raises(Refused) as refused:
        warehouse.change([("CATFOOD-10KG", bad, 1), ("CATFOOD-10KG", good, -1)], "YD2")
    assert refused.value.why is Refusal.BELOW_ZERO
    assert warehouse.goods.level("CATFOOD-10KG", bad).quantity == 2
    assert [change.by for change in events[-1].changes] == [-2, 2]
    assert len(events) == 1


def test_a_warehouse_takes_in_so_many(warehouse: Warehouse, clock: Clock) -> None:
    """Several come whole or not at all; what is known or refused takes no room."""
    warehouse.ways.intake, warehouse.ways.per, warehouse.ways.burst = 60, "hour", 3
    warehouse.open_intake()
    take(warehouse, order("D1", 1), order("D2", 1))
    for codes in (("D3", "D4"), ("D3", "D4", "D1")):
        with pytest.raises(Refused) as refused:
            take(warehouse, *(order(code, 1) for code in codes))
        assert refused.value.why is Refusal.THROTTLED
    take(warehouse, order("D1", 1))
    with pytest.raises(Refused):
        take(warehouse, order("D5", 100))
    take(warehouse, order("D3", 1))
    clock.advance(MINUTE_MS)
    take(warehouse, order("D4", 1))
    intake = warehouse.intake
    assert (intake.taken.total, intake.taken.most, intake.refused) == (4, 4, 4)
    warehouse.ways.above = "take"
    take(warehouse, order("D6", 1))
    assert (intake.above, intake.taken.total) == (1, 5)


def test_each_of_several_stands_alone(warehouse: Warehouse) -> None:
    """One that is refused keeps no other one back."""
    answers = warehouse.take_in([order("D1", 9), order("D2", 9), order("D3", 1)])
    assert [type(answer) for answer in answers] == [Order, Refused, Order]


def test_chance_is_an_orders_own(clock: Clock) -> None:
    """The same seed and codes meet the same, whatever else comes between."""

    def fate(*codes: str, seed: int = 7) -> dict[str, tuple[Status, int, int]]:
        ways = Ways(rejects=0.3, lacks=0.3, parts=0.5, several_packages=0.5, spread=0.5)
        warehouse = Warehouse(clock, ways, seed=seed)
        warehouse.put_in("CATFOOD-10KG", Kind.GOOD, 1_000)
        warehouse.take_in([order(code, 5) for code in codes])
        clock.advance(1_000 * MINUTE_MS)
        warehouse.catch_up()
        return {
            each.code: (each.status, each.lines["1"].lacking, len(each.parcels))
            for each in warehouse.orders.values()
        }

    codes = [f"D{number}" for number in range(30)]
    some, all_of_them = fate(*codes[10:20]), fate(*codes)
    assert some == {code: all_of_them[code] for code in codes[10:20]}
    assert fate(*codes, seed=8) != all_of_them


CODES = st.sampled_from(["D1", "D2", "D3", "D4"])
ITEMS = st.sampled_from(["A", "B"])
KINDS = st.sampled_from([Kind.GOOD, Kind.DEFECTIVE])
UNITS = st.integers(1, 6)
DOINGS = st.one_of(
    st.tuples(st.just("take"), CODES, st.lists(st.tuples(ITEMS, UNITS), min_size=1, max_size=3)),
    st.tuples(st.just("cancel"), CODES),
    st.tuples(st.just("put_aside"), CODES),
    st.tuples(st.just("restore"), CODES),
    st.tuples(st.just("reject"), CODES),
    st.tuples(st.just("put_in"), ITEMS, KINDS, UNITS),
    st.tuples(
        st.just("change"),
        st.lists(st.tuples(ITEMS, KINDS, st.integers(-6, 6)), min_size=1, max_size=3),
    ),
    st.tuples(st.just("count"), st.dictionaries(st.tuples(ITEMS, KINDS), st.integers(0, 12))),
    st.tuples(st.just("advance"), st.integers(0, 40)),
)


@settings(max_examples=300, deadline=None)
@given(
    doings=st.lists(DOINGS, max_size=40),
    rates=st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 5),
    short=st.sampled_from(["refuse", "accept"]),
    seed=st.integers(0, 3),
)
def test_units_are_conserved(
    doings: list[tuple[object, ...]], rates: tuple[float, ...], short: str, seed: int
) -> None:
    """Whatever is done in whatever order, and what is told adds up to what is there."""
    names = ("rejects", "lacks", "parts", "several_packages", "spread")
    ways = Ways(short=short, **dict(zip(names, rates, strict=True)))
    warehouse = Warehouse(clock := Clock(NOON_MS, speed=0), ways, seed=seed)
    put_in: dict[tuple[str, Kind], int] = {}  # by a reckoning of the test's own
    sent: dict[tuple[str, Kind], int] = {}

    def listen(event: Event) -> None:
        for change in event.changes:
            key = change.item_code, change.kind
            put_in[key] = put_in.get(key, 0) + change.by
        if event.what == "sent" and event.order:
            assert event.units == {
                line: total
                for line in event.order.lines
                if (total := sum(parcel.units.get(line, 0) for parcel in event.parcels))
            }
            for number, units in event.units.items():
                line = event.order.lines[number]
                key = line.item_code, line.kind
                sent[key] = sent.get(key, 0) + units

    warehouse.listeners.append(listen)
    for what, *given_ in doings:
        try:
            _do(warehouse, clock, str(what), given_, put_in)
        except Refused:
            continue
        assert warehouse.audit() == []
        for level in warehouse.goods:
            key = level.item_code, level.kind
            there = level.quantity + level.locked + level.shipped
            assert there == put_in.get(key, 0)
            assert level.shipped == sent.get(key, 0)


def _do(
    warehouse: Warehouse,
    clock: Clock,
    what: str,
    given_: list[object],
    put_in: dict[tuple[str, Kind], int],
) -> None:
    before = [(level.quantity, level.locked, level.shipped) for level in warehouse.goods]
    try:
        match what, given_:
            case "take", [code, lines]:
                take(warehouse, order(code, *lines))  # type: ignore[arg-type,misc]
            case "put_in", [item_code, kind, units]:
                warehouse.put_in(item_code, kind, units)  # type: ignore[arg-type]
                key = item_code, kind
                put_in[key] = put_in.get(key, 0) + units  # type: ignore[index,arg-type,operator]
            case "change", [changes]:
                warehouse.change(changes, "YD")  # type: ignore[arg-type]
            case "count", [found]:
                warehouse.count(found, "PD")  # type: ignore[arg-type]
            case "reject", [code]:
                warehouse.reject(code, "no")  # type: ignore[arg-type]
            case "advance", [minutes]:
                clock.advance(minutes * MINUTE_MS)  # type: ignore[operator]
                warehouse.catch_up()
            case _:
                getattr(warehouse, what)(*given_)
    except Refused:
        after = [(level.quantity, level.locked, level.shipped) for level in warehouse.goods]
        assert before == after
        raise
