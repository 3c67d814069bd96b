"""The loop, before a real store and a depot over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reservation import metrics
from reservation.config import Settings, load
from reservation.engine import Engine
from reservation.events.archivist import Archivist
from reservation.model import SYSTEM, Line, SetStock
from reservation.store.store import Store
from tests.waiting import happens
from tests.wms_sync.bed import Book
from tests.wms_sync.depot import Depot
from tests.wms_sync.reconciliation.conftest import APART_MS, Yard
from wms_sync.outbox.delivery import Kept
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.model import Drift, DriftState, Shortfall
from wms_sync.reconciliation.reads import look_at
from wms_sync.reconciliation.reconciler import GIVE_UP_MS
from wms_sync.reconciliation.rule import Gap, Policy
from wms_sync.rules.pacing import Pace
from wms_sync.rules.warehouse_breaker import BreakerState, WarehouseBreaker
from wms_sync.service import run_warehouses

MENDS = Policy(apart_ms=APART_MS, repair_units=5)


async def test_what_agrees_is_not_told(yard: Yard) -> None:
    """Only the warehouse's own SKUs are asked for, all of them, in each pass once."""
    await yard.bed.stock("C", 5, warehouse="east")
    await yard.look(2)
    assert yard.bed.depot.asked == [["A", "B"]] * 2
    assert yard.told == []
    assert yard.notes() == []
    seen = yard.findings.sku("main", "A")
    assert seen is not None
    assert (seen.figures.free, seen.figures.on_hand, seen.looked_ms) == (
        1_000,
        1_000,
        seen.looked_ms,
    )
    walk = look_at(yard.path, lambda reads: reads.walk("main"))
    assert walk is not None
    assert walk.after is None
    assert walk.ended_ms is not None


async def test_a_difference_that_lasts_is_told_once_and_nothing_is_changed(yard: Yard) -> None:
    """By default it is for people; when it is not so any more, it is over."""
    yard.bed.depot.goods["A"] = (997, 0)
    await yard.look(2)
    assert yard.drift() is None
    await yard.look(3)
    (told,) = yard.told
    assert isinstance(told, Drift)
    assert (told.sku, told.gap, told.state) == ("A", Gap(-3, -3), DriftState.OPEN)
    assert told.found_ms - told.since_ms >= 2 * APART_MS
    assert (await yard.level()).on_hand == 1_000
    assert look_at(yard.path, lambda reads: reads.drift_units("main")) == {
        "missing": 3,
        "surplus": 0,
        "foreign": 0,
    }
    yard.bed.depot.goods["A"] = (1_000, 0)
    await yard.look()
    assert yard.states() == [DriftState.GONE]
    assert yard.notes() == ["suspected", "drift found", "agrees again"]
    figures = [note.figures and note.figures.free for note in yard.findings.history("main", "A")]
    assert figures == [997, 997, 1_000]


async def test_orders_on_their_way_are_no_difference(yard: Yard) -> None:
    """Taken, left and not reported, and reported: at no time is anything suspected."""
    for number in range(4):
        await yard.bed.pay(number, Line("A", "main", 5))
    await yard.look()
    await yard.bed.all()
    for free, locked in ((980, 20), (980, 15), (985, 15), (980, 0)):
        yard.bed.depot.goods["A"] = (free, locked)
        await yard.look()
    await yard.bed.fulfil(0)
    await yard.bed.fulfil(1, "p1", Line("A", "main", 2))
    await yard.bed.follow()
    await yard.look()
    seen = yard.findings.sku("main", "A")
    assert seen is not None
    assert (seen.figures.on_hand, seen.figures.handed) == (993, 13)
    assert yard.notes() == []


async def test_what_is_missing_beside_them_is_found(yard: Yard) -> None:
    """A hundred are there, of which some have left untold: one more is gone."""
    await yard.bed.pay(1, Line("A", "main", 100))
    await yard.bed.all()
    for locked in (100, 60, 60, 100):
        yard.bed.depot.goods["A"] = (899, locked)
        await yard.look()
    drift = yard.drift()
    assert drift is not None
    assert drift.gap == Gap(-1, -1)


