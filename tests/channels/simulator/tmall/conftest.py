"""Fixtures: an application that signs as the platform's documents say."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from channels.simulator.platform import ShopWorld
from channels.simulator.tmall import Tmall
from channels.simulator.tmall.call import written


def signature(parameters: dict[str, str], secret: str) -> str:
    """Sign with md5, step by step as documented."""
    text = secret
    for name in sorted(parameters):
        text += name + parameters[name]
    return hashlib.md5((text + secret).encode(), usedforsecurity=False).hexdigest().upper()


class Application:
    """Calls the gateway. `base` are the parameters of every call; change them to err."""

    def __init__(self, http: httpx.AsyncClient, world: ShopWorld, simulator: Tmall) -> None:
        self.http, self.world, self.seller = http, world, simulator.seller

    def parameters(self, method: str, **more: str) -> dict[str, str]:
        """Give all parameters of a call but its signature."""
        base = {
            "method": method,
            "app_key": self.seller.app_key,
            "session": self.seller.session,
            "timestamp": written(self.world.clock.now_ms()) or "",
            "v": "2.0",
            "format": "json",
            "sign_method": "md5",
        }
        return {**base, **more}

    async def send(self, parameters: dict[str, str]) -> httpx.Response:
        """Send parameters as a form."""
        return await self.http.post("/router/rest", data=parameters)

    async def call(self, method: str, **more: str) -> Any:
        """Call a method, rightly signed; the answer's content, or the error's."""
        parameters = self.parameters(method, **more)
        parameters["sign"] = signature(parameters, self.seller.secret)
        answer = await self.send(parameters)
        assert answer.status_code == 200
        (root, content), *others = answer.json().items()
        assert others == []
        assert root in {
            "error_response",
            f"{method.removeprefix('taobao.').replace('.', '_')}_response",
        }
        assert content.pop("request_id")
        return content


@pytest.fixture
def application(http: httpx.AsyncClient, world: ShopWorld, simulator: Tmall) -> Application:
    return Application(http, world, simulator)
