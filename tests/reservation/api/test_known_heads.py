"""A head that is known is not parsed again, and nothing else about its request is different."""

from __future__ import annotations

import asyncio
import json

import pytest

from reservation.api import Application
from reservation.api.known_heads import MOST_BYTES, MOST_HEADS, KnownHeads
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
    assert not any(heads.get(fields) for fields in (b"a", b"b", b"c" * (MOST_BYTES + 1)))
    for number in range(MOST_HEADS + 1):
        heads.learn(b"%d" % number, {b"host": b"x"}, number, "d")
    assert heads.get(b"0") is None
    last = heads.get(b"%d" % MOST_HEADS)
    assert last is not None
    assert (last.headers, last.body_bytes, last.digest) == ({b"host": b"x"}, MOST_HEADS, "d")
