"""Finds the adapter of a channel: one of ours by its name, or anybody's by `module:Class`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from channels.adapter import Account, Adapter
from channels.feed.listings import BadListings, Window, read_listings
from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.shops import Shop

PLATFORMS: Final = {
    "tmall": "channels.tmall:Tmall",
    "douyin": "channels.douyin:Douyin",
    "distributor": "channels.distributor:Distributor",
}


def check_channels(settings: Settings) -> None:
    """Find adapter and listings of every channel. Raises ConfigurationError where one is amiss."""
    for channel, shop in settings.channels.items():
        window_of(adapter_of(channel, shop), shop)


def window_of(adapter: Adapter, shop: Shop) -> Window | None:
    """Read what a channel is told of; None where it has no listings and needs them, or no address.

    Raises ConfigurationError, which names the channel.
    """
    channel = adapter.account.channel
    if not adapter.account.url:
        return None
    if shop.listings is None:
        return Window(channel, shop, None) if adapter.knows_our_skus else None
    where = f"channels.{channel}: listings {shop.listings}"
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
    name = PLATFORMS.get(shop.platform, shop.platform)
    module, _, attribute = name.partition(":")
    where = f"channels.{channel}"
    if not attribute:
        known = ", ".join(PLATFORMS)
        message = f"{where}: no platform {name!r}; known are {known}, and module:Class of your own"
        raise ConfigurationError(message)
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        message = f"{where}: platform {name!r} cannot be loaded: {error}"
        raise ConfigurationError(message) from error
    if not (isinstance(kind, type) and issubclass(kind, Adapter)):
        message = f"{where}: platform {name!r} is no channels.adapter.Adapter"
        raise ConfigurationError(message)
    if unsaid := kind.unsaid():
        message = f"{where}: {kind.__name__} does not say {', '.join(unsaid)}"
        raise ConfigurationError(message)
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
