"""`holdfast alerts`: who is alerted, try one out, look at what nobody took, send it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ops.alerts.alert import Alert, Level, Shortage
from ops.alerts.courier import DIALECTS, client_for, send, spacing_of, words_of
from ops.alerts.deliveries import (
    Deliveries,
    DeliveryState,
    look,
    outbox_path,
    receiver_rows,
)
from ops.alerts.outbox import Outbox
from ops.alerts.receiving import Delivered, Parcel, Telling, Verdict
from ops.cli.endings import errors, output
from ops.cli.options import ConfigOption, DataDirOption, JsonOption, settings_of
from reservation.database import is_there
from reservation.errors import ConfigurationError, HoldfastError
from reservation.receivers import AlertType
from reservation.times import rfc3339

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.receivers import Receiver

MOST_SHOWN = 1_000  # dead letters
MOST_NAMED = 5  # SKUs and orders of one

alerts_app = typer.Typer(
    help="Who is alerted: try it out, look at what nobody took, send it again.",
    no_args_is_help=True,
)


@alerts_app.command("test")
def try_out(
    name: Annotated[str, typer.Argument(help="The receiver's name.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a message that says that it is a test, and tell what the receiver answered."""
    settings = settings_of(config, data_dir=data_dir)
    receiver = _receiver(settings, name)
    verdict = asyncio.run(_tested(settings, name, receiver))
    if not isinstance(verdict, Delivered):
        message = (
            f"{name} did not take it: {verdict.reason}; check [alerts.{name}] in the settings, and "
            "that this machine reaches it"
        )
        raise HoldfastError(message)
    typer.echo(f"{name} ({receiver.kind.value}) has taken a test message")


@alerts_app.command("list")
def list_receivers(
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the receivers, with what they have not been told yet."""
    settings = settings_of(config, data_dir=data_dir)
    backlogs = look(outbox_path(settings.data_dir), Deliveries.backlogs)
    rows = receiver_rows(settings.alerts, backlogs or [])
    if as_json:
        output().print_json(json.dumps(rows))
        return
    if not rows:
        typer.echo(f"nobody is alerted: {_HOW}")
    table = Table("name", "kind", "events", "waiting", "dead", "last refusal", box=None)
    for row in rows:
        table.add_row(
            row["name"],
            row["kind"] or "not configured",
            "all" if len(row["events"]) == len(AlertType) else " ".join(row["events"]),
            str(row["waiting"]),
            str(row["dead"]),
            row["reason"] or "-",
        )
    if rows:
        output().print(table)


@alerts_app.command("dead")
def list_dead(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """List the messages that were given up, newest first, with the reason."""
    settings = settings_of(config, data_dir=data_dir)
    found = look(
        outbox_path(settings.data_dir),
        lambda told: told.deliveries(DeliveryState.DEAD, None, MOST_SHOWN),
    )
    if not found:
        typer.echo("none: every message was taken, or is still on its way")
        return
    table = Table("id", "receiver", "made", "sent", "alerts", "reason", box=None)
    for letter in found:
        names = list(dict.fromkeys(alert.about for alert in letter.alerts))
        named = ", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")
        table.add_row(
            letter.id,
            letter.receiver,
            rfc3339(letter.made_ms),
            f"{letter.attempts}×",
            f"{len(letter.alerts)}: {named}",
            letter.reason,
        )
    output().print(table)


@alerts_app.command("resend")
def resend(
    delivery_id: Annotated[
        str, typer.Argument(metavar="ID|all", help="The message's id, or 'all' that are dead.")
    ],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Send what was given up again; the agents do it as soon as its receiver may be sent to."""
    settings = settings_of(config, data_dir=data_dir)
    path = outbox_path(settings.data_dir)
    if not is_there(path):
        missing = path if is_there(path.parent) else path.parent
        message = (
            f"{missing} does not exist: give --data-dir or HOLDFAST_DATA_DIR the directory in which"
            " the agents keep what they have sent"
        )
        raise HoldfastError(message)
    now_ms = _now_ms()
    with _outbox(settings) as outbox:
        wanted = [delivery_id]
        if delivery_id == "all":
            letters = outbox.deliveries(DeliveryState.DEAD, None, MOST_SHOWN)
            wanted = [letter.id for letter in letters]
        sent = sum(outbox.send_again(one, now_ms) for one in wanted)
    if not sent and delivery_id != "all":
        message = f"{delivery_id} is no dead letter: 'holdfast alerts dead' lists them"
        raise HoldfastError(message)
    typer.echo(f"{sent} on the way again")


_HOW = (
    "name a receiver in the settings file (--config), for instance\n"
    "  [alerts.ops]\n"
    '  kind = "wecom"\n'
    '  url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…"'
)


def _receiver(settings: Settings, name: str) -> Receiver:
    receiver = settings.alerts.get(name)
    if receiver is None:
        known = ", ".join(sorted(settings.alerts))
        message = f"there is no receiver {name!r}: " + (f"there are {known}" if known else _HOW)
        raise ConfigurationError(message)
    return receiver


async def _tested(settings: Settings, name: str, receiver: Receiver) -> Verdict:
    """Send a test message when the receiver may be sent to; the agents send to it, too."""
    with _outbox(settings) as outbox:
        spacing_ms = spacing_of(receiver)
        while wait_ms := outbox.slot(name, _now_ms(), spacing_ms):  # noqa: ASYNC110 (a file)
            await asyncio.sleep(wait_ms / 1000)
    now_ms = _now_ms()
    telling = Telling([_sample(now_ms)], words_of(settings, receiver), now_ms, test=True)
    _, body = DIALECTS[receiver.kind].compose(telling)
    async with client_for(receiver) as http:
        with errors().status(f"sending to {name} …"):
            parcel = Parcel(receiver, f"msg_{secrets.token_hex(12)}", body, now_ms)
            return await send(http, parcel)


def _sample(now_ms: int) -> Alert:
    return Alert(
        id=f"{now_ms}-0.1",
        type=AlertType.SUSPENDED,
        sku="CATFOOD-10KG",
        at_ms=now_ms,
        reason="failed locks",
        failures=3,
        shortages=(Shortage("douyin", "douyin:test", "main", 180, 100),),
        levels=(Level("main", 200, 60, 40, 100),),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def _outbox(settings: Settings) -> Iterator[Outbox]:
    outbox = Outbox(outbox_path(settings.data_dir))
    try:
        yield outbox
    finally:
        outbox.close()
