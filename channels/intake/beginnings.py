"""Notes since when the orders of channels are moved here: since Holdfast first ran with them."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import structlog

from channels.intake.inbox import Inbox, InboxUnavailable, inbox_path

if TYPE_CHECKING:
    from reservation.config import Settings

# What was placed so shortly before a channel began had not left by then: platforms count in seconds
# by clocks of their own.
BEGINS_BEFORE_MS: Final = 60_000

log = structlog.get_logger(__name__)


def note_beginnings(settings: Settings) -> None:
    """Note it for each channel, once for good, before anything of it is taken.

    Not left to who moves orders: he may come up late, and what was placed since may have left by
    then. Where the file cannot be used now, he notes it all the same.
    """
    if not settings.channels:
        return
    began_ms = time.time_ns() // 1_000_000 - BEGINS_BEFORE_MS
    try:
        with contextlib.closing(Inbox(inbox_path(settings.data_dir))) as inbox:
            for channel in settings.channels:
                inbox.begun(channel, began_ms)
    except InboxUnavailable as error:
        log.warning("beginnings_not_noted", reason=str(error))
