"""Finds a warehouse's connector: one of ours by its name, or anybody's by `module:Class`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from partners.registry import class_named
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
    where = f"wms.{account.warehouse}"
    kind: type[Connector] = class_named(
        system,
        SYSTEMS,
        Connector,  # type: ignore[type-abstract]
        where=where,
        what="connector",
    )
    if unsaid := sorted(kind.__abstractmethods__):
        message = f"{where}: {kind.__name__} does not say {', '.join(unsaid)}"
        raise ConfigurationError(message)
    return kind(account)
