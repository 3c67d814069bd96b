"""One request and its answer inside a connection, as uvicorn has them, or each in one piece.

The messages of ASGI cost as much as all else that a small request costs. Where a body came with its
head, and an answer is complete, both are handed over by a call (`exchange.Whole`); the messages
remain for everything else, and for other servers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from reservation.api.exchange import WHOLE
from reservation.api.http_messages import written

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Cycle(RequestResponseCycle):
    """uvicorn's, with the extension `exchange.Whole`."""

    @classmethod
    def begun(
        cls, connection: HttpToolsProtocol, head: dict[str, Any], *, keep_alive: bool
    ) -> Self:
        """Begin a request of a connection; `head` is what a scope says of it by itself."""
        scope: Any = head | {
            "server": connection.server,
            "client": connection.client,
            "scheme": connection.scheme,
            "asgi": {"version": connection.asgi_version, "spec_version": "2.3"},
            "state": connection.app_state.copy(),
        }
        cycle = cls(
            scope=scope,
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.access_logger,
            access_log=False,
            default_headers=connection.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=connection.expect_100_continue,
            keep_alive=keep_alive,
            on_response=connection.on_response_complete,
        )
        scope["extensions"] = {WHOLE: cycle}
        return cycle

    def whole_body(self) -> bytes | None:
        """Show the body where it has all come in; as a message it may still be received."""
        if self.more_body or self.disconnected or self.waiting_for_100_continue:
            return None
        self.flow.resume_reading()  # as when it is received: what comes behind may be its end
        return bytes(self.body)

    def whole_answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Send an answer, unless its client must first read what was sent before."""
        if self.disconnected:
            return True  # nobody is there to read it
        if self.response_started or self.flow.write_paused:
            return False
        self.response_started = self.response_complete = True
        common, keep_alive = self.default_headers, self.keep_alive
        self.transport.write(written(status, common, fields, body, keep_alive=keep_alive))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True
