"""What was foreseen during the day: warnings, and estimates that are judged in the end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from zlib import crc32

from wms_sync.foresight import Foreseen, foreseen
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.reads import look_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wms_sync.clock import WarehouseClock
    from wms_sync.terms import Terms

LOOKS: Final = 96  # in a day: each quarter of an hour
REST: Final = 15.0  # times as long as a look took nothing is looked at: it costs CPU of others
ONE_IN: Final = 8  # orders whose estimates are kept
EACH_LOOKS: Final = 4  # of one order an estimate is kept every so many looks


@dataclass(frozen=True, slots=True)
class Look:
    """What was foreseen at an instant. Times in ms of the warehouse's clock, counts in orders."""

    at_ms: int
    waiting: int
    stuck: int
    will_break: int
    expected_to_break: int
    first_breach_ms: int | None
    needed_per_hour: int
    emptied_ms: int | None
    without_estimate: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """When an order was expected to be handed over, and when that was said."""

    code: str
    said_ms: int
    handed_ms: int


@dataclass(slots=True)
class Foresights:
    """All that was foreseen."""

    looks: list[Look] = field(default_factory=list)
    estimates: list[Estimate] = field(default_factory=list)


class Lookout:
    """Looks at the outbox so often in a day of its clock, as the board does."""

    def __init__(
        self, data_dir: Path, terms: Terms, clock: WarehouseClock, *, looks: int = LOOKS
    ) -> None:
        self.found = Foresights()
        self._path = outbox_path(data_dir)
        self._terms = terms
        self._clock = clock
        self._looks = looks

    async def run(self, tell: Callable[[Look], None]) -> None:
        """Look until cancelled."""
        pause = 86_400 / self._looks / self._clock.speed
        while True:
            began = time.monotonic()
            await self.look(tell)
            took = time.monotonic() - began
            await asyncio.sleep(max(pause - took, REST * took))

    async def look(self, tell: Callable[[Look], None] = lambda _: None) -> None:
        """Look once."""
        now_ms = self._clock.now_ms()
        found = await asyncio.to_thread(
            look_at, self._path, lambda reads: foreseen(reads, self._terms, now_ms)
        )
        if found is not None:
            self._keep(found, now_ms)
            tell(self.found.looks[-1])

    def _keep(self, found: Foreseen, now_ms: int) -> None:
        forecast = found.forecast
        turn = len(self.found.looks) % EACH_LOOKS
        for code, handed_ms in forecast.handed_ms.items():
            chosen = crc32(code.encode()) % (ONE_IN * EACH_LOOKS)
            if chosen % ONE_IN == 0 and chosen // ONE_IN == turn and handed_ms is not None:
                self.found.estimates.append(Estimate(code, now_ms, handed_ms))
        self.found.looks.append(
            Look(
                now_ms,
                len(forecast.handed_ms),
                forecast.stuck,
                forecast.will_break,
                forecast.expected_to_break,
                forecast.first_breach_ms,
                forecast.needed_per_hour,
                forecast.emptied_ms,
                sum(at_ms is None for at_ms in forecast.handed_ms.values()),
            )
        )
