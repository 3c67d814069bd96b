"""HTTP/1.1 as text: targets read as a scope has them, heads and answers written."""

from __future__ import annotations

import pytest
from httptools import HttpParserError

from reservation.api.http_messages import refused, request_head, scope_of, written
from reservation.api.problems import Problem, Slug, retry_after


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/v1/stock", "/v1/stock", b"/v1/stock", b""),
        (b"/v1/a%3Ab", "/v1/a:b", b"/v1/a%3Ab", b""),
        (b"/v1/%e7%8c%ab", "/v1/\u732b", b"/v1/%e7%8c%ab", b""),
        (b"/v1/stock?sku=a%20b", "/v1/stock", b"/v1/stock", b"sku=a%20b"),
        (b"http://shop.example/v1/stock?sku=a", "/v1/stock", b"/v1/stock", b"sku=a"),
    ],
)
@pytest.mark.parametrize("root", ["", "/shop"])
def test_a_target_is_read(
    root: str, target: bytes, path: str, raw_path: bytes, query: bytes
) -> None:
    """The path is told escaped and unescaped, both behind the root; the query stays as it is."""
    assert scope_of(target, root) == {
        "type": "http",
        "root_path": root,
        "path": root + path,
        "raw_path": root.encode() + raw_path,
        "query_string": query,
    }


@pytest.mark.parametrize("target", [b"http://shop.example", b""])
def test_a_target_without_a_path_is_no_http(target: bytes) -> None:
    with pytest.raises(HttpParserError):
        scope_of(target, "")


def test_a_head_is_written() -> None:
    fields = [(b"host", b"shop.example"), (b"accept", b"*/*")]
    assert request_head(b"POST", b"/v1/stock?a=1", "1.1", fields) == (
        b"POST /v1/stock?a=1 HTTP/1.1\r\nhost: shop.example\r\naccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize(("keep_alive", "says"), [(True, b""), (False, b"connection: close\r\n")])
def test_an_answer_is_written(keep_alive: bool, says: bytes) -> None:  # noqa: FBT001
    """The fields of all answers come before its own; one that is the last says so."""
    common, own = [(b"server", b"holdfast")], b"content-length: 2\r\n"
    assert written(201, common, own, b"{}", keep_alive=keep_alive) == (
        b"HTTP/1.1 201 Created\r\nserver: holdfast\r\ncontent-length: 2\r\n" + says + b"\r\n{}"
    )


def test_a_refusal_ends_its_connection() -> None:
    """It is a problem with a length and with what the problem asks the client to do."""
    problem = Problem(Slug.STORE_UNAVAILABLE, "Not now.", {}, retry_after(1))
    head, _, body = refused(problem).partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert b"content-length: %d" % len(body) in fields
    assert {b"connection: close", b"content-type: application/problem+json"} <= set(fields)
    assert any(field.lower() == b"retry-after: 1" for field in fields)
