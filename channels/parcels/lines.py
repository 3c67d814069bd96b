"""Which lines of a platform's order a parcel is told for. Pure.

Platforms know lines and take each as sent once, as a whole; a warehouse packs units of SKUs. So a
line is told with the parcel that completes it: before that, goods that are still here would count
as gone. What a parcel has beyond full lines waits for the next one of the order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from channels.model import OrderState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from channels.model import OrderLine
    from channels.parcels.parcels import Notice
    from reservation.model import Line


# What a parcel may be told for: paid, or with its platform as sent already.
OWED: Final = frozenset({OrderState.PAID, OrderState.SHIPPED})


@dataclass(frozen=True, slots=True)
class Share:
    """The lines that a parcel completes, none where it completes none."""

    line_ids: tuple[str, ...]
    whole: bool  # they are all of the order


@dataclass(frozen=True, slots=True)
class Unfit:
    """More is in the parcel than the order has left; `text` tells the figures."""

    text: str


def share_of(
    parcel: Iterable[Line], order: Sequence[OrderLine], others: Iterable[Notice]
) -> Share | Unfit:
    """Say which lines of an order a parcel completes, beside the others of it.

    Of several lines of a SKU one of just that size goes before the first that fit.
    """
    told: set[str] = set()
    loose: Counter[str] = Counter()  # units that have left and complete no line yet
    for one in others:
        if one.line_ids is not None:  # else it was never told, and may not be
            told.update(one.line_ids)
            loose.update(_units(one.lines))
    for line in order:
        if line.line_id in told:
            loose[line.sku] -= line.quantity
    live = [line for line in order if line.state in OWED]
    chosen: set[str] = set()
    wrong: list[str] = []
    for sku, packed in sorted(_units(parcel).items()):
        units = packed + max(0, loose[sku])
        free = [line for line in live if line.sku == sku and line.line_id not in told]
        left = sum(line.quantity for line in free)
        if units > left:
            wrong.append(f"{sku} {units} of {left}")
        # One that the platform has as sent already comes last: somebody else told of it.
        free.sort(key=lambda line: line.state is OrderState.SHIPPED)
        chosen.update(_completed(free, units))
    if wrong:
        return Unfit(f"more than the order has left: {', '.join(wrong)}")
    return Share(
        tuple(line.line_id for line in order if line.line_id in chosen),
        whole=bool(chosen) and chosen == {line.line_id for line in live},
    )


def _units(lines: Iterable[Line]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line.sku] += line.quantity
    return units


def _completed(lines: Iterable[OrderLine], units: int) -> Sequence[str]:
    lines = tuple(lines)
    for line in lines:
        if line.quantity == units:
            return (line.line_id,)
    completed = []
    for line in lines:
        if line.quantity <= units:
            completed.append(line.line_id)
            units -= line.quantity
    return completed
