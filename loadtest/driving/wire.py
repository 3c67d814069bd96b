"""Verbs as HTTP requests, and answers as values. No I/O but `send`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import gevent
import msgspec
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from msgspec import Struct

from loadtest.workload.plan import Lines

Lost = Literal["thrown_away", "timed_out", "reset"]

JSON = {"Content-Type": "application/json"}
SAYS_LATER = frozenset({429, 503})  # the same request again is right, and safe


class Request(NamedTuple):
    """A request as it is sent."""

    method: str
    path: str
    body: bytes = b""


METRICS = Request("GET", "/metrics")


class Answer(Struct, frozen=True):
    """What came of a request; without a status nothing came, or nobody looked at it."""

    status: int | None
    content: bytes = b""
    replayed: bool = False
    retry_after: float = 0.0  # seconds
    lost: Lost | None = None

    @property
    def granted(self) -> bool:
        """Say whether it was done, now or before."""
        return self.status in {200, 201}

    @property
    def may_be_sent_again(self) -> bool:
        """Say whether the same request again is what a client does next."""
        return self.status is None or self.status in SAYS_LATER


class Line(Struct):
    """A line of a reservation, or of a refusal."""

    sku: str
    warehouse: str
    quantity: int = 0
    fulfilled: int = 0
    requested: int = 0
    available: int = 0


class Told(Struct):
    """The members that we read of an answer about one reservation, granted or refused."""

    type: str = ""
    state: str | None = None
    expires_at: datetime | None = None
    outcome: Literal["not_applied", "unknown"] | None = None

    @property
    def slug(self) -> str | None:
        """Name the refusal."""
        return self.type.rpartition("/")[2] or None

    @property
    def expires_at_us(self) -> int | None:
        """Give the deadline in the history's unit."""
        return None if self.expires_at is None else round(self.expires_at.timestamp() * 1_000_000)


class ToldWithLines(Told):
    """The same with its lines, which only refusals for stock and reads need."""

    lines: tuple[Line, ...] = ()


class _Line(Struct):
    sku: str
    quantity: int


class _Reserve(Struct, omit_defaults=True):
    reservation_id: str
    lines: list[_Line]
    ttl_seconds: int
    confirm: bool = False


class _Confirm(Struct, omit_defaults=True):
    if_expired: str = "refuse"


_encode = msgspec.json.Encoder().encode
_told = msgspec.json.Decoder(Told).decode
_told_with_lines = msgspec.json.Decoder(ToldWithLines).decode
_CONFLICT = 409


def told(answer: Answer, *, with_lines: bool = False) -> Told:
    """Read an answer's body; one that is none of ours (a proxy's) says nothing."""
    try:
        if with_lines or answer.status == _CONFLICT:
            return _told_with_lines(answer.content)
        return _told(answer.content)
    except msgspec.DecodeError:
        return Told()


def reserve(reservation_id: str, lines: Lines, ttl_seconds: int, *, confirm: bool) -> Request:
    """Ask for a hold."""
    asked = [_Line(sku, quantity) for sku, quantity in lines]
    body = _encode(_Reserve(reservation_id, asked, ttl_seconds, confirm))
    return Request("POST", "/v1/reservations", body)


def verb(
    name: str, reservation_id: str, *, reinstate: bool = False, ttl_seconds: int = 0
) -> Request:
    """Move a reservation on: confirm, release, extend, fulfil all."""
    body: Any = {}
    if reinstate:
        body = _Confirm("reinstate")
    elif ttl_seconds:
        body = {"ttl_seconds": ttl_seconds}
    return Request("POST", f"/v1/reservations/{quote(reservation_id)}/{name}", _encode(body))


def read(reservation_id: str) -> Request:
    """Read a reservation."""
    return Request("GET", f"/v1/reservations/{quote(reservation_id)}")


def look(skus: tuple[str, ...]) -> Request:
    """Ask what may still be sold."""
    return Request("GET", "/v1/availability?" + "&".join(f"sku={quote(sku, '')}" for sku in skus))


def stock(sku: str) -> Request:
    """Read the levels of a SKU."""
    return Request("GET", f"/v1/stock/{quote(sku, '')}")


def send(client: HTTPClient, request: Request) -> Answer:
    """Send once and wait for the whole answer, as long as the client's timeouts say."""
    try:
        headers = JSON if request.body else None
        response = client.request(request.method, request.path, request.body, headers)
        content = response.read()
    except (TimeoutError, gevent.Timeout):
        return Answer(None, lost="timed_out")
    except (OSError, HTTPConnectionClosed, HTTPParseError):
        return Answer(None, lost="reset")
    again = response.get("retry-after")
    return Answer(
        response.status_code,
        bytes(content),
        replayed=response.get("idempotent-replayed") == "true",
        retry_after=float(again) if isinstance(again, str) and again.isdigit() else 0.0,
    )
