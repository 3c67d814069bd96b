"""The places for streams in a process: events and boards share them, and each has its end."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from reservation.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

EVENT_STREAM: Final = b"text/event-stream"
# A proxy that buffers would keep events back.
UNBUFFERED: Final = ((b"x-accel-buffering", b"no"),)
RETRY_MS: Final = 1_000  # after which a browser connects again
MAX_STREAMS: Final = 256  # a process; boards and feeds, not shoppers
MAX_STREAMS_OF_A_KEY: Final = 64  # a gateway that loses its streams must not close the board


GZIPPED: Final = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
# The least effort already takes a board of 10,000 levels from 2.3 MB to 65 kB, in 15 ms.
_GZIP_LEVEL: Final = 1
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_NEVER: Final = re.compile(rb"q=0(\.0*)?")


def takes_gzip(accepted: bytes) -> bool:
    """Say whether an Accept-Encoding header takes gzip; without one nobody is sent any."""
    for coding in accepted.lower().split(b","):
        name, _, weight = coding.replace(b" ", b"").partition(b";")
        if name == b"gzip":
            return not _NEVER.fullmatch(weight)
    return False


async def gzipped(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Compress a stream so that each piece can be read as soon as it is there."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield compressor.flush()


class Places:
    """Count the streams that are open, or about to be."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()  # by key

    @contextlib.contextmanager
    def taken(self, key_id: str) -> Iterator[None]:
        """Hold a place, from before the first wait until the stream has ended, whichever way.

        Raises Overloaded where all are taken, or all that one key may take.
        """
        if self._taken.total() >= MAX_STREAMS:
            raise Overloaded(f"{MAX_STREAMS} streams are open already")
        if self._taken[key_id] >= MAX_STREAMS_OF_A_KEY:
            raise Overloaded(f"{MAX_STREAMS_OF_A_KEY} streams of this key are open: close some")
        self._taken[key_id] += 1
        try:
            yield
        finally:
            self._taken[key_id] -= 1
            if not self._taken[key_id]:
                del self._taken[key_id]
