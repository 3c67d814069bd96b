"""Plays the day, from the first process to the verdicts."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from ops.day.arrival import Arrival
from ops.day.books import Books, read_books, read_stock
from ops.day.buyers import Bought, buy
from ops.day.course import course_of
from ops.day.foresight import Lookout
from ops.day.partners import WAREHOUSE
from ops.day.plan import planned
from ops.day.stage import Stage, set_up
from ops.day.verdicts import Day
from reservation.config import load
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.reads import look_at
from wms_sync.rules.capacity import DAY_MS
from wms_sync.terms import terms_of

if TYPE_CHECKING:
    from pathlib import Path

    from ops.day.foresight import Look
    from ops.day.plan import Plan

SETTLE_SECONDS: Final = 60.0  # for reports that are under way
POLL_SECONDS: Final = 0.2
TOLD_SECONDS: Final = 1.0  # real time between two looks at how far the day is
EVENING_TOLD_SECONDS: Final = 30.0  # between two lines on what is still on its way


class Teller(Protocol):
    """Who is told how far the day is."""

    def step(self, text: str) -> None:
        """Hear what is done now."""

    def time(self, part: float, text: str) -> None:
        """Hear how much of the day has passed, and how it stands."""

    def note(self, text: str) -> None:
        """Hear of something that stays on the screen."""


async def play(
    folder: Path, teller: Teller, *, orders: int, capacity: int, speed: float, seed: int
) -> Day:
    """Play a day into an empty folder. Raises StageFailed, StoreUnavailable."""
    began = time.monotonic()
    plan = planned(orders, seed)
    async with AsyncExitStack() as stack:
        teller.step("the processes start")
        stage = await set_up(
            stack, folder, plan.stock, orders=orders, capacity=capacity, speed=speed
        )
        settings = load(stage.config, data_dir=stage.data_dir, admin_key=stage.key)
        terms = terms_of(WAREHOUSE, settings.wms[WAREHOUSE])
        lookout = Lookout(stage.data_dir, terms, stage.clock)
        begins_ms = await _dawn(stage)
        ends_ms = begins_ms + DAY_MS
        bought = await _day(stage, plan, lookout, teller, begins_ms)
        await lookout.look()
        teller.step("the day is over: what is on its way arrives")
        still_come = await _all_entered(stage, bought, teller)
        settled = await _evening(stage)
        teller.step("the books are read")
        await lookout.look()
        books = await read_books(stage, settings)
    return Day(
        begins_ms,
        ends_ms,
        speed,
        capacity,
        orders,
        seed,
        time.monotonic() - began,
        bought,
        lookout.found,
        books,
        course_of(books.rows.values(), begins_ms, ends_ms),
        _late(stage, books),
        settled,
        still_come,
    )


async def _dawn(stage: Stage) -> int:
    """Wait for the day, and let the warehouse's own clock begin it; returns when it begins."""
    await asyncio.sleep(max(0.0, stage.clock.since_ms / 1000 - time.time()))
    begins_ms = stage.clock.now_ms()
    await stage.warehouse.say("PUT", "/clock", {"now_ms": begins_ms, "speed": stage.clock.speed})
    return begins_ms


async def _day(
    stage: Stage, plan: Plan, lookout: Lookout, teller: Teller, begins_ms: int
) -> Bought:
    bought, warned = Bought(), False
    last: list[Look] = []

    def looked(look: Look) -> None:
        nonlocal warned
        last[:] = [look]
        if look.first_breach_ms is not None and not warned:
            warned = True
            hours = (look.first_breach_ms - look.at_ms) / 3_600_000
            teller.note(
                f"warned: in {hours:.1f} h the first order will have waited for 8 h, unless the"
                f" warehouse takes {look.needed_per_hour:,} an hour"
            )

    async def tell() -> None:
        while True:
            part = (stage.clock.now_ms() - begins_ms) / DAY_MS
            waits = f"{last[0].waiting:,} wait" if last else "none waits"
            teller.time(min(part, 1.0), f"{len(bought.placed):,} ordered, {waits}")
            await asyncio.sleep(TOLD_SECONDS)

    watching = [asyncio.create_task(lookout.run(looked)), asyncio.create_task(tell())]
    buying = asyncio.create_task(buy(stage.platforms, plan, bought, stage.clock, begins_ms))
    try:
        # Buying ends with its last order; what looks on ends only by a fault.
        await asyncio.wait({buying, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in watching:
            if task.done():
                task.result()
        await buying
        left_ms = begins_ms + DAY_MS - stage.clock.now_ms()
        await asyncio.sleep(max(0.0, left_ms / 1000 / stage.clock.speed))
    finally:
        for task in (buying, *watching):
            task.cancel()
        await asyncio.gather(buying, *watching, return_exceptions=True)
    teller.time(1.0, f"{len(bought.placed):,} ordered")
    return bought


async def _all_entered(stage: Stage, bought: Bought, teller: Teller) -> bool:
    """Wait as long as more enter the outbox; returns whether some still did at the end."""
    path, began = outbox_path(stage.data_dir), time.monotonic()
    arrival, told = Arrival(len(bought.placed), began), began

    def entered() -> tuple[int, int]:
        depths = look_at(path, lambda reads: reads.depths(WAREHOUSE)) or ()
        undetailed = sum(d.orders for d in depths if d.state is DeliveryState.UNDETAILED)
        return sum(d.orders for d in depths), undetailed

    while True:
        found, undetailed = await asyncio.to_thread(entered)
        now = time.monotonic()
        if arrival.ends(found, undetailed, now):
            return arrival.still_come
        if now - told >= EVENING_TOLD_SECONDS:
            told = now
            teller.step(f"{found:,} of {len(bought.placed):,} are in the outbox")
        await asyncio.sleep(POLL_SECONDS)


async def _evening(stage: Stage) -> bool:
    """Wait until both sides know the same of stock; returns whether all has come to rest.

    The warehouse's clock stands still for that.
    """
    await stage.warehouse.say("PUT", "/clock", {"speed": 0})
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        books = Books()
        await read_stock(stage, books)
        waiting = books.house["reports_waiting"]
        if not waiting and _equal(books):
            return True
        await asyncio.sleep(POLL_SECONDS)
        if waiting:  # what was not taken comes again by the warehouse's own clock
            await stage.warehouse.say("PUT", "/clock", {"advance_ms": 1000})
    return False


def _equal(books: Books) -> bool:
    return all(books.there[sku][0] == level[0] for sku, level in books.levels.items())


def _late(stage: Stage, books: Books) -> list[int]:
    """Say how long after its payment each order entered the outbox, by the warehouse's clock."""
    late = []
    for name, row in books.rows.items():
        order: dict[str, Any] = books.platforms.get(name, {})
        if paid_ms := order.get("paid_at_ms"):
            late.append(row.entered_ms - stage.clock.at(paid_ms))
    return sorted(late)
