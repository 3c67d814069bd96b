"""Lines to a stream: what is said during one turn of the event loop is written together.

A write for each access line would cost as much as half of a hot request. A warning, or worse, is
written at once, behind what was said before it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from typing import Any


class Lines:
    """What structlog writes a process's lines to. `stream` is a text file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._turn = threading.Lock()
        self._scheduled_in: asyncio.AbstractEventLoop | None = None
        atexit.register(self.write)

    def soon(self, line: str) -> None:
        """Write a line at the end of this turn of the loop; at once where no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.now(line)
            return
        with self._turn:
            self._lines.append(line)
        if self._scheduled_in is not loop:  # another one has ended before it came to writing
            self._scheduled_in = loop
            loop.call_soon(self._end_turn)

    def now(self, line: str) -> None:
        """Write a line, and all before it."""
        with self._turn:
            self._lines.append(line)
        self.write()

    def write(self) -> None:
        """Write all lines that wait."""
        with self._turn:
            lines, self._lines = self._lines, []
            # Whoever logs goes on where there is no room for it any more, or nobody who reads it.
            with contextlib.suppress(OSError, ValueError):
                if lines:
                    self._stream.write("\n".join(lines) + "\n")
                    self._stream.flush()

    def _end_turn(self) -> None:
        self._scheduled_in = None
        self.write()

    # The names by which structlog writes.
    msg = log = debug = info = soon
    warn = warning = error = err = exception = critical = fatal = failure = now
