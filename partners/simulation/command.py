"""What the commands that run a simulated partner have in common: their options, and serving.

A command makes its `Simulator` and calls `run`. Exit codes: 2 wrong usage, 130 ended by Ctrl-C.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from partners.simulation.serving import listen, serve
from partners.simulation.simulator import Simulator

WRONG_USAGE = 2

Host = Annotated[str, typer.Option(help="Where to listen; loopback unless told otherwise.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")]
Speed = Annotated[float, typer.Option(help="Seconds of its clock in one; 0 is frozen.")]
NowMs = Annotated[int | None, typer.Option(help="Its time at the start, ms (the real time).")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same faults.")]
Secret = Annotated[str, typer.Option(envvar="HOLDFAST_SIMULATOR_SECRET", help="Its secret.")]


def run(simulator: Simulator, host: str, port: int, path: str, told: str) -> None:
    """Serve, and say where: the partner's own face, and what is `told` at the control side."""
    try:
        listener = listen(host, port)
    except (OSError, UnicodeError) as error:
        message = f"cannot listen on {host}, port {port}: {error}; give another --host or --port"
        raise wrong(message) from None
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    console = Console(soft_wrap=True, highlight=False)
    console.print(Text(f"{simulator.platform} at {url}{path}"))
    console.print(Text(f"{told} at {url}/simulator (GET /simulator/state)"))
    serve(simulator, listener)


def wrong(sentence: str) -> typer.Exit:
    """Say what is wrong with how the command was called."""
    Console(stderr=True, soft_wrap=True).print(Text(f"simulator: {sentence}", style="red"))
    return typer.Exit(WRONG_USAGE)
