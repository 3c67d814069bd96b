"""What platforms are to be told of parcels: each once, in order, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.model import OrderLine, OrderState, PlatformOrder
from channels.parcels.lines import Share
from channels.parcels.parcels import (
    Kept,
    Notice,
    NoticeState,
    Outcome,
    Parcels,
    ParcelsUnavailable,
    look_at,
)
from reservation.model import Line
from reservation.shops import DeductsAt

LATER_MS = 10**6


@pytest.fixture
def parcels(tmp_path: Path) -> Iterator[Parcels]:
    """Open a new file."""
    opened = Parcels(tmp_path / "parcels.sqlite3", {"tmall"})
    yield opened
    opened.close()


def add(parcels: Parcels, order: str, fulfilment: str = "F1", **other: Any) -> Kept:
    """Add a parcel."""
    given = {"company": "SF", "tracking_number": "SF1", "lines": (), "at_ms": 1} | other
    return parcels.add(f"tmall:{order}", fulfilment, **given)[0]


def due(parcels: Parcels, at_ms: int = LATER_MS) -> list[str]:
    """Name what is due."""
    return [f"{one.order_id} {one.fulfilment_id}" for one in parcels.due("tmall", at_ms, 10)]


def one(parcels: Parcels, order: str, fulfilment: str = "F1") -> Notice:
    """Find a parcel."""
    (found,) = [
        notice for notice in parcels.of_order("tmall", order) if notice.fulfilment_id == fulfilment
    ]
    return found


def test_a_parcel_is_one_by_its_order_and_fulfilment(parcels: Parcels) -> None:
    """The same again is the same; anything else under its id is refused and changes nothing."""
    lines = (Line("B", "main", 1), Line("A", "main", 2), Line("A", "main", 1))
    assert add(parcels, "47", lines=lines) is Kept.NEW
    again = (Line("A", "main", 3), Line("B", "main", 1))
    assert add(parcels, "47", lines=again, at_ms=9) is Kept.REPLAYED
    assert add(parcels, "47", "F2") is Kept.NEW
    assert add(parcels, "48") is Kept.NEW
    before = parcels.of_order("tmall", "47")
    for other in (
        {"company": "YTO"},
        {"tracking_number": "SF2"},
        {"lines": ()},
        {"lines": again[:1]},
        {"lines": (Line("A", "east", 3), Line("B", "main", 1))},
    ):
        assert add(parcels, "47", **({"lines": again} | other)) is Kept.REUSED
    assert parcels.of_order("tmall", "47") == before
    assert before[0].lines == again
    assert before[0].since_ms == 1


def test_a_channel_without_a_platform_has_nobody_to_be_told(parcels: Parcels) -> None:
    """Nothing is kept of it, nor of what is no reservation."""
    for reservation in ("dealer:47", "47", ""):
        kept = parcels.add(reservation, "F1", company="SF", tracking_number="1", at_ms=1)
        assert kept == (Kept.NO_PLATFORM, None)
    assert parcels.page("dealer", list(NoticeState), 0, 10) == []


def test_an_orders_parcels_are_told_one_after_another(parcels: Parcels) -> None:
    """Which lines the second completes depends on the first; other orders do not wait."""
    add(parcels, "47")
    add(parcels, "47", "F2", at_ms=2)
    add(parcels, "48", at_ms=3)
    assert due(parcels, 0) == []
    assert due(parcels) == ["47 F1", "48 F1"]
    parcels.note([Outcome(one(parcels, "47"), NoticeState.FAILED, "timeout", 50)], 5)
    assert due(parcels, 49) == ["48 F1"]
    assert due(parcels, 50) == ["48 F1", "47 F1"]
    parcels.note([Outcome(one(parcels, "47"), NoticeState.ACKNOWLEDGED)], 60)
    assert due(parcels) == ["47 F2", "48 F1"]
    told = one(parcels, "47")
    assert (told.state, told.told_ms, told.attempts, told.reason) == ("acknowledged", 60, 2, "")


def test_a_dead_letter_waits_for_a_person_and_holds_up_nobody(parcels: Parcels) -> None:
    add(parcels, "47")
    add(parcels, "47", "F2")
    add(parcels, "48")
    both = [one(parcels, order) for order in ("47", "48")]
    parcels.note([Outcome(each, NoticeState.DEAD, "no such order") for each in both], 5)
    assert due(parcels) == ["47 F2"]
    assert parcels.counts("tmall") == (1, 2)
    found = parcels.page("tmall", [NoticeState.DEAD], 0, 10)
    assert [(row.order_id, row.reason, row.attempts) for row in found] == [
        ("47", "no such order", 1),
        ("48", "no such order", 1),
    ]
    assert parcels.page("tmall", [NoticeState.DEAD], found[0].number, 10) == found[1:]
    assert parcels.send_again("tmall", 7, "49") == 0
    assert parcels.send_again("tmall", 7, "48") == 1
    assert parcels.send_again("tmall", 7) == 1
    assert parcels.send_again("tmall", 7) == 0
    assert one(parcels, "48").attempts == 0
    assert due(parcels) == ["47 F1", "48 F1"]  # of one order the first alone


def test_a_dead_letter_that_a_person_has_seen_to_is_none_any_more(parcels: Parcels) -> None:
    """It stays in its order's list with the reason of before; what is on its way is left alone."""
    add(parcels, "47")
    add(parcels, "47", "F2")
    add(parcels, "48")
    dead = [one(parcels, order) for order in ("47", "48")]
    parcels.note([Outcome(each, NoticeState.DEAD, "no such order") for each in dead], 5)
    assert parcels.dismiss("tmall", "47") == 1
    assert parcels.dismiss("tmall", "47") == parcels.dismiss("other", "48") == 0
    found = [(row.state, row.reason) for row in parcels.of_order("tmall", "47")]
    assert found == [("not-told", "dismissed; no such order"), ("requested", "")]
    assert parcels.counts("tmall") == (1, 1)


