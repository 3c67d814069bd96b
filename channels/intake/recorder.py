"""Keeps what several requests bring in one transaction: one sync of the disk serves them all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from channels.intake.inbox import Inbox
    from channels.model import Hint

MOST_WAITING: Final = 10_000  # messages; beyond them a platform is asked to send again


class Busy(Exception):
    """More messages wait than should: nothing of this one is kept."""


class Recorder:
    """Group commit in front of an inbox. While one transaction runs the next one gathers."""

    def __init__(self, inbox: Inbox, now_ms: Callable[[], int]) -> None:
        self._inbox = inbox
        self._now_ms = now_ms
        self._waiting: list[tuple[str, Hint]] = []
        self._kept: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, channel: str, hints: Sequence[Hint]) -> None:
        """Return when the messages are on the disk. Raises Busy and InboxUnavailable.

        A caller that goes away meanwhile changes nothing: they are kept all the same.
        """
        if len(self._waiting) + len(hints) > MOST_WAITING:
            raise Busy
        self._waiting += [(channel, hint) for hint in hints]
        if self._kept is None:
            self._kept = asyncio.get_running_loop().create_future()
            # Asked of or not, its fault is told: nobody may be there to hear of it.
            self._kept.add_done_callback(lambda kept: kept.cancelled() or kept.exception())
        kept = self._kept
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="recorder")
        await asyncio.shield(kept)

    async def _write(self) -> None:
        while self._kept is not None:
            messages, self._waiting = self._waiting, []
            kept, self._kept = self._kept, None
            try:
                await asyncio.to_thread(self._inbox.keep, messages, self._now_ms())
            except Exception as error:  # noqa: BLE001 (it is raised where they wait for it)
                kept.set_exception(error)
            else:
                kept.set_result(None)
        self._writing = None

    async def drain(self) -> None:
        """Wait until nothing is left to keep."""
        while self._writing is not None:
            await asyncio.wait({self._writing})
