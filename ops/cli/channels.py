"""`holdfast channels`: what channels were not told, which orders do not fit; try them again."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from channels.feed.offers import Offer, OfferReads, Offers, look_at, offers_path
from channels.intake.desk import Desk
from channels.intake.desk import look_at as look_at_inbox
from channels.intake.inbox import inbox_path
from channels.intake.looks import LookState
from channels.parcels.parcels import Notice, NoticeState, ParcelReads, Parcels, parcels_path
from channels.parcels.parcels import look_at as look_at_parcels
from ops.cli.endings import output
from ops.cli.options import ConfigOption, DataDirOption, JsonOption, settings_of
from reservation.database import is_there
from reservation.errors import ConfigurationError, HoldfastError
from reservation.model import LOCAL_ID
from reservation.times import rfc3339

if TYPE_CHECKING:
    from pathlib import Path

    from reservation.config import Settings

MOST_SHOWN = 1_000  # of a list

channels_app = typer.Typer(
    help="Channels whose platforms Holdfast speaks to: what they were not told, what does not fit.",
    no_args_is_help=True,
)

ChannelArgument = Annotated[str, typer.Argument(help="The channel's name in the settings.")]


@channels_app.command("list")
def list_channels(
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the channels: how much each is still to be told, and how many orders do not fit."""
    settings = _settings(config, data_dir)
    told = look_at(offers_path(settings.data_dir), lambda offers: _counts(offers, settings))
    of_parcels = look_at_parcels(
        parcels_path(settings.data_dir),
        lambda parcels: {name: parcels.counts(name) for name in settings.channels},
    )
    troubled: dict[str, dict[str, int]] = {}
    figures = look_at_inbox(inbox_path(settings.data_dir), lambda desk: desk.figures())
    for figure in figures or ():
        counts = troubled.setdefault(figure.channel, {})
        counts[figure.state] = counts.get(figure.state, 0) + figure.looks
    rows = []
    for name, shop in sorted(settings.channels.items()):
        to_tell, dead, not_closed = (told or {}).get(name, (0, 0, 0))
        parcels_to_tell, dead_parcels = (of_parcels or {}).get(name, (0, 0))
        orders = troubled.get(name, {})
        rows.append(
            {
                "channel": name,
                "platform": shop.platform,
                "to_tell": to_tell,
                "dead_letters": dead,
                "not_closed": not_closed,
                "parcels_to_tell": parcels_to_tell,
                "dead_parcels": dead_parcels,
                "orders_waiting": orders.get(LookState.WAITING, 0),
                "orders_stuck": orders.get(LookState.STUCK, 0),
            }
        )
    if as_json:
        output().print_json(json.dumps(rows))
    elif rows:
        table = Table(*(name.replace("_", " ") for name in rows[0]), box=None)
        for row in rows:
            table.add_row(*map(str, row.values()))
        output().print(table)
    else:
        typer.echo("the settings name no channel: see docs/channels.md")


