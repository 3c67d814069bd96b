"""What the dealer is asked for: an order, and the orders that changed in a while.

Source: docs/distributors.md ("Orders that can be asked for"): signed as a message with an empty
body.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from channels.simulator.dealer.account import Settings
from channels.simulator.dealer.document import Book, read_time
from channels.simulator.dealer.gate import Gate, NotTaken
from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Refused
from partners.simulation.simulator import Cut

_MOST_SHIFTED_MS: Final = 1_000  # an order's update may be written so much later than it was


class Asked:
    """Answers what we ask."""

    def __init__(self, world: ShopWorld, gate: Gate, book: Book, settings: Settings) -> None:
        self._world, self._gate, self._book = world, gate, book
        self._settings = settings

    async def order(self, request: Request) -> Response | Cut:
        """Answer with an order."""
        try:
            fault = await self._open(request)
            order = self._world.shop.order(request.path_params["order_no"])
        except NotTaken as refusal:
            return refusal.answer
        except Refused:
            return self._gate.say(404, "unknown")
        return fault or self._say(self._book.view(order))

    async def orders(self, request: Request) -> Response | Cut:
        """Answer with a page of orders, those that changed first first."""
        try:
            fault = await self._open(request)
            begin_ms, end_ms, page = _window(request)
        except NotTaken as refusal:
            return refusal.answer
        except (ValueError, OverflowError):
            return self._gate.say(400, "malformed")
        changed = self._world.shop.changed_between(begin_ms - _MOST_SHIFTED_MS, end_ms)
        found = [each for each in changed if begin_ms <= self._book.updated_ms(each) <= end_ms]
        found.sort(key=self._book.updated_ms)
        size = self._settings.page_size
        listed = found[(page - 1) * size : page * size]
        orders = [self._book.view(order) for order in listed]
        return fault or self._say({"orders": orders, "pages": max(1, -(-len(found) // size))})

    async def _open(self, request: Request) -> Response | Cut | None:
        """Check a request; the answer that takes the place of the right one, if any."""
        await self._gate.open(request)
        if (token := self._settings.token) is not None:
            given = request.headers.get("authorization", "")
            if given != f"Bearer {token}":
                raise NotTaken(self._gate.say(401, "no token"))
        fault = self._gate.fault()
        return None if fault is None else self._gate.say_fault(fault)

    def _say(self, what: Any) -> Response:
        self._gate.counts["answered"] += 1
        return Response(orjson.dumps(what), media_type="application/json")


def _window(request: Request) -> tuple[int, int, int]:
    """Read the query. Raises ValueError."""
    query = request.query_params
    page = query.get("page", "1")
    if not (page.isascii() and page.isdecimal() and int(page[:9]) >= 1):
        raise ValueError("page is 1 or more")
    begin_ms = read_time(query.get("updated_from", ""))
    return begin_ms, read_time(query.get("updated_to", "")), int(page[:9])
