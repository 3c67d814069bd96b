"""Health as of this instant: what the monitor has noted, carried on to now."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reservation.events.entries import read_entry
from reservation.events.history import Page
from reservation.health.level import Health, unpack
from reservation.health.monitor import after_entry
from reservation.health.rule import HealthRule, judged, unshipped_ratio
from reservation.model import WAREHOUSE, HealthStatus, level_key, split_level_key
from reservation.store.keys import SENTINEL
from reservation.store.positions import version_key

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.events.history import History
    from reservation.model import Breaker, Stock, StockLevel
    from reservation.store.store import Bounded, Store


# A monitor that is further behind does not run: then health begins with this instant.
MAX_ENTRIES_BEHIND = 2_000

_UNSEEN = Health()

# A place in the order of the list, worst first: whether it is healthy, the ratio negated, SKU,
# warehouse. Status before ratio: who is at risk stays so for a while after the ratio has fallen.
Place = tuple[bool, float, str, str]
LEVEL_PLACE: Final = re.compile(
    rf"({'|'.join(HealthStatus)}),(inf|[0-9]{{1,20}}(?:\.[0-9]{{1,25}})?(?:e[+-][0-9]{{1,3}})?),"
    rf"(.{{1,64}}@{WAREHOUSE.pattern})"
)


def level_place(text: str) -> Place | None:
    """Read a place as the list's `next` writes it; None where it is none."""
    found = LEVEL_PLACE.fullmatch(text)
    if found is None:
        return None
    status, ratio, level = found.groups()
    return status == HealthStatus.HEALTHY, -float(ratio), *split_level_key(level)


@dataclass(frozen=True, slots=True)
class LevelHealth:
    """The health of one SKU in one warehouse; an infinite ratio is `math.inf`."""

    level: StockLevel
    ratio: float
    status: HealthStatus
    weight: float
    sold_out_in_seconds: int | None


@dataclass(frozen=True, slots=True)
class SkuHealth:
    """The health of a SKU's levels, and its breaker, at one position of the log."""

    sku: str
    levels: list[LevelHealth]
    breaker: Breaker
    version: str
    as_of_ms: int


class HealthReads:
    """Reads health. Raises, from every method: StoreUnavailable.

    `bounded` runs a call of the store until the request's deadline (`Engine` gives its own).
    """

    def __init__(
        self, store: Store, settings: Settings, history: History, bounded: Bounded
    ) -> None:
        self._store = store
        self._rule = HealthRule.of(settings)
        self._history = history
        self._bounded = bounded

    async def of_sku(self, sku: str) -> SkuHealth | None:
        """Read the health of a SKU, exactly as of now; None where it has no level."""
        (found,) = await self.of_skus([sku])
        return found if found.levels else None

    async def of_skus(self, skus: Sequence[str], *, noted: bool = True) -> list[SkuHealth]:
        """Read the health of SKUs at one position of the log; no levels where unknown.

        Without what is `noted` their ratio alone is judged: that spares two round trips, and the
        log as far as the monitor is behind.
        """
        stocks: list[Stock] = await self._bounded(self._store.read_stock(skus))
        names = [
            level_key(level.sku, level.warehouse) for stock in stocks for level in stock.levels
        ]
        version = stocks[0].version if stocks else ""
        found = await self._bounded(self._carried(names, version)) if names and noted else {}
        return [
            SkuHealth(
                stock.sku,
                [
                    self._judged(
                        level,
                        found.get(level_key(level.sku, level.warehouse), _UNSEEN),
                        stock.as_of_ms,
                    )
                    for level in stock.levels
                ],
                stock.breaker,
                stock.version,
                stock.as_of_ms,
            )
            for stock in stocks
        ]

    async def worst(self, *, status: HealthStatus | None, after: Place | None, limit: int) -> Page:
        """List levels (`LevelHealth`) behind a place, worst first, as `every` has them.

        What gets worse or better between two pages may be in both or in neither.
        At most a second behind. Raises ArchiveUnavailable too. Cost: O(levels).
        """
        rows, as_of_ms = await self.every()
        if status is not None:
            rows = [row for row in rows if row.status is status]
        start = 0 if after is None else bisect_right(rows, after, key=_place)
        page = rows[start : start + limit]
        more = start + limit < len(rows)
        return Page(page, _place_text(page[-1]) if more else None, as_of_ms)

    async def every(self) -> tuple[list[LevelHealth], int]:
        """Read all levels, worst first, and as of when (ms); else as `worst`.

        At risk before healthy, of these the higher ratio, of the same the name.
        """
        levels, as_of_ms = await self._history.every_level()
        noted: dict[str, Health] = await self._bounded(self._every_noted())
        rows = [
            self._judged(level, noted.get(level_key(level.sku, level.warehouse), _UNSEEN), as_of_ms)
            for level in levels
        ]
        rows.sort(key=_place)
        return rows, as_of_ms

    async def _carried(self, names: list[str], version: str) -> dict[str, Health]:
        """Carry what is noted of some levels on to a position of the log.

        Where nothing was ever noted, from as far back as the log goes.
        """
        position, texts = await self._store.read_health(names)
        noted = {name: unpack(text) for name, text in zip(names, texts, strict=True)}
        if position and version_key(position) >= version_key(version):
            return noted
        found, behind = dict(noted), 0
        async for entry_version, fields in self._store.log.between(position, version):
            behind += 1
            if behind > MAX_ENTRIES_BEHIND:
                return noted
            after = after_entry(
                found, read_entry(fields), version_key(entry_version)[0], self._rule
            )
            found.update((name, health) for name, health in after.items() if name in noted)
        return found

    async def _every_noted(self) -> dict[str, Health]:
        noted: dict[str, Health] = {}
        async for _, chunk in self._store.scan("health"):
            noted.update((level, unpack(text)) for level, text in chunk if level != SENTINEL)
        return noted

    def _judged(self, level: StockLevel, noted: Health, now_ms: int) -> LevelHealth:
        balance = (level.on_hand, level.safety_stock, level.held, level.committed)
        ratio = unshipped_ratio(balance, self._rule)
        health = judged(noted, ratio, now_ms, self._rule)
        return LevelHealth(
            level,
            ratio,
            health.status,
            health.weight,
            health.sold_out_in_seconds(level.available, now_ms),
        )


def _place(row: LevelHealth) -> Place:
    healthy = row.status is HealthStatus.HEALTHY
    return healthy, -row.ratio, row.level.sku, row.level.warehouse


def _place_text(row: LevelHealth) -> str:
    return f"{row.status},{row.ratio!r},{level_key(row.level.sku, row.level.warehouse)}"


def ratio_or_none(ratio: float) -> float | None:
    """Write a ratio for the wire: None means infinite."""
    return None if math.isinf(ratio) else ratio
