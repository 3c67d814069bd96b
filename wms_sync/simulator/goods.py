"""What lies in a warehouse: units by item and kind, free, set aside for orders, or gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wms_sync.simulator.refused import Refusal, Refused, check, check_text

MOST_ITEMS: Final = 100_000
MOST_UNITS: Final = 1_000_000_000  # of an item and a kind


class Kind(StrEnum):
    """In which state goods are: Qimen's `inventoryType`."""

    GOOD = "ZP"
    DEFECTIVE = "CC"
    MACHINE_DAMAGED = "JS"
    BOX_DAMAGED = "XS"
    IN_TRANSIT = "ZT"


@dataclass(slots=True)
class Level:
    """The units of an item in one state. Always `quantity + locked + shipped == put_in`.

    `put_in` is all that ever came, less what was found missing or taken out again.
    """

    item_code: str
    kind: Kind
    quantity: int = 0  # free: can be set aside for an order
    locked: int = 0
    shipped: int = 0
    put_in: int = 0

    @property
    def there(self) -> int:
        """What a count finds."""
        return self.quantity + self.locked

    def change(self, by: int) -> None:
        """Put free units in, or take them out."""
        self.quantity += by
        self.put_in += by

    def lock(self, units: int) -> None:
        """Set free units aside; negative: give them free again."""
        self.quantity -= units
        self.locked += units

    def ship(self, units: int) -> None:
        """Let units leave that were set aside."""
        self.locked -= units
        self.shipped += units

    def write_off(self, units: int) -> None:
        """Strike out units that were set aside and are not there."""
        self.locked -= units
        self.put_in -= units


class Goods:
    """All levels, in the order in which they came in."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, Kind], Level] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def __iter__(self) -> Iterator[Level]:
        return iter(self._levels.values())

    def level(self, item_code: str, kind: Kind = Kind.GOOD) -> Level:
        """Find a level. Raises Refused."""
        if (level := self._levels.get((item_code, kind))) is None:
            raise Refused(Refusal.UNKNOWN_ITEM, f"there is no {item_code} of the kind {kind}")
        return level

    def kinds(self, item_code: str) -> list[Level]:
        """Give all levels of an item; none where it is not known."""
        return [self._levels[item_code, kind] for kind in Kind if (item_code, kind) in self._levels]

    def check_change(self, item_code: str, kind: Kind, by: int) -> None:
        """Refuse what `change` would refuse."""
        check_text(item_code, "an item's code")
        level = self._levels.get((item_code, kind))
        if level is None and len(self._levels) >= MOST_ITEMS:
            raise Refused(Refusal.FULL, f"a warehouse has {MOST_ITEMS} items at the most")
        free, there = (level.quantity, level.there) if level else (0, 0)
        if free + by < 0:
            raise Refused(Refusal.BELOW_ZERO, f"{free} of {item_code} are free, {-by} cannot go")
        check(there + by <= MOST_UNITS, f"there are {MOST_UNITS} of {item_code} at the most")

    def change(self, item_code: str, kind: Kind, by: int) -> Level:
        """Put units in, or take free ones out; what was not known is then. Raises Refused."""
        self.check_change(item_code, kind, by)
        key = item_code, kind
        level = self._levels.setdefault(key, Level(item_code, kind))
        level.change(by)
        return level
