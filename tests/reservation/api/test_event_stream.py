"""The stream of events: Server-Sent Events on a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from reservation.engine import Engine
from reservation.security import Role
from reservation.store.keyring import Keyring
from tests.reservation.api.conftest import SKU, Caller
from tests.reservation.api.wire import serving


async def frames(lines: AsyncIterator[str], count: int) -> list[dict[str, str]]:
    """Read so many events of a stream."""
    found: list[dict[str, str]] = []
    frame: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            frame[name] = value
        elif "data" in frame:
            found.append(frame)
            frame = {}
            if len(found) == count:
                break
        else:
            frame = {}
    return found


@pytest.fixture
async def url(app: FastAPI, engine: Engine) -> AsyncIterator[str]:
    """Run a real server; the value is its address."""
    async with serving(app) as server:
        yield f"http://127.0.0.1:{server.port}"
        engine.feed.close()


async def test_events_come_as_they_happen_and_go_on_where_one_was(
    url: str, ops: Caller, tmall: Caller
) -> None:
    headers = {"authorization": f"Bearer {ops.token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        async with client.stream("GET", "/v1/events") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["cache-control"] == "no-store"
            await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 5})
            await tmall.reserve("tmall:1", (SKU, 1))
            first, second = await frames(answer.aiter_lines(), 2)
        assert json.loads(first["data"])["type"] == "io.holdfast.stock.changed"
        event = json.loads(second["data"])
        assert (event["id"], event["subject"]) == (second["id"], "tmall:1")
        await tmall.move("tmall:1", "release")
        again = {"last-event-id": first["id"]}
        async with client.stream("GET", "/v1/events", headers=again) as answer:
            found = await frames(answer.aiter_lines(), 2)
        assert found[0] == second
        assert json.loads(found[1]["data"])["type"] == "io.holdfast.reservation.released"


@pytest.mark.usefixtures("stocked")
async def test_a_lost_position_is_reset(url: str, ops: Caller) -> None:
    headers = {"authorization": f"Bearer {ops.token}", "last-event-id": "no position"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        reset, first = await frames(answer.aiter_lines(), 2)
    assert reset["event"] == "reset"
    assert "id" not in reset
    assert json.loads(first["data"])["type"] == "io.holdfast.stock.changed"


async def test_a_channel_sees_its_own_orders_and_all_stock(
    url: str, ops: Caller, admin: Caller, keyring: Keyring
) -> None:
    _, token = await keyring.create(Role.CHANNEL, channels=("douyin",))
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 5})
        await admin.reserve("tmall:1", (SKU, 1))
        await admin.reserve("tmall:2", (SKU, 9))
        await admin.reserve("douyin:1", (SKU, 1))
        await ops("POST", f"/v1/skus/{SKU}/breaker/trip", {"reason": "recall"})
        found = [json.loads(one["data"]) for one in await frames(answer.aiter_lines(), 3)]
    assert [one["subject"] for one in found] == [SKU, "douyin:1", SKU]
    assert found[2]["type"] == "io.holdfast.breaker.opened"


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("idle_seconds", [0.0, 0.05])
async def test_what_was_passed_over_is_not_read_again(
    url: str, admin: Caller, keyring: Keyring, monkeypatch: pytest.MonkeyPatch, idle_seconds: float
) -> None:
    """Where only others are busy, or nobody any more, a sign of life says how far one has come."""
    monkeypatch.setattr("reservation.api.history.KEEP_ALIVE_SECONDS", idle_seconds)
    await admin("PUT", f"/v1/stock/{SKU}", {"on_hand": 1_000})
    _, token = await keyring.create(Role.CHANNEL, channels=("douyin",))
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        async with client.stream("GET", "/v1/events") as answer:
            lines = answer.aiter_lines()
            while not (await anext(lines)).startswith("id: "):
                pass
            for number in range(3):
                await admin.reserve(f"tmall:{number}", (SKU, 1))
            listed = (await admin("GET", f"/v1/skus/{SKU}/ledger")).json()["items"]
            last = next(one["id"] for one in listed if one["subject"] == "tmall:2")
            async with asyncio.timeout(10):
                told: list[str] = []
                while f"id: {last}" not in told:
                    told.append(await anext(lines))
        assert not [line for line in told if line.startswith("data")]
        await admin.reserve("douyin:1", (SKU, 1))
        async with client.stream("GET", "/v1/events", headers={"last-event-id": last}) as answer:
            (first,) = await frames(answer.aiter_lines(), 1)
    assert json.loads(first["data"])["subject"] == "douyin:1"


async def test_a_stream_ends_when_the_server_does(
    app: FastAPI, engine: Engine, ops: Caller
) -> None:
    headers = {"authorization": f"Bearer {ops.token}"}
    async with serving(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
            client.stream("GET", "/v1/events") as answer,
        ):
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith("retry: ")
            assert await anext(lines) == ""
            assert (await anext(lines)).startswith("id: ")
            engine.feed.close()
            ending = asyncio.create_task(server.end())
            assert [line async for line in lines if line] == []
            await asyncio.wait_for(ending, 5)


async def test_who_hangs_up_is_followed_no_longer(url: str, engine: Engine, ops: Caller) -> None:
    """With the next events: until then it may still listen, though it says no more."""
    headers = {"authorization": f"Bearer {ops.token}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        while not engine.feed.followers:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)
    units = 0
    async with asyncio.timeout(5):
        while engine.feed.followers:
            units += 1
            await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": units})


async def test_a_stream_ends_with_its_key(
    url: str, ops: Caller, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not look any more does not go on looking through a connection that is open."""
    monkeypatch.setattr("reservation.api.pipeline.LOOK_SECONDS", 0.0)
    record, token = await keyring.create(Role.VIEWER)
    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 5})
        while SKU not in await anext(lines):
            pass
        await keyring.revoke(record.key_id)
        await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 6_543_210})
        async with asyncio.timeout(5):
            assert "6543210" not in "".join([line async for line in lines])


async def test_a_stream_ends_when_its_session_is_signed_out(
    url: str, ops: Caller, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that of a copy: who signs out is not looked over the shoulder any longer."""
    monkeypatch.setattr("reservation.api.pipeline.LOOK_SECONDS", 0.0)
    _, token = await keyring.create(Role.VIEWER)
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        csrf = (await client.post("/v1/session", json={"key": token})).json()["csrf"]
        async with client.stream("GET", "/v1/events") as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            await client.delete("/v1/session", headers={"x-csrf-token": csrf})
            await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 6_543_210})
            async with asyncio.timeout(5):
                assert "6543210" not in "".join([line async for line in lines])
