"""Finds the adapter of a channel: one of ours by its name, or anybody's by `module:Class`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from channels.adapter import Account, Adapter
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
    """Find the adapter of every channel. Raises ConfigurationError for one that has none."""
    for channel, shop in settings.channels.items():
        adapter_of(channel, shop)


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
    if not url:
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
