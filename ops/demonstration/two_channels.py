"""Two channels on one stock: 200 there, 100 sold by Tmall, 180 by Douyin three seconds later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.demonstration.catalogue import CATFOOD, of_run
from ops.demonstration.shopfront import NotSold
from reservation.client import OrderLine
from reservation.model import BreakerState

if TYPE_CHECKING:
    from ops.demonstration.stage import Stage

CATFOOD_STOCK, TMALL_TAKES, DOUYIN_ASKS = 200, 100, 180  # requirements R32 and R33


async def two_channels(stage: Stage) -> None:
    """Show that what the first has sold the second cannot have, whatever its viewers see."""
    stage.title("1. Two channels, one stock")
    sku = stage.catfood = await _unused(stage)
    await stage.gateway.set_stock(sku, CATFOOD_STOCK)
    took = await stage.until_shown(sku, CATFOOD_STOCK)
    stage.say(f"{sku}: {CATFOOD_STOCK} in stock.")
    stage.say(f"Told so, Tmall, Douyin and the dealer show {CATFOOD_STOCK} after {took:.1f} s.")
    tmall_order = await _tmall_sells(stage, sku)
    await _count_down(stage)
    await _douyin_sells(stage, sku)
    await stage.shops["tmall"].sell(tmall_order)
    await stage.until_moved("reservation.fulfilled", f"tmall:{tmall_order}")
    stage.say(f"Tmall's buyer pays, Tmall ships the {TMALL_TAKES}: they have left the stock.")


async def _tmall_sells(stage: Stage, sku: str) -> str:
    """Let Tmall take an order, and Douyin be told what that leaves; returns its id."""
    order_id = await stage.shops["tmall"].order([OrderLine(sku, TMALL_TAKES)])
    stage.say(f"Tmall  order {order_id} of {TMALL_TAKES}")
    name = f"tmall:{order_id}"
    took = await stage.until_seen_to(name)
    held, left = await _balance(stage, sku)
    stage.expect(
        true=held == TMALL_TAKES and name not in stage.watch.shortages,
        otherwise=f"Tmall's order is not held: {held} are, lacking {_lacking(stage, name)}",
    )
    stage.say(f"       held after {took:.1f} s: {held}; {left} left for every channel", "green")
    await stage.until_shown(sku, left)
    return order_id


async def _douyin_sells(stage: Stage, sku: str) -> None:
    """Let Douyin's viewers order more than is left: by the shop's figure, and by an older one."""
    douyin, lines = stage.shops["douyin"], [OrderLine(sku, DOUYIN_ASKS)]
    try:
        await douyin.order(lines)
        stage.expect(true=False, otherwise=f"Douyin's shop sells {DOUYIN_ASKS}")
    except NotSold as refusal:
        stage.say(f"Douyin was told what is left, and its shop refuses {DOUYIN_ASKS}:")
        stage.say(f'       "{refusal}"')
    order_id = await douyin.order(lines, by_snapshot=True)
    stage.say(f"       but its livestream still shows {CATFOOD_STOCK}: order {order_id}")
    name = f"douyin:{order_id}"
    await stage.until_seen_to(name)
    held, left = await _balance(stage, sku)
    available = CATFOOD_STOCK - TMALL_TAKES
    lacking = stage.watch.shortages.get(name, [])
    found = [(one.requested, one.available) for one in lacking]
    stage.expect(
        true=found == [(DOUYIN_ASKS, available)] and (held, left) == (TMALL_TAKES, available),
        otherwise=f"Douyin's order is lacking {_lacking(stage, name)}, {held} are held",
    )
    stage.say(f"       refused: insufficient-stock, asked {_lacking(stage, name)}", "red")
    prevented = sum(one.prevented_units for one in lacking)
    stage.say(f"{prevented} units of oversell prevented.", "bold green")
    stage.say(
        f"({TMALL_TAKES} + {DOUYIN_ASKS} - {CATFOOD_STOCK} = {DOUYIN_ASKS - available}:"
        " the brief says 20, the sum says 80.)",  # R33 asks for both figures
        "dim",
    )
    await _paid_all_the_same(stage, order_id)


async def _paid_all_the_same(stage: Stage, order_id: str) -> None:
    """Let the buyer pay what is not there: Holdfast says so until it is settled."""
    douyin, name = stage.shops["douyin"], f"douyin:{order_id}"
    await douyin.pay(order_id)

    async def is_said() -> bool:
        return bool(await stage.watch.trouble(name))

    await stage.until(is_said, f"{name} is said to be short")
    stage.say(f"Its buyer pays all the same; a person must know: {await stage.watch.trouble(name)}")
    await douyin.refund(order_id)

    async def is_settled() -> bool:
        return await stage.watch.trouble(name) is None

    await stage.until(is_settled, f"{name} is settled")
    stage.say("Douyin gives the money back, and nothing is left to do.")


async def _unused(stage: Stage) -> str:
    """Choose the SKU itself, or one of this run where an earlier run still shows on it."""
    found = await stage.gateway.stock(CATFOOD)
    if found is None:
        return CATFOOD
    promised = sum(level.held + level.committed for level in found.warehouses)
    closed = found.breaker.state is BreakerState.CLOSED
    if not promised and closed and not found.breaker.failures:
        return CATFOOD
    return of_run(CATFOOD, stage.tag)


async def _balance(stage: Stage, sku: str) -> tuple[int, int]:
    """Read how many are held, and how many left."""
    found = await stage.gateway.stock(sku)
    levels = found.warehouses if found else ()
    return sum(level.held for level in levels), sum(level.available for level in levels)


def _lacking(stage: Stage, name: str) -> str:
    found = stage.watch.shortages.get(name, [])
    return ", ".join(f"{one.requested}, available: {one.available}" for one in found) or "nothing"


async def _count_down(stage: Stage) -> None:
    seconds = stage.pace.countdown_seconds
    if seconds:
        stage.console.print(f"  {seconds} seconds later", end="", style="dim")
    for _ in range(seconds):
        await stage.pace.pause(1)
        stage.console.print(" .", end="", style="dim")
    if seconds:
        stage.console.print()
