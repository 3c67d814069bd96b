"""All loops for warehouses, in one process: follow, ask, lock, hand over, settle, compare."""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from partners.connection import Connection
from partners.loops import Loops, run_loops
from reservation import metrics
from reservation.background import FAULT_SECONDS
from reservation.database import held_alone
from reservation.engine import Engine
from reservation.errors import ArchiveUnavailable
from wms_sync.clock import Redated, clock_of
from wms_sync.details import Clerk
from wms_sync.follower import Follower
from wms_sync.locker import Locker
from wms_sync.outbox.file import OutboxUnavailable, outbox_path
from wms_sync.outbox.outbox import Outbox
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.findings import Findings
from wms_sync.reconciliation.ours import Ours
from wms_sync.reconciliation.reconciler import Reconciler
from wms_sync.registry import connector_of
from wms_sync.relay import Relay
from wms_sync.reports.applier import Applier
from wms_sync.reports.box import Box, reports_path
from wms_sync.settler import Settler
from wms_sync.terms import account_of, lock_terms_of, stock_terms_of, terms_of

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store
    from wms_sync.details import Details
    from wms_sync.reports.parcels import Parcels

log = structlog.get_logger(__name__)


async def run_warehouses(
    store: Store,
    settings: Settings,
    stop: asyncio.Event,
    details: Details,
    parcels: Parcels | None = None,
) -> None:
    """Feed all warehouses that have a system, and apply what they report, until `stop` is set.

    Without one there is nothing to do. Without `parcels` nobody is told which have left. All of it
    goes by the clock of the settings.

    Of several processes that share the data directory one works, the others wait for its end.
    Raises ConfigurationError where a connector cannot be made.
    """
    if not settings.wms:
        return
    connectors = {
        name: connector_of(system.connector, account_of(name, system))
        for name, system in settings.wms.items()
    }
    terms = {name: terms_of(name, system) for name, system in settings.wms.items()}
    clock = clock_of(settings)
    now_ms = clock.now_ms
    async with AsyncExitStack() as stack:
        opened = await _opened(settings, stack, stop)
        if opened is None:
            return
        outbox, box = opened
        engine = Engine(store, settings)
        stack.push_async_callback(engine.drain)
        findings = Findings(reconciliation_path(settings.data_dir))
        stack.callback(findings.close)
        policies = {name: one.priority for name, one in terms.items()}
        clerk = Clerk(
            *(outbox.entries, Redated(details, clock), policies), now_ms=now_ms, speed=clock.speed
        )
        stack.push_async_callback(clerk.close)
        loops: Loops = {
            ("follower", ""): Follower(
                store, settings, outbox.entries, now_ms=now_ms, at=clock.at
            ).round,
            ("clerk", ""): clerk.round,
            ("settler", ""): Settler(outbox, engine, now_ms=now_ms).round,
            ("applier", ""): Applier(
                *(box, outbox.told, engine, connectors, parcels),
                now_ms=now_ms,
                also_short=findings.open_shortfalls_of,
            ).round,
        }
        for name, connector in connectors.items():
            timeout = settings.wms[name].timeout_seconds
            connection = Connection(connector.account.url, timeout_seconds=timeout)
            stack.push_async_callback(connection.close)
            relay = Relay(connector, connection, outbox.handing(name), terms[name], now_ms=now_ms)
            stack.push_async_callback(relay.close)
            loops["relay", name] = relay.round
            lock_terms = lock_terms_of(name, settings.wms[name])
            locker = Locker(
                connector, connection, outbox.lock_rows(name), lock_terms, now_ms=now_ms
            )
            stack.push_async_callback(locker.close)
            loops["locker", name] = locker.round
            if stock_terms := stock_terms_of(name, settings.wms[name]):
                ours = Ours(name, store, engine, outbox_path(settings.data_dir))
                loops["reconciler", name] = Reconciler(
                    connector, connection, ours, findings, stock_terms, now_ms=now_ms
                ).round
        await run_loops(loops, stop, kind="warehouse", bugs=metrics.WAREHOUSE_BUGS)


async def _opened(
    settings: Settings, stack: AsyncExitStack, stop: asyncio.Event
) -> tuple[Outbox, Box] | None:
    """Open the files as the only one that works on them; None where it ends before that."""
    path, told = outbox_path(settings.data_dir), ""
    while not stop.is_set():
        try:
            with contextlib.ExitStack() as held:
                held.callback(os.close, held_alone(path, fault=OutboxUnavailable))
                outbox = Outbox(path, settings.wms)
                held.callback(outbox.close)
                box = Box(reports_path(settings.data_dir))
                held.callback(box.close)
                stack.callback(held.pop_all().close)
        except ArchiveUnavailable as error:
            if told != str(error):
                log.warning("warehouses_wait", reason=str(error))
            told = str(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FAULT_SECONDS)
        else:
            return outbox, box
    return None
