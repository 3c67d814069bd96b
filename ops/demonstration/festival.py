"""A festival day in two and a half minutes, again and again: so that the board always has life.

Buyers order at the simulated platforms what lies in the simulated warehouse, which takes less than
half of it in a day of its fast time. The rest drains until the second midnight after; then the next
day begins. What is sold is put in again before that, as a merchant would: goods, then the count.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from rich.text import Text

from ops.day.books import read_rows
from ops.day.buyers import Bought, buy
from ops.day.course import course_of, first_warning
from ops.day.foresight import Lookout
from ops.day.plan import planned
from ops.demonstration.house import CAPACITY, DAY_SKUS, HOUSE, ORDERS
from ops.demonstration.shopfront import Shopfront
from ops.demonstration.stage import Overdue
from reservation.client import AsyncClient, SkuNotFound
from reservation.errors import HoldfastError
from wms_sync.clock import clock_of
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import outbox_path
from wms_sync.rules.capacity import DAY_MS, HOUR_MS
from wms_sync.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from ops.day.books import Row
    from ops.day.foresight import Foresights, Look
    from ops.day.plan import Plan
    from reservation.client import StockLevel
    from reservation.config import Settings

CHINA_MS: Final = 8 * HOUR_MS  # its midnight is so long before that of UTC
LOOKS: Final = 24  # at what is foreseen, in a day
POLL_SECONDS: Final = 4.0  # between looks at what is to end in its time
SHELF_SECONDS: Final = 0.5  # between looks at a whole shelf
PATIENCE_SECONDS: Final = 60.0  # for what follows within seconds
DRAIN_SECONDS: Final = 300.0  # beyond the day, for the last of it; planned are 80
AGAIN_SECONDS: Final = 5.0  # after a day that was cut off
DONE: Final = frozenset({DeliveryState.SHIPPED, DeliveryState.CANCELLED, DeliveryState.REJECTED})


class Festival:
    """Plays days at a running service, its simulated platforms and its simulated warehouse."""

    def __init__(
        self,
        base_url: str,
        admin_key: str,
        console: Console,
        *,
        platforms: Mapping[str, str],
        house_url: str,
        tag: str,
        settings: Settings,
    ) -> None:
        self._console = console
        self._clock = clock_of(settings)
        self._terms = terms_of(HOUSE, settings.wms[HOUSE])
        self._data_dir = settings.data_dir
        self._tag = tag
        self._service = AsyncClient(base_url, admin_key)
        self._shops = {channel: Shopfront(channel, url) for channel, url in platforms.items()}
        self._house = Shopfront(HOUSE, house_url)

    async def play(self, days: int | None = None) -> None:
        """Play so many days, or until cancelled; what cuts one off is said, and the next begins."""
        seconds = DAY_MS / 1000 / self._clock.speed
        self._console.print()
        self._say(
            f"From here on a festival day again and again, in {seconds:.0f} s: {ORDERS} orders for"
            f" a warehouse that takes {CAPACITY}. The board's page Warehouses shows it.",
            "bold",
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._service)
            for front in (self._house, *self._shops.values()):
                await stack.enter_async_context(front)
            number = 0
            while days is None or number < days:
                number += 1
                try:
                    self._say(await self._day(number))
                except (HoldfastError, sqlite3.Error) as error:
                    self._say(f"day {number} was cut off: {error}", "yellow")
                    await asyncio.sleep(AGAIN_SECONDS)

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    async def _day(self, number: int) -> str:
        """Play one day until its last order has left; returns what came of it."""
        plan = planned(ORDERS, number)
        await self._fill(plan, number)
        await self._until_shown(plan)
        begins_ms = _midnight(self._clock.now_ms())
        await self._until(begins_ms)
        bought, lookout = Bought(), Lookout(self._data_dir, self._terms, self._clock, looks=LOOKS)
        looking = asyncio.create_task(_until_warned(lookout))
        try:
            await buy(self._shops, plan, bought, self._clock, begins_ms)
            await self._until(begins_ms + DAY_MS)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        rows = await self._drained(bought, begins_ms)
        short = sum(level.shortfall for level in (await self._levels()).values() if level)
        told = _told(bought, rows, lookout.found, begins_ms=begins_ms, short=short)
        return f"day {number}: {told}"

    async def _until(self, at_ms: int) -> None:
        """Wait for a time of the warehouse's clock."""
        left_ms = at_ms - self._clock.now_ms()
        await asyncio.sleep(max(0.0, left_ms / 1000 / self._clock.speed))

    async def _drained(self, bought: Bought, begins_ms: int) -> Mapping[str, Row]:
        """Wait until nothing of a day is left to leave, within bounds; returns its orders."""
        path, deadline = outbox_path(self._data_dir), time.monotonic() + DRAIN_SECONDS
        while True:
            rows, _ = await asyncio.to_thread(read_rows, path, HOUSE, from_ms=begins_ms)
            own = {name: rows[name] for name in bought.placed if name in rows}
            done = len(own) == len(bought.placed) and all(one.state in DONE for one in own.values())
            if done or time.monotonic() > deadline:
                return own
            await asyncio.sleep(POLL_SECONDS)

    # -- goods -----------------------------------------------------------------------------------

    async def _fill(self, plan: Plan, number: int) -> None:
        """Have enough of each SKU for a day, free: first there, then by our books."""
        levels = await self._levels()
        came: dict[str, int] = {}
        for sku, units in plan.stock.items():
            level = levels[sku]
            more = units if level is None else units - level.available
            if more > 0:
                came[sku] = more
        goods = [{"item_code": sku, "units": units} for sku, units in came.items()]
        if goods:
            await self._house.say("POST", "/items", {"items": goods})
        for sku, units in came.items():
            if levels[sku] is None:
                await self._service.set_stock(sku, units, warehouse=HOUSE)
            else:
                name = f"{self._tag}-{number}"
                await self._service.adjust_stock(
                    sku, units, adjustment_id=name, reason="goods came in", warehouse=HOUSE
                )

    async def _levels(self) -> Mapping[str, StockLevel | None]:
        """Read our count of each SKU."""
        return {sku: await self._level(sku) for sku in DAY_SKUS}

    async def _level(self, sku: str) -> StockLevel | None:
        try:
            found = await self._service.stock(sku)
        except SkuNotFound:
            return None
        return next((one for one in found.warehouses if one.warehouse == HOUSE), None)

    async def _until_shown(self, plan: Plan) -> None:
        """Wait until every shop shows enough of each SKU. Raises Overdue."""
        asked: dict[str, int] = {}
        for order in plan.orders:
            for sku, units in order.lines:
                asked[sku] = asked.get(sku, 0) + units
        deadline = time.monotonic() + PATIENCE_SECONDS
        for shop in self._shops.values():
            while True:
                shelf = await shop.shelf()
                lacking = [sku for sku, units in asked.items() if shelf.get(sku, 0) < units]
                if not lacking:
                    break
                if time.monotonic() > deadline:
                    raise Overdue(f"{shop.title} does not show enough of {', '.join(lacking[:3])}")
                await asyncio.sleep(SHELF_SECONDS)


