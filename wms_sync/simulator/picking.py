"""What chance does in the aisles: each order has its own, from the seed and its code.

So an order meets the same whatever happens to others, and however often its step is planned.
"""

from __future__ import annotations

import hashlib
from typing import Final

from wms_sync.simulator.orders import Order, Parcel, Step
from wms_sync.simulator.ways import Ways

_OF_STEP: Final = {
    Step.ACCEPT: "accept_ms",
    Step.PICK: "pick_ms",
    Step.SHIP: "ship_ms",
    Step.SHIP_REST: "part_ms",
}


class Chance:
    """What befalls one order in one step."""

    def __init__(self, seed: int, order: Order, step: Step) -> None:
        self._name = f"{seed} {order.code} {step}"
        self._drawn = 0

    def _draw(self) -> float:
        """Draw a number from 0 to below 1. A generator of its own would cost ten times as much."""
        self._drawn += 1
        digest = hashlib.blake2b(f"{self._name} {self._drawn}".encode(), digest_size=6).digest()
        return int.from_bytes(digest) / 2**48

    def _up_to(self, most: int) -> int:
        """Draw a whole number from 1."""
        return 1 + int(self._draw() * most)

    def meets(self, rate: float) -> bool:
        """Say whether what happens so often happens."""
        return rate > 0 and self._draw() < rate

    def lasts_ms(self, step: Step, ways: Ways) -> int:
        """Say how long a step takes."""
        ms = int(getattr(ways, _OF_STEP[step]))
        if not ways.spread:
            return ms
        return max(0, ms + round(ms * ways.spread * (2 * self._draw() - 1)))

    def lacks(self, order: Order) -> tuple[str, int]:
        """Choose a line with units set aside, and how many of them are not found."""
        lines = [line for line in order.lines.values() if line.locked]
        line = lines[self._up_to(len(lines)) - 1]
        return line.number, self._up_to(line.locked)

    def some_of(self, units: dict[str, int]) -> dict[str, int]:
        """Choose some of several units, never all: the first lines' first."""
        left = self._up_to(sum(units.values()) - 1)
        some: dict[str, int] = {}
        for number, of_line in units.items():
            if taken := min(of_line, left):
                some[number] = taken
                left -= taken
        return some


def less(units: dict[str, int], some: dict[str, int]) -> dict[str, int]:
    """Give what is left of units without some of them."""
    left = {number: of_line - some.get(number, 0) for number, of_line in units.items()}
    return {number: of_line for number, of_line in left.items() if of_line}


def packed(
    order: Order, units: dict[str, int], chance: Chance, ways: Ways, first_number: int
) -> tuple[Parcel, ...]:
    """Pack units into one parcel or two; nothing into none."""
    if not units:
        return ()
    loads = [units]
    if sum(units.values()) > 1 and chance.meets(ways.several_packages):
        some = chance.some_of(units)
        loads = [some, less(units, some)]
    return tuple(
        Parcel(
            carrier=order.carrier,
            tracking_number=f"{order.carrier}{first_number + place:012d}",
            units=load,
        )
        for place, load in enumerate(loads)
    )
