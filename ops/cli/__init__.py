"""The command line: `holdfast`, one command a module.

Read `endings` for the exit codes and `options` for what the commands share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from ops.cli.endings import ending_well

__all__ = ["main"]


def main() -> None:
    """Run `holdfast`; the process ends with the contract's exit code."""
    ending_well(_run)


def _run() -> None:
    _application()()


def _application() -> typer.Typer:
    """Assemble the commands; imported here so that a fault of an import is a sentence too."""
    from ops.cli.alerts import alerts_app  # noqa: PLC0415
    from ops.cli.audit import audit_command  # noqa: PLC0415
    from ops.cli.bench import bench_command  # noqa: PLC0415
    from ops.cli.channels import channels_app  # noqa: PLC0415
    from ops.cli.doctor import doctor_command  # noqa: PLC0415
    from ops.cli.keys import keys_app  # noqa: PLC0415
    from ops.cli.replay import replay_command  # noqa: PLC0415
    from ops.cli.serve import agents_command, api_command, up_command  # noqa: PLC0415
    from ops.cli.stock import stock_app  # noqa: PLC0415
    from ops.cli.warehouses import warehouses_app  # noqa: PLC0415

    app = typer.Typer(
        name="holdfast",
        help="Inventory reservation that cannot oversell.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # `endings` says what went wrong
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_version_option)
    commands: dict[str, Callable[..., None]] = {
        "up": up_command,
        "api": api_command,
        "agents": agents_command,
        "replay": replay_command,
        "audit": audit_command,
        "bench": bench_command,
        "doctor": doctor_command,
    }
    for name, command in commands.items():
        app.command(name)(command)
    app.add_typer(alerts_app, name="alerts")
    app.add_typer(channels_app, name="channels")
    app.add_typer(keys_app, name="keys")
    app.add_typer(stock_app, name="stock")
    app.add_typer(warehouses_app, name="warehouses")
    return app


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if wanted:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            typer.echo(f"holdfast {version('holdfast')}")
        except PackageNotFoundError:  # run from a source tree that was never installed
            typer.echo("holdfast (not installed)")
        raise typer.Exit


def _version_option(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Inventory reservation that cannot oversell."""
