"""Units that are kept for orders which are to come: locked like those of orders, until a time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wms_sync.simulator.goods import Goods, Kind
from wms_sync.simulator.refused import Refusal, Refused, check


@dataclass(slots=True)
class Reservation:
    """Good units by item; `until_ms` None: until its order comes."""

    code: str
    units: Mapping[str, int]
    until_ms: int | None


class Reservations:
    """All of them, by the code of their order."""

    def __init__(self, goods: Goods) -> None:
        self._goods = goods
        self._kept: dict[str, Reservation] = {}
        self._ends: list[tuple[int, str]] = []  # also of what has been renewed or ended since

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._kept.values())

    def reserve(self, code: str, units: Mapping[str, int], until_ms: int | None) -> None:
        """Keep units, all or none; a repetition lasts longer. Raises Refused."""
        if (known := self._kept.get(code)) is not None:
            if known.units != units:
                raise Refused(Refusal.OTHER_CONTENT, f"reservation {code} has other content")
            if until_ms is None or known.until_ms is None:
                known.until_ms = None
            else:
                known.until_ms = max(known.until_ms, until_ms)
                heapq.heappush(self._ends, (known.until_ms, code))
            return
        check(bool(units) and min(units.values()) >= 1, "a reservation is of 1 unit or more")
        free = {item_code: self._goods.level(item_code).quantity for item_code in units}
        short = [item_code for item_code in units if free[item_code] < units[item_code]]
        if short:
            said = ", ".join(f"{units[each]} of {each}, {free[each]} free" for each in short)
            raise Refused(Refusal.SHORT, f"not enough: {said}")
        self.put_back(Reservation(code, dict(units), until_ms))

    def put_back(self, kept: Reservation) -> None:
        """Keep units that are free."""
        for item_code, units in kept.units.items():
            self._goods.level(item_code).lock(units)
        self._kept[kept.code] = kept
        if kept.until_ms is not None:
            heapq.heappush(self._ends, (kept.until_ms, kept.code))

    def pop(self, code: str) -> Reservation | None:
        """Give units free that are kept for an order; None where none are."""
        kept = self._kept.pop(code, None)
        for item_code, units in kept.units.items() if kept else ():
            self._goods.level(item_code).lock(-units)
        return kept

    def end(self, code: str) -> None:
        """Keep nothing any longer. Raises Refused where nothing is kept."""
        if self.pop(code) is None:
            raise Refused(Refusal.UNKNOWN_ORDER, f"there is no reservation {code}")

    def end_due(self, now_ms: int) -> None:
        """End those whose time has passed."""
        while self._ends and self._ends[0][0] <= now_ms:  # ends: each takes one away
            _, code = heapq.heappop(self._ends)
            kept = self._kept.get(code)
            if kept is not None and kept.until_ms is not None and kept.until_ms <= now_ms:
                self.pop(code)

    def locked(self) -> Counter[tuple[str, Kind]]:
        """Count what is kept, for an audit."""
        kept: Counter[tuple[str, Kind]] = Counter()
        for each in self._kept.values():
            kept.update({(item_code, Kind.GOOD): units for item_code, units in each.units.items()})
        return kept

    def give_way(self, item_code: str, kind: Kind, missing: int) -> None:
        """End the latest of an item until so many units are free, or none is left."""
        level = self._goods.level(item_code, kind)
        for kept in reversed(list(self._kept.values())) if kind is Kind.GOOD else ():
            if level.quantity >= missing:
                return
            if item_code in kept.units:
                self.pop(kept.code)
