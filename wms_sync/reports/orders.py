"""What reports about orders do: stock leaves by `fulfil`, rows move, parcels are handed on.

Each part that has left is fulfilled by the name of its report. Where an order does not have so
much left, what it has is; more than was ever ordered moves nothing, and is for people. Units of
an order that is given back are taken off the stock all the same: they have left.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reservation.model import MAX_STOCK, Fulfil, Line, canonical_lines
from reservation.status import Status
from wms_sync.model import Lacking, Progress, Progressed, Shipped, StockChanged
from wms_sync.outbox.delivery import HERE, DeliveryState
from wms_sync.reports.errors import Never, NotYet
from wms_sync.reports.reported import Plan, code_of
from wms_sync.reports.rules import is_reserved, planned, remaining_of, write_offs
from wms_sync.reports.stock import MOST_TRIES, WAREHOUSE, Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reservation.engine import Engine
    from reservation.model import Outcome
    from wms_sync.outbox.delivery import Delivery
    from wms_sync.outbox.told import Told
    from wms_sync.reports.box import Box
    from wms_sync.reports.parcels import Parcels
    from wms_sync.reports.reported import Reported, Shortfall

MOST_LINES: Final = 1_000  # of one call
_ENDS: Final = frozenset({Progress.REJECTED, Progress.CANCELLED})


@dataclass(frozen=True, slots=True)
class Applied:
    """What a report has done: what is to be noted of its row, and what people have to see."""

    note: Callable[[Told], None] | None = None
    anomaly: str = ""
    shortfalls: tuple[Shortfall, ...] = ()


class Orders:
    """Applies reports about orders. Raises as `Stock`, and what `Parcels` raises.

    `part` is the row that a report is about, None where the outbox knows none: then it is NotYet.
    """

    def __init__(
        self,
        box: Box,
        told: Told,
        engine: Engine,
        stock: Stock,
        parcels: Parcels,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._box = box
        self._told = told
        self._engine = engine
        self._stock = stock
        self._parcels = parcels
        self._now_ms = now_ms

    # -- what has left ---------------------------------------------------------------------------

    async def shipped(self, kept: Reported, report: Shipped, part: Delivery | None) -> Applied:
        """Let so much of an order leave."""
        part = _known(kept, part)
        if part.state in HERE:
            await asyncio.to_thread(self._found_there, report.code)
        plan, outcome = await self._fulfilled(kept, report, part)
        shortfalls: tuple[Shortfall, ...] = ()
        for sku, units in plan.loose.items():
            why = f"shipped though released: {report.code}"
            shortfalls += await self._stock.change(kept, sku, -units, report.message_id, why)
        if report.parcels:
            await self._parcels.shipped(part.reservation_id, report)
        remaining, reserved = _standing(outcome, part)

        def note(told: Told) -> None:
            code, now_ms, final = report.code, self._now_ms(), report.final
            if plan.loose:
                told.left_loose(code, plan.loose, now_ms, final=final)
            else:
                told.shipped(code, remaining, now_ms, final=final, given_back=not reserved)

        return Applied(note, _excess(plan), shortfalls)

    def _found_there(self, code: str) -> None:
        with self._told.transaction():
            self._told.found_there(code, self._now_ms())

    async def _fulfilled(
        self, kept: Reported, report: Shipped, part: Delivery
    ) -> tuple[Plan, Outcome]:
        """Fulfil what is reserved; what is not is decided, and kept, before anything is done."""
        plan = kept.plan or Plan(fulfil=_units_of(report))
        for _ in range(MOST_TRIES):
            outcome = await self._fulfil(report.message_id, part, plan.fulfil)
            if outcome.status.ok or not plan.fulfil:
                return plan, outcome
            remaining, reserved = _standing(outcome, part)
            changed = planned(report.items, remaining, is_reserved=reserved)
            if changed.fulfil == plan.fulfil:
                raise Never(f"it cannot be fulfilled: {outcome.status.name.lower()}")
            plan = changed
            await asyncio.to_thread(self._box.decide, kept.number, plan)
        raise NotYet(f"{report.code} changes all the time")

    async def _fulfil(self, name: str, part: Delivery, units: Mapping[str, int]) -> Outcome:
        if not units:
            return await self._engine.reservation(part.reservation_id)
        lines = canonical_lines(
            (Line(sku, part.warehouse, count) for sku, count in units.items()),
            max_quantity=MAX_STOCK,
        )
        return await self._engine.fulfil(Fulfil(part.reservation_id, name, lines), WAREHOUSE)

    # -- what else is told -----------------------------------------------------------------------

    async def progressed(
        self, kept: Reported, report: Progressed, part: Delivery | None
    ) -> Applied:
        """Note how far an order is; what the warehouse will not ship may be given back."""
        part = _known(kept, part)
        done_ms = 0 if kept.plan is None else kept.plan.done_ms
        if done_ms and part.state is DeliveryState.SENT and report.progress in _ENDS:
            raise NotYet(f"it may be told of the call with {report.code} that has no answer yet")
        if done_ms and not _is_of_later(part, done_ms):
            return Applied()
        if report.progress not in _ENDS:
            return Applied(lambda told: told.progressed(report, self._now_ms()))
        outcome = await self._engine.reservation(part.reservation_id)
        remaining, reserved = _standing(outcome, part)
        return Applied(
            lambda told: told.over(
                *(report.code, remaining, report, self._now_ms()),
                given_back=not reserved,
                doubt=done_ms > 0,
            )
        )

    async def lacking(self, kept: Reported, report: Lacking, part: Delivery | None) -> Applied:
        """Note what an order does not get; what has been taken off the stock for that is."""
        _known(kept, part)
        skus = dict.fromkeys(sku for sku, _, _ in report.items)
        figures = ", ".join(f"{lacks} of {wanted} {sku}" for sku, wanted, lacks in report.items)
        reason = f"lacks {figures}" + (f": {report.reason}" if report.reason else "")
        return Applied(
            lambda told: told.lacking(report.code, skus, reason, self._now_ms()),
            shortfalls=await self._written_off(kept, report.code),
        )

    async def changed(self, kept: Reported, report: StockChanged, part: Delivery | None) -> Applied:
        """Take off, or put back, what an order of ours did to stock beside what it ships."""
        if report.delta > 0:
            why, name = f"{report.cause_type} {report.cause}".strip(), report.message_id
            short = await self._stock.change(kept, report.sku, report.delta, name, why)
            return Applied(shortfalls=short)
        _known(kept, part)
        return Applied(shortfalls=await self._written_off(kept, report.cause))

    async def _written_off(self, kept: Reported, code: str) -> tuple[Shortfall, ...]:
        """Take off what was not found, as far as this report tells more of that than was known."""
        done = await asyncio.to_thread(self._box.done_of, kept.warehouse, code)
        known = {each.message_id for each in write_offs(one.said for one in done)}
        by_name = {one.said.message_id: one for one in (*done, kept)}
        shortfalls: tuple[Shortfall, ...] = ()
        for each in write_offs(one.said for one in (*done, kept)):
            name = each.message_id
            if name not in known:
                why = f"not found for {code}"
                of_it = by_name[name]
                shortfalls += await self._stock.change(of_it, each.sku, each.delta, name, why)
        return shortfalls


def _known(kept: Reported, part: Delivery | None) -> Delivery:
    if part is None or part.warehouse != kept.warehouse:
        code = code_of(kept)
        raise NotYet(f"the outbox knows no order {code} for {kept.warehouse}")
    return part


def _is_of_later(part: Delivery, done_ms: int) -> bool:
    """Say whether what was told before may be told of a later hand-over, and nobody else tells."""
    is_later = part.state is DeliveryState.ACCEPTED and part.since_ms > done_ms
    return is_later and not part.cancel


def _standing(outcome: Outcome, part: Delivery) -> tuple[dict[str, int], bool]:
    """Say what of a delivery has not left, by SKU, and whether that is reserved for it still."""
    found = outcome.reservation
    if outcome.status is Status.NOT_CONFIRMED:
        raise NotYet(f"{part.reservation_id} is held, and not paid")
    if found is not None:
        return remaining_of(found, part.warehouse), is_reserved(found)
    if outcome.status is Status.RESERVATION_NOT_FOUND:
        return part.remaining(), False
    raise Never(f"it cannot be fulfilled: {outcome.status.name.lower()}")


def _units_of(report: Shipped) -> dict[str, int]:
    """Read what has left. Raises Never where it is nothing that an order could have."""
    units = dict(report.items)
    if len(units) > MOST_LINES or any(count > MAX_STOCK for count in units.values()):
        raise Never("it is more than any order has")
    return units


def _excess(plan: Plan) -> str:
    if not plan.excess:
        return ""
    figures = ", ".join(f"{units} {sku}" for sku, units in plan.excess.items())
    return f"more than was ordered: {figures}"
