"""Who orders: each order at its platform in its moment of the day, whoever is slow.

Orders of one moment go to a platform's control side in one request; from there on each is an order
of its own, told by the platform in its own words.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.day.plan import Order, Plan
    from wms_sync.clock import WarehouseClock

TICK_SECONDS: Final = 0.05
MOST_AT_ONCE: Final = 200  # orders of one request
MOST_UNDER_WAY: Final = 64  # requests; a platform that hangs is not buried


class Counter(Protocol):
    """Where a platform's shop takes orders."""

    async def say(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the control side."""


@dataclass(slots=True)
class Bought:
    """What was ordered so far."""

    placed: dict[str, Order] = field(default_factory=dict)  # reservation id -> its order
    turned_away: list[str] = field(default_factory=list)  # what a platform did not sell


async def buy(
    platforms: Mapping[str, Counter],
    plan: Plan,
    bought: Bought,
    clock: WarehouseClock,
    begins_ms: int,
) -> None:
    """Place all orders of the day that begins at `begins_ms` of the warehouse's clock.

    Raises what a platform raises.
    """
    under_way = asyncio.Semaphore(MOST_UNDER_WAY)

    async def place(channel: str, orders: Sequence[Order]) -> None:
        async with under_way:
            forms = [order.form() for order in orders]
            said = await platforms[channel].say("POST", "/orders/batch", {"orders": forms})
        for order, one in zip(orders, said["orders"], strict=True):
            if "order_id" in one:
                bought.placed[f"{channel}:{one['order_id']}"] = order
            else:
                bought.turned_away.append(one["error"])

    try:
        async with asyncio.TaskGroup() as group:
            next_one = 0
            while next_one < len(plan.orders):
                due_ms = clock.now_ms() - begins_ms
                by_channel: dict[str, list[Order]] = defaultdict(list)
                while next_one < len(plan.orders) and plan.orders[next_one].at_ms <= due_ms:
                    order = plan.orders[next_one]
                    by_channel[order.channel].append(order)
                    next_one += 1
                for channel, orders in by_channel.items():
                    for start in range(0, len(orders), MOST_AT_ONCE):
                        group.create_task(place(channel, orders[start : start + MOST_AT_ONCE]))
                await asyncio.sleep(TICK_SECONDS)
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from faults
