"""Requests as bytes, prepared beforehand: orders one by one and in batches, and their release."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import orjson

from loadtest.bench.http_servers import Serving
from loadtest.bench.orders import order_id

# Ids are new in every run of this process.
NUMBERS: Iterator[int] = itertools.count()

CREATED = b"HTTP/1.1 201"
OK = b"HTTP/1.1 200"


def reserves(
    serving: Serving, skus: Sequence[str], numbers: Iterator[int] = NUMBERS
) -> Iterator[bytes]:
    """Make a `POST /v1/reservations` an order of one line."""
    head = _head(serving, "/v1/reservations")
    for sku in skus:
        yield _request(head, _order(sku, next(numbers)))


def batches(
    serving: Serving, skus: Sequence[str], size: int, numbers: Iterator[int] = NUMBERS
) -> Iterator[bytes]:
    """Make a `POST /v1/reservations/batch` for every `size` orders."""
    head = _head(serving, "/v1/reservations/batch")
    for first in range(0, len(skus), size):
        operations = [
            {"op": "reserve", **_order(sku, next(numbers))} for sku in skus[first : first + size]
        ]
        yield _request(head, {"operations": operations})


def releases(serving: Serving, numbers: range) -> Iterator[bytes]:
    """Make a `POST /v1/reservations/{id}/release` for each of the ids with these numbers."""
    for number in numbers:
        yield _request(_head(serving, f"/v1/reservations/{order_id(number)}/release"), {})


def _order(sku: str, number: int) -> dict[str, object]:
    return {"reservation_id": order_id(number), "lines": [{"sku": sku, "quantity": 1}]}


def _head(serving: Serving, path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {serving.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()


def _request(head: bytes, body: dict[str, object]) -> bytes:
    text = orjson.dumps(body)
    return b"%b%d\r\n\r\n%b" % (head, len(text), text)
