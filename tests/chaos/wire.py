"""One HTTP/1.1 connection, bare: what was sent when, what came back, and nothing hidden.

A pooling client would retry, reconnect and reorder behind our back; here every byte is ours.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

ANSWER_SECONDS = 20.0  # above the service's own deadline: it must answer by itself

_request_ids = itertools.count(1)


class Lost(Exception):
    """The connection ended before the answer: nobody knows what became of the request."""


class Crossed(AssertionError):
    """An answer came to somebody else's request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, with the times (monotonic, s) at which we sent and had received."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: float
    received: float

    @property
    def value(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        """Name the problem that the answer is."""
        return str(self.value["type"]).rpartition("/")[2]

    @property
    def replayed(self) -> bool:
        """Say whether the service says that it had done this before."""
        return self.headers.get("idempotent-replayed") == "true"


def request_bytes(
    method: str,
    path: str,
    token: str,
    body: object = None,
    *,
    request_id: str | None = None,
    content_type: str = "application/json",
) -> bytes:
    """Write a request as it goes over the wire; `body` is JSON, or bytes as they are."""
    content = b"" if body is None else body if isinstance(body, bytes) else _json(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: holdfast\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    )
    if request_id is not None:
        head += f"X-Request-Id: {request_id}\r\n"
    return head.encode() + b"\r\n" + content


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Wire:
    """A connection that is kept open; one request at a time."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._place = (host, port)
        self._token = token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    async def connect(self) -> None:
        """Open the connection, anew where there was one."""
        self.close()
        self._reader, self._writer = await asyncio.open_connection(*self._place)

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None

    async def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> Answer:
        """Send a request and read its answer, which must carry our request id.

        Raises Lost, and Crossed where the answer is another request's.
        """
        request_id = f"r{next(_request_ids)}"
        packed = request_bytes(
            method, path, self._token, body, request_id=request_id, content_type=content_type
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._writer is None:
                    await self.connect()
                answer = await self._exchange(packed)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Lost(f"{method} {path}: {error!r}") from error
        if answer.headers.get("x-request-id") != request_id:
            message = f"{method} {path}, {request_id}: {answer}"
            raise Crossed(message)
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    async def _exchange(self, packed: bytes) -> Answer:
        assert self._reader is not None
        assert self._writer is not None
        sent = time.monotonic()
        self._writer.write(packed)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        content = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), headers, content, sent, time.monotonic())

    # -- what the suites ask ---------------------------------------------------------------------

    async def reserve(self, reservation_id: str, sku: str, quantity: int, **more: Any) -> Answer:
        """Ask for units of one SKU."""
        body = {
            "reservation_id": reservation_id,
            "lines": [{"sku": sku, "quantity": quantity}],
            **more,
        }
        return await self.request("POST", "/v1/reservations", body)

    async def move(self, reservation_id: str, verb: str, **body: Any) -> Answer:
        """Confirm, release, extend or fulfil."""
        return await self.request("POST", f"/v1/reservations/{reservation_id}/{verb}", body)

    async def state(self, reservation_id: str) -> str | None:
        """Read where a reservation is; None where it is unknown."""
        answer = await self.request("GET", f"/v1/reservations/{reservation_id}")
        assert answer.status in {200, 404}, answer
        return str(answer.value["state"]) if answer.status == 200 else None

    async def level(self, sku: str) -> dict[str, Any]:
        """Read the balances of a SKU that has one warehouse."""
        answer = await self.request("GET", f"/v1/stock/{sku}")
        assert answer.status == 200, answer
        (level,) = answer.value["warehouses"]
        return dict(level)

    async def count(self, stock: dict[str, int]) -> None:
        """Set what is on hand of many SKUs."""
        rows = "".join(f"{sku},,{on_hand},\n" for sku, on_hand in stock.items())
        table = f"sku,warehouse,on_hand,safety_stock\n{rows}".encode()
        answer = await self.request("POST", "/v1/stock/import", table, content_type="text/csv")
        assert answer.status == 200, answer
        assert answer.value["applied"], answer
