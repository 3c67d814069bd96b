"""The heads of requests on real sockets: hostile, odd, and with an offer of another protocol."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from reservation.api import connection
from reservation.engine import Engine
from tests.reservation.api.wire import Wire, body, head

pytestmark = pytest.mark.usefixtures("stocked")

UPGRADES = {
    "java": ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEA", "Upgrade: h2c"),
    "websocket": ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA=="),
    "twice": ("Upgrade: h2c", "Connection: upgrade", "Upgrade: websocket"),
}


async def test_a_head_that_trickles_or_swells_is_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    swelling = await Wire.open(port)
    await swelling.send(b"GET /healthz HTTP/1.1\r\nX: " + b"y" * (connection.MAX_HEAD_BYTES + 1))
    status, _, problem = await swelling.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert await swelling.ended()
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)
    trickling = await Wire.open(port)
    await trickling.send(b"GET /healthz HTTP/1.1\r\n")
    assert await trickling.ended()
    swelling.close()
    trickling.close()


async def test_what_is_no_http_is_refused_as_a_problem(port: int) -> None:
    wire = await Wire.open(port)
    await wire.send(b"HELLO\r\n\r\n")
    status, headers, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert problem["instance"] == headers["x-request-id"]
    wire.close()


@pytest.mark.parametrize("offer", UPGRADES)
@pytest.mark.parametrize("pieces", ["one", "two", "bytes"])
@pytest.mark.parametrize("form", ["length", "chunked"])
async def test_an_offer_of_another_protocol_is_ignored_and_the_request_served(
    port: int, token: str, offer: str, pieces: str, form: str
) -> None:
    """java.net.http offers h2c with every request: its body is a body, and nothing else."""
    wire = await Wire.open(port)
    for number in (1, 2):
        content = body(f"tmall:{number}")
        if form == "chunked":
            asked = head(token, *UPGRADES[offer], "Transfer-Encoding: chunked")
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        else:
            asked = head(token, *UPGRADES[offer], f"Content-Length: {len(content)}")
        match pieces:
            case "one":
                await wire.send(asked + content)
            case "two":
                await wire.send(asked)
                await wire.send(content)
            case "bytes":
                for byte in asked + content:
                    await wire.send(bytes([byte]))
        status, headers, reservation = await wire.answer()
        assert (status, reservation["reservation_id"]) == (201, f"tmall:{number}")
        assert "connection" not in headers
        assert "upgrade" not in headers
    wire.close()


async def test_a_body_that_looks_like_a_request_stays_a_body(
    port: int, token: str, engine: Engine
) -> None:
    """Behind an offer of another protocol it was executed as a request of its own."""
    wire = await Wire.open(port)
    await wire.send(head(token, f"Content-Length: {len(body())}") + body())
    assert (await wire.answer())[0] == 201
    inner = head(token, "Content-Length: 2", path="/v1/reservations/tmall:1/release") + b"{}"
    asked = head(
        token,
        *UPGRADES["java"],
        f"Content-Length: {len(inner)}",
        path="/v1/reservations/tmall:1/confirm",
    )
    await wire.send(asked + inner)
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    wire.close()
    kept = (await engine.reservation("tmall:1")).reservation
    assert kept is not None
    assert kept.state == "held"


async def test_offers_among_pipelined_requests_are_answered_in_order(port: int, token: str) -> None:
    wire = await Wire.open(port)
    pieces = []
    for number in range(6):
        content = body(f"tmall:{number}")
        offer = UPGRADES["java"] if number % 3 else ()
        pieces.append(head(token, *offer, f"Content-Length: {len(content)}") + content)
    await wire.send(b"".join(pieces))
    answers = [await wire.answer() for _ in pieces]
    assert [answer[2]["reservation_id"] for answer in answers] == [
        f"tmall:{number}" for number in range(6)
    ]
    wire.close()


async def test_a_tunnel_is_refused(port: int) -> None:
    wire = await Wire.open(port)
    await wire.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
    status, headers, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert headers["connection"] == "close"
    assert await wire.ended()
    wire.close()


@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("length", [connection.MAX_HEAD_BYTES, 70_000, 140_000])
async def test_a_long_head_in_one_piece_is_refused_and_so_is_what_follows(
    port: int, token: str, engine: Engine, length: int, *, kept: bool
) -> None:
    wire = await Wire.open(port)
    if kept:
        await wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.answer())[0] == 200
    first, second = body("tmall:1"), body("tmall:2")
    swollen = f"X: {'y' * length}"
    await wire.send(
        head(token, swollen, f"Content-Length: {len(first)}")
        + first
        + head(token, f"Content-Length: {len(second)}")
        + second
    )
    status, headers, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert headers["connection"] == "close"
    assert await wire.ended()
    wire.close()
    for reservation_id in ("tmall:1", "tmall:2"):
        assert (await engine.reservation(reservation_id)).reservation is None


async def test_requests_before_one_that_is_no_http_have_their_answers(
    port: int, token: str
) -> None:
    """They were taken whole; their answers come, and then the connection closes."""
    wire = await Wire.open(port)
    pieces = [
        head(token, f"Content-Length: {len(one)}") + one
        for one in map(body, ("tmall:1", "tmall:2"))
    ]
    await wire.send(b"".join(pieces) + b"HELLO\r\n\r\n")
    assert (await wire.answer())[2]["reservation_id"] == "tmall:1"
    status, headers, reservation = await wire.answer()
    assert (status, reservation["reservation_id"]) == (201, "tmall:2")
    assert headers["connection"] == "close"
    assert await wire.reader.read() == b""
    wire.close()


async def test_a_body_that_is_no_http_is_refused_at_once(port: int, token: str) -> None:
    wire = await Wire.open(port)
    await wire.send(head(token, "Transfer-Encoding: chunked") + b"5\r\n{....HELLO")
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert await wire.ended()
    wire.close()


@pytest.mark.parametrize(
    ("request_line", "headers"),
    [
        ("GET /v1/stock/A", ["Host: x"]),
        ("GET /v1/stock/A HTTP/2.0", ["Host: x"]),
        ("GET /v1/stock/A HTTP/1.1", []),
        ("GET /v1/stock/A HTTP/1.1", ["Host: x", "Host: x"]),
        ("GET /v1/stock/A HTTP/1.1", ["Host: x", "Authorization: Bearer a"]),
        ("POST /v1/batch HTTP/1.1", ["Host: x", *["Content-Type: application/json"] * 2]),
    ],
    ids=["0.9", "2.0", "no host", "two hosts", "two keys", "two types"],
)
async def test_a_head_that_http_forbids_is_refused(
    port: int, token: str, request_line: str, headers: list[str]
) -> None:
    """Of two keys one would be obeyed here and the other believed elsewhere."""
    wire = await Wire.open(port)
    lines = [request_line, *headers, f"Authorization: Bearer {token}"]
    await wire.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    wire.close()


async def test_what_old_clients_send_is_served(port: int) -> None:
    """HTTP/1.0 knows no Host."""
    wire = await Wire.open(port)
    await wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await wire.answer())[0] == 200
    assert await wire.ended()
    wire.close()


async def test_a_compressed_body_is_named_as_such(port: int, token: str) -> None:
    wire = await Wire.open(port)
    await wire.send(head(token, "Content-Encoding: gzip", "Content-Length: 3") + b"\x1f\x8b\x08")
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert "Content-Encoding" in problem["detail"]
    await wire.send(
        head(token, "Content-Encoding: identity", f"Content-Length: {len(body())}") + body()
    )
    assert (await wire.answer())[0] == 201
    wire.close()


@pytest.mark.parametrize("path", ["/healthz", "/v1/reservations"])
@pytest.mark.parametrize("flood", ["trailers", "one trailer", "extension"])
async def test_what_frames_a_body_is_bounded(port: int, token: str, path: str, flood: str) -> None:
    """Behind a body of nothing came megabytes of trailers, which were kept."""
    wire = await Wire.open(port)
    await wire.send(head(token, "Transfer-Encoding: chunked", path=path))
    start, piece = {
        "trailers": (b"2\r\n{}\r\n0\r\n", b"T: abcdefgh\r\n" * 100),
        "one trailer": (b"2\r\n{}\r\n0\r\nT: ", b"y" * 1_000),
        "extension": (b"2;x=", b"y" * 1_000),
    }[flood]
    ended = asyncio.create_task(wire.ended())
    sent = 0
    with contextlib.suppress(ConnectionError):
        await wire.send(start)
        while sent < 50 * connection.MAX_HEAD_BYTES and not ended.done():
            await wire.send(piece)
            sent += len(piece)
            await asyncio.sleep(0)
    assert sent < 50 * connection.MAX_HEAD_BYTES
    assert await ended
    wire.close()


async def test_a_body_of_small_chunks_is_taken(port: int, token: str) -> None:
    """Its framing is five times as large as it is."""
    wire = await Wire.open(port)
    content = body("tmall:1") + b" " * 3_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in content)
    await wire.send(head(token, "Transfer-Encoding: chunked"))
    for first in range(0, len(chunks), 999):
        await wire.send(chunks[first : first + 999])
    await wire.send(b"0\r\nTrailer: x\r\n\r\n")
    assert (await wire.answer())[0] == 201
    wire.close()


BAD = {
    "a tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n",
    "a bad size": head("k", "Transfer-Encoding: chunked") + b"zz\r\n",
    "a bad end": head("k", "Transfer-Encoding: chunked") + b"2\r\n{}XX0\r\n\r\n",
    "half a body": head("k", "Content-Length: 10") + b"{",
    "no http": b"HELLO\r\n\r\n",
}


@pytest.mark.usefixtures("lane")
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("good", [1, 3])
async def test_what_came_in_whole_is_answered_whatever_comes_behind(
    port: int, token: str, bad: str, good: int
) -> None:
    wire = await Wire.open(port)
    whole = [body(f"tmall:{number}") for number in range(good)]
    sent = b"".join(head(token, f"Content-Length: {len(one)}") + one for one in whole)
    await wire.send(sent + BAD[bad])
    if bad == "half a body":
        wire.writer.write_eof()
    for number in range(good):
        status, headers, reservation = await wire.answer()
        assert (status, reservation["reservation_id"]) == (201, f"tmall:{number}")
    assert headers["connection"] == "close"
    assert await wire.reader.read() == b""
    wire.close()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("target", ["http://x", "http://x:y:z/", "/\x7f", "/\xe4"])
async def test_a_target_without_a_path_is_no_http(port: int, target: str, *, whole: bool) -> None:
    """Whether its body has come or not; behind a sound request too."""
    wire = await Wire.open(port)
    await wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await wire.answer())[0] == 200
    bad = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    await wire.send(bad.encode("latin-1") + (b"{}" if whole else b""))
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert await wire.ended()
    wire.close()


@pytest.mark.parametrize("pieces", [1, 2])
async def test_who_sends_no_more_is_answered(port: int, token: str, pieces: int) -> None:
    """Half a close says that the request is complete, not that nobody listens."""
    wire = await Wire.open(port)
    asked = head(token, f"Content-Length: {len(body())}")
    if pieces == 2:
        await wire.send(asked)
        await wire.send(body())
    else:
        await wire.send(asked + body())
    wire.writer.write_eof()
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (201, "close")
    assert await wire.ended()
    wire.close()


async def test_a_body_that_is_cut_off_is_not_taken(port: int, token: str, engine: Engine) -> None:
    wire = await Wire.open(port)
    await wire.send(head(token, f"Content-Length: {len(body()) + 1}") + body())
    wire.writer.write_eof()
    assert await wire.ended()
    wire.close()
    assert (await engine.reservation("tmall:1")).reservation is None


async def test_an_encoding_of_the_transfer_is_named(port: int, token: str) -> None:
    wire = await Wire.open(port)
    await wire.send(head(token, "Transfer-Encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n")
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    assert "Transfer-Encoding" in problem["detail"]
    wire.close()
