"""Fixtures: an application that signs as the platform's documents say, and who is sent messages."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from channels.simulator.douyin import App, Douyin, Settings
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from tests.channels.simulator.conftest import NOON_MS, Desk, beside
from tests.partners.simulation.receiver import Receiver, receiving

KEY, SECRET, SHOP_ID = "1234567890123456789", "contract-app-secret", "4463798"


@pytest.fixture
def world() -> ShopWorld:
    clock = Clock(NOON_MS, speed=0)
    shop = Shop(clock, every_sku_has_id=True, first_line_is_order=True)
    return ShopWorld(clock, Faults(seed=1), shop)


@pytest.fixture
async def simulator(world: ShopWorld) -> Douyin:
    app = App(app_key=KEY, secret=SECRET, shop_id=SHOP_ID)
    return Douyin(world, app, Settings(ids="numbers", lanes=1))


@pytest.fixture
async def http(simulator: Douyin) -> AsyncIterator[httpx.AsyncClient]:
    async with beside(simulator) as client:
        yield client


def canonical(parameters: Any) -> str:
    """Write param_json as the documents say."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def signature(method: str, param_json: str, timestamp: str, by: str = "hmac-sha256") -> str:
    """Sign a call, step by step as documented."""
    text = f"{SECRET}app_key{KEY}method{method}param_json{param_json}timestamp{timestamp}v2{SECRET}"
    if by == "md5":
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


class Application:
    """Calls the gateway. `token` opens it."""

    def __init__(self, http: httpx.AsyncClient, world: ShopWorld) -> None:
        self.http, self.world, self.token = http, world, ""

    def query(self, method: str, param_json: str, /, **more: str | None) -> dict[str, str]:
        """Give the query of a call, signed; a None takes something away."""
        timestamp = str(self.world.clock.now_ms() // 1000)
        query: dict[str, str | None] = {
            "method": method,
            "app_key": KEY,
            "access_token": self.token or None,
            "timestamp": timestamp,
            "v": "2",
            "sign_method": "hmac-sha256",
            "sign": signature(method, param_json, timestamp),
        }
        return {name: value for name, value in (query | more).items() if value is not None}

    async def send(
        self, path: str, query: dict[str, str], body: str | bytes, **headers: str
    ) -> dict[str, Any]:
        """Send a call as it is; its whole answer."""
        headers = {"content-type": "application/json;charset=utf-8"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        answer = await self.http.post(path, params=query, content=body, headers=headers)
        assert answer.status_code == 200
        view: dict[str, Any] = answer.json()
        assert list(view) == ["code", "msg", "sub_code", "sub_msg", "log_id", "data"]
        return view

    async def call(self, path: str, parameters: Any, /, **more: str | None) -> dict[str, Any]:
        """Call a method, rightly signed but for `more`."""
        body = canonical(parameters)
        return await self.send(path, self.query(path[1:].replace("/", "."), body, **more), body)

    async def done(self, path: str, parameters: Any) -> Any:
        """Call a method that succeeds; what it answers."""
        answer = await self.call(path, parameters)
        assert (answer["code"], answer["sub_code"]) == (10000, "")
        return answer["data"]

    async def refused(self, path: str, parameters: Any) -> tuple[int, str]:
        """Call a method that does not; its code and sub code."""
        answer = await self.call(path, parameters)
        assert answer["data"] is None
        return answer["code"], answer["sub_code"]


@pytest.fixture
async def application(http: httpx.AsyncClient, world: ShopWorld) -> Application:
    """One that has a token."""
    application = Application(http, world)
    wanted = {"code": "", "grant_type": "authorization_self", "shop_id": int(SHOP_ID)}
    application.token = (await application.done("/token/create", wanted))["access_token"]
    return application


@pytest.fixture
async def receiver(desk: Desk) -> AsyncIterator[Receiver]:
    """Who is sent the messages; the probe has come and is forgotten."""
    async with receiving() as receiver:
        assert await desk.ask("PUT", "/douyin/url", {"url": receiver.url}) == (
            200,
            {"url": receiver.url},
        )
        receiver.received.clear()
        yield receiver


def messages(receiver: Receiver) -> list[tuple[str, str, dict[str, Any]]]:
    """Give all messages received: tag, id, data."""
    return [
        (message["tag"], message["msg_id"], json.loads(message["data"]))
        for received in receiver.received
        for message in json.loads(received.body)
    ]
