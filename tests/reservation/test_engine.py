"""The use cases: what each answers, and what it refuses before the store is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reservation.config import Settings
from reservation.engine import IMPORT_ROWS_PER_CALL, Engine
from reservation.errors import (
    ImportInterrupted,
    InvalidRequest,
    ScriptBug,
)
from reservation.model import (
    AdjustStock,
    AvailabilityItem,
    BreakerState,
    Confirm,
    Extend,
    Fulfil,
    ImportCounts,
    Line,
    Operation,
    Origin,
    Outcome,
    Release,
    Reserve,
    SetStock,
    Shortage,
    State,
)
from reservation.status import Status
from reservation.store.keys import key
from reservation.store.store import Store
from tests.conftest import SERVERS, Clock

WHO = Origin("key", "r-1", "00-ab-cd-01")
ONE, TWO = (Line("CAT", "main", 1),), (Line("CAT", "main", 2),)


async def stocked(engine: Engine, on_hand: int = 10, sku: str = "CAT") -> None:
    """Have cats."""
    await engine.set_stock(SetStock(sku, "main", on_hand), WHO)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_the_life_of_an_order(engine: Engine, clock: Clock) -> None:
    """Held, extended, confirmed, shipped in parts; each answer says how it stands."""
    await stocked(engine)
    held = await engine.reserve(Reserve("tmall:1", TWO, 60_000), WHO)
    assert held.status is Status.DONE
    assert held.reservation is not None
    assert held.reservation.state is State.HELD
    assert (await engine.reservation("tmall:1")).reservation == held.reservation
    steps: list[tuple[Callable[[Any, Origin], Any], Operation, State]] = [
        (engine.extend, Extend("tmall:1", 90_000), State.HELD),
        (engine.confirm, Confirm("tmall:1"), State.CONFIRMED),
        (engine.fulfil, Fulfil("tmall:1", "a", ONE), State.CONFIRMED),
        (engine.fulfil, Fulfil("tmall:1"), State.FULFILLED),
    ]
    for use_case, operation, state in steps:
        outcome = await use_case(operation, WHO)
        assert outcome.status is Status.DONE
        assert outcome.reservation.state is state
    refused = await engine.release(Release("tmall:1"), WHO)
    assert refused.status is Status.RESERVATION_FULFILLED


async def test_an_id_that_cannot_exist_is_not_found(engine: Engine) -> None:
    """A look at a malformed id asks nothing of the store."""
    for reservation_id in ("tmall:1", "nonsense", "tmall:1\n", "Tmall:1"):
        assert await engine.reservation(reservation_id) == Outcome(Status.RESERVATION_NOT_FOUND)


async def test_a_refusal_is_an_outcome(engine: Engine) -> None:
    """The world said no: every short line with what there is."""
    await stocked(engine)
    outcome = await engine.reserve(Reserve("tmall:1", (Line("CAT", "main", 11),), 60_000), WHO)
    assert outcome == Outcome(
        Status.INSUFFICIENT_STOCK, shortages=(Shortage("CAT", "main", 11, 10),)
    )


async def test_a_mixed_batch_is_answered_in_order(engine: Engine) -> None:
    """Each stands alone; those on one id apply in the order given."""
    await stocked(engine)
    results = await engine.apply(
        [
            Reserve("tmall:1", TWO, 60_000),
            Confirm("tmall:1"),
            Reserve("tmall:2", (Line("FOX", "main", 1),), 60_000),
            Fulfil("tmall:1"),
            Release("tmall:1"),
            Extend("tmall:9", 1),
        ],
        WHO,
    )
    assert [result.status for result in results if isinstance(result, Outcome)] == [
        Status.DONE,
        Status.DONE,
        Status.UNKNOWN_SKU,
        Status.DONE,
        Status.RESERVATION_FULFILLED,
        Status.RESERVATION_NOT_FOUND,
    ]


@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        (Reserve("nonsense", ONE, 1), "/reservation_id"),
        (Confirm("tmall:1\n"), "/reservation_id"),
        (Reserve("tmall:1", (Line(".", "main", 1),), 1), "/sku"),
        (Reserve("tmall:1", (Line("a\nb", "main", 1),), 1), "/sku"),
        (Fulfil("tmall:1", "a", (Line("\ud800", "main", 1),)), "/sku"),
        (Reserve("tmall:1", (Line("CAT", "", 1),), 1), "/warehouse"),
    ],
)
async def test_what_breaks_a_rule_of_form_is_not_sent(
    engine: Engine, operation: Operation, pointer: str
) -> None:
    """A bad id or SKU is refused before it can harm a batch."""
    with pytest.raises(InvalidRequest) as raised:
        await engine.apply([Reserve("tmall:0", ONE, 1), operation], WHO)
    assert [found for found, _ in raised.value.errors] == [pointer]
    assert (await engine.reservation("tmall:0")).status is Status.RESERVATION_NOT_FOUND


async def test_what_a_script_calls_a_bug_is_raised(engine: Engine) -> None:
    """A quantity that no rule of form lets through here is a bug of ours."""
    await stocked(engine)
    with pytest.raises(ScriptBug, match="BADARG quantity"):
        await engine.reserve(Reserve("tmall:1", (Line("CAT", "main", 0),), 60_000), WHO)


async def test_a_bug_befalls_its_operation_alone(engine: Engine) -> None:
    """The others of the batch are told what became of them."""
    await stocked(engine)
    orders = [Reserve(f"tmall:{n}", (Line("CAT", "main", n),), 60_000) for n in range(3)]
    bug, *others = await engine.apply(orders, WHO)
    assert isinstance(bug, ScriptBug)
    assert [other.status for other in others if isinstance(other, Outcome)] == [Status.DONE] * 2


async def test_who_asked_stands_in_the_log(engine: Engine, store: Store) -> None:
    """The acting key, the request and its trace are told with the event."""
    await stocked(engine)
    ((_, fields),) = await store.client.xrevrange(key(0, "events"), count=1)
    assert fields["e"].split("\t")[2] == "key|r-1|00-ab-cd-01"


# Stock.


async def test_stock_is_read_with_its_breaker(engine: Engine) -> None:
    """All levels at one position; nothing of a SKU without a level or a name."""
    await stocked(engine)
    await engine.set_stock(SetStock("CAT", "west", 3, 1), WHO)
    stock = await engine.stock("CAT")
    assert stock is not None
    assert [(level.warehouse, level.available) for level in stock.levels] == [
        ("main", 10),
        ("west", 2),
    ]
    assert stock.breaker.state is BreakerState.CLOSED
    assert await engine.stock("FOX") is None
    assert await engine.stock("a\tb") is None
    with pytest.raises(InvalidRequest):
        await engine.set_stock(SetStock("..", "main", 1), WHO)


async def test_an_adjustment_is_done_once(engine: Engine) -> None:
    """Its id makes the second a replay."""
    await stocked(engine)
    request = AdjustStock("CAT", "main", -3, "a1", "broken")
    statuses = [(await engine.adjust_stock(request, WHO)).status for _ in range(2)]
    assert statuses == [Status.DONE, Status.REPLAYED]
    with pytest.raises(InvalidRequest):
        await engine.adjust_stock(AdjustStock("", "main", 1, "a1", "x"), WHO)


async def test_availability_says_whether_to_order(engine: Engine) -> None:
    """One item a warehouse; asked twice, answered once; unknown and suspended are told."""
    await stocked(engine)
    await stocked(engine, 1, "DOG")
    await engine.set_stock(SetStock("CAT", "west", 3), WHO)
    for number in range(3):
        await engine.reserve(Reserve(f"tmall:{number}", (Line("DOG", "main", 9),), 1_000), WHO)
    found = await engine.availability(["CAT", "DOG", "CAT", "FOX"], None)
    assert found.items == (
        AvailabilityItem("CAT", "main", 10, "open"),
        AvailabilityItem("CAT", "west", 3, "open"),
        AvailabilityItem("DOG", "main", 1, "suspended"),
        AvailabilityItem("FOX", "main", 0, "unknown"),
    )
    west = await engine.availability(["CAT", "DOG"], "west")
    assert west.items == (
        AvailabilityItem("CAT", "west", 3, "open"),
        AvailabilityItem("DOG", "west", 0, "unknown"),
    )


async def test_too_many_items_are_refused(store: Store, settings: Settings) -> None:
    """An answer has a bound, told as a rule of form."""
    engine = Engine(store, settings.model_copy(update={"max_availability_items": 2}))
    for warehouse in ("a", "b", "c"):
        await engine.set_stock(SetStock("CAT", warehouse, 1), WHO)
    with pytest.raises(InvalidRequest, match="more than 2"):
        await engine.availability(["CAT"], None)


async def test_an_import_counts_what_it_made_and_changed(engine: Engine) -> None:
    """Dry, it writes nothing and counts the same; again, everything is unchanged."""
    await stocked(engine, 5, "S0")
    await engine.set_stock(SetStock("S1", "main", 1, 2), WHO)
    rows = [SetStock(f"S{n}", "main", 1) for n in range(2 * IMPORT_ROWS_PER_CALL + 50)]
    seen: list[tuple[int, int]] = []
    expected = ImportCounts(created=448, changed=1, unchanged=1)
    assert await engine.import_stock(rows, WHO, dry_run=True) == expected
    assert await engine.stock("S9") is None
    counts = await engine.import_stock(
        rows, WHO, dry_run=False, progress=lambda done, total: seen.append((done, total))
    )
    assert counts == expected
    assert seen == [(200, 450), (400, 450), (450, 450)]
    again = await engine.import_stock(rows, WHO, dry_run=False)
    assert again == ImportCounts(unchanged=450)


async def test_an_import_that_meets_too_many_warehouses_says_how_far_it_came(
    store: Store, settings: Settings
) -> None:
    """Its rows were judged before: someone else has made warehouses meanwhile."""
    few = settings.model_copy(update={"max_warehouses_per_sku": 1})
    store.settings = few
    rows = [*(SetStock(f"S{n}", "main", 1) for n in range(250)), SetStock("S7", "b", 1)]
    with pytest.raises(ImportInterrupted, match="S7 was given its most warehouses") as raised:
        await Engine(store, few).import_stock(rows, WHO, dry_run=False)
    assert (raised.value.rows_applied, raised.value.effect) == (250, "unknown")


# Readiness.


async def test_a_clock_mark_far_ahead_is_not_ready(store: Store, settings: Settings) -> None:
    """Time would stand still: the finding says for how long."""
    engine = Engine(store, settings)
    assert (await engine.readiness()).ready
    seconds, _ = await store.client.time()
    await store.client.hset(key(0, "clock"), "now", str(seconds * 1000 + 60_000))
    readiness = await engine.readiness()
    assert not readiness.ready
    assert "behind what it once was" in readiness.findings[0]


async def test_what_is_unwise_is_a_warning(store: Store, settings: Settings) -> None:
    """A store with warnings serves, and says them."""
    store.warnings = ("durability is relaxed",)
    readiness = await Engine(store, settings).readiness()
    assert (readiness.ready, readiness.warnings) == (True, ("durability is relaxed",))


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_the_clock_moves_for_tests(engine: Engine) -> None:
    """A hold expires by a jump, exactly."""
    await stocked(engine)
    now = await engine.move_clock(advance_ms=None, freeze=True)
    await engine.reserve(Reserve("tmall:1", TWO, 5_000), WHO)
    assert await engine.move_clock(advance_ms=4_999, freeze=None) == now + 4_999
    assert (await engine.availability(["CAT"], None)).items[0].available == 8
    await engine.move_clock(advance_ms=1, freeze=None)
    assert (await engine.availability(["CAT"], None)).items[0].available == 10
    found = (await engine.reservation("tmall:1")).reservation
    assert found is not None
    assert (found.state, found.ended_at_ms) == (State.EXPIRED, now + 5_000)
