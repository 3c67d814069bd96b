"""All loops of the channels together, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from channels.feed.console import Console
from channels.feed.follower import Follower
from channels.feed.offers import Offers, offers_path
from channels.feed.teller import Teller
from channels.intake.collector import Collector, FolderUnavailable
from channels.intake.fetcher import Fetcher
from channels.intake.inbox import Inbox, InboxUnavailable, inbox_path
from channels.intake.janitor import Janitor
from channels.intake.mover import Mover
from channels.intake.sweeper import Sweeper
from channels.parcels.announcer import Announcer, is_mute
from channels.parcels.parcels import Parcels, parcels_path
from channels.registry import adapter_of, window_of
from channels.transport import Platform
from reservation.background import FAULT_SECONDS, repeat
from reservation.database import held_alone
from reservation.engine import Engine
from reservation.errors import ArchiveUnavailable, Overloaded, ScriptBug, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from channels.feed.listings import Window
    from reservation.config import Settings
    from reservation.shops import Shop
    from reservation.store.store import Store

FAULTS = (ArchiveUnavailable, FolderUnavailable, StoreUnavailable, Overloaded, ScriptBug)

log = structlog.get_logger(__name__)


async def run_channels(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Move the orders of all channels, and tell them what they may sell, until `stop` is set.

    Without any channel there is nothing to do.

    Of several processes that share the data directory one works, the others wait for its end.
    """
    if not settings.channels:
        return
    async with AsyncExitStack() as stack:
        inbox = await _opened(settings, stack, stop)
        if inbox is None:
            return
        offers = Offers(offers_path(settings.data_dir))
        stack.callback(offers.close)
        parcels = Parcels(parcels_path(settings.data_dir), settings.channels)
        stack.callback(parcels.close)
        engine = Engine(store, settings)
        loops: dict[str, Callable[[], Awaitable[float]]] = {
            "janitor": Janitor(inbox, settings).round
        }
        windows: list[Window] = []
        for name, shop in settings.channels.items():
            adapter = adapter_of(name, shop)
            platform = Platform(adapter, shop.token, calls_per_second=shop.calls_per_second)
            stack.push_async_callback(platform.close)
            remember = parcels.remember if is_mute(adapter) else None
            mover = Mover(platform, inbox, engine, settings, remember=remember)
            loops[f"mover of {name}"] = mover.round
            loops[f"announcer of {name}"] = Announcer(
                platform,
                parcels,
                carriers=shop.carriers,
                remember_seconds=settings.channels_remember_seconds,
            ).round
            loops[f"sweeper of {name}"] = Sweeper(platform, inbox, seconds=shop.sweep_seconds).round
            if adapter.queue:
                loops[f"fetcher of {name}"] = Fetcher(platform, inbox).round
            if adapter.folder:
                loops[f"collector of {name}"] = Collector(adapter, inbox).round
            if window := window_of(adapter, shop):
                windows.append(window)
                console = _console_of(name, shop)
                loops[f"teller of {name}"] = Teller(platform, window, offers, console=console).round
            else:
                log.warning("channel_is_told_nothing", channel=name, remedy="name its listings")
        if windows:
            loops["follower"] = Follower(store, engine, settings, windows, offers).round
        async with asyncio.TaskGroup() as group:
            for title, work in loops.items():
                group.create_task(repeat(work, name=title, stop=stop, faults=FAULTS))
        await engine.drain()


def _console_of(name: str, shop: Shop) -> Console | None:
    if shop.exposure_url is None:
        return None
    return Console(name, shop.exposure_url, shop.exposure_secret)


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
