"""Messages that platforms push: verified over their raw bytes, kept on disk, then acknowledged.

No key of ours opens this door: the platform's own signature does. Who has none learns nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from channels.intake.anomalies import tell_unread
from channels.intake.inbox import Inbox, InboxUnavailable, inbox_path
from channels.model import Hint
from channels.registry import adapter_of
from partners.door import answer_of, push_of
from partners.errors import MessageRefused
from partners.recorder import Busy, LateRecorder
from reservation import metrics
from reservation.api.exchange import OK
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Problem, Refused, Slug

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from channels.adapter import Adapter
    from reservation.api.exchange import Answer
    from reservation.api.pipeline import Call
    from reservation.config import Settings

log = structlog.get_logger(__name__)

PATH: Final = "/v1/channels/{channel}/messages"
PATIENCE: Final = 0.8  # of the time that a platform waits, for keeping what it says


class Messages:
    """The door for all channels that the settings name. `now_ms` is the wall clock."""

    def __init__(
        self,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._adapters = {name: adapter_of(name, shop) for name, shop in settings.channels.items()}
        path = inbox_path(settings.data_dir)
        self._recorder = LateRecorder[tuple[str, Hint]](lambda: Inbox(path), now_ms)
        self._limit = settings.max_body_bytes
        self._now_ms = now_ms

    async def take(self, call: Call) -> Answer:
        """Take what a platform tells.

        Its own signature admits it, and no key of ours. The answer is in the platform's words; it
        comes once the message is kept for good.
        """
        channel = call.exchange.parameters["channel"]
        adapter = self._adapters.get(channel)
        if adapter is None:
            raise Refused(
                Problem(Slug.NOT_FOUND, "There is no channel of this name that takes messages.")
            )
        try:
            hints = adapter.read_push(push_of(call), self._now_ms())
        except MessageRefused as why:
            _count(channel, why.reason)
            log.warning("message_refused", channel=channel, reason=why.reason, why=str(why))
            return answer_of(adapter.refuse(why))
        try:
            await self._keep(adapter, channel, hints)
        except (Busy, InboxUnavailable, TimeoutError) as error:
            _count(channel, "put_off")
            log.warning("message_put_off", channel=channel, why=str(error) or type(error).__name__)
            return answer_of(adapter.later())
        _count(channel, "kept", len(hints))
        tell_unread(channel, hints)
        return answer_of(adapter.acknowledge())

    async def _keep(self, adapter: Adapter, channel: str, hints: Sequence[Hint]) -> None:
        if not hints:
            return  # a probe
        told = [(channel, hint) for hint in hints]
        await self._recorder.keep(told, adapter.answer_seconds * PATIENCE)

    async def close(self) -> None:
        """Keep what has been taken, and close the file."""
        await self._recorder.close()

    def endpoints(self) -> dict[str, dict[str, Endpoint]]:
        """Name the door by path and method."""
        told = Documented(
            "take_message",
            "channels",
            {OK: (None, "The platform's own words for 'taken'.")},
            (Slug.NOT_FOUND,),
        )
        body = BodyRule(None, self._limit)
        return {PATH: {"POST": Endpoint(self.take, None, body, told, hot=True)}}


def _count(channel: str, outcome: str, messages: int = 1) -> None:
    metrics.CHANNEL_MESSAGES.labels(channel=channel, outcome=outcome).inc(messages)
