"""The control side of any partner: faults, the clock, what is told, and who is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import application
from partners.simulation.simulator import Answer, World
from tests.partners.simulation.conftest import NOON_MS
from tests.partners.simulation.echo import Echo


class Depot(World):
    """A world with something in it besides."""

    def state(self) -> dict[str, Any]:
        """Tell what there is."""
        return {"shelves": 3}

    def desk(self) -> dict[tuple[str, str], Answer]:
        """Let one shelf be seen."""
        return {("/shelves/{number}", "GET"): self._shelf}

    async def _shelf(self, request: Request) -> Any:
        return {"shelf": request.path_params["number"]}


def asking(world: World, host: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client on some machine."""
    transport = httpx.ASGITransport(application(Echo(world)), client=(host, 4_711))
    return httpx.AsyncClient(transport=transport, base_url="http://here/simulator")


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(world) as client:
        yield client


async def test_faults_and_clock_are_set(world: World, http: httpx.AsyncClient) -> None:
    """Rates with a seed; a time, a leap and a speed, which wakes who waits for the clock."""
    faults = (await http.put("/faults", json={"lost": 0.25, "seed": 9})).json()
    assert (faults["lost"], faults["error"], faults["seed"]) == (0.25, 0, 9)
    assert not world.changed.is_set()
    moved = {"now_ms": 1_000, "advance_ms": 500, "speed": 0}
    clock = (await http.put("/clock", json=moved)).json()
    assert (clock, world.changed.is_set()) == ({"now_ms": 1_500, "speed": 0}, True)
    state = (await http.get("/state")).json()
    assert state == {"platform": "echo", "clock": clock, "faults": faults}
    assert (await http.get("/clock")).json() == clock
    assert (await http.get("/faults")).json() == faults


async def test_a_world_and_a_partner_have_their_own_beside_it() -> None:
    """A world's for every partner of the kind; a partner's below its name."""
    async with asking(Depot(Clock(NOON_MS, speed=0), Faults())) as http:
        assert (await http.get("/state")).json()["shelves"] == 3
        assert (await http.get("/shelves/2")).json() == {"shelf": "2"}
        said = await http.post("/echo/greeting", json={"text": "hello"})
        assert (said.status_code, said.json()) == (200, {"said": "hello"})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/faults", {"lost": 2}),
        ("PUT", "/faults", {"lots": 1}),
        ("PUT", "/clock", {"speed": -1}),
        ("PUT", "/clock", {"advance_ms": 10**18}),
        ("POST", "/echo/greeting", {"text": "goodbye"}),
        ("POST", "/echo/greeting", {"words": 1}),
    ],
)
async def test_a_refusal_is_a_sentence(
    http: httpx.AsyncClient, world: World, method: str, path: str, body: Any
) -> None:
    """Nothing has changed then."""
    answer = await http.request(method, path, json=body)
    assert (answer.status_code, list(answer.json())) == (422, ["error"])
    assert (world.clock.now_ms(), world.clock.speed, world.faults.rates.lost) == (NOON_MS, 0, 0)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"speed": 5}', "text/plain", 422),  # a page in a browser could send it
        (b"{", "application/json", 400),
        (b'{"speed": 5}' + b" " * 2_000_000, "application/json", 422),
    ],
)
async def test_only_json_is_read(
    http: httpx.AsyncClient, world: World, content: bytes, kind: str, status: int
) -> None:
    """And not without end."""
    answer = await http.put("/clock", content=content, headers={"content-type": kind})
    assert (answer.status_code, world.clock.speed) == (status, 0)


async def test_only_this_machine_is_answered(world: World) -> None:
    """Whoever comes from elsewhere reads and changes nothing."""
    async with asking(world, "192.0.2.7") as http:
        for method, path in (("GET", "state"), ("PUT", "clock"), ("POST", "echo/greeting")):
            answer = await http.request(method, f"/{path}", json={"speed": 5})
            assert (answer.status_code, path) == (403, path)
    assert world.clock.speed == 0
