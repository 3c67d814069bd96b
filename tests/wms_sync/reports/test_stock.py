"""What reports of stock do: once each, never an error where less is there than has gone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reservation import metrics
from reservation.config import Settings
from reservation.model import SYSTEM, Line, SetStock
from tests.wms_sync.bed import Bed
from tests.wms_sync.found import opened
from tests.wms_sync.reports.saying import changed, counted
from wms_sync.reports import applier
from wms_sync.reports.applier import MOST_ATTEMPTS, RENEWED_AT_ONCE, Applier
from wms_sync.reports.reported import ReportState


async def test_what_came_and_went_counts_once(bed: Bed) -> None:
    """Whatever led to it, but an order of ours."""
    for _ in range(2):
        await bed.report(
            changed(40, name="in"), changed(-3, name="out"), counted(-1), counted(2, name="n2")
        )
    assert await bed.level() == (1_038, 0)
    assert (bed.for_people(), bed.box.shortfalls()) == ([], [])


async def test_a_count_below_what_is_promised_is_a_shortfall(bed: Bed) -> None:
    """The level says what is there; that it is less than promised is for people, with figures."""
    await bed.pay(1, Line("A", "main", 600))
    await bed.report(counted(-500))
    (short,) = bed.box.shortfalls()
    assert (short.on_hand, short.committed, short.units, short.untaken) == (500, 600, 100, 0)
    assert short.report == "n1"
    assert (await bed.level(), bed.for_people()) == ((500, 600), [])
    await bed.report(changed(99, name="in"))
    (still,) = bed.box.shortfalls()
    assert (still.units, still.since_ms) == (1, short.since_ms)
    await bed.report(changed(1, name="in2"))
    assert bed.box.shortfalls() == []


async def test_more_gone_than_was_there_takes_what_there_is(bed: Bed) -> None:
    """What could not be taken is told until somebody has seen to it, also where it adds up."""
    await bed.report(counted(-1_200))
    assert await bed.level() == (0, 0)
    await bed.report(changed(-5))
    (short,) = bed.box.shortfalls()
    assert (short.on_hand, short.untaken, short.report) == (0, 205, "c1")
    await bed.report(changed(50, name="in"))
    assert (await bed.level(), len(bed.box.shortfalls())) == ((50, 0), 1)
    assert bed.box.dismiss_shortfall("main", "A", "li")
    assert not bed.box.dismiss_shortfall("main", "A", "wu")
    assert bed.box.shortfalls() == []
    await renewed(bed)
    assert bed.box.shortfall("main", "A") is None


async def renewed(bed: Bed) -> None:
    """Let the time come at which levels are read again."""
    bed.open()
    await bed.apply()


async def test_a_dismissed_shortfall_is_quiet_until_more_is_missing(bed: Bed) -> None:
    """Not as long as it only shrinks; what was seen to of what had gone is not told again."""
    await bed.pay(1, Line("A", "main", 600))
    await bed.report(counted(-500))
    assert bed.box.dismiss_shortfall("main", "A", "li")
    await bed.report(changed(1, name="in"))
    assert (bed.box.shortfalls(), bed.box.shortfalls_of("main")) == ([], [])
    assert bed.box.counts("main")["shortfall"] == 0
    known = bed.box.shortfall("main", "A")
    assert known is not None
    assert (known.units, known.by) == (99, "li")
    await bed.report(changed(-2, name="out"))
    (short,) = bed.box.shortfalls()
    assert (short.units, short.by, bed.box.counts("main")["shortfall"]) == (101, "", 1)
    assert bed.box.dismiss_shortfall("main", "A", "li")
    for number, (gone, untaken) in enumerate([(-509, 10), (-5, 15), (-1, 1)]):
        await bed.report(changed(gone, name=f"out{number}"))
        (short,) = bed.box.shortfalls()
        assert (short.units, short.untaken) == (600, untaken)
        if number:
            bed.box.dismiss_shortfall("main", "A", "li")


async def test_a_shortfall_follows_its_level_without_a_report(bed: Bed) -> None:
    """A merchant sets a stock, an order is given back, another one is promised: it is true soon."""
    await bed.pay(1, Line("A", "main", 600))
    await bed.report(counted(-500))
    await bed.engine.set_stock(SetStock("A", "main", 400), SYSTEM)
    await renewed(bed)
    (short,) = bed.box.shortfalls()
    assert (short.units, short.on_hand, short.report) == (200, 400, "n1")
    assert bed.box.dismiss_shortfall("main", "A", "li")
    await renewed(bed)
    assert bed.box.shortfalls() == []
    await bed.engine.set_stock(SetStock("A", "main", 399), SYSTEM)
    await renewed(bed)
    assert [one.units for one in bed.box.shortfalls()] == [201]
    await bed.engine.set_stock(SetStock("A", "main", 5_000), SYSTEM)
    await renewed(bed)
    assert bed.box.shortfall("main", "A") is None
    await bed.report(counted(-4_500, name="n2"))
    assert [one.units for one in bed.box.shortfalls()] == [100]


async def test_many_shortfalls_take_turns(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count reads so many levels, and the next goes on behind them; without a level it stays."""
    await bed.pay(1, Line("A", "main", 600))
    await bed.report(counted(-500))
    (short,) = bed.box.shortfalls()
    bed.box.renew(replace(short, sku=f"0{number:02}") for number in range(RENEWED_AT_ONCE))
    await bed.engine.set_stock(SetStock("A", "main", 5_000), SYSTEM)
    monkeypatch.setattr(applier, "COUNT_SECONDS", 0.0)
    await renewed(bed)
    assert len(bed.box.shortfalls()) == RENEWED_AT_ONCE + 1
    await bed.apply()
    assert len(bed.box.shortfalls()) == RENEWED_AT_ONCE
    await bed.apply()
    assert bed.box.shortfalls()[0].sku == "000"


