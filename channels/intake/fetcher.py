"""The fetcher: takes messages that wait at a platform, and confirms them once they are kept."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from channels.errors import PlatformFault, UnknownWord

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.intake.inbox import Inbox
    from channels.transport import Platform

log = structlog.get_logger(__name__)

EMPTY_SECONDS: Final = 0.5  # before a queue that was empty is asked again
FAULT_SECONDS: Final = 5.0  # before a platform that failed is


class Fetcher:
    """One background loop for one channel whose adapter has a `queue`."""

    def __init__(
        self,
        platform: Platform,
        inbox: Inbox,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._platform = platform
        self._adapter = platform.adapter
        self._channel = platform.adapter.account.channel
        self._inbox = inbox
        self._now_ms = now_ms

    async def round(self) -> float:
        """Fetch, keep and confirm once; returns the seconds until the next time.

        Whoever dies in between gets the same messages again. Raises InboxUnavailable.
        """
        try:
            hints = await self._platform.ask(self._adapter.fetch, self._adapter.read_fetched)
            if not hints:
                return EMPTY_SECONDS
            messages = [(self._channel, hint) for hint in hints]
            await asyncio.to_thread(self._inbox.keep, messages, self._now_ms())
            ids = [hint.message_id for hint in hints]
            await self._platform.ask(
                lambda at: self._adapter.confirm_fetched(ids, at), self._adapter.read_done
            )
        except (PlatformFault, UnknownWord) as fault:
            log.warning("fetch_put_off", channel=self._channel, why=str(fault))
            after = fault.after_seconds if isinstance(fault, PlatformFault) else None
            return max(FAULT_SECONDS, after or 0.0)
        return 0.0
