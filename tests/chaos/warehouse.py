"""A whole `holdfast up` that feeds a simulated Qimen warehouse, each in processes of its own.

Only the warehouse's time is fast: what Holdfast does takes the time that it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from ops.day.stage import ANSWER_SECONDS, Simulated
from reservation.audit import AuditReport
from reservation.model import Reservation
from reservation.store.keys import SENTINEL
from reservation.store.records import unpack_reservation
from reservation.store.store import Store
from reservation.times import rfc3339
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.wire import Wire
from tests.waiting import alive
from tests.wms_sync.qimen_house import OPTIONS, SECRET, pushed
from wms_sync.clock import WarehouseClock
from wms_sync.outbox.delivery import Delivery, DeliveryState
from wms_sync.outbox.file import OutboxUnavailable, outbox_path
from wms_sync.outbox.reads import look_at

T = TypeVar("T")

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
WAREHOUSE, CODE, OWNER, APP_KEY = "main", "W01", "OWN", "12345678"
UNITS = 1_000_000  # of each SKU
SKUS = tuple(f"SKU-{number:02}" for number in range(20))
WIRES = 8  # at once; orders come over them
AT_ONCE = 50  # orders of one request
PAGE = 1_000
POLL_SECONDS = 0.1  # between looks at what other processes do
PERSON = {
    "name": "张三",
    "mobile": "13800000000",
    "province": "浙江省",
    "city": "杭州市",
    "detail_address": "世纪大道 1 号",
}
# A tenth is urgent, a tenth are samples.
LANES = ({"lane": "rush"}, {"lane": "sample", "bench": "B7", "quality_check": "开箱查验"})


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order to be placed."""

    reservation_id: str
    lines: Mapping[str, int]
    lane: Mapping[str, str]
    ship_by_hours: int  # from now

    @property
    def code(self) -> str:
        """Name it at the warehouse."""
        return f"{self.reservation_id}@{WAREHOUSE}"


def orders(count: int, seed: int) -> list[Ordered]:
    """Make orders of one to three SKUs, in all lanes."""
    chance = random.Random(seed)
    return [
        Ordered(
            f"tmall:{number}",
            {sku: chance.randrange(1, 4) for sku in chance.sample(SKUS, chance.randrange(1, 4))},
            LANES[number % 10] if number % 10 < len(LANES) else {},
            chance.randrange(12, 72),
        )
        for number in range(count)
    ]


class Feeding:
    """What runs: a service with a warehouse behind it, and what both have."""

    def __init__(
        self,
        deployment: Deployment,
        house: Simulated,
        clock: WarehouseClock,
        http: aiohttp.ClientSession,
    ) -> None:
        self.deployment = deployment
        self.house = house
        self.clock = clock
        self.path = outbox_path(deployment.settings.data_dir)
        self._http = http
        self._url = f"http://{deployment.host}:{deployment.port}"

    # -- orders ----------------------------------------------------------------------------------

    async def place(self, wanted: Sequence[Ordered]) -> None:
        """Say where orders go and have them paid, over several connections at once."""
        parts = iter([wanted[at : at + AT_ONCE] for at in range(0, len(wanted), AT_ONCE)])

        async def work(wire: Wire) -> None:
            for part in parts:
                for order in part:
                    await self._tell(wire, order)
                reserve = [_reserve(order) for order in part]
                body = {"operations": reserve}
                answer = await wire.request("POST", "/v1/reservations/batch", body)
                assert answer.status == 200, answer
                assert all(one["status"] == 201 for one in answer.value["results"]), answer

        async with self.deployment.wires(WIRES) as wires:
            await asyncio.gather(*map(work, wires))

    async def _tell(self, wire: Wire, order: Ordered) -> None:
        ship_by_ms = round(time.time() * 1000) + order.ship_by_hours * HOUR_MS
        body = {"receiver": PERSON, "shop": "旗舰店", "ship_by": rfc3339(ship_by_ms), **order.lane}
        path = f"/v1/reservations/{order.reservation_id}/shipping"
        assert (await wire.request("PUT", path, body)).status == 200

    async def ask(self, path: str) -> Any:
        """Ask the service."""
        headers = {"Authorization": f"Bearer {self.deployment.token}"}
        async with self._http.get(f"{self._url}{path}", headers=headers) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def report(self, method: str, body: str) -> str:
        """Push a report of the warehouse's, signed; returns the answer."""
        push = pushed(f"<request>{body}</request>", method, at_ms=self.clock.now_ms())
        url = f"{self._url}/v1/warehouses/{WAREHOUSE}/reports?{push.query}"
        async with self._http.post(url, data=push.body, headers=dict(push.headers)) as answer:
            return await answer.text()

    def kill(self) -> None:
        """Kill -9 what feeds warehouses; the service starts another one."""
        for pid in self.deployment.pids("warehouses"):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)

    # -- what our side has -----------------------------------------------------------------------

    def states(self) -> Counter[str]:
        """Count the orders in the outbox by where they are; none while the file is being made."""
        try:
            depths = look_at(self.path, lambda reads: reads.depths(WAREHOUSE))
        except OutboxUnavailable:
            depths = None
        found: Counter[str] = Counter()
        for one in depths or ():
            found[one.state] += one.orders
        return +found

    def handed(self) -> int:
        """Count those that the warehouse has, or has had."""
        found = self.states()
        return found[DeliveryState.ACCEPTED] + found[DeliveryState.SHIPPED]

    def rows(self) -> dict[str, Delivery]:
        """Read all rows of the outbox."""
        found = look_at(self.path, lambda reads: reads.deliveries("warehouse = ?", (WAREHOUSE,)))
        return {row.code: row for row in found or ()}

    async def reservations(self) -> dict[str, Reservation]:
        """Read all reservations."""
        found = {}
        store = await Store.open(self.deployment.settings)
        try:
            async for _, chunk in store.scan("reservations"):
                for name, record in chunk:
                    if name != SENTINEL:
                        found[name] = unpack_reservation(name, record)
        finally:
            await store.close()
        return found

    async def levels(self) -> dict[str, tuple[int, int, int]]:
        """Read what is on hand, held and committed of each SKU."""
        page = await self.ask(f"/v1/stock?limit={PAGE}")
        return {
            one["sku"]: (level["on_hand"], level["held"], level["committed"])
            for one in page["items"]
            for level in (one["warehouses"][0] if "warehouses" in one else one,)
        }

    async def audit(self) -> AuditReport:
        """Recount both sides; fails where an invariant does not hold."""
        assert (await self.house.say("GET", "/audit"))["wrong"] == []
        return await self.deployment.audit()

    # -- what the warehouse has ------------------------------------------------------------------

    async def orders_there(self) -> dict[str, dict[str, Any]]:
        """Read all orders of the warehouse."""
        found: dict[str, dict[str, Any]] = {}
        after = ""
        while True:
            path = f"/orders?limit={PAGE}{after}"
            page = (await self.house.say("GET", path))["orders"]
            found |= {order["code"]: order for order in page}
            if len(page) < PAGE:
                return found
            after = f"&after={page[-1]['code']}"

    async def there(self) -> dict[str, int]:
        """Count the units of our SKUs there, set aside for orders or not."""
        items = (await self.house.say("GET", f"/items?limit={PAGE}"))["items"]
        return {
            one["item_code"]: one["quantity"] + one["lock_quantity"]
            for one in items
            if one["item_code"] in SKUS
        }

    async def state_there(self) -> dict[str, Any]:
        """Read what the warehouse tells of itself."""
        found: dict[str, Any] = await self.house.say("GET", "/state")
        return found