async def test_a_sku_that_is_short_as_both_say_counts_once(bed: Bed, settings: Settings) -> None:
    """As on the list; one that is dismissed there does not."""

    async def counted_short() -> float | None:
        told = Applier(bed.box, bed.outbox.told, bed.engine, ["main"], also_short=also_short)
        await told.round()
        name = "holdfast_warehouse_short_skus"
        return metrics.REGISTRY.get_sample_value(name, {"warehouse": "main"})

    await bed.pay(1, Line("A", "main", 600))
    await bed.report(counted(-500))
    with opened(settings.data_dir) as found:
        also_short = found.findings.open_shortfalls_of
        assert await counted_short() == 1
        for sku in ("A", "B"):
            found.look(sku, 500, on_hand=500, promised=600)
        assert await counted_short() == 2
        bed.box.dismiss_shortfall("main", "A", "li")
        found.findings.dismiss_shortfall("main", "A", "li", found.now_ms)
        assert await counted_short() == 1


@pytest.mark.parametrize("at", ["decided", "changed"])
async def test_a_change_that_was_cut_down_is_the_same_after_a_crash(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """It dies behind the decision, or behind the change: the figures are told all the same."""

    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        if at == "changed":
            dying.setattr(bed.box, "settle", dies)
        else:
            take = bed.box.take
            dying.setattr(bed.box, "take", lambda *told: (take(*told), dies()))
        with pytest.raises(Killed):
            await bed.report(counted(-1_200))
    assert (await bed.level())[0] == (0 if at == "changed" else 1_000)
    bed.open()
    await bed.apply()
    (short,) = bed.box.shortfalls()
    assert (await bed.level(), short.untaken) == ((0, 0), 200)


async def test_a_sku_that_we_do_not_have_is_for_people(bed: Bed) -> None:
    """Once it has a level they try it again."""
    await bed.report(changed(5, sku="NEW"))
    for _ in range(MOST_ATTEMPTS):
        await bed.later(60)
        await bed.apply()
    (kept,) = bed.for_people()
    assert kept.state is ReportState.DEAD
    assert kept.reason == "there is no level of NEW in main: import it, then try again"
    await bed.stock("NEW", 0)
    assert bed.box.retry(kept.number, "li", bed.now_ms)
    await bed.apply()
    assert (await bed.level("NEW"), bed.for_people()) == ((5, 0), [])


async def test_what_no_stock_can_be_is_for_people_at_once(bed: Bed) -> None:
    await bed.report(
        changed(10**12), changed(-(10**12), name="c2"), changed(999_999_999, name="c3")
    )
    assert [one.state for one in bed.for_people()] == [ReportState.DEAD] * 3
    assert await bed.level() == (1_000, 0)
