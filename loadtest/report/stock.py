"""Follows stock, holds and fates through a history, as the answers told them.

For the eye: what is proven is proven by `loadtest.check`. A move whose answer was lost shows when a
later answer tells of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtest.history import Call, Record, Reservation, Stock
from loadtest.workload.plan import SECOND_US

_GRANTED = (200, 201)

Level = tuple[str, str]  # SKU, warehouse
Shipped = dict[Level, list[tuple[int, int]]]  # level -> when, units


@dataclass(slots=True)
class Change:
    """What happened within a second, in units; `holds` in orders."""

    on_hand: int = 0
    held: int = 0
    committed: int = 0
    holds: int = 0


@dataclass(slots=True)
class Followed:
    """Changes by second, and how each order ended."""

    changes: dict[int, Change] = field(default_factory=lambda: defaultdict(Change))
    fates: dict[str, Counter[str]] = field(default_factory=dict)  # channel -> fate -> orders

    def series(self, first: int, last: int) -> dict[str, list[int]]:
        """Sum the changes up, from one second to another."""
        so_far = Change()
        lines: dict[str, list[int]] = {"available": [], "held": [], "committed": [], "holds": []}
        for second in sorted(second for second in self.changes if second < first):
            _add(so_far, self.changes[second])
        for second in range(first, last + 1):
            _add(so_far, self.changes.get(second, Change()))
            lines["available"].append(so_far.on_hand - so_far.held - so_far.committed)
            lines["held"].append(so_far.held)
            lines["committed"].append(so_far.committed)
            lines["holds"].append(so_far.holds)
        return lines


def follow(history: Iterable[Record], zero_us: int) -> Followed:
    """Go through a history once. Cost: it is held in memory, some hundred bytes a call."""
    followed = Followed()
    calls: dict[str, list[Call]] = defaultdict(list)
    stock: list[Stock] = []
    states: dict[str, str] = {}
    for record in history:
        if isinstance(record, Call):
            calls[record.id].append(record)
        elif isinstance(record, Stock):
            stock.append(record)
        elif isinstance(record, Reservation):
            states[record.id] = record.state
    shipped: Shipped = defaultdict(list)
    for reservation_id, theirs in calls.items():
        theirs.sort(key=lambda call: call.end)
        _follow_life(theirs, followed, shipped, zero_us)
        fate = states.get(reservation_id, "not read")
        if fate == "missing":
            fate = _refusal(theirs)
        channel = reservation_id.partition(":")[0]
        followed.fates.setdefault(channel, Counter())[fate] += 1
    _follow_stock(stock, shipped, followed, zero_us)
    return followed


def _follow_stock(writes: list[Stock], shipped: Shipped, followed: Followed, zero_us: int) -> None:
    """Count what came: a level's first record, and what later ones have over what was left."""
    left: dict[Level, int] = {}
    taken: dict[Level, int] = {}  # level -> shipments already taken off
    for write in sorted(writes, key=lambda write: write.end):
        level = write.sku, write.warehouse
        gone = sum(units for at_us, units in shipped.get(level, ()) if at_us <= write.end)
        came = write.on_hand - left.get(level, 0) + gone - taken.get(level, 0)
        followed.changes[_second(write.end, zero_us)].on_hand += came
        left[level], taken[level] = write.on_hand, gone


def _follow_life(calls: list[Call], followed: Followed, shipped: Shipped, zero_us: int) -> None:
    """Move one order's units through held and committed."""
    lines = next((call.lines for call in calls if call.lines), ())
    units = sum(line[2] for line in lines)
    changes = followed.changes
    state, deadline = "", 0
    for call in calls:
        if state == "held" and deadline <= call.end:
            _move(changes[_second(deadline, zero_us)], "held", "expired", units)
            state = "expired"
        if call.status not in _GRANTED or call.state is None:
            continue
        if call.state != state:
            _move(changes[_second(call.end, zero_us)], state, call.state, units)
            state = call.state
            if state == "fulfilled":
                for sku, warehouse, quantity in lines:
                    shipped[sku, warehouse].append((call.end, quantity))
        deadline = call.expires_at_us or deadline
    if state == "held":
        _move(changes[_second(deadline, zero_us)], "held", "expired", units)


def _move(change: Change, before: str, after: str, units: int) -> None:
    """Count one order's step from a state to another."""
    for state, sign in ((before, -1), (after, 1)):
        if state == "held":
            change.held += sign * units
            change.holds += sign
        elif state == "confirmed":
            change.committed += sign * units
    if after == "fulfilled":
        change.on_hand -= units


def _refusal(calls: list[Call]) -> str:
    """Say why an order that left no trace was refused."""
    for call in reversed(calls):
        if call.op == "reserve" and call.slug is not None:
            return call.slug
    return "no answer"


def _second(at_us: int, zero_us: int) -> int:
    return (at_us - zero_us) // SECOND_US


def _add(to: Change, change: Change) -> None:
    to.on_hand += change.on_hand
    to.held += change.held
    to.committed += change.committed
    to.holds += change.holds
