"""The recount: the balances read at the end against the reservations read at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.check.intake import Seen
from loadtest.check.level import Level
from loadtest.check.occupancy import Occupancy
from loadtest.check.op import MISSING, NEVER, Op
from loadtest.history import Balance


@dataclass(slots=True)
class Sum:
    """A sum known to within bounds; they are equal where nothing was left open."""

    least: int = 0
    most: int = 0

    def add(self, least: int, most: int) -> None:
        """Add what is between the two."""
        self.least += least
        self.most += most


class Count:
    """One balance record, and what the reservations say it must be."""

    def __init__(self, seen: Seen) -> None:
        assert isinstance(seen.record, Balance)
        self.seen = seen
        self.balance = seen.record
        self.held, self.committed, self.left = Sum(), Sum(), Sum()

    def add(self, level: int, occupancy: Occupancy) -> None:
        """Add one reservation that may exist, as far as it concerns the level."""
        read = occupancy.reads[-1] if occupancy.reads else None
        first = min(self.seen.start, read.start if read else NEVER)
        if read is None or occupancy.settled >= first:
            units = occupancy.possible_lines().get(level, 0)
            for total in (self.held, self.committed, self.left):
                total.add(0, units)
            return
        self._add_settled(read, level, occupancy)

    def _add_settled(self, read: Op, level: int, occupancy: Occupancy) -> None:
        if read.state == MISSING:
            return
        units, left = dict(read.lines).get(level, 0), 0
        if read.left:
            left = dict(read.left).get(level, 0)
            self.left.add(left, left)
        if read.state == "confirmed":
            self.committed.add(units - left, units - left)
        elif read.state in {"held", "expired"}:
            self.held.add(*self._held(read, units, occupancy.deadline))

    def _held(self, read: Op, units: int, deadline: tuple[int, int]) -> tuple[int, int]:
        """Bound what a hold adds: it may have lapsed between its read and the balance's."""
        start, end = self.seen.start, self.seen.end
        if read.state == "expired" and read.end <= start:
            return 0, 0
        if read.state == "held" and read.start >= end:
            return units, units
        return (units if deadline[0] > end else 0), (0 if deadline[1] <= start else units)

    def wrong(self, level: Level) -> Iterator[str]:
        """Yield what the record says that the recount does not."""
        balance = self.balance
        last = level.last_writes(self.seen.start, self.seen.end)
        if not last:
            yield "its balance was read before any stock was written"
            return
        on_hand, safety = self._stock(last)
        for name, told, counted in (
            ("held", balance.held, self.held),
            ("committed", balance.committed, self.committed),
            ("on_hand", balance.on_hand, on_hand),
            ("safety_stock", balance.safety_stock, safety),
        ):
            if not counted.least <= told <= counted.most:
                known = str(counted.least)
                if counted.least != counted.most:
                    known = f"{counted.least} to {counted.most}"
                yield f"{name} is told as {told}, the recount says {known}"
        promised = balance.held + balance.committed
        available = max(0, balance.on_hand - balance.safety_stock - promised)
        if balance.available != available:
            yield f"available is told as {balance.available}, its own figures say {available}"
        shortfall = max(0, promised - balance.on_hand)
        if balance.shortfall is not None and balance.shortfall != shortfall:
            yield f"shortfall is told as {balance.shortfall}, its own figures say {shortfall}"

    def _stock(self, last: list[tuple[int, int, int]]) -> tuple[Sum, Sum]:
        least = min(on_hand for on_hand, _, _ in last)
        most = max(on_hand for _, on_hand, _ in last)
        safeties = [safety for _, _, safety in last]
        on_hand = Sum(least - self.left.most, most - self.left.least)
        return on_hand, Sum(min(safeties), max(safeties))
