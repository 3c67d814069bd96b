"""HTTP/1.1 as text: what a target says, and heads and answers written. Pure but for request ids."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson
from httptools import HttpParserError, parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reservation.api.problems import Problem

# A target that is a path and nothing else, of characters that stand for themselves (RFC 3986).
_PLAIN_PATH: Final = re.compile(rb"/[A-Za-z0-9._~:@!$&'()*+,;=%/-]*")


def scope_of(target: bytes, root_path: str) -> dict[str, Any]:
    """Write what a request's target says, as a scope of ASGI has it.

    Raises HttpParserError where it says nothing.
    """
    raw_path, query = target, b""
    if not _PLAIN_PATH.fullmatch(target):
        url = parse_url(target)
        if url.path is None:
            message = "a target without a path"
            raise HttpParserError(message)
        raw_path, query = url.path, url.query or b""
    path = raw_path.decode("ascii")
    return {
        "type": "http",
        "root_path": root_path,
        "path": root_path + (unquote(path) if "%" in path else path),
        "raw_path": root_path.encode("ascii") + raw_path,
        "query_string": query,
    }


def request_head(
    method: bytes, target: bytes, version: str, fields: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Write the head of a request."""
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    lines += [b"%s: %s" % field for field in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def written(
    status: int,
    common: Iterable[tuple[bytes, bytes]],
    fields: bytes,
    body: bytes,
    *,
    keep_alive: bool,
) -> bytes:
    """Write an answer whole; `fields` are its header fields beside those that all answers have."""
    parts = [STATUS_LINE[status]]
    for name, value in common:
        parts += (name, b": ", value, b"\r\n")
    parts += (fields, b"\r\n" if keep_alive else b"connection: close\r\n\r\n", body)
    return b"".join(parts)


def refused(problem: Problem) -> bytes:
    """Write the refusal of what is not handed to anybody; it ends its connection."""
    request_id = os.urandom(10).hex()
    body = orjson.dumps(problem.document(request_id))
    fields = b"".join(b"%s: %s\r\n" % field for field in problem.headers)
    phrase = b"400 Bad Request" if problem.status == 400 else b"503 Service Unavailable"
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
        b"x-request-id: %s\r\n%sconnection: close\r\n\r\n"
        % (phrase, len(body), request_id.encode(), fields)
    ) + body
