"""All loops of the channels together, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from channels.intake.fetcher import Fetcher
from channels.intake.inbox import Inbox, InboxUnavailable, inbox_path
from channels.intake.mover import Mover
from channels.intake.sweeper import Sweeper
from channels.registry import adapter_of
from channels.transport import Platform
from reservation.background import FAULT_SECONDS, repeat
from reservation.database import held_alone
from reservation.engine import Engine
from reservation.errors import ScriptBug, StoreUnavailable

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store

FAULTS = (InboxUnavailable, StoreUnavailable, ScriptBug)

log = structlog.get_logger(__name__)


async def run_channels(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Move the orders of all channels until `stop` is set; without any there is nothing to do.

    Of several processes that share the data directory one works, the others wait for its end.
    """
    if not settings.channels:
        return
    async with AsyncExitStack() as stack:
        inbox = await _opened(settings, stack, stop)
        if inbox is None:
            return
        engine = Engine(store, settings)
        async with asyncio.TaskGroup() as group:
            for name, shop in settings.channels.items():
                platform = Platform(adapter_of(name, shop), shop.token)
                stack.push_async_callback(platform.close)
                loops = {
                    "mover": Mover(platform, inbox, engine, settings).round,
                    "sweeper": Sweeper(platform, inbox).round,
                }
                if platform.adapter.queue:
                    loops["fetcher"] = Fetcher(platform, inbox).round
                for job, work in loops.items():
                    title = f"{job} of {name}"
                    group.create_task(repeat(work, name=title, stop=stop, faults=FAULTS))
        await engine.drain()


async def _opened(settings: Settings, stack: AsyncExitStack, stop: asyncio.Event) -> Inbox | None:
    """Open the inbox as the only one that works on it; None where it ends before that."""
    path, told = inbox_path(settings.data_dir), ""
    while not stop.is_set():
        try:
            with contextlib.ExitStack() as held:
                held.callback(os.close, held_alone(path, fault=InboxUnavailable))
                inbox = Inbox(path)
                stack.callback(held.pop_all().close)
        except InboxUnavailable as error:
            if told != str(error):
                log.warning("channels_wait", reason=str(error))
            told = str(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FAULT_SECONDS)
        else:
            stack.callback(inbox.close)
            return inbox
    return None
