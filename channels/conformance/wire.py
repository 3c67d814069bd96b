"""The adapter on the wire: its calls go to a simulated platform, whose messages come to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final, TypeVar
from unittest import SkipTest

import httpx
from starlette.requests import Request as Incoming
from starlette.responses import Response as Outgoing
from starlette.routing import Route

from channels.adapter import Adapter, At
from channels.conformance.checking import shown
from channels.conformance.counterpart import Counterpart
from channels.model import Hint, OrderState, PlatformOrder
from channels.simulator.platform import SimulatedPlatform
from partners.errors import MessageRefused, PartnerFault, UnknownWord
from partners.model import Push, Request, Response
from partners.simulation.serving import application, beside

PATIENCE_SECONDS: Final = 10.0  # for a message that is on its way
_DOOR: Final = "/our-own/messages"  # where pushes come in, beside the simulated platform

T = TypeVar("T")


class Wire:
    """Sends what the adapter writes, reads what it is sent; all at the simulator's time."""

    adapter: Adapter  # from when the address of the platform is known

    def __init__(self, simulator: SimulatedPlatform, http: httpx.AsyncClient) -> None:
        self.world = simulator.world
        self.token = ""
        self.hints: list[Hint] = []  # of pushes that were taken
        self.put_off: list[Hint] = []  # of those that were to come again
        self.refused: list[str] = []  # why the others were refused
        self.busy = False  # pushes are put off
        self._http = http
        self._came = asyncio.Condition()

    # -- out -------------------------------------------------------------------------------------

    async def ask(
        self, write: Callable[[At], Request | None], read: Callable[[Response], T]
    ) -> T | None:
        """Send a call and read its answer; None where there is no such call."""
        request = write(At(self.world.clock.now_ms(), self.token))
        if request is None:
            return None
        answer = await self._http.request(
            request.method,
            request.url,
            content=request.body or None,
            headers=dict(request.headers),
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return read(Response(answer.status_code, answer.content, headers))

    async def do(self, write: Callable[[At], Request | None]) -> bool:
        """Write something; False where there is no such call."""

        def done(response: Response) -> bool:
            self.adapter.read_done(response)
            return True

        return await self.ask(write, done) or False

    async def must(self, what: str, write: Callable[[At], Request | None]) -> bool:
        """Write something that has to be done; False where there is no such call."""
        try:
            return await self.do(write)
        except PartnerFault as fault:
            raise AssertionError(f"{what} is refused: {fault}") from fault

    async def open(self, opens: str) -> None:
        """Get what opens the platform, where one has to ask for it."""
        now_ms = self.world.clock.now_ms
        token = await self.ask(
            lambda at: self.adapter.token("", at),
            lambda response: self.adapter.read_token(response, now_ms()),
        )
        self.token = opens if token is None else token.value

    # -- in --------------------------------------------------------------------------------------

    async def hear(self, incoming: Incoming) -> Outgoing:
        """Answer a push."""
        query = incoming.scope["query_string"].decode("latin-1")
        push = Push(await incoming.body(), dict(incoming.headers), query)
        reply = self.adapter.acknowledge()
        try:
            hints = self.adapter.read_push(push, self.world.clock.now_ms())
        except MessageRefused as why:
            self.refused.append(f"{type(why).__name__}: {why}")
            reply = self.adapter.refuse(why)
        else:
            if self.busy:
                reply = self.adapter.later()
            (self.put_off if self.busy else self.hints).extend(hints)
        async with self._came:
            self._came.notify_all()
        return Outgoing(reply.body, reply.status, media_type=reply.content_type)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a push that makes something true."""
        if not await self.comes(holds, PATIENCE_SECONDS):
            refused = f"; refused: {'; '.join(self.refused)}" if self.refused else ""
            raise AssertionError(f"never came: {what}{refused}")

    async def comes(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Say whether a push makes something true within a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._came:
                await self._came.wait_for(holds)
        return holds()

    # -- orders ----------------------------------------------------------------------------------

    async def reads(self, order_id: str, *states: OrderState) -> PlatformOrder:
        """Read an order, whose lines have to be in these states.

        It is pulled; where that is not possible its pushes are read until it is so.
        """
        try:
            order = await self.ask(
                lambda at: self.adapter.detail(order_id, at), self.adapter.read_detail
            )
        except (PartnerFault, UnknownWord) as error:
            raise AssertionError(f"order {order_id} cannot be read: {error}") from error
        if order is None:
            told = f"a push that order {order_id} is {', '.join(states)}"
            await self.until(lambda: _states(self._told(order_id)) == states, told)
            order = self._told(order_id)
        if order is None or _states(order) != states:
            raise AssertionError(f"{shown(order)} is not {', '.join(states)}")
        return order

    def _told(self, order_id: str) -> PlatformOrder | None:
        """Find the youngest description of an order that was pushed."""
        told = [hint.order for hint in self.hints if hint.order is not None]
        of_it = [order for order in told if order.order_id == order_id]
        return max(of_it, key=lambda order: order.changed_at_ms, default=None)


def _states(order: PlatformOrder | None) -> tuple[OrderState, ...]:
    return () if order is None else tuple(line.state for line in order.lines)


@contextlib.asynccontextmanager
async def wired(side: Counterpart) -> AsyncIterator[Wire]:
    """Run the simulated platform, with the adapter before it. Raises SkipTest without one."""
    if (simulator := side.simulator()) is None:
        raise SkipTest("the counterpart has no simulator")
    # Plain HTTP on this machine: to read whom to trust would take longer than all calls do.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(trust_env=False, verify=nobody) as http:
        wire = Wire(simulator, http)
        door = Route(_DOOR, wire.hear, methods=["POST"])
        async with beside(application(simulator, door)) as url:
            wire.adapter = side.adapter(replace(side.account, url=url + side.path))
            side.listen(simulator, url + _DOOR)
            await wire.open(side.opens)
            yield wire
