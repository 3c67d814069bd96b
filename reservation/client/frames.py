"""Server-Sent Events taken from bytes as they come: what a blank line ends is an event. No I/O.

By hand, as httpx-sse would save these lines, split them where a text has U+2028, and leave all that
is hard to us: to go on behind the last id, to give up a silent connection. Source: WHATWG HTML,
section "Interpreting an event stream".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct, ValidationError

# A carriage return at the end may be half of a line's end: what comes next tells.
_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
# An event of an order of 1,000 lines has some hundred kilobytes.
MAX_EVENT_BYTES: Final = 16 << 20


class Frame(Struct, frozen=True):
    """One event of a stream: its name ("" for most), data and id, None where it names none."""

    name: str
    data: bytes
    event_id: str | None


class Frames:
    """The events of one connection; what it leaves unfinished is dropped with it."""

    def __init__(self) -> None:
        self._rest = b""
        self._bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._name = ""
        self._data: list[bytes] = []
        self._event_id: str | None = None
        self._bytes = 0

    def take(self, chunk: bytes) -> Iterator[Frame]:
        """Take in what came and give each event that it completes.

        Raises ValidationError where one never ends, UnicodeDecodeError for what is no text.
        """
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        for line in lines:
            if line:
                self._read(line)
            else:
                yield from self._end()
        if self._bytes + len(self._rest) > MAX_EVENT_BYTES:
            raise ValidationError(f"an event has more than {MAX_EVENT_BYTES} bytes")

    def _read(self, line: bytes) -> None:
        """Read one line; a comment (a field without a name) and unknown fields say nothing."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self._bytes += len(line)
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode()
        elif field == b"id":
            self._event_id = value.decode()

    def _end(self) -> Iterator[Frame]:
        if self._data or self._event_id is not None:
            yield Frame(self._name, b"\n".join(self._data), self._event_id)
        self._begin()
