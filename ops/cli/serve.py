"""`holdfast up`, `holdfast api` and `holdfast agents`: run the service, or its parts."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from socket import socket
from typing import Annotated

import httpx
import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from channels.intake.beginnings import note_beginnings
from channels.registry import check_channels
from ops.admin_key import first_key, key_file
from ops.cli.endings import output
from ops.cli.options import (
    ConfigOption,
    DataDirOption,
    HostOption,
    MetricsPortOption,
    PortOption,
    WorkersOption,
    settings_of,
)
from ops.demonstration import platforms as simulated
from ops.demonstration.festival import Festival
from ops.demonstration.house import HOUSE
from ops.demonstration.leftovers import give_back
from ops.demonstration.platforms import Platforms
from ops.demonstration.play import play
from ops.listening import address_of, listen, listen_for_metrics
from ops.processes import Supervisor
from reservation.config import DAY_SECONDS, Settings, misspelt_variables
from reservation.errors import ConfigurationError, StoreUnavailable
from reservation.security import Role, record_of
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from wms_sync.registry import check_warehouses

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
PROBE_SECONDS = 5.0  # for one answer of our own /readyz
PATIENCE_SECONDS = 3.0  # before a wait says what it waits for

DemoOption = Annotated[
    bool,
    typer.Option("--demo", help="Play the demonstration, at simulated platforms beside it."),
]
DayOption = Annotated[
    bool,
    typer.Option(
        "--day/--no-day",
        help="With --demo: then a festival day again and again, with a simulated warehouse.",
    ),
]


def up_command(
    *,
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataDirOption = None,
    demo: DemoOption = False,
    day: DayOption = True,
    workers: WorkersOption = None,
    config: ConfigOption = None,
) -> None:
    """Run everything: the store, the API and the agents, until Ctrl-C.

    With HOLDFAST_REDIS_URL the store is the one that is named there.
    """
    settings = settings_of(
        config,
        log_level="warning" if demo else None,  # a line for every request would drown the play
        host=host,
        port=port,
        data_dir=data_dir,
        workers=workers,
    )
    embedded = settings.redis_url is None
    _serve(settings, embedded=embedded, agents=True, demo=demo, day=day)


def api_command(
    *,
    host: HostOption = None,
    port: PortOption = None,
    workers: WorkersOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Run the API alone, against HOLDFAST_REDIS_URL."""
    settings = settings_of(config, host=host, port=port, workers=workers, data_dir=data_dir)
    _serve(settings, embedded=False, agents=False, demo=False)


