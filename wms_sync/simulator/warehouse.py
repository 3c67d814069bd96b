"""A warehouse: takes orders in, stops them while there is time, and counts its goods.

Units are conserved (`audit`): free, set aside and gone are together what was put in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from partners.simulation.clock import Clock
from wms_sync.simulator.aisles import Aisles
from wms_sync.simulator.goods import Kind, Level
from wms_sync.simulator.intake import Intake
from wms_sync.simulator.orders import ENDED, Change, Happening, Line, Order, Status, Step
from wms_sync.simulator.picking import Chance
from wms_sync.simulator.refused import Refusal, Refused, check, check_text
from wms_sync.simulator.ways import PERIOD_MS, Ways

MOST_ORDERS: Final = 1_000_000
MOST_LINES: Final = 1_000


class Warehouse(Aisles):
    """Goods and orders, and what can be asked of them.

    `forgets_above`: with so many orders the oldest that has had its end is forgotten for each new
    one, and its code would be taken again; 0: none is.
    """

    intake: Intake

    def __init__(
        self,
        clock: Clock,
        ways: Ways | None = None,
        *,
        seed: int = 0,
        first_id: int = 1,
        forgets_above: int = 0,
    ) -> None:
        super().__init__(clock, ways or Ways(), seed=seed, first_id=first_id)
        self._forgets_above = forgets_above
        self._forgotten: Counter[tuple[str, Kind]] = Counter()  # units that left with them
        self.open_intake()

    # -- orders, by who sells --------------------------------------------------------------------

    def take_in(self, orders: Sequence[Order]) -> list[Order | Refused]:
        """Take orders in, each on its own: what is known by its code is given as it is.

        Raises Refused where there is no room for all that are new: then none is taken.
        """
        now_ms = self.catch_up()
        new = len({order.code for order in orders if order.code not in self.orders})
        if new and self.ways.above == "refuse" and not self.intake.has_room(new, now_ms):
            self.intake.refused += new
            raise Refused(
                Refusal.THROTTLED,
                f"{self.ways.intake} orders a {self.ways.per} are taken in, not more",
            )
        answers: list[Order | Refused] = []
        for order in orders:
            try:
                answers.append(self._take_in(order, now_ms))
            except Refused as refused:
                self.counts[f"refused {refused.why.value}"] += 1
                answers.append(refused)
        return answers

    def order(self, code: str) -> Order:
        """Find an order. Raises Refused."""
        self.catch_up()
        if (order := self.orders.get(code)) is None:
            raise Refused(Refusal.UNKNOWN_ORDER, f"there is no order {code}")
        return order

    def cancel(self, code: str, reason: str = "") -> Order:
        """Stop an order that is not picked; one of which nothing will ever leave is as it is."""
        order = self.order(code)
        if order.status in {Status.CANCELED, Status.REJECT, Status.CLOSED}:
            return order
        self._check_in_time(order)
        return self._stop(order, Status.CANCELED, reason, Happening.CANCELLED)

    def put_aside(self, code: str, reason: str = "") -> Order:
        """Let an order that is not picked wait until it is restored."""
        order = self.order(code)
        if order.pending:
            return order
        self._check_in_time(order)
        order.pending, order.reason = True, reason
        order.turn += 1
        return self._changed(order, Happening.PENDING)

    def restore(self, code: str) -> Order:
        """Let an order go on that was put aside."""
        order = self.order(code)
        if order.status in ENDED:
            raise Refused(Refusal.TOO_LATE, f"order {code} is {order.status}")
        if not order.pending:
            return order
        order.pending = False
        self._plan(order, max(order.due_ms, self._latest_ms))
        return self._changed(order, Happening.RESTORED)

    # -- by the people of the warehouse ----------------------------------------------------------

    def reject(self, code: str, reason: str) -> Order:
        """Refuse an order that was accepted and is not picked."""
        order = self.order(code)
        self._check_in_time(order)
        return self._stop(order, Status.REJECT, reason, Happening.REJECTED)

    def put_in(self, item_code: str, kind: Kind, units: int) -> Level:
        """Put goods in, of which nobody is told."""
        check(units >= 1, "units are 1 or more")
        self.catch_up()
        return self.goods.change(item_code, kind, units)

    def miscount(self, changes: Sequence[tuple[str, Kind, int]]) -> None:
        """Let free units be gone or be there of which nobody is told, all or nothing.

        Raises Refused.
        """
        self.catch_up()
        for item_code, kind, by in changes:
            check(by != 0, "units are not 0")
            self.goods.check_change(item_code, kind, by)
        check(len({each[:2] for each in changes}) == len(changes), "an item is there twice")
        for item_code, kind, by in changes:
            self.goods.change(item_code, kind, by)

    def change(
        self, changes: Sequence[tuple[str, Kind, int]], document: str, document_type: str = ""
    ) -> None:
        """Put free units in or take them out, all or nothing, and tell of it. Raises Refused."""
        now_ms = self.catch_up()
        check_text(document, "a document's code")
        sums: Counter[tuple[str, Kind]] = Counter()
        for item_code, kind, by in changes:
            check(by != 0, "units are not 0")
            sums[item_code, kind] += by
        for (item_code, kind), by in sums.items():
            self.goods.check_change(item_code, kind, by)
        for (item_code, kind), by in sums.items():
            self.goods.change(item_code, kind, by)
        told = tuple(Change(item_code, kind, by) for (item_code, kind), by in sums.items())
        self._tell(
            Happening.CHANGED,
            now_ms,
            changes=told,
            document=document,
            document_type=document_type,
        )

    def count(self, found: Mapping[tuple[str, Kind], int], document: str) -> tuple[Change, ...]:
        """Believe a stock count, and tell of it. Raises Refused, and then nothing has changed.

        Where less is there than orders have set aside, those lack it: the latest that are not
        picked, then the latest of all.
        """
        now_ms = self.catch_up()
        check_text(document, "a document's code")
        for (item_code, kind), there in found.items():
            check(there >= 0, "what is there is 0 or more")
            level = self.goods.level(item_code, kind)
            self.goods.check_change(item_code, kind, max(0, there - level.there))
        changes, losers = [], dict[str, dict[str, int]]()
        for (item_code, kind), there in found.items():
            level = self.goods.level(item_code, kind)
            by = there - level.there
            missing = max(0, -by - level.quantity)
            level.change(max(by, -level.quantity))
            for order, line, units in self._losers(level, missing):
                self._lose(line, level, units)
                losers.setdefault(order.code, {})[line.number] = units
            changes.append(Change(item_code, kind, by, there))
        self._tell(Happening.COUNTED, now_ms, changes=tuple(changes), document=document)
        for code, units_lost in losers.items():
            self._lacking(self.orders[code], units_lost, now_ms)
        return tuple(changes)

    def open_intake(self) -> None:
        """Begin the intake anew, as the ways have it now: its evidence speaks of one setting."""
        ways = self.ways
        self.intake = Intake(ways.intake, PERIOD_MS[ways.per], ways.burst, self.catch_up())

    def audit(self) -> list[str]:
        """Recount everything; what does not agree, in sentences. Cost: O(orders)."""
        locked: Counter[tuple[str, Kind]] = Counter()
        shipped = Counter(self._forgotten)
        wrong = []
        for order in self.orders.values():
            for line in order.lines.values():
                locked[line.item_code, line.kind] += line.locked
                shipped[line.item_code, line.kind] += line.shipped
                parts = line.locked + line.shipped + line.lacking
                stopped = order.status in {Status.CANCELED, Status.REJECT}
                if min(line.locked, line.shipped, line.lacking) < 0 or (
                    parts != line.planned and not stopped
                ):
                    wrong.append(f"line {line.number} of {order.code} does not add up")
            if order.status in ENDED and order.locked:
                wrong.append(f"{order.code} is {order.status} and holds units")
        for level in self.goods:
            key = level.item_code, level.kind
            if min(level.quantity, level.locked, level.shipped) < 0:
                wrong.append(f"{level} is below 0")
            if level.quantity + level.locked + level.shipped != level.put_in:
                wrong.append(f"{level} does not add up")
            if (level.locked, level.shipped) != (locked[key], shipped[key]):
                wrong.append(f"{level}: the orders say {locked[key]} and {shipped[key]}")
        return wrong

    # -- within ----------------------------------------------------------------------------------

    def _take_in(self, order: Order, now_ms: int) -> Order:
        if (known := self.orders.get(order.code)) is not None:
            return self._again(known, order)
        if len(self.orders) >= MOST_ORDERS:
            raise Refused(Refusal.FULL, f"a warehouse has {MOST_ORDERS} orders at the most")
        check(1 <= len(order.lines) <= MOST_LINES, f"an order has 1 to {MOST_LINES} lines")
        self._set_aside(order)
        order.order_id = f"WO{next(self._ids)}"
        order.created_at_ms = order.changed_at_ms = now_ms
        self._forget()
        self.orders[order.code] = order
        self.intake.take(1, now_ms)
        chance = Chance(self._seed, order, Step.ACCEPT)
        self._plan(order, now_ms + chance.lasts_ms(Step.ACCEPT, self.ways))
        return order

    def _forget(self) -> None:
        """Forget the oldest order that has had its end, where there are too many."""
        if not self._forgets_above or len(self.orders) < self._forgets_above:
            return
        old = next((one for one in self.orders.values() if one.status in ENDED), None)
        if old is not None:
            del self.orders[old.code]
            for line in old.lines.values():
                self._forgotten[line.item_code, line.kind] += line.shipped

    def _again(self, known: Order, order: Order) -> Order:
        if known.content != order.content:
            raise Refused(Refusal.OTHER_CONTENT, f"order {order.code} exists with other content")
        if known.status in {Status.CANCELED, Status.REJECT}:
            raise Refused(Refusal.ENDED, f"order {order.code} is {known.status}")
        self.counts["repeated"] += 1
        return known

    def _set_aside(self, order: Order) -> None:
        """Lock the units of all lines, or (where lacks are accepted) what there is of them."""
        wanted: Counter[tuple[str, Kind]] = Counter()
        for line in order.lines.values():
            wanted[line.item_code, line.kind] += line.planned
        levels = {key: self.goods.level(*key) for key in wanted}
        short = [key for key, units in wanted.items() if levels[key].quantity < units]
        if short and self.ways.short == "refuse":
            said = ", ".join(f"{wanted[k]} of {k[0]}, {levels[k].quantity} free" for k in short)
            raise Refused(Refusal.SHORT, f"not enough: {said}")
        for line in order.lines.values():
            level = levels[line.item_code, line.kind]
            line.locked = min(line.planned, level.quantity)
            line.short = line.lacking = line.planned - line.locked
            level.lock(line.locked)

    def _check_in_time(self, order: Order) -> None:
        if order.picked or order.status in ENDED:
            raise Refused(
                Refusal.TOO_LATE,
                f"order {order.code} is {order.status}{' and picked' if order.picked else ''}",
            )

    def _losers(self, level: Level, missing: int) -> list[tuple[Order, Line, int]]:
        """Say which lines lose what is missing of a level."""
        losers: list[tuple[Order, Line, int]] = []
        if not missing:
            return losers
        for picked in (False, True):
            for order in reversed(self.orders.values()):
                if order.picked is not picked or order.status in ENDED:
                    continue
                for line in order.lines.values():
                    if (line.item_code, line.kind) == (level.item_code, level.kind):
                        units = min(line.locked, missing)
                        missing -= units
                        if units:
                            losers.append((order, line, units))
                if not missing:
                    return losers
        return losers
