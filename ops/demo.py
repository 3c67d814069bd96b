"""The demonstration of `up --demo`: two channels on one stock, a livestream burst, real orders.

It runs against the service over HTTP, as any channel would, and checks what it shows. It may be
played again and again on the same data directory: every run makes new order ids, counts its stock
anew and ships what it sold. It sets the levels of its own SKUs and of those in the order sample.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ops.replay.gateway import Denied, Gateway, Reply, Unanswered
from ops.replay.orders import parse
from ops.replay.player import Clock, Plan
from ops.replay.report import print_verdict
from ops.replay.run import StockRefused, lay_stock, play_orders, sample_orders, witness
from ops.replay.stocking import level_files
from ops.replay.verdict import reach_verdict
from reservation.client import OrderLine
from reservation.config import load
from reservation.model import BreakerState

if TYPE_CHECKING:
    import httpx
    from rich.console import Console

    from ops.replay.figures import Figures
    from reservation.config import Settings

CATFOOD = "CATFOOD-10KG"
CATFOOD_STOCK, TMALL_TAKES, DOUYIN_ASKS = 200, 100, 180  # requirements R32 and R33

CHANNELS = ("tmall", "douyin", "dealer-hz")
# SKU -> units in stock; each is asked for BURST_ORDERS times at once, one unit an order.
BURST_STOCK = {"LIVE-CAN-24": 40, "LIVE-LITTER-6L": 25, "LIVE-TOY-SET": 10}
BURST_ORDERS = 60
FAILED_LOCKS_THAT_OPEN = 3  # the service's default `breaker_threshold`, R41

SAMPLE_STOCK = 100  # units of each of 1,455 SKUs: about half of the 236 orders can be met
HOLD_SECONDS = 1_800


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the demonstration dwells; the defaults are for the eye."""

    countdown_seconds: int = 3  # between Tmall's order and Douyin's
    sample_seconds: float = 12.0  # the two days of the order sample are played in this
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Clock | None = None  # that the sample is played by; none: real time


@dataclass(slots=True)
class _Stage:
    """What every scene needs."""

    gateway: Gateway
    console: Console
    pace: Pace
    tag: str  # of this run, in its order ids
    settings: Settings
    failures: list[str] = field(default_factory=list)  # what did not come out as it must

    def expect(self, *, true: bool, otherwise: str) -> None:
        """Check what is shown; a failure is printed at once and told at the end."""
        if not true:
            self.failures.append(otherwise)
            self.console.print(Text(f"UNEXPECTED: {otherwise}", style="bold red"))

    def say(self, text: str, style: str = "") -> None:
        """Print one line as it is."""
        self.console.print(Text(text, style=style))

    def title(self, text: str) -> None:
        """Begin a scene."""
        self.console.print()
        self.console.rule(Text(text, style="bold"), align="left")


