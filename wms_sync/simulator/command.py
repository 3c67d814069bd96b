"""`python -m wms_sync.simulator qimen`: run a warehouse until Ctrl-C.

Exit codes: 2 wrong usage, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from partners.simulation.clock import Clock
from partners.simulation.command import Host, NowMs, Port, Secret, Seed, Speed, run, wrong
from partners.simulation.faults import Faults
from wms_sync.simulator.qimen import PATH, Account, Qimen
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

MOST_ID = 2**63 - 1

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A warehouse to try things against: its true wire format, goods and orders behind.",
)


@app.callback()
def _warehouses() -> None:
    """Keep the standard's name a command, also while there is one only."""


@app.command()
def qimen(
    *,
    app_key: Annotated[str, typer.Option(help="The application that is let in.")],
    secret: Secret,
    customer_id: Annotated[str, typer.Option(help="Of the seller, at the warehouse.")] = "C1",
    warehouse_code: Annotated[str, typer.Option(help="Its own.")] = "W1",
    owner_code: Annotated[str, typer.Option(help="Whose goods these are.")] = "O1",
    url: Annotated[str, typer.Option(help="Where its reports go.")] = "",
    intake: Annotated[int, typer.Option(help="Orders that it takes in; 0: all.")] = 0,
    per: Annotated[str, typer.Option(help="day or hour.")] = "day",
    burst: Annotated[int, typer.Option(help="Orders at once, after a pause.")] = 10,
    host: Host = "127.0.0.1",
    port: Port = 9_201,
    speed: Speed = 1.0,
    now_ms: NowMs = None,
    seed: Seed = 0,
    first_id: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_ID, help="Of orders, parcels, reports [the time, in ns]."),
    ] = None,
) -> None:
    """Qimen: a warehouse behind Taobao's standard; its gateway is /router/qimen/service."""
    first = time.time_ns() if first_id is None else first_id
    try:
        ways = msgspec.convert({"intake": intake, "per": per, "burst": burst}, Ways)
        ways.check()
        account = Account(
            app_key=app_key,
            secret=secret,
            customer_id=customer_id,
            warehouse_code=warehouse_code,
            owner_code=owner_code,
        )
        clock = Clock(now_ms, speed=speed)
        site = Site(clock, Faults(seed=seed), Warehouse(clock, ways, seed=seed, first_id=first))
        simulator = Qimen(site, account, url=url or None)
    except ValueError as error:
        raise wrong(str(error)) from None
    run(simulator, host, port, PATH, "goods are put in")
