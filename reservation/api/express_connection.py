"""A connection with an express lane: what is hot and in order is taken past uvicorn's cycle.

What came in whole is offered to the lane (`express`) before anything is made for it; and where its
head was taken before, byte for byte, before it is even parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reservation.api.connection import BoundedHttp
from reservation.api.http_messages import written

if TYPE_CHECKING:
    from reservation.api.express import Express, Taken

# What a hot request begins with, and its first line ends with.
_FIRST: Final = b"POST "
_LAST: Final = b" HTTP/1.1"


class ExpressHttp(BoundedHttp):
    """HTTP/1.1 within its bounds, and the express lane of the application that it serves."""

    _fields: bytes | None = None  # of a request that came in one piece: its head behind line one

    def data_received(self, data: bytes) -> None:
        """Take or parse what has come in."""
        self._fields = None
        super().data_received(data)

    def _is_known(self, data: bytes) -> bool:
        """Offer a request to the express lane unparsed: its head, but for the first line, is known.

        The same bytes, read from the same state, say the same. What is not exactly one such
        request is left to the parser.
        """
        head = data.find(b"\r\n\r\n")
        first = data.find(b"\r\n", 0, head + 2)
        if (
            first < 0
            or not data.startswith(_FIRST)
            or not data.startswith(_LAST, first - len(_LAST))
        ):
            return False
        self._fields = fields = data[first : head + 2]
        express = self._lane()
        known = None if express is None else express.known_heads.get(fields)
        if express is None or known is None or head + 4 + known.body_bytes != len(data):
            return False
        taken = express.take_known(data[len(_FIRST) : first - len(_LAST)], known, data[head + 4 :])
        if taken is None:
            return False
        self._end_head()
        self._begin_taken(taken, keep_alive=not self.server_state.ending)
        return True

    def _lane(self) -> Express | None:
        """Find the express lane where it may take what comes in now."""
        express: Express | None = getattr(self.app, "express", None)
        if (
            self.root_path
            or self.flow.write_paused
            or (self.cycle is not None and not self.cycle.response_complete)
        ):
            return None
        return express

    def _is_taken(self, head: dict[str, Any]) -> bool:
        """Offer a request that is here as a whole to the express lane, where it comes at once."""
        express = self._lane()
        if express is None or head["method"] != "POST":
            return False
        # Of a request in one piece whose connection is kept, the head may be known from now on.
        fields = self._fields if self._keep_alive else None
        taken = express.take(self.url, head, bytes(self._held_body), fields)
        if taken is None:
            return False
        self._held = None
        self._begin_taken(taken, keep_alive=self._keep_alive)
        return True

    def _begin_taken(self, taken: Taken, *, keep_alive: bool) -> None:
        taken.keep_alive, taken.send = keep_alive, self._answer
        self._previous, self.cycle = self.cycle, taken  # type: ignore[assignment]
        self.tasks.add(taken)  # type: ignore[arg-type]  # the server waits for it when it ends

    def _answer(self, taken: Taken, status: int, fields: bytes, body: bytes) -> None:
        """Send the answer to a request on the express lane."""
        self.tasks.discard(taken)
        if taken.disconnected or self.transport.is_closing():
            return  # nobody is there to read it
        common, keep_alive = self.server_state.default_headers, taken.keep_alive
        self.transport.write(written(status, common, fields, body, keep_alive=keep_alive))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()
