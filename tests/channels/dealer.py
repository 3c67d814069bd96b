"""Messages of a dealer as tests make them, signed without the library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from channels.adapter import Account
from channels.distributor import Distributor
from channels.model import Hint, PlatformOrder
from partners.model import Push, Response

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NEVER = "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmch"
NOW = 1769047205  # 2026-01-22T10:00:05+08:00, in seconds
NOW_MS = NOW * 1000
DAY = NOW_MS - NOW_MS % 86_400_000  # midnight UTC
URL = "https://dealer.example.com/holdfast"


def dealer(*secrets: str, **options: str) -> Distributor:
    return Distributor(
        Account(channel="dealer-hz", url=URL, secrets=secrets or (SECRET,), options=options)
    )


def sign(secret: str, message_id: str, time: str, body: bytes) -> str:
    """Sign without the library."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{message_id}.{time}.".encode("utf-8", "surrogatepass") + body
    return f"v1,{base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()}"


def push(body: bytes | dict[str, Any], *, secret: str = SECRET, **headers: str) -> Push:
    """Return a push that is signed now; `headers` (with underscores) stand instead of its own."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    stated = {name.replace("_", "-"): value for name, value in headers.items()}
    message_id = stated.get("webhook-id", "msg_1")
    time = stated.get("webhook-timestamp", str(NOW))
    own = {
        "webhook-id": message_id,
        "webhook-timestamp": time,
        "webhook-signature": sign(secret, message_id, time, content),
    }
    return Push(content, {**own, **stated})


def order(**members: Any) -> dict[str, Any]:
    """Return a message about an order; members that are None are left out."""
    document = {
        "order_no": "7",
        "status": "paid",
        "created_at": "2026-01-22T09:58:30+08:00",
        "updated_at": "2026-01-22T10:00:00+08:00",
        "lines": [{"line_no": 1, "sku": "A", "quantity": 2}],
        **members,
    }
    data = {name: value for name, value in document.items() if value is not None}
    return {"type": "order.updated", "timestamp": "2026-01-22T02:00:00Z", "data": data}


def line(**members: Any) -> list[dict[str, Any]]:
    return [{"line_no": 1, "sku": "A", "quantity": 2, **members}]


def read(body: bytes | dict[str, Any], **headers: str) -> Hint:
    (hint,) = dealer().read_push(push(body, **headers), NOW_MS)
    return hint


def order_of(body: dict[str, Any]) -> PlatformOrder:
    hint = read(body)
    assert hint.order is not None
    assert hint.unknown == ""
    return hint.order


def answer(document: Any, status: int = 200, **headers: str) -> Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, body, headers)


EVENT = {"specversion": "1.0", "type": "dealer.ping", "source": "/", "id": "1"}
