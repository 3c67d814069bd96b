"""Verbs as requests, answers as values, and what a client makes of silence."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from geventhttpclient import HTTPClient

from loadtest.driving import wire
from loadtest.driving.wire import Answer, Request


def test_a_reserve_is_written_as_the_contract_says() -> None:
    """Without members that have their default."""
    request = wire.reserve("tmall:1", (("22196", 2), ("猫粮", 1)), 3, confirm=False)
    assert (request.method, request.path) == ("POST", "/v1/reservations")
    assert json.loads(request.body) == {
        "reservation_id": "tmall:1",
        "lines": [{"sku": "22196", "quantity": 2}, {"sku": "猫粮", "quantity": 1}],
        "ttl_seconds": 3,
    }
    paid = wire.reserve("tmall:1", (("22196", 2),), 3, confirm=True)
    assert json.loads(paid.body)["confirm"] is True


def test_moves_are_written_as_the_contract_says() -> None:
    """An id's colon and a SKU's slash are encoded where they stand in a path."""
    assert wire.verb("confirm", "tmall:1", reinstate=True) == Request(
        "POST", "/v1/reservations/tmall%3A1/confirm", b'{"if_expired":"reinstate"}'
    )
    assert wire.verb("release", "tmall:1").body == b"{}"
    assert wire.verb("extend", "tmall:1", ttl_seconds=4).body == b'{"ttl_seconds":4}'
    assert wire.look(("a/b", "猫")).path == "/v1/availability?sku=a%2Fb&sku=%E7%8C%AB"


def test_a_grant_tells_state_and_deadline() -> None:
    """The deadline in the history's unit, exactly."""
    body = b'{"state":"held","expires_at":"2026-01-22T10:30:00.123Z","lines":[{"more":1}]}'
    told = wire.told(Answer(201, body))
    assert (told.state, told.slug) == ("held", None)
    assert told.expires_at_us == 1_769_077_800_123_000


def test_a_refusal_tells_its_slug_and_its_short_lines() -> None:
    """As the history wants them."""
    line = {"sku": "A", "warehouse": "main", "requested": 5, "available": 2}
    body = {"type": "/problems/insufficient-stock", "status": 409, "lines": [line]}
    told = wire.told(Answer(409, json.dumps(body).encode()))
    assert told.slug == "insufficient-stock"
    assert isinstance(told, wire.ToldWithLines)
    assert [(s.sku, s.requested, s.available) for s in told.lines] == [("A", 5, 2)]


def test_an_answer_that_is_none_of_ours_says_nothing() -> None:
    """A proxy's page in HTML is no crash."""
    assert wire.told(Answer(502, b"<html>bad gateway</html>")).slug is None


@contextmanager
def answering(reply: bytes | None) -> Iterator[HTTPClient]:
    """Serve one connection with fixed bytes; None keeps silent until the client leaves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                if reply is None:
                    connection.recv(1)
                else:
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = HTTPClient("127.0.0.1", listener.getsockname()[1], network_timeout=0.3)
        yield client
        client.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("reply", "lost"),
    [
        (None, "timed_out"),
        (b"", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "reset"),
    ],
)
def test_an_answer_that_does_not_come_whole_is_lost(reply: bytes | None, lost: str) -> None:
    """Its call may have had its effect: the client sends it again."""
    with answering(reply) as client:
        answer = wire.send(client, wire.verb("confirm", "tmall:1"))
    assert (answer.status, answer.lost, answer.may_be_sent_again) == (None, lost, True)


def test_an_answer_tells_whether_it_is_a_replay_and_when_to_ask_again() -> None:
    """From its headers."""
    head = b"HTTP/1.1 503 No\r\nRetry-After: 2\r\nIdempotent-Replayed: true\r\nContent-Length: 2"
    with answering(head + b"\r\n\r\n{}") as client:
        answer = wire.send(client, wire.read("tmall:1"))
    assert answer == Answer(503, b"{}", replayed=True, retry_after=2.0)
    assert answer.may_be_sent_again
