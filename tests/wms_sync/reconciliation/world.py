"""A pure world: a warehouse as it truly is, our books, and what is under way between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wms_sync.reconciliation.rule import Figures, Gap, Policy, Suspicion, gap_of, looked

POLICY = Policy(looks=3, apart_ms=600_000)


@dataclass
class Order:
    """One SKU's units of an order; `sent`: it may be there. Units there lie locked or have left."""

    units: int
    sent: bool = False
    taken: bool = False
    locked: int = 0
    unlocked: int = 0  # taken by a warehouse that binds goods only when it picks them
    left: int = 0  # and not reported
    told: int = 0  # that has left, and is reported
    over: bool = False  # there: nothing more will leave
    asked: bool = False  # a lock for it may be there
    reserved: int = 0  # by that lock
    dropped: bool = False  # by us, before it was sent: its lock is to be ended


@dataclass
class World:
    """One SKU. `late` is a warehouse that binds goods only when they leave."""

    late: bool = False
    on_hand: int = 20
    free: int = 20
    drift: int = 0
    now_ms: int = 0
    writes: int = 0
    orders: list[Order] = field(default_factory=list)
    untold: list[tuple[int, int]] = field(default_factory=list)  # by when, and units
    suspicion: Suspicion | None = None

    # -- what happens ----------------------------------------------------------------------------

    def _some(self, place: int, fits: Callable[[Order], bool]) -> Order | None:
        fitting = [order for order in self.orders if fits(order)]
        return fitting[place % len(fitting)] if fitting else None

    def pay(self, place: int, units: int) -> None:
        """Sell what our books have."""
        del place
        if self.on_hand - self._promised >= units:
            self.orders.append(Order(units))

    def send(self, place: int, units: int) -> None:
        """Let a call leave; whether it arrives is another thing."""
        del units
        if order := self._some(place, lambda each: not each.sent and not each.dropped):
            order.sent = True

    def ask(self, place: int, units: int) -> None:
        """Let a call for a lock leave, of an order that waits."""
        del units
        if order := self._some(place, lambda each: not each.sent and not each.dropped):
            order.asked = True

    def reserve(self, place: int, units: int) -> None:
        """Let it arrive: what is sent has had its answer, so it is not under way then."""
        del units
        order = self._some(place, lambda each: each.asked and not each.sent and not each.reserved)
        if order and self.free >= order.units:
            order.reserved, self.free = order.units, self.free - order.units

    def lapse(self, place: int, units: int) -> None:
        """Let a lock end there since nobody has renewed it, or the warehouse says that it did."""
        del units
        if order := self._some(place, lambda each: each.reserved > 0):
            self.free, order.reserved = self.free + order.reserved, 0

    def drop(self, place: int, units: int) -> None:
        """Give an order back that waits: the warehouse may keep its units until it is told."""
        del units
        if order := self._some(place, lambda each: not each.sent and not each.dropped):
            order.dropped = True

    def unlock(self, place: int, units: int) -> None:
        """Tell it, and hear that it is done."""
        del units
        if order := self._some(place, lambda each: each.dropped):
            self.free += order.reserved
            self.orders.remove(order)

    def take(self, place: int, units: int) -> None:
        """Let the warehouse take an order on, where it has the goods."""
        del units
        order = self._some(place, lambda each: each.sent and not each.taken)
        if order and self.free + order.reserved >= order.units:
            order.taken = True
            self.free, order.reserved = self.free + order.reserved, 0
            if self.late:
                order.unlocked = order.units
            else:
                order.locked, self.free = order.units, self.free - order.units

    def ship(self, place: int, units: int) -> None:
        """Let some of an order leave, or all; nothing more of it may leave then."""
        order = self._some(place, lambda each: each.locked + each.unlocked > 0)
        if order is None:
            return
        units = min(units, order.locked + order.unlocked)
        if order.unlocked:
            units = min(units, self.free)
            order.unlocked, self.free = order.unlocked - units, self.free - units
        else:
            order.locked -= units
        order.left += units
        order.over = not order.locked + order.unlocked

    def report(self, place: int, units: int) -> None:
        """Book what has left; the rest of an order of which nothing more leaves is given back."""
        del units
        if order := self._some(place, lambda each: each.left > 0):
            self.on_hand -= order.left
            order.told, order.left = order.told + order.left, 0
            if order.over:
                self.orders.remove(order)

    def cancel(self, place: int, units: int) -> None:
        """Let the warehouse give an order up: its goods are free there; we hear of it later."""
        del units
        order = self._some(place, lambda each: each.taken and not each.over and not each.left)
        if order:
            self.free += order.locked
            order.locked = order.unlocked = 0
            order.over = True

    def hear(self, place: int, units: int) -> None:
        """Hear of it."""
        del units
        if order := self._some(place, lambda each: each.over and not each.left):
            self.orders.remove(order)

    def lack(self, place: int, units: int) -> None:
        """Let a picker not find goods: they are struck out, the order lacks them."""
        if order := self._some(place, lambda each: each.locked > 0):
            units = min(units, order.locked)
            order.locked -= units
            order.over = not order.locked
            self.untold.append((self.now_ms + POLICY.settled_ms, -units))

    def come(self, place: int, units: int) -> None:
        """Let goods come in."""
        del place
        self.free += units
        self.untold.append((self.now_ms + POLICY.settled_ms, units))

    def tell(self, place: int, units: int) -> None:
        """Book a change of stock."""
        del units
        if self.untold:
            self.on_hand += self.untold.pop(place % len(self.untold))[1]
            self.writes += 1

    def plant(self, units: int) -> None:
        """Let goods be gone or there of which nobody is ever told."""
        units = max(units, -self.free)
        self.free += units
        self.drift += units

    def wait(self, place: int, units: int) -> None:
        """Let minutes pass, at the end of which nothing is reported too late."""
        del place
        self.now_ms += units * 60_000
        for due in [due for due in self.untold if due[0] <= self.now_ms]:
            self.untold.remove(due)
            self.on_hand += due[1]
            self.writes += 1

    # -- what is seen ----------------------------------------------------------------------------

    @property
    def figures(self) -> Figures:
        """What both sides say."""
        return Figures(
            known=True,
            free=self.free,
            locked=sum(order.locked + order.reserved for order in self.orders),
            on_hand=self.on_hand,
            promised=self._promised,
            handed=sum(order.units - order.told for order in self.orders if order.sent),
            locks=sum(order.units for order in self.orders if order.asked and not order.sent),
        )

    @property
    def _promised(self) -> int:
        return sum(order.units - order.told for order in self.orders if not order.dropped)

    def look(self, place: int = 0, units: int = 0) -> Gap | None:
        """Look once; returns what is proven."""
        del place, units
        before = self.suspicion
        written = before is not None and self.writes > int(before.version)
        self.suspicion = looked(
            before, gap_of(self.figures), self.now_ms, str(self.writes), POLICY, written=written
        )
        return self.suspicion and self.suspicion.proven

    def settle(self) -> None:
        """Let all that is under way be reported, and what lacks something leave without it.

        All that was sent is taken, or refused; so is each lock.
        """
        for order in self.orders:
            if order.locked and order.locked + order.left + order.told < order.units:
                order.left, order.locked, order.over = order.left + order.locked, 0, True
        while any(order.left for order in self.orders):
            self.report(0, 0)
        while any(order.over for order in self.orders):
            self.hear(0, 0)
        while self.untold:
            self.tell(0, 0)
        for order in self.orders:
            self.take(0, 0)
            order.sent = order.taken
        while any(order.dropped for order in self.orders):
            self.unlock(0, 0)
        for order in self.orders:
            order.asked = order.reserved > 0