def _reserve(order: Ordered) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in order.lines.items()]
    return {
        "op": "reserve",
        "reservation_id": order.reservation_id,
        "lines": lines,
        "confirm": True,
    }


@contextlib.asynccontextmanager
async def feeding(
    folder: Path,
    *,
    speed: float,
    ways: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] | None = None,
    settings: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    url: Callable[[str], Awaitable[str]] | None = None,
    **system: object,
) -> AsyncIterator[Feeding]:
    """Run both until the end of the block, with the same stock on both sides.

    `ways` and `gateway` are the warehouse's, `options` its connector's, `settings` the service's
    beside it, by their names in the environment; `url` says at which address the warehouse is met.
    """
    async with contextlib.AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        house = Simulated("qimen", http, folder)
        stack.push_async_callback(house.process.end)
        await house.start(
            *("wms_sync.simulator", "qimen", "--app-key", APP_KEY, "--secret", SECRET),
            *("--customer-id", OPTIONS["customer_id"], "--seed", "3"),
            *("--warehouse-code", CODE, "--owner-code", OWNER),
        )
        now_ms = time.time_ns() // 1_000_000
        clock = WarehouseClock(now_ms, now_ms, speed)
        await house.say("PUT", "/clock", {"now_ms": clock.now_ms(), "speed": speed})
        await house.say("PUT", "/settings", ways or {})
        await house.say("PUT", "/qimen/settings", {"tolerance_ms": DAY_MS, **(gateway or {})})
        goods = [{"item_code": sku, "units": UNITS} for sku in SKUS]
        await house.say("POST", "/items", {"items": goods})
        address = house.gateway if url is None else await url(house.gateway)
        wms = {
            "connector": "qimen",
            "url": address,
            "code": CODE,
            "owner": OWNER,
            "app_key": APP_KEY,
            "secrets": [SECRET],
            "options": {**OPTIONS, "freshness_seconds": "86400", **(options or {})},
            **system,
        }
        fast = {"since_ms": clock.since_ms, "origin_ms": clock.origin_ms, "speed": speed}
        more = {
            "HOLDFAST_WMS": json.dumps({WAREHOUSE: wms}),
            "HOLDFAST_WAREHOUSE_CLOCK": json.dumps(fast),
            "HOLDFAST_LOG_LEVEL": "error",  # a line for each fault would be half the work here
            **(settings or {}),
        }
        deployment = stack.enter_context(deployed(folder / "var", "auto", workers=1, **more))
        running = Feeding(deployment, house, clock, http)
        async with deployment.wire() as wire:
            await wire.count(dict.fromkeys(SKUS, UNITS))
        reports = f"http://{deployment.host}:{deployment.port}/v1/warehouses/{WAREHOUSE}/reports"
        await house.say("PUT", "/qimen/url", {"url": reports})
        yield running


async def comes(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float) -> None:
    """Wait for what other processes do; fail naming `what` did not come."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(POLL_SECONDS)
