"""Calls of scripts, repeated where that is safe, and while the store answers MORE."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from reservation import metrics
from reservation.config import Settings
from reservation.errors import ScriptBug, StoreLoading, StoreUnavailable
from reservation.status import Status
from reservation.store.link import Link

MAX_ATTEMPTS = 5  # sends of one call whose answer was lost
FIRST_PAUSE_SECONDS = 0.02  # before the second send, doubled before each further one


class RetryingLink:
    """A link whose calls are sent until they are answered, as often and as long as may be."""

    def __init__(self, link: Link, settings: Settings) -> None:
        self._link = link
        self._timeout_seconds = settings.request_timeout_ms / 1000
        self._reclaiming: dict[int, asyncio.Lock] = {}

    async def call(
        self,
        script: str,
        arguments: list[Any],
        *,
        partition: int = 0,
        deadline: float | None = None,
        repeatable: bool = True,
    ) -> list[Any]:
        """Call a script, again where its answer was lost and it is safe, and while it says MORE.

        `deadline` is in the loop's time; `repeatable` False means that a second effect would be
        one too many. Returns the script's answer.
        """
        loop = asyncio.get_running_loop()
        if deadline is None:
            deadline = loop.time() + self._timeout_seconds
        again = partial(
            self._attempt, script, partition, arguments, deadline, repeatable=repeatable
        )
        reply, lost = await again(lost=False)
        if len(reply) == 3 and reply[2] == Status.MORE:
            lock = self._reclaiming.setdefault(partition, asyncio.Lock())
            async with lock:
                while len(reply) == 3 and reply[2] == Status.MORE:
                    metrics.MORE_REPEATS.inc()
                    if loop.time() >= deadline:
                        detail = "overdue holds are still being reclaimed"
                        raise StoreUnavailable(detail, effect="unknown" if lost else "not_applied")
                    reply, lost = await again(lost=lost)
        return reply

    async def _attempt(
        self,
        script: str,
        partition: int,
        arguments: list[Any],
        deadline: float,
        *,
        repeatable: bool,
        lost: bool,
    ) -> tuple[list[Any], bool]:
        """Send a call until it is answered; say whether an answer to it was ever `lost`."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                reply = await self._link.call(script, partition, arguments)
                if not isinstance(reply, list) or len(reply) < 2:
                    message = f"{script}: the answer has no shape: {str(reply)[:80]}"
                    raise ScriptBug(message)
                return reply, lost
            except StoreUnavailable as error:
                lost = lost or error.effect == "unknown"
                again = error.effect == "not_applied" or repeatable
                last = attempt == MAX_ATTEMPTS or loop.time() + pause >= deadline
                if isinstance(error, StoreLoading) and not lost:
                    raise
                if last or not again or isinstance(error, StoreLoading):
                    effect = "unknown" if lost else "not_applied"
                    raise StoreUnavailable(str(error), effect=effect) from error  # type: ignore[arg-type]
                await asyncio.sleep(pause)
                pause *= 2
        raise AssertionError  # the loop above returns or raises
