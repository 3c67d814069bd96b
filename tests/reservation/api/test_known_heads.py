"""A head that is known is not parsed again, and nothing else about its request is different."""

from __future__ import annotations

import asyncio
import json

import pytest

from reservation.api import entrance
from reservation.api.application import Application, create_app
from reservation.api.known_heads import MOST_BYTES, MOST_FIELDS, MOST_HEADS, KnownHeads
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, SetStock
from reservation.store.keyring import Keyring
from tests.reservation.api.wire import SKU, Wire, serving

PATH = "/v1/reservations"


@pytest.fixture(autouse=True)
async def stock(engine: Engine, keyring: Keyring, token: str) -> None:
    """Make stock; the lane takes a key that was shown."""
    await engine.set_stock(SetStock(SKU, "main", 100), SYSTEM)
    await keyring.authenticate(token)


def order(token: str, number: int, *, path: str = PATH, more: str = "", quantity: int = 1) -> bytes:
    lines = [{"sku": SKU, "quantity": quantity}]
    body = json.dumps({"reservation_id": f"tmall:k{number}", "lines": lines})
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_it_is_known_from_the_second_request_on_whatever_its_connection(
    app: Application, token: str, taken: list[bool], known: list[bool]
) -> None:
    """And a body of another length has another head."""
    async with serving(app) as server:
        for _ in range(2):
            wire = await Wire.open(server.port)
            for number in (1, 2, 33):
                await wire.send(order(token, number))
                assert (await wire.answer())[0] in {200, 201}
            wire.close()
    assert known == [True] * 4
    assert taken == [True] * 6


async def test_what_opened_with_it_and_was_revoked_is_refused(
    app: Application, keyring: Keyring, token: str, known: list[bool], taken: list[bool]
) -> None:
    """A head tells which key is shown, not whether it still opens anything."""
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        for number in (1, 2):
            await wire.send(order(token, number))
            assert (await wire.answer())[0] == 201
        (key,) = [key for key in await keyring.list_keys() if key.active]
        await keyring.revoke(key.key_id)
        await wire.send(order(token, 3))
        status, _, problem = await wire.answer()
        wire.close()
    assert (status, problem["type"]) == (401, "/problems/unauthenticated")
    assert known == [True, False]
    assert len(taken) == 4  # parsed, and offered once more, in vain


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), (b"\r\n", b"")],
    ids=["with the next behind it", "with an empty line before it"],
)
async def test_what_is_not_exactly_one_request_is_parsed(
    app: Application, token: str, known: list[bool], taken: list[bool], before: bytes, after: bytes
) -> None:
    """Bytes that belong to no body are never taken for one, nor left out."""
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(order(token, 1))
        assert (await wire.answer())[0] == 201
        await wire.send(before + order(token, 2) + after)
        assert (await wire.answer())[0] == 201
        if after:
            assert (await wire.answer())[0] == 200
        await wire.send(order(token, 3))
        assert (await wire.answer())[0] == 201
        wire.close()
    assert known == [True]
    assert taken == [True] * 3


@pytest.mark.parametrize("cut", [3, 60, -30, -2], ids=["line", "head", "body", "end"])
async def test_a_request_in_pieces_is_parsed_and_the_next_one_known_again(
    app: Application, token: str, known: list[bool], taken: list[bool], cut: int
) -> None:
    """Wherever it is cut, what follows on its connection begins anew."""
    assert taken == []
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(order(token, 1))
        assert (await wire.answer())[0] == 201
        whole = order(token, 2)
        await wire.send(whole[:cut])
        (connection,) = server.server.server_state.connections
        while connection._between and not connection._held:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0)
        await wire.send(whole[cut:])
        assert (await wire.answer())[0] == 201
        await wire.send(order(token, 3))
        assert (await wire.answer())[0] == 201
        wire.close()
    assert known == [True]


async def test_a_whole_request_in_the_middle_of_another_is_part_of_that(
    app: Application, engine: Engine, token: str, known: list[bool], taken: list[bool]
) -> None:
    """What one piece looks like says nothing about where it stands."""
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(order(token, 1))
        assert (await wire.answer())[0] == 201
        await wire.send(b"GET /healthz HTTP/1.1\r\nX: ")
        (connection,) = server.server.server_state.connections
        while connection._between:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0)
        await wire.send(order(token, 2))
        assert (await wire.answer())[0] == 200
        wire.close()
    assert known == []
    assert taken == [True]
    assert (await engine.reservation("tmall:k2")).reservation is None


@pytest.mark.parametrize(
    "first", ["POST /v1/reservations HTTP/1.0", "PUT /v1/reservations HTTP/1.1"]
)
async def test_another_first_line_is_parsed(
    app: Application, token: str, known: list[bool], taken: list[bool], first: str
) -> None:
    """What a head says was read behind a POST in HTTP/1.1."""
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(order(token, 1))
        assert (await wire.answer())[0] == 201
        other = order(token, 2).replace(b"POST /v1/reservations HTTP/1.1", first.encode())
        await wire.send(other)
        assert (await wire.answer())[0] == (405 if first.startswith("PUT") else 201)
        wire.close()
    assert known == []
    assert taken[0]


