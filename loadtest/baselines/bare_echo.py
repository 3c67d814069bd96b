"""Baseline, frozen: a bare ASGI application that parses the body and answers a constant."""

from __future__ import annotations

from typing import Any

import orjson

ANSWER = orjson.dumps(
    {
        "reservation_id": "tmall:00000000000000",
        "channel": "tmall",
        "state": "held",
        "lines": [{"sku": "SKU0000000", "warehouse": "main", "quantity": 1, "fulfilled": 0}],
        "created_at": "2026-01-22T10:00:00.123Z",
        "expires_at": "2026-01-22T10:30:00.123Z",
    }
)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the same 201."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    orjson.loads(body)
    await send({"type": "http.response.start", "status": 201, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
