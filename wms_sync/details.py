"""The clerk: gives orders the details without which no warehouse can ship them.

What lacks them stays visible as `undetailed`, and is asked for again; it is never dropped. Each
channel is asked by itself: one that is slow holds up no other, nor what is told of its own orders.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
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
ASKED_AT_ONCE: Final = 16  # of a channel
PATIENCE_SECONDS: Final = 1.0  # for what was asked just now; a later round notes later answers
# Then its channel goes on with another order: 16 are asked for by one call in two seconds.
LONGEST_ASK_SECONDS: Final = 30.0
FIRST_PAUSE_MS: Final = 1_000  # the bound of the pause before the next time, doubled with each
LONGEST_PAUSE_MS: Final = 300_000
MOST_DOUBLINGS: Final = 20
TOLD: Final = ""  # the line of what was told again, which is no channel's
NONE_YET: Final = "there are no details yet"
NO_ANSWER: Final = "there is no answer"

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
        self._asking = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(ASKED_AT_ONCE))
        # What has been asked and is not noted yet: the task, and how often it was asked before.
        self._asked: dict[str, tuple[asyncio.Task[Dispatch | str], int]] = {}

    async def round(self) -> float:
        """Ask for what lacks, and for what was told again; returns the seconds until the next time.

        Raises OutboxUnavailable.
        """
        count, busy = ORDERS_AT_ONCE + len(self._asked), self._busy()
        lacking, due, place = await asyncio.to_thread(self._due, count, busy)
        is_more = await self._detail(lacking)
        return 0.0 if await self._revise(due, place) or is_more else IDLE_SECONDS

    async def close(self) -> None:
        """Give up what is under way: it is asked for again."""
        tasks = [task for task, _ in self._asked.values()]
        for reservation_id in list(self._asked):
            self._give_up(reservation_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(
        self, count: int, without: Sequence[str]
    ) -> tuple[Mapping[str, int], Sequence[str], str]:
        """Read what lacks details, what was told again, and up to where that is known.

        Of what lacks details some, and none of the channels named.
        """
        now_ms, rows = self._now_ms(), self._entries.retold
        undetailed = self._entries.undetailed(now_ms, count, without)
        return undetailed, rows.due(now_ms, ORDERS_AT_ONCE), rows.place

    async def _detail(self, due: Mapping[str, int]) -> bool:
        """Ask for the details that lack; says whether there may be more that do."""
        begun: list[asyncio.Task[Dispatch | str]] = []
        for reservation_id, attempts in due.items():
            if reservation_id not in self._asked and len(begun) < ORDERS_AT_ONCE:
                task = asyncio.create_task(self._ask(reservation_id, _channel(reservation_id)))
                self._asked[reservation_id] = task, attempts
                begun.append(task)
        if begun:
            await asyncio.wait(begun, timeout=PATIENCE_SECONDS)
        await self._note()
        return len(begun) == ORDERS_AT_ONCE

    def _busy(self) -> list[str]:
        """Name channels of which as much is under way as may be: the rest of theirs waits."""
        under_way = Counter(_channel(reservation_id) for reservation_id in self._asked)
        return [channel for channel, count in under_way.items() if count >= ASKED_AT_ONCE]

    async def _note(self) -> None:
        """Note what has been answered; what cannot be noted now is by the next round."""
        now_ms = self._now_ms()
        found: list[tuple[str, Dispatch]] = []
        lacking: list[tuple[str, str, int]] = []
        for reservation_id, (task, attempts) in self._asked.items():
            if not task.done():
                continue
            answer = task.result()
            if isinstance(answer, str):
                bound = min(FIRST_PAUSE_MS << min(attempts, MOST_DOUBLINGS), LONGEST_PAUSE_MS)
                pause_ms = round(self._draw(bound) * self._speed)
                lacking.append((reservation_id, answer, now_ms + 1 + pause_ms))
            else:
                found.append((reservation_id, answer))
        if found or lacking:
            await asyncio.to_thread(self._entries.detail, found, lacking, self._policies, now_ms)
        for noted in [one for one, _ in found] + [one for one, *_ in lacking]:
            del self._asked[noted]

    def _give_up(self, reservation_id: str) -> None:
        """Wait no longer for an answer, nor note it."""
        if reservation_id in self._asked:
            task, _ = self._asked.pop(reservation_id)
            task.cancel()

    async def _revise(self, due: Sequence[str], place: str) -> bool:
        """Hear which orders were told again, and look at them; says whether there may be more.

        What is told of an order that is being asked for goes before that answer: it is asked anew.
        """
        rows = self._entries.retold
        try:
            told, behind = await self._details.retold(place)
        except FAULTS as fault:
            log.warning("retold_lack", reason=str(fault))
            told, behind = (), place
        for reservation_id in told:
            self._give_up(reservation_id)
        if behind != place:
            due = await asyncio.to_thread(self._noted, told, behind)
        if due:
            answers = await asyncio.gather(*(self._ask(each, TOLD) for each in due))
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

    async def _ask(self, reservation_id: str, line: str) -> Dispatch | str:
        """Ask for the details of an order, in one of the lines; a text says why there are none."""
        async with self._asking[line]:
            try:
                async with asyncio.timeout(LONGEST_ASK_SECONDS):
                    return await self._details.dispatch_of(reservation_id) or NONE_YET
            except FAULTS as fault:
                log.warning("details_lack", reservation_id=reservation_id, reason=str(fault))
                return str(fault)
            except TimeoutError:
                log.warning("details_lack", reservation_id=reservation_id, reason=NO_ANSWER)
                return NO_ANSWER
            except Exception as bug:  # it holds up no other order
                metrics.WAREHOUSE_BUGS.labels(warehouse="").inc()
                log.exception("warehouse_bug", reservation_id=reservation_id)
                return f"bug: {bug!r}"


def _channel(reservation_id: str) -> str:
    return reservation_id.partition(":")[0]