def agents_command(
    *,
    host: HostOption = None,
    metrics_port: MetricsPortOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Run the background work alone, against HOLDFAST_REDIS_URL.

    With --metrics-port its series are told there, which those of an API alone do not hold.
    """
    settings = settings_of(config, host=host, agents_metrics_port=metrics_port, data_dir=data_dir)
    check_channels(settings)
    check_warehouses(settings)
    observed = listen_for_metrics(settings)
    simulated.leave_to_others(settings)
    note_beginnings(settings)
    from ops.loops import run_agents  # noqa: PLC0415 (half a second of imports)

    run_agents(settings, observed)


def _serve(
    settings: Settings, *, embedded: bool, agents: bool, demo: bool, day: bool = False
) -> None:
    """Listen, start the store, supervise; nothing is left running, however this ends."""
    if demo:
        simulated.check_no_others(settings)
    check_channels(settings, folders=agents)
    check_warehouses(settings)
    console = output()
    for text in misspelt_variables():
        console.print(Text(text, style="yellow"))
    if settings.test_clock:
        warning = "HOLDFAST_TEST_CLOCK is set: the store's clock can be moved. NEVER IN PRODUCTION."
        console.print(Text(warning, style="bold red"))
    if settings.warehouse_clock is not None:
        speed = f"{settings.warehouse_clock.speed:g}"
        warning = f"The clock of warehouses runs {speed} times too fast. NEVER IN PRODUCTION."
        console.print(Text(warning, style="bold red"))
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in listen(settings)]
        platforms = stack.enter_context(simulated.opened(day=day)) if demo else None
        store = EmbeddedStore(settings) if embedded else None
        if store is not None:
            store.start()
            stack.callback(store.stop)
        if store is not None or agents:
            settings = settings.model_copy(update={"admin_key": _admin_key(settings)})
        # The data directory is ours by now, and no channel has been spoken to.
        if platforms is None:
            simulated.leave_to_others(settings)
        else:
            settings = platforms.join(settings)
        note_beginnings(settings)
        asyncio.run(
            _supervise(settings, listeners, store, console, agents=agents, platforms=platforms)
        )
    console.print("Holdfast has ended.")


async def _supervise(
    settings: Settings,
    listeners: Sequence[socket],
    store: EmbeddedStore | None,
    console: Console,
    *,
    agents: bool,
    platforms: Platforms | None,
) -> None:
    base_url = address_of(listeners[0])
    supervisor = Supervisor(
        settings,
        listeners,
        store=store,
        agents=agents,
        partners=platforms.partners if platforms else None,
    )

    async def ready() -> Callable[[], Awaitable[None]] | None:
        if store is not None:
            await _loaded(store, console)
        await _checked(settings, console, wait=store is not None)
        if platforms is not None and platforms.house is not None:
            await give_back(settings)
        await _answering(base_url, console)
        await supervisor.all_serve()
        _print_addresses(settings, base_url, console, platforms)
        if platforms is None:
            return None
        assert settings.admin_key is not None
        key, urls, tag = settings.admin_key, platforms.urls, platforms.tag
        await play(base_url, key, console, platforms=urls, tag=tag, settings=settings)
        if (house_url := platforms.house_url) is None:
            return None
        festival = Festival(
            base_url, key, console, platforms=urls, house_url=house_url, tag=tag, settings=settings
        )
        return festival.play

    await supervisor.run(ready)


def _admin_key(settings: Settings) -> str:
    """Return the first admin key, judged before anything depends on it."""
    token = first_key(settings)
    try:
        record_of(token, Role.ADMIN, name="admin", now_ms=0)
    except ValueError as error:
        source = "HOLDFAST_ADMIN_KEY" if settings.admin_key else str(key_file(settings))
        message = f"{source}: {error}"
        raise ConfigurationError(message) from error
    return token


# -- steps to readiness --------------------------------------------------------------------------


async def _loaded(store: EmbeddedStore, console: Console) -> None:
    """Show how far the store has loaded its data, where that takes a while."""
    columns = (TextColumn("loading the store's data"), BarColumn(), TaskProgressColumn())
    started = time.monotonic()
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task("load", total=100, visible=False)
        while True:
            try:
                percent = await asyncio.to_thread(store.loading_percent)
            except StoreUnavailable:  # the supervisor brings it back
                percent = 0.0
            if percent is None:
                return
            waited = time.monotonic() - started > PATIENCE_SECONDS / 10
            progress.update(task, completed=percent, visible=waited)
            await asyncio.sleep(POLL_SECONDS)


async def _checked(settings: Settings, console: Console, *, wait: bool) -> None:
    """Run the start-up checks once in the parent, whose refusal ends everything with a sentence.

    Raises UnsafeStore and ConfigurationError.
    """
    while True:
        try:
            checked = await Store.open(settings)
        except StoreUnavailable as error:
            if not wait:
                text = f"{error}: requests are answered 503 until it is there"
                console.print(Text(text, style="yellow"))
                return
            await asyncio.sleep(POLL_SECONDS)
        else:
            await checked.close()
            return


async def _answering(base_url: str, console: Console) -> None:
    """Wait until the service says that it is ready; say after a while what it waits for."""
    patience = _Patience(console)
    async with httpx.AsyncClient(base_url=base_url, timeout=PROBE_SECONDS, trust_env=False) as http:
        while True:
            try:
                answer = await http.get("/readyz")
                if answer.is_success:
                    return
                patience.spent_on(answer.json().get("detail", f"status {answer.status_code}"))
            except (httpx.HTTPError, ValueError) as error:
                patience.spent_on(f"the API does not answer ({type(error).__name__})")
            await asyncio.sleep(POLL_SECONDS)


class _Patience:
    """Say once for each cause what a wait is about, when it has lasted."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since = time.monotonic()
        self._said = ""

    def spent_on(self, cause: str) -> None:
        if time.monotonic() - self._since > PATIENCE_SECONDS and cause != self._said:
            self._said = cause
            self._console.print(Text(f"waiting: {cause}", style="yellow"))


def _print_addresses(
    settings: Settings, base_url: str, console: Console, platforms: Platforms | None
) -> None:
    """Say where everything is. The key itself is never printed."""
    path = key_file(settings).absolute()
    kept = path.exists() and settings.admin_key == _text_of(path)
    key = f"$(cat {shlex.quote(str(path))})" if kept else "$HOLDFAST_ADMIN_KEY"
    rows = {
        "service": base_url,
        "board": f"{base_url}/board",
        "docs": f"{base_url}/docs",
        "data": str(settings.data_dir.absolute()),
        "admin key": str(path) if kept else "as given in HOLDFAST_ADMIN_KEY",
        **(_simulated(settings, platforms) if platforms is not None else {}),
        "try": f'curl -H "Authorization: Bearer {key}" '
        f"'{base_url}/v1/availability?sku=CATFOOD-10KG'",
    }
    if not kept and settings.admin_key is None:
        rows["admin key"] = "none given (HOLDFAST_ADMIN_KEY): 'holdfast keys create --role admin'"
    console.print(Text("Holdfast is up. Ctrl-C ends it.", style="bold green"))
    for name, value in rows.items():
        console.print(Text.assemble((f"  {name:<10}", "dim"), value))


def _simulated(settings: Settings, platforms: Platforms) -> dict[str, str]:
    """Say where the simulated partners are, and what opens them to other commands."""
    rows = {
        channel: f"{url}/simulator (a simulated platform)"
        for channel, url in platforms.urls.items()
    }
    if platforms.house_url is not None and settings.warehouse_clock is not None:
        speed = f"{settings.warehouse_clock.speed:,g}"
        told = f"a simulated warehouse; a day in {DAY_SECONDS / settings.warehouse_clock.speed:g} s"
        rows[HOUSE] = f"{platforms.house_url}/simulator ({told}, {speed} times too fast)"
    file = shlex.quote(str(simulated.settings_file(settings).absolute()))
    return {**rows, "settings": f"holdfast warehouses list --config {file}"}


def _text_of(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
