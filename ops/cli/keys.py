"""`holdfast keys`: make, list and revoke the keys that open the API."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from ops.cli.endings import errors, output, run_with_store
from ops.cli.options import ConfigOption, DataDirOption, settings_of
from reservation.config import Settings
from reservation.errors import ConfigurationError
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from reservation.times import rfc3339

T = TypeVar("T")

keys_app = typer.Typer(
    help="Make, list and revoke the keys that open the API.", no_args_is_help=True
)


@keys_app.command("create")
def create(
    *,
    role: Annotated[Role, typer.Option(help="What its holder is.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(help="A channel that it speaks for; may be repeated. Role channel only."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Recorded as the actor of what it does (default: its channels).")
    ] = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a key and print it, once: it is kept hashed and cannot be shown again."""
    settings = settings_of(config, data_dir=data_dir)
    channels = tuple(dict.fromkeys(channel or ()))
    if role is Role.CHANNEL and not channels:
        raise ConfigurationError("a key of the role channel speaks for channels: give --channel")
    if role is not Role.CHANNEL and channels:
        message = f"a key of the role {role.value} speaks for no channel: leave --channel out"
        raise ConfigurationError(message)
    try:
        record, token = _with_keyring(
            settings, lambda keyring: keyring.create(role, channels=channels, name=name)
        )
    except ValueError as error:
        raise ConfigurationError(f"--channel or --name: {error}") from error
    errors().print(f"key {record.key_id} ({record.name}, {record.role.value}), shown only now:")
    sys.stdout.write(f"{token}\n")


@keys_app.command("list")
def list_keys(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """List the keys, revoked ones too, oldest first."""
    settings = settings_of(config, data_dir=data_dir)
    records = _with_keyring(settings, lambda keyring: keyring.list_keys())
    table = Table("id", "name", "role", "channels", "created", "revoked", box=None)
    for record in records:
        revoked = record.revoked_at_ms
        table.add_row(
            record.key_id,
            record.name,
            record.role.value,
            " ".join(record.channels) or "-",
            rfc3339(record.created_at_ms),
            "-" if revoked is None else rfc3339(revoked),
        )
    output().print(table)


@keys_app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID|NAME", help="The key's id, or its name.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Revoke a key: no process takes it after 5 seconds."""
    settings = settings_of(config, data_dir=data_dir)
    record = _with_keyring(settings, lambda keyring: keyring.revoke(key))
    typer.echo(f"{record.key_id} ({record.name}) is revoked; refused everywhere within 5 s")


def _with_keyring(settings: Settings, work: Callable[[Keyring], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await Store.open(settings, adopt_policy=False)
        try:
            return await work(Keyring(store.client))
        finally:
            await store.close()

    return run_with_store(settings, run())
