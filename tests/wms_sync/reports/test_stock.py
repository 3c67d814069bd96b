"""What reports of stock do: once each, never an error where less is there than has gone."""

from __future__ import annotations

import pytest

from reservation.model import Line
from tests.wms_sync.bed import Bed
from tests.wms_sync.reports.saying import changed, counted
from wms_sync.reports.applier import MOST_ATTEMPTS
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
    assert bed.box.dismiss_shortfall("main", "A")
    assert not bed.box.dismiss_shortfall("main", "A")
    assert bed.box.shortfalls() == []


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