def test_what_was_settled_stays_so_whatever_dies(parcels: Parcels, tmp_path: Path) -> None:
    """It is told again for the lines that it was told for."""
    add(parcels, "47", lines=(Line("A", "main", 1),))
    assert one(parcels, "47").line_ids is None
    order = [
        OrderLine(line_id=line_id, sku=sku, quantity=1, state=OrderState.PAID)
        for line_id, sku in (("471", "A"), ("472", "B"))
    ]
    settled = [Share(("471",), whole=False)]
    assert parcels.settle([(one(parcels, "47"), order)]) == settled
    again = Parcels(tmp_path / "parcels.sqlite3", {"tmall"})
    (found,) = again.due("tmall", LATER_MS, 1)
    assert (found.line_ids, found.whole) == (("471",), False)
    assert again.settle([(found, order[1:])]) == settled
    again.close()


def test_what_is_known_of_orders_is_the_latest(parcels: Parcels) -> None:
    def order(units: int) -> PlatformOrder:
        line = OrderLine(line_id="1", sku="A", quantity=units, state=OrderState.PAID)
        return PlatformOrder(
            order_id="47",
            state=OrderState.PAID,
            word="paid",
            lines=(line,),
            deducts_at=DeductsAt.ORDER,
            created_at_ms=1,
            changed_at_ms=1,
        )

    assert parcels.known_lines("tmall", "47") == ()
    parcels.remember("tmall", [order(1)], 1)
    parcels.remember("tmall", [order(2)], 2)
    assert parcels.known_lines("tmall", "47") == order(2).lines
    assert parcels.known_lines("dealer", "47") == ()
    assert parcels.forget("tmall", 2) == 0
    assert parcels.forget("tmall", 3) == 1
    assert parcels.known_lines("tmall", "47") == ()


def test_an_orders_parcels_are_forgotten_together(parcels: Parcels) -> None:
    """Once the youngest is old, and none waits; bounded."""
    for order, fulfilment, at_ms in (("47", "F1", 1), ("47", "F2", 9), ("48", "F1", 1)):
        add(parcels, order, fulfilment, at_ms=at_ms)
        parcels.note([Outcome(one(parcels, order, fulfilment), NoticeState.ACKNOWLEDGED)], 9)
    add(parcels, "49")
    assert parcels.forget("tmall", 9) == 1
    assert parcels.of_order("tmall", "48") == []
    assert parcels.forget("tmall", 10, 1) == 1
    assert parcels.forget("tmall", 10) == 1
    assert parcels.of_order("tmall", "47") == []
    assert len(parcels.of_order("tmall", "49")) == 1


def test_looking_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite3"
    assert look_at(path, lambda parcels: parcels.counts("tmall")) is None
    assert not path.exists()


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parcels.sqlite3"
    opened = Parcels(path, {"tmall"})
    with opened._db.transaction():
        opened._db.set_fact("format", 99)
    opened.close()
    with pytest.raises(ParcelsUnavailable, match="format 99"):
        Parcels(path, {"tmall"})


def test_what_became_of_a_parcel_since_is_not_undone_by_an_older_answer(parcels: Parcels) -> None:
    """A person has seen to it, or the platform has it, by then."""
    add(parcels, "47")
    add(parcels, "48")
    (first, second) = (one(parcels, order) for order in ("47", "48"))
    parcels.note(
        [Outcome(first, NoticeState.DEAD, "no"), Outcome(second, NoticeState.ACKNOWLEDGED)], 5
    )
    parcels.dismiss("tmall", "47")
    late = [Outcome(each, NoticeState.FAILED, "timeout", 9) for each in (first, second)]
    parcels.note(late, 6)
    assert one(parcels, "47").state is NoticeState.NOT_TOLD
    assert one(parcels, "48").state is NoticeState.ACKNOWLEDGED
    assert due(parcels) == []
