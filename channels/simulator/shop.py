"""A shop as a platform keeps it: what is on the shelf, and what becomes of orders. No words.

It knows no wire format; its values are in `trade`. One event loop: nothing here waits, and what
happens is told to `listeners` at once, within the call. Whatever is refused raises `Refused` and
has changed nothing. Ids are decimal texts of up to 19 digits, as real ones are.

    shop = Shop(Clock())
    item = shop.offer("猫粮", [Sku(sku_id="", outer_id="CATFOOD-10KG", quantity=5, price_fen=9900)])
    order = shop.place([Wanted(item.item_id, "", 2)])
    shop.pay(order.order_id)
    shop.ship(order.order_id, "SF", "SF214151283")     # or shop.cancel, shop.refund, shop.finish
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from channels.simulator.receiver import check_notes
from channels.simulator.shelf import FIRST_ID, MOST_UNITS, Shelf, check, check_text
from channels.simulator.trade import (
    Deducts,
    Happening,
    Line,
    Order,
    Parcel,
    RefundStage,
    Refusal,
    Refused,
    Stage,
    Wanted,
)
from partners.simulation.clock import Clock

MOST_ORDERS: Final = 500_000
MOST_LINES: Final = 1_000  # of an order; wholesale has long ones

# What may come after a refund's stage, and what is told of it.
_REFUND_STEPS: Final[dict[RefundStage, tuple[frozenset[RefundStage], Happening]]] = {
    RefundStage.ASKED: (
        frozenset({RefundStage.NONE, RefundStage.REFUSED, RefundStage.WITHDRAWN}),
        Happening.REFUND_ASKED,
    ),
    RefundStage.AGREED: (frozenset({RefundStage.ASKED}), Happening.REFUND_AGREED),
    RefundStage.RETURNED: (frozenset({RefundStage.AGREED}), Happening.REFUND_RETURNED),
    RefundStage.REFUSED: (
        frozenset({RefundStage.ASKED, RefundStage.RETURNED}),
        Happening.REFUND_REFUSED,
    ),
    RefundStage.WITHDRAWN: (
        frozenset({RefundStage.ASKED, RefundStage.AGREED, RefundStage.REFUSED}),
        Happening.REFUND_WITHDRAWN,
    ),
    RefundStage.DONE: (
        frozenset({RefundStage.ASKED, RefundStage.AGREED, RefundStage.RETURNED}),
        Happening.REFUND_DONE,
    ),
}
_ENDED: Final = frozenset({Stage.SHIPPED, Stage.FINISHED, Stage.CANCELLED, Stage.REFUNDED})
_REFUNDABLE: Final = frozenset({Stage.PAID, Stage.SHIPPED, Stage.FINISHED})


class Shop(Shelf):
    """Items, orders, and everything that may be done to them.

    `refund_restocks`: whether what is refunded before it was shipped is shown again. The platforms
    do not say in public; what was shipped never comes back by itself.
    `first_line_is_order`: of several lines, too, the first one has the order's own id.
    `forgets_above`: with so many orders the oldest that has had its end is forgotten for each new
    one, and `forgetting` is told; 0: none is.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        first_id: int = FIRST_ID,
        refund_restocks: bool = True,
        every_sku_has_id: bool = False,
        first_line_is_order: bool = False,
        forgets_above: int = 0,
    ) -> None:
        super().__init__(clock, first_id=first_id, every_sku_has_id=every_sku_has_id)
        self.first_line_is_order = first_line_is_order
        self.orders: dict[str, Order] = {}
        self.refund_restocks = refund_restocks
        self.forgetting: list[Callable[[Order], None]] = []
        self._forgets_above = forgets_above
        self._by_change: OrderedDict[str, None] = OrderedDict()  # ids, the latest change last

    # -- an order's life -------------------------------------------------------------------------

    def place(
        self,
        wanted: Sequence[Wanted],
        *,
        order_id: str = "",
        buyer: str = "买家",
        paid: bool = False,
        oversell: bool = False,
        notes: dict[str, str] | None = None,
    ) -> Order:
        """Place an order, and with `paid` pay it; with `oversell` the shelf is not asked."""
        if len(self.orders) >= MOST_ORDERS:
            raise Refused(Refusal.FULL, f"a shop has {MOST_ORDERS} orders at the most")
        check(1 <= len(wanted) <= MOST_LINES, f"an order has 1 to {MOST_LINES} lines")
        check_text(buyer, "a buyer's name")
        check_notes(notes or {})
        need: dict[tuple[str, str], int] = {}
        for line in wanted:
            check(1 <= line.quantity <= MOST_UNITS, f"a line has 1 to {MOST_UNITS} units")
            key = line.item_id, line.sku_id
            need[key] = need.get(key, 0) + line.quantity
        for (item_id, sku_id), units in need.items():
            self._check_on_shelf(item_id, sku_id, units, oversell=oversell)
        order_id, now_ms = self._new_id(order_id, self.orders), self._now_ms()
        order = Order(
            order_id=order_id,
            buyer=buyer,
            lines=self._lines(order_id, wanted),
            created_at_ms=now_ms,
            changed_at_ms=now_ms,
            notes=notes or {},
        )
        self._forget()
        self.orders[order_id] = order
        self._deduct(order, Deducts.AT_ORDER)
        self._changed(order, Happening.CREATED)
        return self.pay(order_id) if paid else order

    def order(self, order_id: str) -> Order:
        """Find an order."""
        if (order := self.orders.get(order_id)) is None:
            raise Refused(Refusal.UNKNOWN_ORDER, f"there is no order {order_id}")
        return order

    def pay(self, order_id: str) -> Order:
        """Pay all of it. What the shelf has not is sold all the same, and marked."""
        order = self.order(order_id)
        lines = self._to_move(order, (), frozenset({Stage.UNPAID}), "paid")
        for line in lines:
            line.stage = Stage.PAID
        order.paid_at_ms = self._now_ms()
        self._deduct(order, Deducts.AT_PAYMENT)
        return self._changed(order, Happening.PAID)

    def let_pass(self, order_id: str, notes: dict[str, str]) -> Order:
        """Let a paid order on which the platform kept a hand go on: it is told as paid anew."""
        order = self.order(order_id)
        if order.stage is not Stage.PAID:
            raise Refused(Refusal.WRONG_STAGE, f"order {order_id} is {order.stage}, not paid")
        check_notes(notes)
        order.notes |= notes
        return self._changed(order, Happening.PAID)

    def cancel(self, order_id: str) -> Order:
        """Close an order that was not paid."""
        order = self.order(order_id)
        for line in self._to_move(order, (), frozenset({Stage.UNPAID}), "cancelled"):
            self._end(line, Stage.CANCELLED, restock=True)
        order.ended_at_ms = self._now_ms()
        return self._changed(order, Happening.CANCELLED)

    def ship(
        self, order_id: str, company: str, tracking_number: str, lines: Sequence[str] = ()
    ) -> Order:
        """Send a parcel with some lines, or with all that was paid and not sent."""
        check_text(company, "a carrier")
        check_text(tracking_number, "a tracking number")
        order = self.order(order_id)
        moving = self._to_move(order, lines, frozenset({Stage.PAID}), "shipped")
        parcel = Parcel(company=company, tracking_number=tracking_number, at_ms=self._now_ms())
        for line in moving:
            line.stage, line.parcel = Stage.SHIPPED, parcel
        order.shipped_at_ms = order.shipped_at_ms or parcel.at_ms
        whole = order.stage is Stage.SHIPPED
        return self._changed(order, Happening.SHIPPED if whole else Happening.PART_SHIPPED)

    def finish(self, order_id: str) -> Order:
        """Let the buyer confirm that everything has come."""
        order = self.order(order_id)
        if order.stage is not Stage.SHIPPED:
            raise Refused(
                Refusal.WRONG_STAGE, f"order {order_id} is {order.stage}, it cannot be finished"
            )
        for line in self._to_move(order, (), frozenset({Stage.SHIPPED}), "finished"):
            self._end(line, Stage.FINISHED, restock=False)
        order.ended_at_ms = self._now_ms()
        return self._changed(order, Happening.FINISHED)

    def refund_step(self, order_id: str, line_id: str, to: RefundStage) -> Order:
        """Move the refund of a line: ask, agree, refuse, withdraw, return, done."""
        order = self.order(order_id)
        (line,) = self._to_move(order, (line_id,), _REFUNDABLE, "refunded")
        before, happening = _REFUND_STEPS.get(to, (frozenset(), Happening.REFUND_ASKED))
        if line.refund not in before:
            raise Refused(
                Refusal.WRONG_STAGE,
                f"the refund of line {line_id} is {line.refund}, not before {to}",
            )
        if to is RefundStage.ASKED:
            line.refund_id = self._new_id("", {})
        line.refund = to
        if to is not RefundStage.DONE:
            return self._changed(order, happening, line)
        unsent = line.parcel is None
        self._end(line, Stage.REFUNDED, restock=unsent and self.refund_restocks)
        self._changed(order, happening, line)
        if order.stage is Stage.REFUNDED:
            order.ended_at_ms = self._now_ms()
            self._tell(Happening.CLOSED, order=order)
        return order

    def refund(self, order_id: str, lines: Sequence[str] = ()) -> Order:
        """Ask for and get back the money for some lines, or for all that are paid."""
        order = self.order(order_id)
        for line in self._to_move(order, lines, _REFUNDABLE, "refunded"):
            if line.refund not in _REFUND_STEPS[RefundStage.DONE][0]:
                self.refund_step(order_id, line.line_id, RefundStage.ASKED)
            self.refund_step(order_id, line.line_id, RefundStage.DONE)
        return order

    # -- reading ---------------------------------------------------------------------------------

    def changed_between(self, begin_ms: int, end_ms: int) -> Iterator[Order]:
        """Go through the orders whose last change was in [begin, end], the latest first."""
        for order_id in reversed(self._by_change):
            order = self.orders[order_id]
            if order.changed_at_ms < begin_ms:
                return
            if order.changed_at_ms <= end_ms:
                yield order

    # -- within ----------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Forget the oldest order that has had its end, where there are too many."""
        if not self._forgets_above or len(self.orders) < self._forgets_above:
            return
        old = next((one for one in self.orders.values() if one.stage in _ENDED), None)
        if old is not None:
            del self.orders[old.order_id], self._by_change[old.order_id]
            for tell in self.forgetting:
                tell(old)

    def _check_on_shelf(self, item_id: str, sku_id: str, units: int, *, oversell: bool) -> None:
        sku, item = self.sku(item_id, sku_id), self.items[item_id]
        if oversell:
            return
        if not item.listed:
            raise Refused(Refusal.DELISTED, f"item {item_id} is not on the shelf")
        if sku.quantity < units:
            raise Refused(
                Refusal.OUT_OF_STOCK, f"{units} of {sku.outer_id} are wanted, {sku.quantity} shown"
            )

    def _lines(self, order_id: str, wanted: Sequence[Wanted]) -> dict[str, Line]:
        lines: dict[str, Line] = {}
        for line in wanted:
            named = len(wanted) == 1 or (self.first_line_is_order and not lines)
            line_id = order_id if named else self._new_id("", lines)
            sku = self.sku(line.item_id, line.sku_id)
            lines[line_id] = Line(
                line_id=line_id,
                item=self.items[line.item_id],
                sku=sku,
                quantity=line.quantity,
                price_fen=sku.price_fen,
            )
        return lines

    def _to_move(
        self, order: Order, wanted: Sequence[str], movable: frozenset[Stage], verb: str
    ) -> list[Line]:
        """Choose the lines to move: those wanted, all of which must be movable; or all that are."""
        for line_id in wanted:
            if (line := order.lines.get(line_id)) is None:
                raise Refused(Refusal.UNKNOWN_LINE, f"order {order.order_id} has no line {line_id}")
            if line.stage not in movable:
                raise Refused(
                    Refusal.WRONG_STAGE, f"line {line_id} is {line.stage}, it cannot be {verb}"
                )
        chosen = set(wanted)
        moving = [
            line
            for line in order.lines.values()
            if line.stage in movable and (not chosen or line.line_id in chosen)
        ]
        if not moving:
            raise Refused(
                Refusal.WRONG_STAGE,
                f"order {order.order_id} is {order.stage}, it cannot be {verb}",
            )
        return moving

    def _deduct(self, order: Order, at: Deducts) -> None:
        for line in order.lines.values():
            if line.item.deducts is at:
                taken = min(line.quantity, line.sku.quantity)
                line.deducted, line.oversold = True, taken < line.quantity
                line.taken = taken
                self._restock(line.item, line.sku, -taken)

    def _end(self, line: Line, stage: Stage, *, restock: bool) -> None:
        line.stage, line.ended_at_ms = stage, self._now_ms()
        if restock and line.deducted:
            line.deducted = False
            self._restock(line.item, line.sku, line.taken)

    def _changed(self, order: Order, what: Happening, line: Line | None = None) -> Order:
        order.changed_at_ms = self._now_ms()
        self._by_change[order.order_id] = None
        self._by_change.move_to_end(order.order_id)
        self._tell(what, order=order, line=line)
        return order
