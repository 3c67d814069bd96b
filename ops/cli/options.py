"""The options that several commands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ops import logs
from reservation.config import Settings, load

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML).")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIRECTORY",
        help="Keys, embedded store and archive (HOLDFAST_DATA_DIR; default ./var).",
    ),
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address to listen on (default 127.0.0.1).")
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65_535, help="Port to listen on; 0: any (default 8000)."),
]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65_535,
        help="Port to serve /metrics and /healthz on; 0: any (default none).",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, max=64, help="API processes (default 1).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def settings_of(config: Path | None, *, log_level: str | None = None, **given: Any) -> Settings:
    """Read the settings and set up logging; `log_level` counts where nobody asked for one.

    Raises ConfigurationError.
    """
    settings = load(config, **given)
    if log_level is not None and "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": log_level})
    logs.configure(level=settings.log_level, form=settings.log_format)
    return settings
