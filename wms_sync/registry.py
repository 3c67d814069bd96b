"""Finds a warehouse's connector: one of ours by its name, or anybody's by `module:Class`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from partners.registry import check_options, class_named
from reservation.errors import ConfigurationError
from wms_sync.connector import Connector
from wms_sync.terms import account_of, terms_of

if TYPE_CHECKING:
    from reservation.config import Settings
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
    check_options(account.options, kind.options, where=where, whose=f"connector {system!r}")
    return kind(account)


def check_warehouses(settings: Settings) -> None:
    """Make connector and terms of every warehouse. Raises ConfigurationError, which names it."""
    for name, system in settings.wms.items():
        connector_of(system.connector, account_of(name, system))
        terms_of(name, system)
