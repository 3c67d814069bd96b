"""An HTTP server between client and service that loses answers, hangs up and says no on demand."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import msgspec

TRICKLE_SECONDS = 0.01
LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends a reset


@dataclass
class Request:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Unreliable:
    """Work off `faults`, one a request; when there are none left, pass requests on."""

    faults: list[Callable[[Exchange], None]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    upstream: str = ""
    relayed: int = 0  # bytes of streams that were passed on

    def will(self, *faults: Callable[[Exchange], None]) -> None:
        """Add faults for the next requests."""
        self.faults.extend(faults)


class Exchange(BaseHTTPRequestHandler):
    """One connection; a fault gets it and does what it does."""

    protocol_version = "HTTP/1.1"
    unreliable: Unreliable

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.request_seen = Request(self.command, self.path, headers, body)
        self.unreliable.requests.append(self.request_seen)
        fault = self.unreliable.faults.pop(0) if self.unreliable.faults else deliver
        fault(self)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 (the names that http.server calls)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def ask_upstream(self) -> tuple[int, dict[str, str], bytes]:
        """Pass the request on; returns status, headers and body of the answer."""
        with self.upstream_answer() as answer:
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()

    @contextmanager
    def upstream_answer(self) -> Iterator[http.client.HTTPResponse]:
        """Pass the request on; the answer is still to be read."""
        address = urlsplit(self.unreliable.upstream).netloc
        connection = http.client.HTTPConnection(address, timeout=30)
        seen = self.request_seen
        kept = {n: v for n, v in seen.headers.items() if n not in {"host", "connection"}}
        connection.request(seen.method, seen.path, seen.body, kept)
        try:
            yield connection.getresponse()
        finally:
            connection.close()

    def reset(self) -> None:
        """Cut the connection hard."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.close_connection = True
        self.connection.close()

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send an answer."""
        self.send_response_only(status)
        for name, value in headers.items():
            if name not in {"content-length", "connection"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def deliver(exchange: Exchange) -> None:
    """Pass the request on and answer as the service does."""
    exchange.reply(*exchange.ask_upstream())


def hang_up(exchange: Exchange) -> None:
    """Read the request, do nothing with it, cut the connection."""
    exchange.reset()


def lose_reply(exchange: Exchange) -> None:
    """Let the service do its work, and lose its answer."""
    exchange.ask_upstream()
    exchange.reset()


def cut_reply(exchange: Exchange) -> None:
    """Let the service do its work, and cut its answer in the middle."""
    status, _, body = exchange.ask_upstream()
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    exchange.wfile.write(head + body[: len(body) // 2])
    exchange.close_connection = True


def fall_silent(exchange: Exchange) -> None:
    """Read the request and say nothing until the client gives up."""
    exchange.connection.recv(1)
    exchange.close_connection = True


def trickle(exchange: Exchange) -> None:
    """Answer so slowly that each byte comes in time and the whole never, until the client goes."""
    pace = threading.Event()
    exchange.close_connection = True
    with contextlib.suppress(OSError):
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1_000):
            exchange.wfile.write(b" ")
            pace.wait(TRICKLE_SECONDS)


def stream(cut_after: int | None = None) -> Callable[[Exchange], None]:
    """Pass a stream on as it comes, to its end or until so many bytes, and then end it there."""

    def relay(exchange: Exchange) -> None:
        exchange.close_connection = True
        with exchange.upstream_answer() as answer:
            exchange.send_response_only(answer.status)
            exchange.send_header("content-type", answer.headers["content-type"])
            exchange.end_headers()
            left = cut_after
            with contextlib.suppress(OSError):  # who listened has left
                while left != 0 and (chunk := answer.read1(left or 65_536)):
                    exchange.wfile.write(chunk)
                    exchange.unreliable.relayed += len(chunk)
                    left = None if left is None else left - len(chunk)

    return relay


def begin_and_fall_silent(exchange: Exchange) -> None:
    """Begin a stream and say nothing more until the client gives up."""
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    fall_silent(exchange)


def say(status: int, body: bytes = b"", **headers: str) -> Callable[[Exchange], None]:
    """Answer so, without asking the service."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(exchange: Exchange) -> None:
        exchange.reply(status, named, body)

    return answer


def problem(
    status: int, slug: str, *, retry_after: int | None = None, **members: object
) -> Callable[[Exchange], None]:
    """Answer with a problem, without asking the service."""
    document = {"type": f"/problems/{slug}", "title": slug, "status": status, **members}
    headers = {"content_type": "application/problem+json"}
    if retry_after is not None:
        headers["retry_after"] = str(retry_after)
    return say(status, msgspec.json.encode(document), **headers)


@contextmanager
def unreliable_server(upstream: str) -> Iterator[Unreliable]:
    """Run one in front of `upstream`."""
    state = Unreliable(upstream=upstream)
    kind = type("Bound", (Exchange,), {"unreliable": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
