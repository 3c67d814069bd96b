"""All loops of the channels: those that move orders, and those that tell, each in one process.

`holdfast up` gives the feed a process of its own: what closes a SKU does not wait until a thousand
orders are moved. `holdfast agents` runs both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

import structlog

from channels.feed.console import Console
from channels.feed.follower import Follower
from channels.feed.offers import Offers, offers_path
from channels.feed.teller import Teller
from channels.intake.collector import Collector, FolderUnavailable
from channels.intake.fetcher import Fetcher
from channels.intake.inbox import Inbox, inbox_path
from channels.intake.janitor import Janitor
from channels.intake.lookout import Lookout
from channels.intake.mover import Mover
from channels.intake.sweeper import Sweeper
from channels.parcels.announcer import Announcer, is_mute
from channels.parcels.parcels import Parcels, parcels_path
from channels.registry import adapter_of, window_of
from channels.shipping.addresses import Addresses, addresses_path
from channels.shipping.passing import Passer, passing_path
from channels.tokens import TokenFile
from channels.transport import Platform
from partners.loops import Loops, run_loops
from reservation import metrics
from reservation.background import FAULT_SECONDS
from reservation.database import held_alone
from reservation.engine import Engine
from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from channels.feed.listings import Window
    from channels.intake.withdrawal import Withdrawal
    from channels.model import PlatformOrder
    from reservation.config import Settings
    from reservation.store.store import Store

T = TypeVar("T", Addresses, Inbox, Offers, Parcels)

log = structlog.get_logger(__name__)


async def run_channels(
    store: Store,
    settings: Settings,
    stop: asyncio.Event,
    withdrawal: Withdrawal | None = None,
) -> None:
    """Move the orders of all channels until `stop` is set.

    `withdrawal` is asked before what is committed is given back. Without any channel there is
    nothing to do.

    Of several processes that share the data directory one works, the others wait for its end.
    """
    if not settings.channels:
        return
    async with AsyncExitStack() as stack:
        inbox = await _opened(Inbox, inbox_path(settings.data_dir), stack, stop)
        if inbox is None:
            return
        at = parcels_path(settings.data_dir)
        parcels = await _opened(lambda path: Parcels(path, settings.channels), at, stack, stop)
        if parcels is None:
            return
        addresses = await _opened(Addresses, addresses_path(settings.data_dir), stack, stop)
        if addresses is None:
            return

        def remember(channel: str, orders: Sequence[PlatformOrder], at_ms: int) -> None:
            parcels.remember(channel, orders, at_ms)
            addresses.remember(channel, orders, at_ms)

        passer = Passer(passing_path(settings.data_dir))
        stack.push_async_callback(passer.close)
        pass_on = passer.pass_on if settings.wms else None
        engine = Engine(store, settings)
        stack.push_async_callback(engine.drain)
        loops: Loops = {("janitor", ""): Janitor(inbox, settings).round}
        for name, shop in settings.channels.items():
            with _left_out_where_wrong(name):
                platform = _platform(name, settings, stack)
                adapter = platform.adapter
                keep = remember if is_mute(adapter) else None
                loops["mover", name] = Mover(
                    platform,
                    inbox,
                    engine,
                    settings,
                    remember=keep,
                    withdrawal=withdrawal,
                    pass_on=pass_on,
                ).round
                loops["lookout", name] = Lookout(name, inbox, engine, settings).round
                loops["announcer", name] = Announcer(
                    platform,
                    parcels,
                    carriers=shop.carriers,
                    remember_seconds=settings.channels_remember_seconds,
                ).round
                sweeper = Sweeper(platform, inbox, seconds=shop.sweep_seconds)
                loops["sweeper", name] = sweeper.round
                if adapter.queue:
                    loops["fetcher", name] = Fetcher(platform, inbox).round
                if adapter.folder:
                    loops["collector", name] = Collector(adapter, inbox).round
        await _run(loops, stop)


async def tell_channels(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Tell all channels what they may sell until `stop` is set; else as `run_channels`."""
    if not settings.channels:
        return
    async with AsyncExitStack() as stack:
        offers = await _opened(Offers, offers_path(settings.data_dir), stack, stop)
        if offers is None:
            return
        tellers: dict[tuple[str, str], Teller] = {}
        windows: list[Window] = []
        for name, shop in settings.channels.items():
            with _left_out_where_wrong(name):
                platform = _platform(name, settings, stack, shop.tells_per_second)
                window = window_of(platform.adapter, shop)
                if window is None and not platform.adapter.account.url:
                    continue  # it has nobody who could be told
                if window is None:
                    log.warning("channel_is_told_nothing", channel=name, remedy="name its listings")
                    continue
                windows.append(window)
                tellers["teller", name] = Teller(platform, window, offers)
                if shop.exposure_url is not None:
                    console = Console(name, shop.exposure_url, shop.exposure_secret)
                    tellers["console", name] = Teller(platform, window, offers, console=console)
        loops: Loops = {where: teller.round for where, teller in tellers.items()}
        stack.push_async_callback(_close, tellers.values())
        if windows:
            engine = Engine(store, settings)
            stack.push_async_callback(engine.drain)
            loops["follower", ""] = Follower(store, engine, settings, windows, offers).round
        await _run(loops, stop)


async def _run(loops: Loops, stop: asyncio.Event) -> None:
    await run_loops(
        loops,
        stop,
        kind="channel",
        bugs=metrics.CHANNEL_BUGS,
        more_faults=(FolderUnavailable,),
    )


async def _close(tellers: Iterable[Teller]) -> None:
    """End them beside one another: each may wait for answers."""
    await asyncio.gather(*(teller.close() for teller in tellers))


@contextlib.contextmanager
def _left_out_where_wrong(channel: str) -> Iterator[None]:
    """Go on without a channel whose settings, listings or adapter are not right any more.

    They were when the service began, and a process of it begins anew whenever one has died.
    """
    try:
        yield
    except Exception:
        metrics.CHANNEL_BUGS.labels(channel=channel).inc()
        remedy = "mend it, and start Holdfast again"
        log.exception("channel_left_out", channel=channel, remedy=remedy)


def platform_of(name: str, settings: Settings, calls_per_second: float | None = None) -> Platform:
    """Make the way to a channel's platform, at another pace than its own if one is given.

    Who makes it closes it. Raises ConfigurationError.
    """
    shop = settings.channels[name]
    return Platform(
        adapter_of(name, shop),
        shop.token,
        calls_per_second=calls_per_second or shop.calls_per_second,
        kept=TokenFile(settings.data_dir, name, shop),
    )


def _platform(
    name: str, settings: Settings, stack: AsyncExitStack, calls_per_second: float | None = None
) -> Platform:
    platform = platform_of(name, settings, calls_per_second)
    stack.push_async_callback(platform.close)
    return platform


async def _opened(
    kind: Callable[[Path], T], path: Path, stack: AsyncExitStack, stop: asyncio.Event
) -> T | None:
    """Open a file as the only one that works on it; None where it ends before that."""
    told = ""
    while not stop.is_set():
        try:
            with contextlib.ExitStack() as held:
                held.callback(os.close, held_alone(path))
                file = kind(path)
                stack.callback(held.pop_all().close)
        except ArchiveUnavailable as error:
            if told != str(error):
                log.warning("channels_wait", reason=str(error))
            told = str(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FAULT_SECONDS)
        else:
            stack.callback(file.close)
            return file
    return None
