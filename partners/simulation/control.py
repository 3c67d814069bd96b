"""The control side: who tries something says here what goes wrong and what time it is.

Plain JSON under `/simulator`, to this machine only, no signature; a refusal is 4xx with
`{"error": sentence}`. The same for every partner.

    GET  /simulator/state       time, faults, what the world and the partner tell of themselves
    GET, PUT /simulator/faults  rates, and with a "seed" the dice anew
    GET, PUT /simulator/clock   {"now_ms"?, "advance_ms"?, "speed"?}, in that order
    /simulator/…                what every partner of a kind has: the `desk` of its world
    /simulator/PLATFORM/…       what only one partner has: its own `desk`
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from partners.simulation.clock import WrongTime
from partners.simulation.faults import Rates, WrongRates
from partners.simulation.forms import ClockSetting, Declined, FaultSetting, read
from partners.simulation.simulator import Answer, Simulator, World
from reservation.receivers import is_loopback


def control(simulator: Simulator) -> Mount:
    """Give the control side of a simulator."""
    desk = _Desk(simulator)
    answers: dict[tuple[str, str], Answer] = {
        ("/state", "GET"): desk.state,
        ("/faults", "GET"): desk.faults,
        ("/faults", "PUT"): desk.set_faults,
        ("/clock", "GET"): desk.clock,
        ("/clock", "PUT"): desk.set_clock,
        **simulator.world.desk(),
    }
    for (path, method), answer in simulator.desk().items():
        answers[f"/{simulator.platform}{path}", method] = answer
    return Mount(
        "/simulator",
        routes=[_route(path, method, answer) for (path, method), answer in answers.items()],
    )


class _Desk:
    """Where the control side's requests are answered."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._world = simulator.world

    async def state(self, _: Request) -> Any:
        return {
            "platform": self._simulator.platform,
            "clock": _clock_view(self._world),
            "faults": _faults_view(self._world),
            **self._world.state(),
            **self._simulator.state(),
        }

    async def faults(self, _: Request) -> Any:
        return _faults_view(self._world)

    async def set_faults(self, request: Request) -> Any:
        form = await read(request, FaultSetting)
        rates = {name: getattr(form, name) for name in Rates.__struct_fields__}
        self._world.faults.set(Rates(**rates), form.seed)
        return _faults_view(self._world)

    async def clock(self, _: Request) -> Any:
        return _clock_view(self._world)

    async def set_clock(self, request: Request) -> Any:
        form, clock = await read(request, ClockSetting), self._world.clock
        if form.now_ms is not None:
            clock.set(form.now_ms)
        if form.advance_ms is not None:
            clock.advance(form.advance_ms)
        if form.speed is not None:
            clock.run(form.speed)
        self._world.changed.set()
        return _clock_view(self._world)


def _faults_view(world: World) -> dict[str, Any]:
    """Tell the rates, the seed, and how often each fault came."""
    faults = world.faults
    return {**msgspec.structs.asdict(faults.rates), "seed": faults.seed, "counts": faults.counts}


def _clock_view(world: World) -> dict[str, Any]:
    """Tell the time."""
    return {"now_ms": world.clock.now_ms(), "speed": world.clock.speed}


def _route(path: str, method: str, answer: Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        if request.client is None or not is_loopback(request.client.host):
            return _said(403, {"error": "the control side answers this machine only"})
        try:
            return _said(200, await answer(request))
        except Declined as declined:
            return _said(declined.status, {"error": str(declined)})
        except (WrongRates, WrongTime, msgspec.ValidationError) as error:
            return _said(422, {"error": str(error)})
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return _said(400, {"error": f"the body is no JSON: {error}"})

    return Route(path, endpoint, methods=[method])


def _said(status: int, what: Any) -> Response:
    return Response(orjson.dumps(what), status, media_type="application/json")
