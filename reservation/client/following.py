"""Following the stream of events over connections that end: where to go on, how long to wait.

Without I/O, so that both clients follow alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from reservation.client import answers
from reservation.client.answers import TOO_MANY_REQUESTS, Reply
from reservation.client.conversation import SERVER_ERROR
from reservation.client.errors import Unavailable
from reservation.client.frames import Frame, Frames
from reservation.client.results import Event, Reset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reservation.client.conversation import Retry

PATH: Final = "/v1/events"
# The service says something every 15 s: who has heard nothing for so long has lost the connection.
SILENT_SECONDS: Final = 40.0
OK: Final = 200
LOST: Final = (msgspec.MsgspecError, UnicodeDecodeError)  # what came is no event


class _Oldest(Struct, frozen=True):
    oldest: str


class Following:
    """One follower: what it has heard, over all its connections."""

    def __init__(self, after: str | None, retry: Retry) -> None:
        self._after = after
        self._retry = retry
        self._failures = 0  # connections in a row that told nothing
        self._wait_seconds = 0
        self._frames = Frames()

    def headers(self) -> dict[str, str]:
        """Name the headers of the next connection, which begins with them."""
        self._frames = Frames()
        self._failures += 1
        self._wait_seconds = 0
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        return headers if self._after is None else {**headers, "last-event-id": self._after}

    def heard(self, chunk: bytes) -> Iterator[Event | Reset]:
        """Take in what came; an event that is not complete is not told.

        Raises one of LOST where it is no stream of events.
        """
        for frame in self._frames.take(chunk):
            self._failures = 0
            told = _told(frame)
            if frame.event_id is not None:
                self._after = frame.event_id
            if told is not None:
                yield told

    def refused(self, reply: Reply) -> None:
        """Take an answer that is no stream: "not now" is waited for.

        Raises Refused where the service said no, and Unavailable where it is not the service.
        """
        problem = answers.problem_of(reply)
        if reply.status == TOO_MANY_REQUESTS or reply.status >= SERVER_ERROR:
            self._wait_seconds = reply.retry_after_seconds or 0
            return
        if problem is None:
            kind = reply.headers.get("content-type", "no content type")
            detail = f"status {reply.status}, {kind}, is no stream of Holdfast"
            raise Unavailable(detail, status=reply.status)
        raise answers.refusal(problem)

    def pause_seconds(self) -> float:
        """Say how long to wait before the next connection; it tries for as long as one listens."""
        return self._retry.pause_seconds(max(1, self._failures), self._wait_seconds)


def _told(frame: Frame) -> Event | Reset | None:
    if frame.name == "reset":
        return Reset(oldest=msgspec.json.decode(frame.data, type=_Oldest).oldest)
    if frame.name or not frame.data:  # a name of a newer service; an id alone says where it begins
        return None
    return msgspec.json.decode(frame.data, type=Event)
