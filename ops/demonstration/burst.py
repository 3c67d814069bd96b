"""A livestream burst: three channels after the last units of three SKUs, in the same moment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from channels.feed.policy import SUSPENDED
from ops.demonstration.catalogue import BURST_STOCK, of_run
from ops.demonstration.shopfront import NotSold
from ops.demonstration.stage import together
from reservation.client import OrderLine

if TYPE_CHECKING:
    from ops.demonstration.stage import Stage

BURST_ORDERS: Final = 60  # for each SKU, one unit an order, at the channels by turns
FAILED_LOCKS_THAT_OPEN: Final = 3  # the service's default `breaker_threshold`, R41

HELD: Final = "held"
SHORT: Final = "short"
# SKU -> (channel, order) -> what became of it
Fates = dict[str, dict[tuple[str, str], str]]


async def burst(stage: Stage) -> None:
    """Show that each unit is sold once, and that what runs out is closed on every platform."""
    stage.title("2. A livestream burst from three channels")
    for sku, units in BURST_STOCK.items():
        await stage.gateway.set_stock(of_run(sku, stage.tag), units)
    for sku, units in BURST_STOCK.items():
        await stage.until_shown(of_run(sku, stage.tag), units)
    stage.say("Each shop shows the whole of it, as a livestream does until its viewers reload.")
    one = next(iter(BURST_STOCK))
    stage.say(f"In the store each SKU has the mark of this run: {of_run(one, stage.tag)}.")
    placed = await _order_at_once(stage)
    fates = _fates(stage, placed)
    stage.console.print(_orders_table(fates))
    for sku, units in BURST_STOCK.items():
        count = Counter(fates[sku].values())
        stage.expect(
            true=count[HELD] == units and count[SHORT] == FAILED_LOCKS_THAT_OPEN,
            otherwise=f"{sku}: {dict(count)} of {units} in stock",
        )
    stage.say("The third failed lock suspended each SKU for all channels in the same step.")
    await _show_closing(stage)
    await _settle(stage, fates)


async def _order_at_once(stage: Stage) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Place all orders, and wait until Holdfast has dealt with them; returns them by SKU."""
    shops = list(stage.shops.values())
    began = time.perf_counter()

    async def order(number: int, sku: str) -> tuple[str, str]:
        shop = shops[number % len(shops)]
        lines = [OrderLine(of_run(sku, stage.tag), 1)]
        return shop.channel, await shop.order(lines, by_snapshot=True)

    wanted = [(number, sku) for number in range(BURST_ORDERS) for sku in BURST_STOCK]
    orders = await together(order(*one) for one in wanted)
    placed_ms = (time.perf_counter() - began) * 1000
    took = await stage.until_seen_to(*(f"{channel}:{order_id}" for channel, order_id in orders))
    stage.say(
        f"{len(orders)} orders of one unit within {placed_ms:.0f} ms;"
        f" {took * 1000:.0f} ms later Holdfast has dealt with all:"
    )
    placed: dict[str, list[tuple[str, str]]] = {sku: [] for sku in BURST_STOCK}
    for (_, sku), one in zip(wanted, orders, strict=True):
        placed[sku].append(one)
    return placed


def _fates(stage: Stage, placed: Mapping[str, Sequence[tuple[str, str]]]) -> Fates:
    def fate(channel: str, order_id: str) -> str:
        name = f"{channel}:{order_id}"
        if name in stage.watch.moves:
            return HELD
        return SHORT if name in stage.watch.shortages else SUSPENDED

    return {sku: {one: fate(*one) for one in orders} for sku, orders in placed.items()}


async def _show_closing(stage: Stage) -> None:
    """Show when each platform acknowledged that a SKU is closed, and that its shop is."""
    table = Table(min_width=58)
    table.add_column("closed, acknowledged after")
    for shop in stage.shops.values():
        table.add_column(shop.title, justify="right")
    for sku in BURST_STOCK:
        closed_ms = await _closed_ms(stage, of_run(sku, stage.tag))
        table.add_row(sku, *(f"{closed_ms[channel]} ms" for channel in stage.shops))
    stage.console.print(table)
    sku = next(iter(BURST_STOCK))
    stage.say(f"One more of {sku}, please:")
    for shop in stage.shops.values():
        try:
            await shop.order([OrderLine(of_run(sku, stage.tag), 1)])
            stage.expect(true=False, otherwise=f"{shop.title} still sells {sku}")
        except NotSold as refusal:
            stage.say(f'  {shop.title}: "{refusal}"', "red")


async def _closed_ms(stage: Stage, sku: str) -> Mapping[str, int]:
    """Wait until every platform has acknowledged the closing; returns how long after the trip."""
    told_ms: dict[str, int] = {}

    async def is_told() -> bool:
        for offer in await stage.watch.told(sku):
            if offer.why == SUSPENDED and offer.is_told and offer.told_ms is not None:
                told_ms.setdefault(offer.channel, offer.told_ms)
        return told_ms.keys() >= stage.shops.keys()

    await stage.until(is_told, f"every platform has acknowledged that {sku} is closed")
    return {channel: at_ms - stage.watch.tripped_ms[sku] for channel, at_ms in told_ms.items()}


async def _settle(stage: Stage, fates: Fates) -> None:
    """Let what is held be paid and sent, and the rest lapse, at the platforms."""
    of_all = {one: fate for orders in fates.values() for one, fate in orders.items()}
    held = [one for one, fate in of_all.items() if fate == HELD]
    await together(stage.shops[channel].sell(order_id) for channel, order_id in held)
    rest = [one for one in of_all if one not in held]
    await together(stage.shops[channel].close(order_id) for channel, order_id in rest)
    names = [f"{channel}:{order_id}" for channel, order_id in held]
    await stage.until_moved("reservation.fulfilled", *names)
    for sku in BURST_STOCK:
        found = await stage.gateway.stock(of_run(sku, stage.tag))
        left = [(one.on_hand, one.held, one.committed) for one in found.warehouses] if found else []
        stage.expect(true=left == [(0, 0, 0)], otherwise=f"of {sku} are left {left}")
    stage.say(f"The {len(held)} are paid and shipped, the other {len(rest)} lapse unpaid.")


def _orders_table(fates: Fates) -> Table:
    table = Table(min_width=58)
    table.add_column("SKU")
    for heading in ("in stock", "ordered", "held", "short", "suspended"):
        table.add_column(heading, justify="right")
    for sku, units in BURST_STOCK.items():
        count = Counter(fates[sku].values())
        table.add_row(
            sku,
            str(units),
            str(count.total()),
            Text(str(count[HELD]), style="green"),
            Text(str(count[SHORT]), style="red"),
            Text(str(count[SUSPENDED]), style="red"),
        )
    return table
