"""What the commands about warehouses share: the files they read, and how a figure is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.options import settings_of
from reservation.errors import HoldfastError
from wms_sync.clock import clock_of
from wms_sync.registry import check_warehouses
from wms_sync.showing import Showing

if TYPE_CHECKING:
    from pathlib import Path

    from reservation.config import Settings

MOST_SHOWN: Final = 1_000  # of a list
BY: Final = "command line"  # who did it, where a key is named elsewhere

WarehouseArgument = Annotated[str, typer.Argument(help="Our name of the warehouse.")]


def showing_of(config: Path | None, data_dir: Path | None) -> Showing:
    """Read the settings. Raises HoldfastError where their directory is none.

    What the service would not begin with is refused as it does: ConfigurationError.
    """
    settings: Settings = settings_of(config, log_level="warning", data_dir=data_dir)
    check_warehouses(settings)
    if not settings.data_dir.is_dir():
        message = (
            f"{settings.data_dir} has nothing of warehouses: give --data-dir or HOLDFAST_DATA_DIR"
            " the directory in which the agents keep it"
        )
        raise HoldfastError(message)
    return Showing(settings, clock_of(settings).now_ms)


def text(value: object) -> str:
    """Say a value that may not be known."""
    return "–" if value is None else str(value)
