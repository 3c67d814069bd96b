"""What the loops have in common that ask one channel's platform, and keep what it answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from partners.errors import PartnerFault, UnknownWord
from reservation import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.intake.inbox import Inbox
    from channels.transport import Platform

log = structlog.get_logger(__name__)

FAULTS = (PartnerFault, UnknownWord)


class Asking:
    """A background loop for one channel. `now_ms` is the wall clock."""

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
        self._known_ms = now_ms()  # until when all that there is to ask for is known

    def _known(self, job: str, until_ms: int) -> None:
        """Tell until when all is known: who watches sees when that stands still."""
        self._known_ms = until_ms
        metrics.CHANNEL_ASKED.labels(channel=self._channel, job=job).set(until_ms / 1000)

    def _put_off(self, job: str, fault: PartnerFault | UnknownWord, seconds: float) -> float:
        """Say that it did not go; returns for how long to leave the platform alone at least."""
        self._known(job, self._known_ms)
        log.warning("asking_put_off", job=job, channel=self._channel, why=str(fault))
        after = fault.after_seconds if isinstance(fault, PartnerFault) else None
        return max(seconds, after or 0.0)