async def test_another_path_under_a_known_head_is_judged(
    app: Application, token: str, known: list[bool], taken: list[bool]
) -> None:
    """The head says nothing about where it goes."""
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(order(token, 1))
        assert (await wire.answer())[0] == 201
        statuses = []
        for path in (f"{PATH}/", "/v1/skus", f"{PATH}?x=1", f"{PATH}/tmall:k1/confirm"):
            await wire.send(order(token, 2, path=path))
            statuses.append((await wire.answer())[0])
        wire.close()
    assert statuses == [404, 404, 201, 422]
    assert not any(known)
    assert taken[0]


def test_heads_that_never_come_again_are_not_kept() -> None:
    """Those with an id of their own; and of the others there is a bound."""
    heads = KnownHeads()
    heads.learn(b"a", {b"x-request-id": b"1"}, 1, "d")
    heads.learn(b"b", {b"traceparent": b"1"}, 1, "d")
    heads.learn(b"c" * (MOST_BYTES + 1), {}, 1, "d")
    heads.learn(b"d", {b"x%d" % number: b"" for number in range(MOST_FIELDS + 1)}, 1, "d")
    assert not any(map(heads.get, (b"a", b"b", b"c" * (MOST_BYTES + 1), b"d")))
    for number in range(MOST_HEADS + 1):
        heads.learn(b"%d" % number, {b"host": b"x"}, number, "d")
    assert heads.get(b"0") is None
    last = heads.get(b"%d" % MOST_HEADS)
    assert last is not None
    assert (last.headers, last.body_bytes, last.digest) == ({b"host": b"x"}, MOST_HEADS, "d")


async def warmed(port: int, token: str) -> Wire:
    """Open a connection whose head is known from now on."""
    wire = await Wire.open(port)
    await wire.send(order(token, 1))
    assert (await wire.answer())[0] in {200, 201}
    return wire


async def test_a_connection_that_begins_with_it_is_not_taken_for_one_that_says_nothing(
    app: Application, token: str, known: list[bool], taken: list[bool]
) -> None:
    """Nothing is awaited of it that has come."""
    async with serving(app) as server:
        first = await warmed(server.port, token)
        second = await warmed(server.port, token)
        assert (known, taken) == ([True], [True, True])
        for connection in server.server.server_state.connections:
            assert connection._head_timer is None  # type: ignore[union-attr]
        first.close()
        second.close()


async def test_while_the_server_ends_it_is_the_last_of_its_connection(
    app: Application, token: str, known: list[bool], taken: list[bool]
) -> None:
    """As any other request."""
    assert taken == []
    async with serving(app) as server:
        wire = await warmed(server.port, token)
        server.server.server_state.ending = True
        await wire.send(order(token, 2))
        status, headers, _ = await wire.answer()
        assert (status, headers["connection"]) == (201, "close")
        assert await wire.ended()
        wire.close()
    assert known == [True]


async def test_whose_answers_are_not_read_goes_the_ordinary_way(
    app: Application, token: str, known: list[bool], taken: list[bool]
) -> None:
    """There an answer waits until those before it have been read."""
    async with serving(app) as server:
        wire = await warmed(server.port, token)
        (connection,) = server.server.server_state.connections
        connection.flow.pause_writing()  # type: ignore[union-attr]
        await wire.send(order(token, 2))
        while connection.cycle.response_complete:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0)
        connection.flow.resume_writing()  # type: ignore[union-attr]
        assert (await wire.answer())[0] == 201
        wire.close()
    assert (known, taken) == ([], [True])


async def test_a_full_house_is_full_for_the_lane_too(
    app: Application,
    token: str,
    known: list[bool],
    taken: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether the head is known or not."""
    async with serving(app) as server:
        wire = await warmed(server.port, token)
        monkeypatch.setattr(entrance, "MAX_IN_FLIGHT", 0)
        for number in (2, 33):
            await wire.send(order(token, number))
            status, _, problem = await wire.answer()
            assert (status, problem["type"]) == (503, "/problems/overloaded")
        wire.close()
    assert known == [False]
    assert taken == [True, False, False, False]


@pytest.mark.parametrize(
    ("more", "padding", "status"),
    [("Expect: 100-continue\r\n", "", 201), ("", " " * 300, 413)],
    ids=["who waits to be asked for its body", "a body beyond the limit"],
)
async def test_what_asks_for_more_than_the_lane_does_is_not_taken(
    engine: Engine,
    keyring: Keyring,
    settings: Settings,
    token: str,
    taken: list[bool],
    more: str,
    padding: str,
    status: int,
) -> None:
    """And so its head is never known."""
    app = create_app(engine, keyring, settings.model_copy(update={"max_body_bytes": 256}))
    content = order(token, 1, more=more)
    if padding:
        size = len(content.partition(b"\r\n\r\n")[2])
        content = content.replace(b"%d\r\n\r\n" % size, b"%d\r\n\r\n" % (size + 300))
        content += padding.encode()
    async with serving(app) as server:
        wire = await Wire.open(server.port)
        await wire.send(content)
        if more:
            assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await wire.answer())[0] == status
        wire.close()
    assert taken == [False]
