"""The whole demonstration, against a running service and its simulated platforms."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from ops.demonstration.burst import burst
from ops.demonstration.real_orders import real_orders
from ops.demonstration.shopfront import Shopfront
from ops.demonstration.stage import TELLING_SECONDS, Pace, Stage
from ops.demonstration.two_channels import two_channels
from ops.demonstration.watch import Watch
from ops.replay.gateway import Gateway
from reservation.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from reservation.config import Settings

SCENES: Final = (two_channels, burst, real_orders)


async def play(
    base_url: str,
    admin_key: str,
    console: Console,
    *,
    platforms: Mapping[str, str],
    tag: str,
    settings: Settings,
    pace: Pace | None = None,
) -> bool:
    """Play the demonstration against a running service.

    `platforms` are the addresses of its simulated platforms by channel, with shops of the run
    `tag`; `settings` say where its store and its files are. Returns True exactly when all figures
    came out as they must and the audit found nothing. Faults of the service and of the platforms
    are printed, never raised.
    """
    gateway = Gateway(base_url, admin_key)
    shops = {channel: Shopfront(channel, url) for channel, url in platforms.items()}
    watch = Watch(settings)
    stage = Stage(gateway, shops, watch, console, pace or Pace(), tag, settings)
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(gateway)
            await stack.enter_async_context(watch)
            for shop in shops.values():
                await stack.enter_async_context(shop)
            # Of what former runs have left, 1,455 SKUs maybe, new shops know nothing.
            await stage.until(
                watch.all_told, "the shops know what is left", seconds=TELLING_SECONDS
            )
            for scene in SCENES:
                await scene(stage)
    except HoldfastError as error:
        stage.expect(true=False, otherwise=f"the demonstration ended early: {error}")
    console.print()
    if not stage.failures:
        stage.say("The demonstration came out as it must: nothing was sold twice.", "bold green")
    _say_how_to_go_on(stage, platforms["tmall"])
    return not stage.failures


def _say_how_to_go_on(stage: Stage, url: str) -> None:
    """Say how an order is placed by hand."""
    stage.say("The shops stay open. Order at one, and see it on the board:")
    order = json.dumps({"lines": [{"outer_id": stage.catfood, "quantity": 2}], "paid": True})
    stage.say(f"  curl {url}/simulator/orders -H 'content-type: application/json' -d '{order}'")