async def test_what_our_books_are_told_meanwhile_begins_it_anew(yard: Yard) -> None:
    """It may have been what was missing."""
    yard.bed.depot.goods["A"] = (997, 0)
    await yard.look(2)
    await yard.adjust(-1, "a1")
    yard.bed.depot.goods["A"] = (996, 0)
    await yard.look(2)
    assert yard.drift() is None
    await yard.look()
    assert yard.drift() is not None
    notes = yard.findings.history("main", "A")
    assert [note.detail for note in notes] == ["", "our level was written meanwhile", ""]


async def test_only_what_happened_since_the_last_look_is_read(yard: Yard) -> None:
    """However long ago the first was; also behind a look at which ours moved."""

    async def hands_over(skus: list[str]) -> None:
        await yard.bed.relay()

    async def version() -> str:
        return (await yard.ours.levels(["A"]))[1]

    yard.bed.depot.goods["A"] = (1, 0)
    still = yard.bed.depot.asking
    for number in range(4):
        await yard.bed.pay(number)
        await yard.bed.follow()
        as_of = await version()
        if number == 3:
            yard.bed.depot.asking = hands_over
        await yard.look()
        seen = yard.findings.sku("main", "A")
        assert seen is not None
        assert seen.suspicion is not None
        assert seen.suspicion.version == as_of
    assert seen.verdict == "moved"
    yard.bed.depot.asking = still
    await yard.adjust(-1, "a1")
    await yard.look()
    assert "our level was written meanwhile" in [
        note.detail for note in yard.findings.history("main", "A")
    ]