async def play(
    base_url: str,
    admin_key: str,
    console: Console,
    *,
    settings: Settings | None = None,
    pace: Pace | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> bool:
    """Play the demonstration against a running service.

    `settings` say where its store is, for the audit; without them those of the environment.
    Returns True exactly when all figures came out as they must and the audit found nothing.
    Faults of the service are printed, never raised.
    """
    gateway = Gateway(base_url, admin_key, transport=transport)
    tag = format(time.time_ns() // 1_000_000, "x")
    stage = _Stage(gateway, console, pace or Pace(), tag, settings or load())
    try:
        async with gateway:
            await _two_channels(stage)
            await _burst(stage)
            await _real_orders(stage)
    except (Unanswered, Denied, StockRefused) as error:
        stage.expect(true=False, otherwise=f"the demonstration ended early: {error}")
    console.print()
    if not stage.failures:
        stage.say("The demonstration came out as it must: nothing was sold twice.", "bold green")
    return not stage.failures


async def _two_channels(stage: _Stage) -> None:
    """Show two channels on one stock: 200 in stock, 100 to Tmall, 180 asked by Douyin."""
    stage.title("1. Two channels, one stock")
    sku = await _unused(stage, CATFOOD)
    await stage.gateway.set_stock(sku, CATFOOD_STOCK)
    stage.say(f"{sku}: {CATFOOD_STOCK} in stock.")

    tmall_id = f"tmall:demo-{stage.tag}"
    tmall = await _reserve(stage, tmall_id, sku, TMALL_TAKES)
    stage.expect(true=tmall.granted, otherwise=f"Tmall was refused: {tmall.problem}")
    left = await _available(stage, sku)
    stage.say(f"Tmall  takes    {TMALL_TAKES}   held; {left} left for every channel", "green")
    await _count_down(stage)

    douyin = await _reserve(stage, f"douyin:demo-{stage.tag}", sku, DOUYIN_ASKS)
    available = sum(douyin.available)
    stage.expect(
        true=douyin.problem == "insufficient-stock" and available == CATFOOD_STOCK - TMALL_TAKES,
        otherwise=f"Douyin was answered {douyin.problem or 'held'}, available: {available}",
    )
    stage.say(
        f"Douyin asks for {DOUYIN_ASKS}   refused: {douyin.problem}, available: {available}", "red"
    )
    stage.say(f"{douyin.prevented_units} units of oversell prevented.", "bold green")
    stage.say(
        f"({TMALL_TAKES} + {DOUYIN_ASKS} - {CATFOOD_STOCK} = {DOUYIN_ASKS - available}:"
        " the brief says 20, the sum says 80.)",  # R33 asks for both figures
        "dim",
    )
    await _sell(stage, tmall_id)
    stage.say(f"Tmall's customer pays, the {TMALL_TAKES} leave the warehouse.")


async def _burst(stage: _Stage) -> None:
    """Show three channels after the last units of three SKUs, all in the same moment."""
    stage.title("2. A livestream burst from three channels")
    for sku, units in BURST_STOCK.items():
        await stage.gateway.set_stock(_of_run(stage, sku), units)
    wanted = [
        (f"{CHANNELS[number % 3]}:burst-{stage.tag}-{position}-{number}", _of_run(stage, sku))
        for number in range(BURST_ORDERS)
        for position, sku in enumerate(BURST_STOCK)
    ]
    started = time.perf_counter()
    replies = await asyncio.gather(*(_reserve(stage, name, sku, 1) for name, sku in wanted))
    took_ms = (time.perf_counter() - started) * 1000
    stage.say(f"{len(wanted)} orders of one unit at once, answered in {took_ms:.0f} ms:")

    counts: dict[str, Counter[str]] = {sku: Counter() for _, sku in wanted}
    for (_, sku), reply in zip(wanted, replies, strict=True):
        counts[sku][reply.problem or "held"] += 1
    stage.console.print(_burst_table(stage, counts))
    for sku, units in BURST_STOCK.items():
        count = counts[_of_run(stage, sku)]
        stage.expect(
            true=count["held"] == units and count["insufficient-stock"] == FAILED_LOCKS_THAT_OPEN,
            otherwise=f"{sku}: {dict(count)} of {units} in stock",
        )
    stage.say("The third failed lock suspended each SKU on all channels in the same step.")
    granted = [name for (name, _), reply in zip(wanted, replies, strict=True) if reply.granted]
    await asyncio.gather(*(_sell(stage, name) for name in granted))


async def _real_orders(stage: _Stage) -> None:
    """Play the order sample on stock so small that part of it is refused, then audit."""
    stage.title("3. Two days of real orders")
    stage.say("Online Retail (D. Chen, 2015, UCI, CC BY 4.0): real invoices, invented channels.")
    orders = parse(sample_orders())
    # Counted to nothing first: a rising count lets a SKU that an earlier run suspended try again.
    files = [*level_files(orders, 0), *level_files(orders, SAMPLE_STOCK)]
    await lay_stock(stage.gateway, files)
    stage.say(f"{SAMPLE_STOCK} units of each of their SKUs are in stock.")
    span_seconds = (orders[-1].at_ms - orders[0].at_ms) / 1000
    plan = Plan(speed=span_seconds / stage.pace.sample_seconds, run=f"{stage.tag}-", ship=True)
    figures = await play_orders(
        orders,
        gateway=stage.gateway,
        plan=plan,
        console=stage.console,
        title="Real orders",
        clock=stage.pace.clock,
    )
    _check(stage, figures)
    verdict = await reach_verdict(
        stage.settings, url=stage.gateway.url, witness=witness(orders, plan, figures)
    )
    stage.title("4. The audit")
    print_verdict(stage.console, verdict)
    stage.expect(true=not verdict.broken, otherwise="the audit found broken invariants")


def _check(stage: _Stage, figures: Figures) -> None:
    granted, offered = figures.granted.orders, figures.offered.orders
    stage.expect(
        true=0 < granted < offered and not figures.lost_service,
        otherwise=f"{granted} of {offered} orders were held {figures.lost_service}",
    )


async def _unused(stage: _Stage, sku: str) -> str:
    """Choose the SKU itself, or one of this run where an earlier run still shows on it."""
    found = await stage.gateway.stock(sku)
    if found is None:
        return sku
    promised = sum(level.held + level.committed for level in found.warehouses)
    closed = found.breaker.state is BreakerState.CLOSED
    if not promised and closed and not found.breaker.failures:
        return sku
    return f"{sku}-{stage.tag}"


def _of_run(stage: _Stage, sku: str) -> str:
    """Name a SKU of this run: its breaker ends open, and nobody sells it again."""
    return f"{sku}-{stage.tag}"


async def _reserve(stage: _Stage, reservation_id: str, sku: str, quantity: int) -> Reply:
    return await stage.gateway.reserve(reservation_id, [OrderLine(sku, quantity)], HOLD_SECONDS)


async def _sell(stage: _Stage, reservation_id: str) -> None:
    """Let an order be paid and leave the warehouse, so that its units are promised no more."""
    for reply in (
        await stage.gateway.confirm(reservation_id),
        await stage.gateway.fulfil(reservation_id),
    ):
        stage.expect(
            true=not reply.problem, otherwise=f"{reservation_id} was answered {reply.problem}"
        )


async def _available(stage: _Stage, sku: str) -> int:
    found = await stage.gateway.stock(sku)
    return sum(level.available for level in found.warehouses) if found else 0


async def _count_down(stage: _Stage) -> None:
    seconds = stage.pace.countdown_seconds
    if seconds:
        stage.console.print(f"  {seconds} seconds later", end="", style="dim")
    for _ in range(seconds):
        await stage.pace.pause(1)
        stage.console.print(" .", end="", style="dim")
    if seconds:
        stage.console.print()


def _burst_table(stage: _Stage, counts: dict[str, Counter[str]]) -> Table:
    table = Table(min_width=58)
    table.add_column("SKU")
    for heading in ("in stock", "asked", "held", "short", "suspended"):
        table.add_column(heading, justify="right")
    for sku, units in BURST_STOCK.items():
        count = counts[_of_run(stage, sku)]
        table.add_row(
            sku,
            str(units),
            str(BURST_ORDERS),
            Text(str(count["held"]), style="green"),
            Text(str(count["insufficient-stock"]), style="red"),
            Text(str(count["sku-suspended"]), style="red"),
        )
    return table
