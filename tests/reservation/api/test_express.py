"""The express lane and the ordinary way answer alike, byte for byte, and count alike.

Each request is sent twice over real connections, once to an application without the lane; what
comes back is compared after ids and times were made equal. Whether the lane takes a request is
said beside it: a lane that takes nothing would pass every comparison.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from reservation import metrics
from reservation.api.application import Application, create_app
from reservation.api.express import Taken
from reservation.api.express_connection import ExpressHttp
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Line, Origin, Reserve, ResetBreaker, SetStock, TripBreaker
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.api.wire import SKU, Wire, serving

PATH = "/v1/reservations"
TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LONE = re.compile(rb"(date: [^\r]*|x-request-id: [0-9a-f]{20}|\"instance\":\"[0-9a-f]{20}\")")
KEY = "{key}"  # stands for a key of the channel tmall
ID = "{id}"  # stands for an id that no other request has


@dataclass(frozen=True)
class Ask:
    """A request, and whether the lane takes it."""

    name: str
    taken: bool
    path: str = PATH
    body: bytes | None = None
    headers: tuple[str, ...] = ("Content-Type: application/json",)
    key: str = KEY
    first: str = "POST {path} HTTP/1.1"
    host: str = "Host: x"
    known: bool = True  # where it is taken, whether its head is known the next time

    def written(self, reservation_id: str, keys: dict[str, str]) -> bytes:
        """Write it as bytes."""
        lines = [self.first.replace("{path}", self.path), self.host, *self.headers]
        if self.key:
            lines.append(f"Authorization: Bearer {keys.get(self.key, self.key)}")
        if self.body is not None and "chunked" not in "".join(lines):
            size = len(self.body.replace(b"{id}", reservation_id.encode()))
            lines.append(f"Content-Length: {size}")
        head = "\r\n".join(line for line in lines if line) + "\r\n\r\n"
        return (head.encode() + (self.body or b"")).replace(b"{id}", reservation_id.encode())


def order(
    quantity: int = 1, sku: str = SKU, reservation_id: str = f"tmall:{ID}", **more: Any
) -> bytes:
    lines = [{"sku": sku, "quantity": quantity}]
    return json.dumps({"reservation_id": reservation_id, "lines": lines, **more}).encode()


def move(verb: str, reservation_id: str = f"tmall:held-{ID}") -> str:
    return f"{PATH}/{reservation_id}/{verb}"


JSON = "Content-Type: application/json"
ASKS = [
    Ask("granted", taken=True, body=order()),
    Ask("paid already", taken=True, body=order(confirm=True, ttl_seconds=5)),
    Ask("several lines", taken=True, body=order(sku="猫粮")),
    Ask("a replay", taken=True, body=order(reservation_id=f"tmall:held-{ID}")),
    Ask("an id with other lines", taken=True, body=order(2, reservation_id=f"tmall:held-{ID}")),
    Ask("too much", taken=True, body=order(10_000)),
    Ask("no such SKU", taken=True, body=order(sku="unknown")),
    Ask("suspended", taken=True, body=order(sku="tripped")),
    Ask("confirmed", taken=True, path=move("confirm"), body=b"{}"),
    Ask("confirmed without a body", taken=True, path=move("confirm"), headers=()),
    Ask("an empty body", taken=True, path=move("confirm"), body=b"", headers=()),
    Ask("reinstated", taken=True, path=move("confirm"), body=b'{"if_expired":"reinstate"}'),
    Ask("released", taken=True, path=move("release"), body=b'{"reason":"late"}'),
    Ask("not there", taken=True, path=move("confirm", "tmall:nobody"), body=b"{}"),
    Ask(
        "its own request id",
        taken=True,
        known=False,
        body=order(),
        headers=(JSON, "X-Request-Id: r-1"),
    ),
    Ask(
        "a request id of a wrong form",
        taken=True,
        known=False,
        body=order(),
        headers=(JSON, "X-Request-Id: r 1"),
    ),
    Ask(
        "a trace",
        taken=True,
        known=False,
        body=order(),
        headers=(JSON, "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ),
    Ask(
        "the last of its connection",
        taken=True,
        known=False,
        body=order(),
        headers=(JSON, "Connection: close"),
    ),
    Ask("HTTP/1.0", taken=True, known=False, body=order(), first="POST {path} HTTP/1.0"),
    Ask(
        "an offer to go on otherwise",
        taken=True,
        body=order(),
        headers=(JSON, "Connection: upgrade", "Upgrade: h2c"),
    ),
    Ask(
        "charset",
        taken=False,
        body=order(),
        headers=("Content-Type: application/json; charset=utf-8",),
    ),
    Ask("no JSON", taken=False, body=b"{"),
    Ask("no body", taken=False),
    Ask("invalid", taken=False, body=order(0)),
    Ask("invalid and another's", taken=False, body=order(0, reservation_id=f"douyin:{ID}")),
    Ask("null", taken=False, path=move("release"), body=b'{"reason":null}'),
    Ask("another content type", taken=False, body=order(), headers=("Content-Type: text/plain",)),
    Ask("no content type", taken=False, body=order(), headers=()),
    Ask("compressed", taken=False, body=order(), headers=(JSON, "Content-Encoding: gzip")),
    Ask(
        "plain said aloud", taken=False, body=order(), headers=(JSON, "Content-Encoding: identity")
    ),
    Ask("another's", taken=False, body=order(reservation_id=f"douyin:{ID}")),
    Ask("another's to confirm", taken=False, path=move("confirm", "douyin:1"), body=b"{}"),
    Ask("too large", taken=False, body=order() + b" " * (1 << 20)),
    Ask("no key", taken=False, body=order(), key=""),
    Ask("a wrong key", taken=False, body=order(), key="hf_aaaa_" + "0" * 64),
    Ask(
        "another scheme",
        taken=False,
        body=order(),
        key="",
        headers=(JSON, "Authorization: Basic x"),
    ),
    Ask("a viewer", taken=False, body=order(), key="{viewer}"),
    Ask("a viewer with bad JSON", taken=False, body=b"{", key="{viewer}"),
    Ask("two keys", taken=False, body=order(), headers=(JSON, "Authorization: Bearer x")),
    Ask("no host", taken=False, body=order(), host=""),
    Ask("a cookie", taken=False, body=order(), headers=(JSON, "Cookie: a=b")),
    Ask("a query", taken=False, path=f"{PATH}?x=1", body=order()),
    Ask("an escaped colon", taken=True, path=move("confirm", f"tmall%3Aheld-{ID}"), body=b"{}"),
    Ask("an escaped id", taken=False, path=move("confirm", f"tmall%3Ahel%64-{ID}"), body=b"{}"),
    Ask("an impossible id", taken=False, path=move("confirm", "tmall"), body=b"{}"),
    Ask("no id", taken=False, path=f"{PATH}//confirm", body=b"{}"),
    Ask("another verb", taken=False, path=move("extend"), body=b'{"ttl_seconds":9}'),
    Ask("another method", taken=False, first="PUT {path} HTTP/1.1", body=order()),
    Ask(
        "in chunks",
        taken=False,
        body=b"2\r\n{}\r\n0\r\n\r\n",
        headers=(JSON, "Transfer-Encoding: chunked"),
    ),
    Ask("an absolute address", taken=False, first="POST http://x{path} HTTP/1.1", body=order()),
    Ask("in a batch", taken=False, path=f"{PATH}/batch", body=b'{"operations":[{"op":"release"}]}'),
]


@pytest.fixture
async def keys(
    keyring: Keyring, token: str, clock: Clock, store: Store, engine: Engine
) -> dict[str, str]:
    """Make stock, a suspended SKU, and keys that were shown."""
    for sku in (SKU, "猫粮", "tripped"):
        await engine.set_stock(SetStock(sku, "main", 100), SYSTEM)
    await store.act_on_breakers([TripBreaker("tripped", "recall")], "k|r", whole=True)
    _, viewer = await keyring.create(Role.VIEWER)
    for shown in (token, viewer):
        await keyring.authenticate(shown)
    return {KEY: token, "{viewer}": viewer}


def counted() -> dict[tuple[str, ...], float]:
    """Read the series of requests, operations and refusals."""
    metrics.TALLY.write()
    names = {
        "holdfast_http_requests_total",
        "holdfast_http_request_duration_seconds_count",
        "holdfast_http_requests_in_flight",
        "holdfast_operations_total",
        "holdfast_refusals_total",
    }
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
        if sample.name in names
    }


@dataclass
class Heard:
    """What a request led to."""

    answer: bytes
    counted: dict[tuple[str, ...], float]
    line: dict[str, Any]


async def sent(app: Application, ask: Ask, keys: dict[str, str], number: str) -> Heard:
    """Send a request on a connection of its own, and make what is random equal."""
    before = counted()
    with capture_logs() as lines:
        async with serving(app) as server:
            wire = await Wire.open(server.port)
            await wire.send(ask.written(number, keys))
            head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 10)
            length = re.search(rb"content-length: (\d+)", head)
            body = await wire.reader.readexactly(int(length[1])) if length else b""
            wire.close()
    after = counted()
    answer = LONE.sub(b"#", TIMES.sub(b"T", head + body.replace(number.encode(), b"N")))
    answer = re.sub(rb"content-length: \d+", b"content-length", answer)
    changes = {name: after[name] - before.get(name, 0) for name in after}
    (line,) = [line for line in lines if line["event"] == "request"]
    line = {**line, "milliseconds": 0}
    if ask.headers[-1:] != ("X-Request-Id: r-1",):
        line["request_id"] = len(line["request_id"])
    return Heard(answer, {name: change for name, change in changes.items() if change}, line)


@pytest.mark.parametrize("ask", ASKS, ids=[ask.name for ask in ASKS])
async def test_both_ways_answer_and_count_alike(
    app: Application,
    engine: Engine,
    keyring: Keyring,
    settings: Settings,
    store: Store,
    keys: dict[str, str],
    taken: list[bool],
    known: list[bool],
    ask: Ask,
) -> None:
    """Status, header fields in their order, body, series and access line."""
    ordinary = create_app(engine, keyring, settings)
    ordinary.express = None
    for number in ("n1", "n2", "n3"):
        held = Reserve(f"tmall:held-{number}", (Line(SKU, "main", 1),), 60_000)
        await engine.reserve(held, Origin("k"))
    by_lane = await sent(app, ask, keys, "n1")
    assert any(taken) == ask.taken
    offered = len(taken)
    by_the_way = await sent(ordinary, ask, keys, "n2")
    assert len(taken) == offered
    assert by_lane == by_the_way
    assert not known
    if not ask.taken:
        return
    await store.act_on_breakers([ResetBreaker(SKU, "k")], "k|r", whole=True)  # two have failed
    again = await sent(app, ask, keys, "n3")
    assert any(known) == ask.known
    assert again == by_the_way


async def test_a_limited_rate_leaves_every_request_to_the_ordinary_way(
    engine: Engine, keyring: Keyring, settings: Settings, keys: dict[str, str], taken: list[bool]
) -> None:
    """Requests are counted in one place."""
    limited = create_app(engine, keyring, settings.model_copy(update={"rate_limit_per_second": 1}))
    answers = [await sent(limited, ASKS[0], keys, number) for number in ("n1", "n2")]
    assert [heard.answer[9:12] for heard in answers] == [b"201", b"429"]
    assert not any(taken)


async def test_a_request_in_pieces_is_answered_whichever_way(
    app: Application, keys: dict[str, str], taken: list[bool]
) -> None:
    """Only what comes in one piece is taken; what follows on the connection may be again."""
    whole = Ask("", taken=True, body=order()).written("p1", keys)
    pieces = Ask("", taken=False, body=order()).written("p2", keys)
    last = Ask("", taken=True, body=order()).written("p3", keys)
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(whole)
        assert (await wire.answer())[0] == 201
        await wire.send(pieces[:-10])
        while not server.server.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        await wire.send(pieces[-10:])
        assert (await wire.answer())[0] == 201
        await wire.send(last)
        assert (await wire.answer())[0] == 201
        wire.close()
    assert taken == [True, True]


async def test_pipelined_requests_follow_one_that_was_taken(
    app: Application, keys: dict[str, str], taken: list[bool]
) -> None:
    """In order, the first on the lane, those behind it the ordinary way."""
    asks = [Ask("", taken=True, body=order()).written(f"q{n}", keys) for n in range(4)]
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(b"".join(asks))
        ids = [(await wire.answer())[2]["reservation_id"] for _ in asks]
        wire.close()
    assert ids == [f"tmall:q{n}" for n in range(4)]
    assert taken == [True]


async def test_a_fault_behind_the_lane_is_answered_as_one(
    app: Application,
    engine: Engine,
    keys: dict[str, str],
    taken: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it is, the others in the same call are answered too."""

    def broken(*_: Any) -> Any:
        message = "no such thing"
        raise KeyError(message)

    monkeypatch.setattr(engine, "outcome", broken)
    async with serving(app) as server:
        wires = [await Wire.open(server.port) for _ in range(3)]
        for n, wire in enumerate(wires):
            await wire.send(Ask("", taken=True, body=order()).written(f"f{n}", keys))
        answers = [await wire.answer() for wire in wires]
        for wire in wires:
            wire.close()
    assert [(status, problem["type"]) for status, _, problem in answers] == [
        (500, "/problems/internal-error")
    ] * 3
    assert taken == [True] * 3


async def test_an_answer_that_cannot_be_sent_harms_no_other(
    app: Application,
    engine: Engine,
    keys: dict[str, str],
    taken: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those in the same call have theirs, and the queue goes on."""
    send = ExpressHttp._answer
    failed: list[Taken] = []

    def failing(self: ExpressHttp, request: Taken, *answer: Any) -> None:
        if not failed:
            failed.append(request)
            self.transport.abort()
            message = "the handler is closed"
            raise RuntimeError(message)
        send(self, request, *answer)

    monkeypatch.setattr(ExpressHttp, "_answer", failing)
    async with serving(app) as server:
        wires = [await Wire.open(server.port) for _ in range(3)]
        for n, wire in enumerate(wires):
            await wire.send(Ask("", taken=True, body=order()).written(f"s{n}", keys))
        assert await wires[0].ended()
        assert [(await wire.answer())[0] for wire in wires[1:]] == [201, 201]
        for wire in wires:
            wire.close()
        server.server.server_state.tasks.discard(failed[0])  # type: ignore[arg-type]
    assert taken == [True] * 3
    assert (await engine.reservation("tmall:s0")).reservation is not None
