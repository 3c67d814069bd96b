"""Two days of real orders, placed at the platforms and played out there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ops.demonstration.stage import PATIENCE_SECONDS, TELLING_SECONDS, Overdue, together
from ops.replay.figures import Fate, Figures
from ops.replay.orders import parse
from ops.replay.player import Plan, WallClock
from ops.replay.report import ProgressBar, counted, figures_table, print_verdict
from ops.replay.run import lay_stock, sample_orders
from ops.replay.stocking import level_files
from ops.replay.verdict import reach_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ops.demonstration.stage import Stage
    from ops.replay.orders import Order

SAMPLE_STOCK: Final = 100  # units of each of 1,455 SKUs: about half of the 236 orders can be met
TITLE: Final = "Real orders"
LOOK_SECONDS: Final = 0.1  # between two looks at what has been dealt with

# What was refused may be held by a sweep's look before its platform closes it.
_REFUSED: Final = frozenset({None, "reservation.released"})
# What has become of an order -> what the latest event of its reservation may be when all is done.
_LATEST: Final = {
    Fate.CONFIRMED: frozenset({"reservation.fulfilled"}),
    Fate.CLOSED: frozenset({"reservation.released"}),
    Fate.SHORT: _REFUSED,
    Fate.SUSPENDED: _REFUSED,
}


async def real_orders(stage: Stage) -> None:
    """Play the order sample on stock so small that part of it is refused, then audit."""
    stage.title("3. Two days of real orders")
    stage.say("Online Retail (D. Chen, 2015, UCI, CC BY 4.0): real invoices, invented channels.")
    orders = parse(sample_orders())
    skus = {line.sku for order in orders for line in order.lines}
    files = [*level_files(orders, SAMPLE_STOCK)]
    if await stage.gateway.stock(min(skus)) is not None:
        # Counted to nothing first: a rise lets a SKU that an earlier run suspended try again.
        files = [*level_files(orders, 0), *files]
    await lay_stock(stage.gateway, files)
    stage.say(f"{SAMPLE_STOCK} units of each of their {len(skus):,} SKUs are in stock.")
    took = await _until_shown(stage, skus)
    told = len(skus) * len(stage.shops)
    stage.say(f"Told so, each shop shows them after {took:.1f} s: {told:,} figures in all.")
    span_seconds = (orders[-1].at_ms - orders[0].at_ms) / 1000
    plan = Plan(speed=span_seconds / stage.pace.sample_seconds)
    figures = Figures.of(orders)
    with ProgressBar(stage.console, figures, TITLE) as bar:
        days = _Days(stage, plan, figures, observe=bar.update)
        await days.play(orders)
    stage.console.print(figures_table(figures, TITLE))
    _say_more(stage, plan, figures, days.names)
    await _check(stage, orders, figures, days.names)
    verdict = await reach_verdict(
        stage.settings, url=stage.gateway.url, witness=next(iter(stage.watch.moves), None)
    )
    stage.title("4. The audit")
    print_verdict(stage.console, verdict)
    stage.expect(true=not verdict.broken, otherwise="the audit found broken invariants")


async def _until_shown(stage: Stage, skus: Collection[str]) -> float:
    """Wait until every shop shows what is in stock of SKUs; returns how many seconds that took."""

    async def are_shown() -> bool:
        await asyncio.sleep(LOOK_SECONDS)  # a whole shelf is more to tell than one item
        shelves = await together(shop.shelf() for shop in stage.shops.values())
        return all(shelf.get(sku) == SAMPLE_STOCK for shelf in shelves for sku in skus)

    what = f"every shop shows {SAMPLE_STOCK} of each SKU"
    return await stage.until(are_shown, what, seconds=TELLING_SECONDS)


class _Days:
    """Plays orders by their times: each is placed, dealt with, and paid and sent or closed.

    `names` has the reservation id of each order that was placed.
    """

    def __init__(
        self,
        stage: Stage,
        plan: Plan,
        figures: Figures,
        *,
        observe: Callable[[], None],
    ) -> None:
        self.names: dict[str, str] = {}
        self._stage, self._plan, self._figures = stage, plan, figures
        self._observe = observe
        self._clock = stage.pace.clock or WallClock()
        self._slots = asyncio.Semaphore(plan.in_flight)
        self._waiting: dict[str, asyncio.Future[Fate]] = {}
        self._never = asyncio.Event()  # a demonstration that is to end early is cancelled

    async def play(self, orders: Sequence[Order]) -> None:
        """Return when each is where it is to be at its platform.

        Raises PlatformAway, NotSold, Overdue, and what `Watch` raises.
        """
        began, first_ms = self._clock.now(), orders[0].at_ms
        try:
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(self._look())
                lives = []
                for order in orders:
                    due = began + (order.at_ms - first_ms) / 1000 / self._plan.speed
                    await self._wait(due - self._clock.now())
                    await self._slots.acquire()
                    late = self._clock.now() - due
                    self._figures.latest_seconds = max(self._figures.latest_seconds, late)
                    lives.append(group.create_task(self._live(order)))
                await asyncio.gather(*lives)
                looking.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        finally:
            self._figures.duration_seconds = self._clock.now() - began

    async def _live(self, order: Order) -> None:
        """See one order through its life; it enters with a slot taken for placing it."""
        shop = self._stage.shops[order.channel]
        try:
            order_id = await shop.order(order.lines, by_snapshot=True)
        finally:
            self._slots.release()
        name = f"{order.channel}:{order_id}"
        self.names[order.order_id] = name
        self._waiting[name] = asyncio.get_running_loop().create_future()
        fate = await self._waiting[name]
        self._settle(order, fate)
        if fate is not Fate.HELD:
            await shop.close(order_id)
        elif self._plan.pays(order):
            await self._wait(self._plan.played_pay_after_seconds)
            await shop.sell(order_id)
            self._settle(order, Fate.CONFIRMED)
        else:
            await self._wait(self._plan.ttl_seconds / self._plan.speed)
            await shop.close(order_id)
            self._settle(order, Fate.CLOSED)

    async def _look(self) -> None:
        """Tell those who wait what has become of their orders, until cancelled."""
        since, task = self._clock.now(), asyncio.current_task()
        # Asked as well: in Python 3.11 `wait_for`, under a call to the store, may lose it.
        while task is None or not task.cancelling():
            for name in await self._stage.watch.seen_to(self._waiting):
                self._waiting.pop(name).set_result(self._fate_of(name))
                since = self._clock.now()
            if self._waiting and self._clock.now() - since > PATIENCE_SECONDS:
                raise Overdue(f"not within {PATIENCE_SECONDS:g} s: a look at {min(self._waiting)}")
            await asyncio.sleep(LOOK_SECONDS)

    def _fate_of(self, name: str) -> Fate:
        watch = self._stage.watch
        if name in watch.moves:
            return Fate.HELD
        return Fate.SHORT if name in watch.shortages else Fate.SUSPENDED

    def _settle(self, order: Order, fate: Fate) -> None:
        self._figures.settle(order, fate)
        self._observe()

    async def _wait(self, seconds: float) -> None:
        await self._clock.wait(seconds, self._never)


def _say_more(stage: Stage, plan: Plan, figures: Figures, names: Mapping[str, str]) -> None:
    """Say what the table has no place for."""
    watch = stage.watch
    prevented = sum(
        one.prevented_units for name in names.values() for one in watch.shortages.get(name, ())
    )
    stage.say(f"{prevented:,} units of oversell prevented.", "bold green")
    tripped = counted(watch.tripped_ms, "SKU")
    stage.say(f"{tripped} suspended in all; what lacks stock is closed by its platform, unpaid.")
    stage.say(
        f"Took {figures.duration_seconds:.1f} s at {plan.speed:,.0f} times real time;"
        f" at most {figures.latest_seconds:.2f} s behind schedule."
    )


async def _check(
    stage: Stage, orders: Sequence[Order], figures: Figures, names: Mapping[str, str]
) -> None:
    """Wait until every order is where its platform says it is, and check the sums."""
    granted, offered = figures.granted.orders, figures.offered.orders
    stage.expect(true=0 < granted < offered, otherwise=f"{granted} of {offered} orders were held")
    latest = {names[order.order_id]: _LATEST[figures.fate_of(order)] for order in orders}

    async def are_there() -> bool:
        await stage.watch.catch_up()
        return all(stage.watch.moves.get(name) in moves for name, moves in latest.items())

    await stage.until(are_there, "every order is where its platform says it is")
