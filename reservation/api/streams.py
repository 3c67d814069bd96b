"""The places for streams in a process: events and boards share them, and each has its end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reservation.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT_STREAM: Final = b"text/event-stream"
# A proxy that buffers would keep events back.
UNBUFFERED: Final = ((b"x-accel-buffering", b"no"),)
RETRY_MS: Final = 1_000  # after which a browser connects again
MAX_STREAMS: Final = 256  # a process; boards and feeds, not shoppers


class Places:
    """Count the streams that are open, or about to be."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place, from before the first wait until the stream has ended, whichever way.

        Raises Overloaded where all are taken.
        """
        if self._taken >= MAX_STREAMS:
            raise Overloaded(f"{MAX_STREAMS} streams are open already")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