async def test_too_much_to_read_begins_it_anew(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that waits for it would stand still for all other SKUs."""
    yard.bed.depot.goods["A"] = (997, 0)
    await yard.look()
    suspicions = yard.findings.suspicions("main", ["A"])
    (_, version) = await yard.ours.levels(["A"])
    assert await yard.ours.written(suspicions, version) == set()
    monkeypatch.setattr(yard.bed.engine.history, "_seconds", 0.0)
    assert await yard.ours.written(suspicions, version) == {"A"}


async def test_what_moves_while_it_is_asked_is_asked_again(yard: Yard) -> None:
    """The answer was given of another time: nothing is made of it."""

    async def moves(skus: list[str]) -> None:
        yard.bed.depot.asking = still
        await yard.adjust(-3, "a1")

    still = yard.bed.depot.asking
    yard.bed.depot.asking = moves
    yard.bed.depot.goods["A"] = (997, 0)
    await yard.look()
    seen = yard.findings.sku("main", "A")
    assert seen is not None
    assert (seen.verdict, seen.suspicion) == ("moved", None)
    yard.bed.now_ms += 60_000
    await yard.call()
    assert yard.bed.depot.asked == [["A", "B"], ["A"]]
    seen = yard.findings.sku("main", "A")
    assert seen is not None
    assert seen.verdict == "agrees"


# -- mending -------------------------------------------------------------------------------------


async def found(yard: Yard, free: int = 997) -> Drift:
    """Let a drift be found, and what follows be undone yet."""
    yard.policy = MENDS
    yard.open()
    yard.bed.depot.goods["A"] = (free, 0)
    await yard.look(2)
    yard.bed.now_ms += APART_MS
    await yard.call()
    drift = yard.drift()
    assert drift is not None
    return drift


async def test_a_small_one_is_mended_once(yard: Yard) -> None:
    """By an adjustment whose name is kept beside it; a level is never set."""
    drift = await found(yard)
    assert drift.state is DriftState.REPAIRING
    await yard.call()
    await yard.look(4)
    assert (await yard.level()).on_hand == 997
    assert yard.states() == [DriftState.REPAIRED]
    page = await yard.bed.engine.history.ledger("A", after=None, limit=100)
    assert page is not None
    adjusted = [row["data"] for row in page.rows if row["data"].get("change") == "adjusted"]
    assert [(one["delta"], one["adjustment_id"]) for one in adjusted] == [(-3, drift.adjustment_id)]
    assert yard.notes() == ["suspected", "drift found", "repair decided", "repaired"]


async def test_a_crash_behind_the_adjustment_repeats_nothing(yard: Yard) -> None:
    """The next process asks again under the same name."""
    drift = await found(yard)
    await yard.ours.adjust("A", drift.delta, drift.adjustment_id)
    yard.open()
    await yard.call()
    assert (await yard.level()).on_hand == 997
    assert yard.states() == [DriftState.REPAIRED]


@pytest.mark.parametrize("made", [False, True])
async def test_a_decision_that_is_too_old_is_taken_anew(yard: Yard, made: bool) -> None:  # noqa: FBT001
    """Somebody may have mended it meanwhile, or it was made: that is seen, not guessed."""
    drift = await found(yard)
    if made:
        await yard.ours.adjust("A", drift.delta, drift.adjustment_id)
    yard.bed.now_ms += GIVE_UP_MS
    yard.open()
    await yard.look(4)
    assert (await yard.level()).on_hand == 997
    assert yard.states() == [DriftState.GONE] + [DriftState.REPAIRED] * (not made)


async def test_what_is_sold_behind_the_decision_is_not_booked_away(yard: Yard) -> None:
    """Minutes may pass until the adjustment: it is a shortfall then, told with the next look."""
    assert (await found(yard)).state is DriftState.REPAIRING
    await yard.bed.pay(1, Line("A", "main", 1_000))
    for _ in range(3):
        await yard.call()
    level = await yard.level()
    assert (level.on_hand, level.committed) == (1_000, 1_000)
    assert yard.states() == [DriftState.OPEN]
    shortfall = yard.findings.shortfall("main", "A")
    assert shortfall is not None
    assert shortfall.missing == 3
    assert yard.notes()[-2:] == ["repair refused", "shortfall"]


async def test_one_that_was_made_before_a_crash_is_not_called_refused(yard: Yard) -> None:
    """Though what was sold since would forbid it: nobody knows who has written our level."""
    drift = await found(yard)
    await yard.ours.adjust("A", drift.delta, drift.adjustment_id)
    await yard.bed.pay(1, Line("A", "main", 997))
    yard.open()
    await yard.call()
    assert (await yard.level()).on_hand == 997
    assert yard.states() == [DriftState.GONE]
    assert "repair given up" in yard.notes()


async def test_a_large_one_is_not_mended(yard: Yard) -> None:
    """It stays for people."""
    assert (await found(yard, 990)).state is DriftState.OPEN
    await yard.look(2)
    assert (await yard.level()).on_hand == 1_000
    assert yard.states() == [DriftState.OPEN]


async def test_what_the_warehouse_does_not_know_is_told_and_never_mended(yard: Yard) -> None:
    """Nor does it make a shortfall: nobody has counted."""
    yard.policy = Policy(apart_ms=APART_MS, repair_units=1_000_000)
    yard.open()
    await yard.bed.pay(1)
    del yard.bed.depot.goods["A"]
    await yard.look(4)
    drift = yard.drift()
    assert drift is not None
    assert (drift.figures.known, drift.gap) == (False, Gap(-1_000, -1_000))
    assert (await yard.level()).on_hand == 1_000
    assert yard.findings.shortfalls("main", "", 10) == []


# -- promises ------------------------------------------------------------------------------------


async def test_less_than_is_promised_is_a_shortfall_and_not_booked(yard: Yard) -> None:
    """However small: a level that was cut would hide who gets nothing. It ends by itself."""
    await yard.bed.pay(1, Line("A", "main", 999))
    assert (await found(yard)).state is DriftState.OPEN
    await yard.look()
    assert (await yard.level()).on_hand == 1_000
    shortfall = look_at(yard.path, lambda reads: reads.shortfall("main", "A"))
    assert shortfall is not None
    assert (shortfall.missing, shortfall.promised, shortfall.there) == (2, 999, 997)
    assert shortfall.drift == yard.drift().number
    assert [type(one) for one in yard.told] == [Drift, Shortfall]
    await yard.bed.release(1)
    await yard.look(2)
    assert yard.findings.shortfall("main", "A") is None
    assert "shortfall over" in yard.notes()
    assert (await yard.level()).on_hand == 997


async def test_our_own_books_can_be_short_too(yard: Yard) -> None:
    """As after a count that was reported: it is told at the first look, and when it grows."""
    await yard.bed.pay(1, Line("A", "main", 999))
    for units in (990, 990, 980):
        await yard.bed.engine.set_stock(SetStock("A", "main", units), SYSTEM)
        yard.bed.depot.goods["A"] = (units, 0)
        await yard.look()
        yard.findings.dismiss_shortfall("main", "A", "li", yard.bed.now_ms)
    assert [one.missing for one in yard.told if isinstance(one, Shortfall)] == [9, 19]
    shortfall = yard.findings.shortfall("main", "A")
    assert shortfall is not None
    assert (shortfall.drift, shortfall.by) == (None, "li")


# -- people --------------------------------------------------------------------------------------


async def test_a_dismissed_drift_is_quiet_until_it_is_another(yard: Yard) -> None:
    """And is not mended meanwhile."""
    yard.bed.depot.goods["A"] = (997, 0)
    await yard.look(3)
    assert yard.findings.dismiss_drift("main", "A", "li", yard.bed.now_ms)
    assert not yard.findings.dismiss_drift("main", "A", "li", yard.bed.now_ms)
    yard.policy = MENDS
    yard.open()
    await yard.look(3)
    assert yard.states() == [DriftState.DISMISSED]
    assert len(yard.told) == 1
    yard.bed.depot.goods["A"] = (900, 0)
    await yard.look(3)
    assert yard.states() == [DriftState.OPEN]
    assert [one.gap.certain for one in yard.told if isinstance(one, Drift)] == [-3, -100]


async def test_people_can_have_a_sku_looked_at_now(yard: Yard) -> None:
    """With the next call, before its turn."""
    await yard.look()
    assert yard.findings.look_again("main", "B")
    assert not yard.findings.look_again("main", "X")
    await yard.call()
    assert yard.bed.depot.asked == [["A", "B"], ["B"]]


# -- the way -------------------------------------------------------------------------------------


async def test_it_goes_on_where_it_was(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in another process; no SKU waits for a restart to be its turn."""
    monkeypatch.setattr(type(yard.connector), "stock_size", 1)
    yard.open()
    await yard.call()
    yard.open()
    await yard.call()
    assert yard.bed.depot.asked == [["A"], ["B"]]


async def test_it_keeps_to_its_pace(yard: Yard) -> None:
    """However much is due."""
    await yard.call()
    for _ in range(3):
        yard.findings.look_again("main", "A")
        assert await yard.reconciler.round() > 0
    assert len(yard.bed.depot.asked) == 1


async def test_a_warehouse_that_wants_peace_has_it(yard: Yard) -> None:
    """Longer with each refusal; what was not told is asked again."""

    async def busy(skus: list[str]) -> int:
        del skus
        return 429

    answers, yard.bed.depot.asking = yard.bed.depot.asking, busy
    for calls, seconds in ((1, 29), (2, 59), (3, 119)):
        await yard.call()
        yard.bed.now_ms += seconds * 1_000 - 1_000
        await yard.reconciler.round()
        assert len(yard.bed.depot.asked) == calls
        yard.bed.now_ms += 1_000
    yard.bed.depot.asking = answers
    await yard.call()
    assert yard.findings.sku("main", "B") is not None


async def test_nothing_is_asked_while_the_breaker_is_open(yard: Yard) -> None:
    """Orders try first whether anybody is there."""
    assert yard.bed.outbox is not None
    handing = yard.bed.outbox.handing("main")
    for state, asked in ((BreakerState.OPEN, 0), (BreakerState.CLOSED, 1)):
        with handing.transaction():
            handing.keep(Kept(Pace(0), breaker=WarehouseBreaker(state=state)))
        await yard.call()
        assert len(yard.bed.depot.asked) == asked


async def test_one_sku_that_is_refused_does_not_stop_the_others(yard: Yard) -> None:
    """Fewer are asked for at once, down to the one; then it goes on, and asks for more again."""

    async def picky(skus: list[str]) -> int | None:
        return 400 if "A" in skus else None

    yard.bed.depot.asking = picky
    await yard.bed.stock("C", 5)
    await yard.look()
    assert yard.bed.depot.asked == [["A", "B", "C"], ["A"], ["B"], ["C"]]
    assert yard.findings.sku("main", "A") is None
    assert yard.findings.sku("main", "C") is not None


async def test_old_things_are_forgotten(yard: Yard) -> None:
    """What has ended, and notes; what is so now stays."""
    yard.bed.depot.goods |= {"A": (997, 0), "B": (999, 0)}
    await yard.look(3)
    yard.bed.depot.goods["A"] = (1_000, 0)
    await yard.look()
    assert yard.findings.forget(yard.bed.now_ms + 1) > 0
    assert (yard.states("A"), yard.states("B")) == ([], [DriftState.OPEN])
    assert yard.notes() == []


async def test_figures(yard: Yard) -> None:
    """Of what differs, what was compared, and how long ago all of it was."""

    def figure(name: str, **labels: str) -> float | None:
        labels = {"warehouse": "main", **labels}
        return metrics.REGISTRY.get_sample_value(f"holdfast_warehouse_{name}", labels)

    before = figure("skus_checked_total", verdict="differs") or 0
    yard.bed.depot.goods |= {"A": (997, 0), "B": (1_004, 0)}
    await yard.bed.pay(1, Line("A", "main", 1_000))
    await yard.look(3)
    yard.open()
    yard.bed.now_ms += 60_000
    await yard.reconciler.round()
    assert figure("skus_checked_total", verdict="differs") == before + 6
    assert figure("drift_units", direction="missing") == 3
    assert figure("drift_units", direction="surplus") == 4
    assert figure("short_units") == 3
    assert figure("findings", kind="drift") == 2
    assert figure("findings", kind="shortfall") == 1
    assert 60 <= (figure("pass_age_seconds") or 0) <= 90
    assert yard.findings.dismiss_drift("main", "B", "li", yard.bed.now_ms)
    assert yard.findings.dismiss_shortfall("main", "A", "li", yard.bed.now_ms)
    yard.open()
    await yard.reconciler.round()
    assert (figure("findings", kind="drift"), figure("findings", kind="shortfall")) == (1, 0)


async def test_warehouses_are_compared_where_they_are_fed(
    store: Store, engine: Engine, settings: Settings, depot: Depot
) -> None:
    """By a loop of its own; without calls a minute there is none."""
    await engine.set_stock(SetStock("A", "main", 5), SYSTEM)
    system = {"connector": "tests.wms_sync.depot:DepotConnector", "url": depot.url, "code": "main"}
    told = load(
        data_dir=settings.data_dir,
        redis_url=settings.redis_url,
        wms={"main": system | {"stock_calls_per_minute": 600}, "east": system},
    )
    stop, path = asyncio.Event(), reconciliation_path(settings.data_dir)
    async with asyncio.TaskGroup() as group:
        group.create_task(Archivist(store, settings).run(stop))
        group.create_task(run_warehouses(store, told, stop, Book()))
        await happens(lambda: _is_whole(path))
        stop.set()
    assert depot.asked == [["A"]]


async def _is_whole(path: Path) -> bool:
    walk = look_at(path, lambda reads: reads.walk("main"))
    return walk is not None and walk.ended_ms is not None
