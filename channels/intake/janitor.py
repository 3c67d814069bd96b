"""The janitor: forgets what platforms do not speak of any more."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from channels.intake.inbox import MOST_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.intake.inbox import Inbox
    from reservation.config import Settings

IDLE_SECONDS: Final = 60.0  # between two looks where not much was left to forget


class Janitor:
    """One background loop for all channels. `now_ms` is the wall clock."""

    def __init__(
        self,
        inbox: Inbox,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._inbox = inbox
        # A message that comes once more after so long is looked into once more, without harm.
        self._messages_ms = settings.receipt_retention_seconds * 1000
        self._orders_ms = settings.channels_remember_seconds * 1000
        self._now_ms = now_ms

    async def round(self) -> float:
        """Forget a bounded number; returns the seconds until the next time.

        Raises InboxUnavailable.
        """
        now_ms = self._now_ms()
        before = now_ms - self._messages_ms, now_ms - self._orders_ms
        forgotten = await asyncio.to_thread(self._inbox.forget, *before)
        return 0.0 if forgotten >= MOST_AT_ONCE else IDLE_SECONDS