@channels_app.command("orders")
def list_orders(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """List orders that are not where their platform says they are, with the reason."""
    settings = _settings(config, data_dir)
    path = inbox_path(settings.data_dir)
    found = look_at_inbox(path, lambda desk: desk.troubles(count=MOST_SHOWN))
    if not found:
        typer.echo("none: every order that was told of is where its platform says it is")
        return
    table = Table("channel", "order", "state", "since", "tried", "reason", box=None)
    for look in found:
        table.add_row(
            look.channel,
            look.order_id or "(names none)",
            look.state,
            rfc3339(look.since_ms),
            f"{look.attempts}×",
            look.reason,
        )
    output().print(table)


@channels_app.command("retry")
def retry(
    channel: ChannelArgument,
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="The platform's order number.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Have an order looked at now, whatever was or was not told of it; the agents do it at once."""
    settings = settings_of(config, data_dir=data_dir)
    _known(settings, channel)
    if not LOCAL_ID.fullmatch(order_id):
        raise ConfigurationError("an order's number has 1 to 64 characters of [A-Za-z0-9._-]")
    path = inbox_path(settings.data_dir)
    if not is_there(path):
        raise _nothing_there(settings)
    with contextlib.closing(Desk(path)) as desk:
        now_ms = time.time_ns() // 1_000_000
        if not desk.look_now(channel, order_id, now_ms):
            desk.want(channel, order_id, now_ms)
    typer.echo(f"{channel}:{order_id} is looked at as soon as the agents run")


@channels_app.command("dead")
def list_dead(
    channel: ChannelArgument, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """List what a channel has refused to be told, with the reason; what it must close first."""
    settings = _settings(config, data_dir)
    _known(settings, channel)
    found: list[Offer] = list(
        look_at(offers_path(settings.data_dir), lambda told: told.dead(channel, None, MOST_SHOWN))
        or ()
    )
    if not found:
        typer.echo("none: it has taken everything, or is still being told")
        return
    table = Table("sku", "what", "units", "since", "tried", "reason", box=None)
    for offer in found:
        table.add_row(
            offer.sku,
            offer.kind if offer.is_open else f"{offer.kind}: close, {offer.why}",
            str(offer.units if offer.is_open else 0),
            rfc3339(offer.since_ms),
            f"{offer.attempts}×",
            offer.reason,
        )
    output().print(table)


@channels_app.command("parcels")
def list_parcels(
    channel: ChannelArgument,
    order_id: Annotated[
        str | None, typer.Option("--order", help="All of one order, also those that are told.")
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List parcels that a channel has not been told of, with the reason."""
    settings = _settings(config, data_dir)
    _known(settings, channel)
    untold = [state for state in NoticeState if state is not NoticeState.ACKNOWLEDGED]

    def ask(parcels: ParcelReads) -> Sequence[Notice]:
        if order_id is not None:
            return parcels.of_order(channel, order_id)
        return parcels.page(channel, untold, 0, MOST_SHOWN)

    found = look_at_parcels(parcels_path(settings.data_dir), ask)
    if not found:
        typer.echo("none: it has been told of every parcel" if order_id is None else "none")
        return
    names = ("order", "parcel", "carrier", "number", "state", "since", "tried", "reason")
    table = Table(*names, box=None)
    for one in found:
        table.add_row(
            one.order_id,
            one.fulfilment_id,
            one.company,
            one.tracking_number,
            one.state,
            rfc3339(one.since_ms),
            f"{one.attempts}×",
            one.reason,
        )
    output().print(table)


@channels_app.command("resend")
def resend(
    channel: ChannelArgument, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Tell a channel again what it has refused, parcels as well; the agents do it at once."""
    settings = settings_of(config, data_dir=data_dir)
    _known(settings, channel)
    offers, parcels = offers_path(settings.data_dir), parcels_path(settings.data_dir)
    if not is_there(offers) and not is_there(parcels):
        raise _nothing_there(settings)
    now_ms = time.time_ns() // 1_000_000
    with contextlib.closing(Offers(offers)) as told:
        sent = told.send_again(channel, now_ms)
    with contextlib.closing(Parcels(parcels, settings.channels)) as left:
        sent += left.send_again(channel, now_ms)
    typer.echo(f"{sent} on the way again")


def _counts(offers: OfferReads, settings: Settings) -> dict[str, tuple[int, int, int]]:
    names = settings.channels
    return {name: (*offers.counts(name), offers.not_closed(name)) for name in names}


def _known(settings: Settings, channel: str) -> None:
    if channel not in settings.channels:
        known = ", ".join(sorted(settings.channels)) or "none: give --config"
        raise ConfigurationError(f"the settings name no channel {channel!r}; they name {known}")


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    """Read the settings. Raises HoldfastError where their directory is none."""
    settings = settings_of(config, data_dir=data_dir)
    if settings.channels and not settings.data_dir.is_dir():
        raise _nothing_there(settings)
    return settings


def _nothing_there(settings: Settings) -> HoldfastError:
    return HoldfastError(
        f"{settings.data_dir} has nothing of channels: give --data-dir or HOLDFAST_DATA_DIR the"
        " directory in which the agents keep it"
    )
