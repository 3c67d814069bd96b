"""What happens to orders by itself, in its time: accepted, picked, sent; and the telling of it.

Whatever is asked first does all that is due by then (`catch_up`), so that an answer never depends
on who looked when.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable

from partners.simulation.clock import Clock
from wms_sync.simulator.goods import Goods, Level
from wms_sync.simulator.orders import Change, Event, Happening, Line, Order, Parcel, Status, Step
from wms_sync.simulator.picking import Chance, packed
from wms_sync.simulator.ways import Ways

Listener = Callable[[Event], None]


class Aisles:
    """Goods and orders, and the steps that are due. `listeners` are told at once."""

    def __init__(self, clock: Clock, ways: Ways, *, seed: int = 0, first_id: int = 1) -> None:
        self.ways = ways
        self.goods = Goods()
        self.orders: dict[str, Order] = {}
        self.counts: Counter[str] = Counter()
        self.listeners: list[Listener] = []
        self._clock, self._seed = clock, seed
        self._latest_ms = clock.now_ms()
        self._ids, self._parcels = itertools.count(first_id), itertools.count(first_id)
        self._events, self._plans = itertools.count(first_id), itertools.count()
        self._due: list[tuple[int, int, int, Order]] = []
        self._do: dict[Step, Callable[[Order, int], None]] = {
            Step.ACCEPT: self._accept,
            Step.PICK: self._pick,
            Step.SHIP: self._ship,
            Step.SHIP_REST: self._ship_rest,
        }

    @property
    def next_due_ms(self) -> int | None:
        """When something is next to be done; it may turn out to be void by then."""
        return self._due[0][0] if self._due else None

    def catch_up(self) -> int:
        """Do all that is due; returns the time, which never goes back."""
        self._latest_ms = max(self._latest_ms, self._clock.now_ms())
        while self._due and self._due[0][0] <= self._latest_ms:  # ends: an order has 4 steps
            due_ms, _, turn, order = heapq.heappop(self._due)
            if turn == order.turn and order.next_step is not None:
                self._do[order.next_step](order, due_ms)
        return self._latest_ms

    # -- within: what is due ---------------------------------------------------------------------

    def _plan(self, order: Order, due_ms: int) -> None:
        order.due_ms = due_ms
        order.turn += 1
        heapq.heappush(self._due, (due_ms, next(self._plans), order.turn, order))

    def _plan_next(self, order: Order, step: Step, now_ms: int) -> None:
        order.next_step = step
        chance = Chance(self._seed, order, step)
        self._plan(order, now_ms + chance.lasts_ms(step, self.ways))

    def _accept(self, order: Order, now_ms: int) -> None:
        if Chance(self._seed, order, Step.ACCEPT).meets(self.ways.rejects):
            self._stop(order, Status.REJECT, "the warehouse does not take it", Happening.REJECTED)
            return
        if order.status is Status.NEW:  # a count may have been first
            order.status = Status.ACCEPT
        self._plan_next(order, Step.PICK, now_ms)
        self._changed(order, Happening.ACCEPTED, now_ms)
        if short := {line.number: line.short for line in order.lines.values() if line.short}:
            self._lacking(order, short, now_ms, on_paper=True)

    def _pick(self, order: Order, now_ms: int) -> None:
        order.picked = True
        self._plan_next(order, Step.SHIP, now_ms)
        self._changed(order, Happening.PICKED, now_ms)
        chance = Chance(self._seed, order, Step.PICK)
        if order.locked and chance.meets(self.ways.lacks):
            number, units = chance.lacks(order)
            line = order.lines[number]
            level = self.goods.level(line.item_code, line.kind)
            self._lose(line, level, units)
            self._lacking(order, {number: units}, now_ms)
            gone = Change(line.item_code, line.kind, -units)
            self._tell(
                Happening.CHANGED,
                now_ms,
                changes=(gone,),
                document=order.code,
                document_type=order.order_type,
            )

    def _ship(self, order: Order, now_ms: int) -> None:
        chance = Chance(self._seed, order, Step.SHIP)
        units = {line.number: line.locked for line in order.lines.values() if line.locked}
        if sum(units.values()) > 1 and chance.meets(self.ways.parts):
            some = chance.some_of(units)
            self._plan_next(order, Step.SHIP_REST, now_ms)
            self._send(order, some, chance, now_ms, final=False)
        else:
            self._send(order, units, chance, now_ms, final=True)

    def _ship_rest(self, order: Order, now_ms: int) -> None:
        chance = Chance(self._seed, order, Step.SHIP_REST)
        units = {line.number: line.locked for line in order.lines.values() if line.locked}
        self._send(order, units, chance, now_ms, final=True)

    def _send(
        self, order: Order, units: dict[str, int], chance: Chance, now_ms: int, *, final: bool
    ) -> None:
        for number, of_line in units.items():
            line = order.lines[number]
            line.locked -= of_line
            line.shipped += of_line
            self.goods.level(line.item_code, line.kind).ship(of_line)
        parcels = packed(order, units, chance, self.ways, next(self._parcels))
        for _ in parcels[1:]:
            next(self._parcels)
        order.parcels += parcels
        order.confirmations += 1
        order.status = Status.PARTDELIVERED
        if final:
            order.next_step = None
            gone = any(line.shipped for line in order.lines.values())
            order.status = Status.DELIVERED if gone else Status.CLOSED
        self._changed(order, Happening.SENT, now_ms, units=units, parcels=parcels, final=final)

    # -- within: what stops, what is not there --------------------------------------------------

    def _stop(self, order: Order, status: Status, reason: str, what: Happening) -> Order:
        for line in order.lines.values():
            self.goods.level(line.item_code, line.kind).lock(-line.locked)
            line.locked = 0
        order.status, order.reason, order.pending = status, reason, False
        order.next_step = None
        order.turn += 1
        if what is Happening.REJECTED:
            order.confirmations += 1
        return self._changed(order, what)

    def _lose(self, line: Line, level: Level, units: int) -> None:
        line.locked -= units
        line.lacking += units
        level.write_off(units)

    def _lacking(
        self, order: Order, units: dict[str, int], now_ms: int, *, on_paper: bool = False
    ) -> None:
        if order.status is not Status.PARTDELIVERED:
            order.status = Status.EXCEPTION
        self._changed(order, Happening.LACKING, now_ms, units=units, on_paper=on_paper)

    # -- within: telling -------------------------------------------------------------------------

    def _changed(
        self,
        order: Order,
        what: Happening,
        now_ms: int | None = None,
        *,
        units: dict[str, int] | None = None,
        parcels: tuple[Parcel, ...] = (),
        final: bool = False,
        on_paper: bool = False,
    ) -> Order:
        at_ms = self._latest_ms if now_ms is None else now_ms
        order.changed_at_ms = at_ms
        self._tell(
            what,
            at_ms,
            order=order,
            units=units or {},
            parcels=parcels,
            final=final,
            on_paper=on_paper,
        )
        return order

    def _tell(
        self,
        what: Happening,
        at_ms: int,
        *,
        order: Order | None = None,
        units: dict[str, int] | None = None,
        parcels: tuple[Parcel, ...] = (),
        final: bool = False,
        on_paper: bool = False,
        changes: tuple[Change, ...] = (),
        document: str = "",
        document_type: str = "",
    ) -> None:
        self.counts[what.value] += 1
        event = Event(
            what=what,
            at_ms=at_ms,
            number=next(self._events),
            order=order,
            units=units or {},
            parcels=parcels,
            final=final,
            on_paper=on_paper,
            changes=changes,
            document=document,
            document_type=document_type,
        )
        for listener in self.listeners:
            listener(event)