async def _until_warned(lookout: Lookout) -> None:
    """Look at what is foreseen until it is that an order waits for too long."""
    warned = asyncio.Event()

    def hear(look: Look) -> None:
        if look.first_breach_ms is not None:
            warned.set()

    looking = asyncio.create_task(lookout.run(hear))
    waiting = asyncio.create_task(warned.wait())
    try:
        await asyncio.wait({looking, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (looking, waiting):
            task.cancel()
        await asyncio.gather(looking, waiting, return_exceptions=True)


def _midnight(now_ms: int) -> int:
    """Name the next midnight of China."""
    days = -((-now_ms - CHINA_MS) // DAY_MS)
    return days * DAY_MS - CHINA_MS


def _told(
    bought: Bought, rows: Mapping[str, Row], found: Foresights, *, begins_ms: int, short: int
) -> str:
    """Say in one line what came of a day."""
    ends_ms = begins_ms + DAY_MS
    waited = sum(one.gone_ms is None or one.gone_ms > ends_ms for one in rows.values())
    gone_ms = max((one.gone_ms or 0 for one in rows.values()), default=begins_ms)
    open_now = sum(one.gone_ms is None for one in rows.values())
    lost = len(bought.placed) - len(rows)
    parts = [
        f"{len(bought.placed)} orders",
        f"{len(rows) - waited} left by midnight, {waited} waited",
        f"{open_now} wait still"
        if open_now
        else f"gone after {(gone_ms - begins_ms) / HOUR_MS:.0f} h",
        _warned(rows, found, begins_ms, ends_ms),
    ]
    if bought.turned_away:
        parts.append(f"{len(bought.turned_away)} not sold: {bought.turned_away[0]}")
    if amiss := [one for one in rows.values() if one.anomaly]:
        parts.append(f"{len(amiss)} for people")
    return f"{'; '.join(parts)}; oversold {short}, lost {lost}"


def _warned(rows: Mapping[str, Row], found: Foresights, begins_ms: int, ends_ms: int) -> str:
    """Say how long before the first order had waited eight hours that was foretold."""
    warning = first_warning(found.looks)
    breach_ms = course_of(rows.values(), begins_ms, ends_ms).first_breach_ms
    if breach_ms is None:
        return "none waited 8 h"
    if warning is None or warning.at_ms >= breach_ms:
        return "not warned before one had waited 8 h"
    return f"warned {(breach_ms - warning.at_ms) / HOUR_MS:.1f} h before one had waited 8 h"
