"""The clerk: gives orders the details without which no warehouse can ship them.

What lacks them stays visible as `undetailed`, and is asked for again; it is never dropped.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from partners.errors import PartnerFault, UnknownWord
from reservation import metrics
from reservation.errors import ArchiveUnavailable, StoreUnavailable
from wms_sync.outbox.retold import AGAIN_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wms_sync.model import Dispatch
    from wms_sync.outbox.entries import Entries
    from wms_sync.rules.priority import PriorityPolicy

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 0.2
ORDERS_AT_ONCE: Final = 200  # of one transaction
ASKED_AT_ONCE: Final = 16  # of whoever gives details
FIRST_PAUSE_MS: Final = 1_000  # the bound of the pause before the next time, doubled with each
LONGEST_PAUSE_MS: Final = 300_000
MOST_DOUBLINGS: Final = 20
NONE_YET: Final = "there are no details yet"

FAULTS: Final = (ArchiveUnavailable, PartnerFault, StoreUnavailable, UnknownWord)


class Details(Protocol):
    """Who knows what a warehouse must know of an order beside its lines."""

    async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
        """Tell the details of an order; None where they are not known yet.

        May raise PartnerFault, UnknownWord, ArchiveUnavailable and StoreUnavailable.
        """

    async def retold(self, place: str) -> tuple[Sequence[str], str]:
        """Name orders of which something was told behind a place, and the place behind those.

        A bounded number at a time, in the order in which it was told, one perhaps several times;
        the same place where there is nothing more. Places are its own words; "" is before all.
        May raise ArchiveUnavailable.
        """


class Clerk:
    """One background loop. `now_ms` is the wall clock, `draw(n)` is chance in 0 … n-1.

    `speed`: so many of that clock's ms pass in one of the world's, in which who is asked lives.
    """

    def __init__(
        self,
        entries: Entries,
        details: Details,
        policies: Mapping[str, PriorityPolicy],
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        draw: Callable[[int], int] = random.randrange,
        speed: float = 1.0,
    ) -> None:
        self._entries = entries
        self._details = details
        self._policies = policies
        self._now_ms = now_ms
        self._draw = draw
        self._speed = speed
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)

    async def round(self) -> float:
        """Ask for what lacks, and for what was told again; returns the seconds until the next time.

        Raises OutboxUnavailable.
        """
        lacking, due, place = await asyncio.to_thread(self._due)
        is_more = await self._detail(lacking)
        return 0.0 if await self._revise(due, place) or is_more else IDLE_SECONDS

    def _due(self) -> tuple[Mapping[str, int], Sequence[str], str]:
        """Read what lacks details, what was told again, and up to where that is known."""
        now_ms, rows = self._now_ms(), self._entries.retold
        undetailed = self._entries.undetailed(now_ms, ORDERS_AT_ONCE)
        return undetailed, rows.due(now_ms, ORDERS_AT_ONCE), rows.place

    async def _detail(self, due: Mapping[str, int]) -> bool:
        """Ask for the details that lack; says whether there may be more that do."""
        if not due:
            return False
        answers = await asyncio.gather(*(self._ask(reservation_id) for reservation_id in due))
        now_ms = self._now_ms()
        found: list[tuple[str, Dispatch]] = []
        lacking: list[tuple[str, str, int]] = []
        for (reservation_id, attempts), answer in zip(due.items(), answers, strict=True):
            if isinstance(answer, str):
                bound = min(FIRST_PAUSE_MS << min(attempts, MOST_DOUBLINGS), LONGEST_PAUSE_MS)
                pause_ms = round(self._draw(bound) * self._speed)
                lacking.append((reservation_id, answer, now_ms + 1 + pause_ms))
            else:
                found.append((reservation_id, answer))
        await asyncio.to_thread(self._entries.detail, found, lacking, self._policies, now_ms)
        return len(due) == ORDERS_AT_ONCE

    async def _revise(self, due: Sequence[str], place: str) -> bool:
        """Hear which orders were told again, and look at them; says whether there may be more.

        Behind `_detail`: what is told while that asks is heard here, so it is not lost.
        """
        rows = self._entries.retold
        try:
            told, behind = await self._details.retold(place)
        except FAULTS as fault:
            log.warning("retold_lack", reason=str(fault))
            told, behind = (), place
        if behind != place:
            due = await asyncio.to_thread(self._noted, told, behind)
        if due:
            answers = await asyncio.gather(*(self._ask(reservation_id) for reservation_id in due))
            now_ms = self._now_ms()
            again_ms = now_ms + round(AGAIN_MS * self._speed)
            found = [(r, a) for r, a in zip(due, answers, strict=True) if not isinstance(a, str)]
            lacking = [r for r, a in zip(due, answers, strict=True) if isinstance(a, str)]
            await asyncio.to_thread(rows.revise, found, lacking, self._policies, now_ms, again_ms)
        return behind != place or len(due) == ORDERS_AT_ONCE

    def _noted(self, told: Sequence[str], behind: str) -> Sequence[str]:
        """Note what was told again, and read which orders are to be looked at by now."""
        rows = self._entries.retold
        rows.note(told, behind, self._now_ms())
        return rows.due(self._now_ms(), ORDERS_AT_ONCE)

    async def _ask(self, reservation_id: str) -> Dispatch | str:
        """Ask for the details of an order; a text says why there are none."""
        async with self._asking:
            try:
                return await self._details.dispatch_of(reservation_id) or NONE_YET
            except FAULTS as fault:
                log.warning("details_lack", reservation_id=reservation_id, reason=str(fault))
                return str(fault)
            except Exception as bug:  # it holds up no other order
                metrics.WAREHOUSE_BUGS.labels(warehouse="").inc()
                log.exception("warehouse_bug", reservation_id=reservation_id)
                return f"bug: {bug!r}"
