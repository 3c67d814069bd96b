"""The fetcher: takes messages that wait at a platform, and confirms them once they are kept."""

from __future__ import annotations

import asyncio
from typing import Final

from channels.intake.anomalies import tell_unread
from channels.intake.asking import FAULTS, Asking

EMPTY_SECONDS: Final = 0.5  # before a queue that was empty is asked again
# Before one that had few is: two calls and a transaction for a message or two would be a waste.
FEW: Final = 20
FEW_SECONDS: Final = 0.05
FAULT_SECONDS: Final = 5.0  # before a platform that failed is


class Fetcher(Asking):
    """One background loop for one channel whose adapter has a `queue`."""

    async def round(self) -> float:
        """Fetch, keep and confirm once; returns the seconds until the next time.

        Whoever dies in between gets the same messages again. Raises InboxUnavailable.
        """
        try:
            hints = await self._platform.ask(self._adapter.fetch, self._adapter.read_fetched)
            if not hints:
                self._known("fetch", self._now_ms())
                return EMPTY_SECONDS
            messages = [(self._channel, hint) for hint in hints]
            await asyncio.to_thread(self._inbox.keep, messages, self._now_ms())
            tell_unread(self._channel, hints)
            ids = [hint.message_id for hint in hints]
            await self._platform.ask(
                lambda at: self._adapter.confirm_fetched(ids, at), self._adapter.read_done
            )
        except FAULTS as fault:
            return self._put_off("fetch", fault, FAULT_SECONDS)
        self._known("fetch", self._now_ms())
        return 0.0 if len(hints) >= FEW else FEW_SECONDS
