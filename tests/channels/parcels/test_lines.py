"""A line is told with the parcel that completes it, and with no other."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from channels.model import OrderLine, OrderState
from channels.parcels.lines import Share, Unfit, share_of
from channels.parcels.parcels import Notice, NoticeState
from reservation.model import Line

PAID, SHIPPED, CLOSED = OrderState.PAID, OrderState.SHIPPED, OrderState.CLOSED


def packed(**units: int) -> tuple[Line, ...]:
    """Pack units of SKUs."""
    return tuple(Line(sku, "main", number) for sku, number in units.items())


def order(*lines: tuple[str, int] | tuple[str, int, OrderState]) -> tuple[OrderLine, ...]:
    """Make an order's lines, numbered from 1."""
    return tuple(
        OrderLine(line_id=str(number), sku=sku, quantity=units, state=state[0] if state else PAID)
        for number, (sku, units, *state) in enumerate(lines, 1)
    )


def told(number: int, lines: tuple[Line, ...], line_ids: tuple[str, ...] | None) -> Notice:
    """Make a parcel that was told for some lines; None: it never was."""
    return Notice(
        number=number,
        channel="tmall",
        order_id="47",
        fulfilment_id=f"F{number}",
        company="SF",
        tracking_number=f"SF{number}",
        lines=lines,
        line_ids=line_ids,
        whole=False,
        state=NoticeState.ACKNOWLEDGED,
        since_ms=1,
        told_ms=1,
        due_ms=1,
        attempts=1,
        reason="",
    )


@pytest.mark.parametrize(
    ("parcel", "lines", "others", "expected"),
    [
        # All of it, and a part of it.
        (packed(A=2), order(("A", 2)), [], Share(("1",), whole=True)),
        (packed(A=2), order(("A", 2), ("B", 1)), [], Share(("1",), whole=False)),
        (packed(B=1, A=2), order(("A", 2), ("B", 1)), [], Share(("1", "2"), whole=True)),
        # What was closed is nothing to send, and makes no part of the rest.
        (packed(B=1), order(("A", 2, CLOSED), ("B", 1)), [], Share(("2",), whole=True)),
        # A part of a line completes nothing; the parcel that completes it does.
        (packed(A=1), order(("A", 2)), [], Share((), whole=False)),
        (packed(A=1), order(("A", 2)), [told(1, packed(A=1), ())], Share(("1",), whole=True)),
        (
            packed(A=1),
            order(("A", 3)),
            [told(1, packed(A=1), ()), told(2, packed(A=1), ())],
            Share(("1",), whole=True),
        ),
        # One that was never told says nothing of where its goods are.
        (packed(A=1), order(("A", 2)), [told(1, packed(A=1), None)], Share((), whole=False)),
        # Of several lines of a SKU the one of that size, else the first that fit.
        (packed(A=2), order(("A", 1), ("A", 2)), [], Share(("2",), whole=False)),
        (packed(A=3), order(("A", 1), ("A", 2), ("A", 5)), [], Share(("1", "2"), whole=False)),
        (
            packed(A=1),
            order(("A", 1), ("A", 2)),
            [told(1, packed(A=2), ("2",))],
            Share(("1",), whole=False),
        ),
        # What somebody told the platform himself comes last.
        (packed(A=1), order(("A", 1, SHIPPED), ("A", 1)), [], Share(("2",), whole=False)),
        (packed(A=1), order(("A", 1, SHIPPED)), [], Share(("1",), whole=True)),
        # More than there is.
        (packed(A=3), order(("A", 2)), [], Unfit("more than the order has left: A 3 of 2")),
        (
            packed(A=1, X=1),
            order(("A", 1, CLOSED)),
            [],
            Unfit("more than the order has left: A 1 of 0, X 1 of 0"),
        ),
        (
            packed(A=2),
            order(("A", 2)),
            [told(1, packed(A=2), ("1",))],
            Unfit("more than the order has left: A 2 of 0"),
        ),
    ],
)
def test_a_parcel_completes_lines(
    parcel: tuple[Line, ...],
    lines: tuple[OrderLine, ...],
    others: list[Notice],
    expected: Share | Unfit,
) -> None:
    assert share_of(parcel, lines, others) == expected


@pytest.mark.parametrize("seed", range(200))
def test_however_an_order_is_packed_each_line_is_told_once_and_when_it_has_left(seed: int) -> None:
    """At every moment no more is told than has left; in the end all is."""
    chance = random.Random(seed)
    lines = order(*((chance.choice("ABC"), chance.randint(1, 4)) for _ in range(6)))
    left = [line.sku for line in lines for _ in range(line.quantity)]
    chance.shuffle(left)
    others: list[Notice] = []
    gone: Counter[str] = Counter()
    while left:
        size = chance.randint(1, len(left))
        units, left = Counter(left[:size]), left[size:]
        gone += units
        share = share_of(packed(**units), lines, others)
        assert isinstance(share, Share)
        others.append(told(len(others), packed(**units), share.line_ids))
        ids = [line_id for one in others for line_id in one.line_ids or ()]
        assert len(ids) == len(set(ids))
        said: Counter[str] = Counter()
        for line in lines:
            if line.line_id in ids:
                said[line.sku] += line.quantity
        assert said <= gone
    assert said == gone
