"""The composition root of what works in the background: settings become loops of a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from channels.service import run_channels, tell_channels
from channels.shipping.forgetting import forget_addresses
from ops import logs
from ops.alerts.service import run_alerts
from ops.attendance import Roll
from ops.awaited import AwaitedStore
from ops.heartbeat import ended_where_it_hangs
from ops.lifetime import cancel, leave_on_fault, on_end, together
from ops.warehouse_details import details_of
from ops.warehouse_parcels import parcels_of
from ops.warehouse_withdrawal import withdrawal_of
from reservation.config import Settings
from reservation.events.archivist import Archivist
from reservation.health.monitor import HealthMonitor
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from reservation.sweeper import Sweeper
from wms_sync import service

if TYPE_CHECKING:
    from ops.server import Server

log = structlog.get_logger(__name__)

# One background loop, or several: it begins at once, and ends when the event is set.
Work = Callable[[Store, Settings, asyncio.Event], Coroutine[Any, Any, None]]
AGENTS_WORK: Sequence[Work] = (
    lambda store, settings, stop: Sweeper(store, settings).run(stop),
    lambda store, settings, stop: Archivist(store, settings).run(stop),
    lambda store, settings, stop: HealthMonitor(store, settings).run(stop),
    run_alerts,
    lambda store, settings, stop: run_channels(store, settings, stop, withdrawal_of(settings)),
    forget_addresses,
    lambda store, settings, stop: Roll(store, settings).run(stop),
)


def run_agents(
    settings: Settings, observed: socket.socket | None = None, *, apart: bool = False
) -> int:
    """Run the background loops until SIGTERM or SIGINT, and tell their series at `observed`.

    Without it nothing is served: the API of the same supervisor sums them up. `apart` others of
    them are that tell channels and feed warehouses: in processes of their own.
    """
    logs.configure(level=settings.log_level, form=settings.log_format)
    works = AGENTS_WORK if apart else [*AGENTS_WORK, tell_channels, feed_warehouses]
    uvloop.run(serve_loops(settings, works, "agents_stopped", observed))
    return 0


def run_feed(settings: Settings) -> int:
    """Tell channels what they may sell until SIGTERM or SIGINT."""
    logs.configure(level=settings.log_level, form=settings.log_format)
    uvloop.run(serve_loops(settings, [tell_channels], "feed_stopped"))
    return 0


def run_warehouses(settings: Settings) -> int:
    """Feed warehouses, and take in what they report, until SIGTERM or SIGINT."""
    logs.configure(level=settings.log_level, form=settings.log_format)
    uvloop.run(serve_loops(settings, [feed_warehouses], "warehouses_stopped"))
    return 0


async def feed_warehouses(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Feed all warehouses that have a system until `stop` is set."""
    if not settings.wms:
        return
    async with (
        contextlib.aclosing(parcels_of(settings)) as parcels,
        contextlib.aclosing(details_of(store, settings)) as details,
    ):
        await service.run_warehouses(store, settings, stop, details, parcels)


async def serve_loops(
    settings: Settings,
    works: Iterable[Work],
    ending: str,
    observed: socket.socket | None = None,
) -> None:
    """Run loops as soon as the store is there; each ends between two rounds, then `ending` is said.

    Their series are told from the beginning, while the store is away as well.
    """
    store = AwaitedStore(settings)
    keyring = Keyring(store.client)
    tellers: list[Server] = []
    if observed is not None:
        from ops.telling import teller  # noqa: PLC0415 (half a second of imports, mostly for none)

        tellers = [teller(settings, keyring, observed)]
    stop = asyncio.Event()

    def leave() -> None:
        stop.set()
        for teller in tellers:
            teller.should_exit = True

    on_end(leave)
    opening = asyncio.create_task(store.open_when_there(), name="store awaited")
    opening.add_done_callback(leave_on_fault(leave))
    stopped = asyncio.create_task(stop.wait())

    async def work() -> None:
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await together(*(one(store, settings, stop) for one in works))

    try:
        with ended_where_it_hangs():
            await together(work(), *(teller.serve_listeners() for teller in tellers))
    finally:
        await cancel(opening)
        stopped.cancel()
        await keyring.close()
        await store.close()
        log.info(ending)
