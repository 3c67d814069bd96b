"""What passes between a partner's system and ours over HTTP, either way. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Push:
    """A request that a partner has sent us, byte for byte; names of headers in lower case."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""  # as it came, without the question mark


@dataclass(frozen=True, slots=True)
class Reply:
    """What a push is answered."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """A call of ours to a partner. No secret is in `url` but what the partner wants there."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What a partner has answered; names of headers in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
