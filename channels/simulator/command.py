"""`python -m channels.simulator PLATFORM`: run a platform until Ctrl-C.

A new platform adds its command here: it makes its `SimulatedPlatform` and calls `run`. Exit codes:
2 wrong usage, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from channels.simulator.dealer import Account, Dealer
from channels.simulator.douyin import App, Douyin
from channels.simulator.douyin import Settings as DouyinSettings
from channels.simulator.platform import ShopWorld
from channels.simulator.shelf import MOST_ID
from channels.simulator.shop import Shop
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.tmall import Settings as TmallSettings
from partners.simulation.clock import Clock
from partners.simulation.command import Host, NowMs, Port, Secret, Seed, Speed, run, wrong
from partners.simulation.faults import Faults

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Sales platforms to try things against: their true wire formats, a shop behind.",
)

FirstId = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_ID, help="Of orders, items, messages [the time, in ns]."),
]

TOLD = "orders are placed"  # at the control side


@app.callback()
def _platforms() -> None:
    """Keep the platform's name a command, also while there is one only."""


@app.command()
def tmall(
    *,
    app_key: Annotated[str, typer.Option(help="The application that the seller has let in.")],
    secret: Secret,
    session: Annotated[str, typer.Option(help="The seller's session.")] = "simulator-session",
    host: Host = "127.0.0.1",
    port: Port = 9_101,
    speed: Speed = 1.0,
    now_ms: NowMs = None,
    seed: Seed = 0,
    first_id: FirstId = None,
    redeliver_ms: Annotated[
        int, typer.Option(help="After which an unconfirmed message comes again.")
    ] = 60_000,
    permitted: Annotated[
        bool, typer.Option(help="Messages are open without taobao.tmc.user.permit.")
    ] = True,
) -> None:
    """Tmall: Taobao Open Platform with one shop; its gateway is /router/rest."""
    settings = TmallSettings(redeliver_ms=redeliver_ms)
    seller = Seller(app_key=app_key, secret=secret, session=session)
    first = _first(first_id)
    try:
        settings.check()
        shop = Shop(clock := Clock(now_ms, speed=speed), first_id=first)
        world = ShopWorld(clock, Faults(seed=seed), shop)
    except ValueError as error:
        raise wrong(str(error)) from None
    simulator = Tmall(world, seller, settings, permitted=permitted, first_message_id=first)
    run(simulator, host, port, "/router/rest", TOLD)


@app.command()
def douyin(
    *,
    app_key: Annotated[str, typer.Option(help="The application's 19 digits.")],
    secret: Secret,
    shop_id: Annotated[str, typer.Option(help="The shop that has let it in.")] = "4463798",
    push_sign: Annotated[str, typer.Option(help="Of messages: md5 or hmac-sha256.")] = "md5",
    host: Host = "127.0.0.1",
    port: Port = 9_102,
    speed: Speed = 1.0,
    now_ms: NowMs = None,
    seed: Seed = 0,
    first_id: FirstId = None,
) -> None:
    """Douyin: Doudian with one shop. PUT /simulator/douyin/url says where its messages go."""
    first = _first(first_id)
    try:
        settings = msgspec.convert({"push_sign": push_sign}, DouyinSettings)
        application = App(app_key=app_key, secret=secret, shop_id=shop_id)
        clock = Clock(now_ms, speed=speed)
        shop = Shop(clock, first_id=first, every_sku_has_id=True, first_line_is_order=True)
        world = ShopWorld(clock, Faults(seed=seed), shop)
    except ValueError as error:
        raise wrong(str(error)) from None
    run(Douyin(world, application, settings, first_message_id=first), host, port, "", TOLD)


@app.command()
def dealer(
    *,
    secret: Secret,
    our_secret: Annotated[
        str,
        typer.Option(
            envvar="HOLDFAST_SIMULATOR_OUR_SECRET",
            help="What it expects us to sign with; its own where not given.",
        ),
    ] = "",
    url: Annotated[str, typer.Option(help="Where its orders go.")] = "",
    host: Host = "127.0.0.1",
    port: Port = 9_103,
    speed: Speed = 1.0,
    now_ms: NowMs = None,
    seed: Seed = 0,
    first_id: FirstId = None,
) -> None:
    """Dealer: a distributor with Standard Webhooks; it hears us at /webhooks."""
    try:
        account = Account(sending=(secret,), receiving=(our_secret or secret,))
        shop = Shop(clock := Clock(now_ms, speed=speed), first_id=_first(first_id))
        world = ShopWorld(clock, Faults(seed=seed), shop)
    except ValueError as error:
        raise wrong(str(error)) from None
    run(Dealer(world, account, url=url or None), host, port, "/webhooks", TOLD)


def _first(first_id: int | None) -> int:
    """Begin the ids of a shop behind those of all former ones: whoever serves it remembers them."""
    return time.time_ns() if first_id is None else first_id
