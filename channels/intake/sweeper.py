"""The sweeper: asks a platform what has changed, for what it never told us or we never heard.

A window is read from its last page to its first: an order that changes meanwhile leaves its place,
and those behind it move up by one, to where they are still to be read. Windows overlap by as much
as a platform's lists lag behind its orders; an order that was seen as it is is not looked at again.
No window is longer than that: one that grows at its end while it is read, so that others move down
to where was read already, is read whole once more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from channels.intake.anomalies import tell_unread
from channels.intake.asking import FAULTS, Asking

if TYPE_CHECKING:
    from channels.intake.inbox import Inbox
    from channels.model import Page
    from channels.transport import Platform

# Lists lag behind by some ten minutes on a big day: wire-formats.md section 1.3.
OVERLAP_MS: Final = 900_000
FAULT_SECONDS: Final = 10.0  # before a platform that failed is asked again
# Of a window; beyond them it is halved. Douyin lists no more than 10,000 orders, by one of its
# documents (by another 50,000).
MOST_PAGES: Final = 100


class Sweeper(Asking):
    """One background loop for one channel, that works every so many seconds."""

    def __init__(self, platform: Platform, inbox: Inbox, *, seconds: float, **others: Any) -> None:
        super().__init__(platform, inbox, **others)
        self._seconds = seconds

    async def round(self) -> float:
        """Sweep up to now, window by window; returns the seconds until the next time.

        Raises InboxUnavailable; what was swept before is not swept again.
        """
        now_ms = self._now_ms()
        swept_ms = await asyncio.to_thread(self._inbox.swept_to, self._channel)
        swept_ms = now_ms if swept_ms is None else min(swept_ms, now_ms)
        self._known_ms = swept_ms
        begin_ms = swept_ms - OVERLAP_MS
        longest_ms = min(self._adapter.longest_window_ms, OVERLAP_MS)
        try:
            while begin_ms < now_ms:
                end_ms = min(now_ms, begin_ms + longest_ms)
                if not await self._window(begin_ms, end_ms):
                    return self._seconds  # this platform tells of no changes
                swept_ms = max(swept_ms, end_ms)
                await asyncio.to_thread(self._inbox.set_swept_to, self._channel, swept_ms)
                self._known("sweep", swept_ms)
                begin_ms = end_ms
        except FAULTS as fault:
            # Also of the first time: what changes until it goes right is swept.
            await asyncio.to_thread(self._inbox.set_swept_to, self._channel, swept_ms)
            return self._put_off("sweep", fault, FAULT_SECONDS)
        return self._seconds

    async def _window(self, begin_ms: int, end_ms: int) -> bool:
        """Read a window whole; False where there is no such call."""
        first = await self._page(begin_ms, end_ms, 1)
        if first is None:
            return False
        if first.pages > MOST_PAGES and end_ms - begin_ms > 1_000:
            middle_ms = (begin_ms + end_ms) // 2
            await self._window(begin_ms, middle_ms)
            return await self._window(middle_ms, end_ms)
        for number in range(first.pages, 0, -1):
            # A single page is whole as it is; of several the first may have changed meanwhile.
            page = first if first.pages == 1 else await self._page(begin_ms, end_ms, number)
            if page is not None:
                now_ms = self._now_ms()
                unread = await asyncio.to_thread(self._inbox.found, self._channel, page, now_ms)
                tell_unread(self._channel, unread)
        return True

    async def _page(self, begin_ms: int, end_ms: int, number: int) -> Page | None:
        return await self._platform.ask(
            lambda at: self._adapter.changed(begin_ms, end_ms, number, at),
            self._adapter.read_changed,
        )
