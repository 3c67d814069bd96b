"""Finds a warehouse's connector: one of ours by its name, or anybody's by `module:Class`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from reservation.errors import ConfigurationError
from wms_sync.connector import Connector

if TYPE_CHECKING:
    from wms_sync.connector import Account

SYSTEMS: Final = {
    "qimen": "wms_sync.qimen:Qimen",
    "rest": "wms_sync.rest:Rest",
}


def connector_of(system: str, account: Account) -> Connector:
    """Make the connector of a warehouse. Raises ConfigurationError, which names the warehouse."""
    name = SYSTEMS.get(system, system)
    module, _, attribute = name.partition(":")
    where = f"wms.{account.warehouse}"
    if not attribute:
        known = ", ".join(SYSTEMS)
        message = f"{where}: no system {name!r}; known are {known}, and module:Class of your own"
        raise ConfigurationError(message)
    try:
        kind = getattr(import_module(module), attribute)
    except (
        ImportError,
        AttributeError,
        ValueError,
    ) as error:  # ValueError: a name without a module
        message = f"{where}: system {name!r} cannot be loaded: {error}"
        raise ConfigurationError(message) from error
    if not (isinstance(kind, type) and issubclass(kind, Connector)):
        message = f"{where}: system {name!r} is no wms_sync.connector.Connector"
        raise ConfigurationError(message)
    if unsaid := sorted(kind.__abstractmethods__):
        message = f"{where}: {kind.__name__} does not say {', '.join(unsaid)}"
        raise ConfigurationError(message)
    return kind(account)
