"""Finds the adapter of a channel: one of ours by its name, or anybody's by `module:Class`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from channels.adapter import Account, Adapter, At
from channels.feed.listings import BadListings, Window, read_listings
from partners.registry import check_options, class_named
from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from channels.model import Listing
    from reservation.config import Settings
    from reservation.shops import Shop

_KEY: Final = "0" * 32  # of what is told to nobody
PLATFORMS: Final = {
    "tmall": "channels.tmall:Tmall",
    "douyin": "channels.douyin:Douyin",
    "distributor": "channels.distributor:Distributor",
}


def check_channels(settings: Settings, *, folders: bool = True) -> None:
    """Find adapter and listings of every channel, and the folder of who takes its order files.

    Raises ConfigurationError where one is amiss, also where a platform cannot be told of a listing.
    """
    owners: dict[Path, str] = {}
    for channel, shop in settings.channels.items():
        adapter = adapter_of(channel, shop)
        window = window_of(adapter, shop)
        if window is not None and shop.listings is not None:
            for listing in (window.listings or {}).values():
                _check_listing(adapter, _where(channel, shop.listings), listing)
        if folders and adapter.folder:
            folder = _folder(channel, adapter.folder)
            if folder in owners:
                message = (
                    f"channels.{channel}: orders {folder} is that of channels.{owners[folder]}, "
                    "too: give each dealer a folder of its own"
                )
                raise ConfigurationError(message)
            owners[folder] = channel


def _check_listing(adapter: Adapter, where: str, listing: Listing) -> None:
    """Write what is told of a listing, to nobody."""
    at = At(0)
    try:
        adapter.show(listing, 1, _KEY, at)
        adapter.close(listing, _KEY, at)
        adapter.reopen(listing, 1, _KEY, at)
    except Exception as error:
        message = f"{where}: {listing.sku}: {error}"
        raise ConfigurationError(message) from error


def _folder(channel: str, name: str) -> Path:
    """Find the folder of a channel's order files."""
    folder = Path(name).absolute()
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "is not there"
        message = f"channels.{channel}: orders {folder} {what}: make it, where the agents can write"
        raise ConfigurationError(message)
    return folder.resolve()


def _where(channel: str, listings: Path) -> str:
    return f"channels.{channel}: listings {listings.absolute()}"


def window_of(adapter: Adapter, shop: Shop) -> Window | None:
    """Read what a channel is told of; None where it has no listings and needs them, or no address.

    Raises ConfigurationError, which names the channel.
    """
    channel = adapter.account.channel
    if not adapter.account.url:
        return None
    if shop.listings is None:
        return Window(channel, shop, None) if adapter.knows_our_skus else None
    where = _where(channel, shop.listings)
    try:
        return Window(channel, shop, read_listings(shop.listings.read_bytes()))
    except OSError as error:
        message = f"{where}: {error.strerror}"
        raise ConfigurationError(message) from error
    except BadListings as error:
        message = f"{where}: {error}"
        raise ConfigurationError(message) from error


def adapter_of(channel: str, shop: Shop) -> Adapter:
    """Make the adapter of a channel. Raises ConfigurationError, which names the channel."""
    where = f"channels.{channel}"
    kind: type[Adapter] = class_named(
        shop.platform,
        PLATFORMS,
        Adapter,  # type: ignore[type-abstract]
        where=where,
        what="platform",
    )
    if unsaid := kind.unsaid():
        message = f"{where}: {kind.__name__} does not say {', '.join(unsaid)}"
        raise ConfigurationError(message)
    check_options(shop.options, kind.options, where=where, whose=f"platform {shop.platform!r}")
    url = shop.url or kind.default_url
    if not url and kind.needs_url(shop.options):
        message = f"{where}: platform {shop.platform!r} needs a url"
        raise ConfigurationError(message)
    return kind(
        Account(
            channel=channel,
            url=url,
            app_key=shop.app_key,
            secrets=shop.secrets,
            shop_id=shop.shop_id,
            deducts_at=shop.deducts_at,
            options=shop.options,
        )
    )
