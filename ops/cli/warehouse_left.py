"""`holdfast warehouses`: reports, shortfalls and drifts that are left to people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ops.cli.endings import output
from ops.cli.options import ConfigOption, DataDirOption, JsonOption
from ops.cli.warehouse_files import BY, MOST_SHOWN, WarehouseArgument, showing_of, text
from reservation.errors import HoldfastError
from wms_sync.left_written import (
    drift_json,
    looked_json,
    report_json,
    short_json,
    whole_report_json,
)
from wms_sync.reconciliation.model import DriftState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wms_sync.left import Left

left_app = typer.Typer()

MOST_NUMBER = 10**18 - 1  # of a report, as over HTTP

SkuArgument = Annotated[str, typer.Argument(help="The SKU.")]
NumberArgument = Annotated[
    int,
    typer.Argument(
        metavar="NUMBER", min=1, max=MOST_NUMBER, help="The report's number: see 'reports'."
    ),
]


# -- reports -------------------------------------------------------------------------------------


@left_app.command("reports")
def list_reports(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List reports of warehouses that a person has to look into; a thousand at most."""
    rows = [report_json(one) for one in _left(config, data_dir).reports(0, MOST_SHOWN)]
    names = ("number", "warehouse", "kind", "code", "sku", "state", "since", "reason", "anomaly")
    _print(rows, names, as_json=as_json, none="none: all that warehouses reported is applied")


@left_app.command("report")
def show_report(
    number: NumberArgument,
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one report, also one that was applied: what it said, and what became of it."""
    found = _left(config, data_dir).report_by(number)
    if found is None:
        raise _no_report(number)
    told = whole_report_json(found, shows_body=False)
    if as_json:
        output().print_json(json.dumps(told))
        return
    about = told["code"] or told["sku"] or "what nobody could read"
    typer.echo(f"{number} of {told['warehouse']}: {told['kind']}, {about}: {told['state']}")
    for name in ("since", "kept_at", "times", "attempts", "reason", "anomaly"):
        if told[name]:
            typer.echo(f"  {name.replace('_', ' ')}: {told[name]}")
    if told["masked"]:
        typer.echo(
            f"  an admin key sees it: GET /v1/warehouses/{told['warehouse']}/reports/{number}"
        )
    for name in ("said", "plan"):
        if told[name]:
            typer.echo(f"  {name}: {json.dumps(told[name], ensure_ascii=False)}")


@left_app.command("retry-report")
def retry_report(
    number: NumberArgument, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Try a report once more that could not be applied."""
    showing = showing_of(config, data_dir)
    left, now_ms = showing.left, showing.now_ms()
    found = left.report_by(number)
    if found is None or not left.retry_report(found.warehouse, number, BY, now_ms):
        message = (
            f"report {number} cannot be tried again: 'holdfast warehouses report {number}' says how"
            " it stands; what nobody can read has to come again"
        )
        raise HoldfastError(message)
    typer.echo(f"report {number} is applied as soon as the agents run")


@left_app.command("dismiss-report")
def dismiss_report(
    number: NumberArgument, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Take a report off the list, since you have seen to it."""
    showing = showing_of(config, data_dir)
    left, now_ms = showing.left, showing.now_ms()
    found = left.report_by(number)
    if found is None or not left.dismiss_report(found.warehouse, number, BY, now_ms):
        message = f"report {number} is not on the list: 'holdfast warehouses reports' shows it"
        raise HoldfastError(message)
    typer.echo(f"report {number} is off the list")


# -- shortfalls ----------------------------------------------------------------------------------


@left_app.command("shortfalls")
def list_shortfalls(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List SKUs of which less is there than is promised, or than has gone; a thousand at most."""
    rows = [short_json(one) for one in _left(config, data_dir).shortfalls(("", ""), MOST_SHOWN)]
    for row in rows if not as_json else ():
        row["told by"] = ", ".join(
            said
            for name, said in (("reported", "reports"), ("compared", "comparison"))
            if row[name]
        )
    names = ("warehouse", "sku", "missing", "promised", "untaken", "since", "told by")
    _print(rows, names, as_json=as_json, none="none: all that is promised is there")


@left_app.command("dismiss-shortfall")
def dismiss_shortfall(
    warehouse: WarehouseArgument,
    sku: SkuArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a shortfall off the list until more is missing, since you have seen to it."""
    showing = showing_of(config, data_dir)
    if not showing.left.dismiss_shortfall(warehouse, sku, BY, showing.now_ms()):
        message = (
            f"{sku} at {warehouse} is not on the list: 'holdfast warehouses shortfalls' shows it"
        )
        raise HoldfastError(message)
    typer.echo(f"{sku} at {warehouse} is off the list")


# -- drifts --------------------------------------------------------------------------------------


@left_app.command("drifts")
def list_drifts(
    *,
    state: Annotated[DriftState, typer.Option(help="What has become of them.")] = DriftState.OPEN,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List lasting differences between warehouses' figures and ours; a thousand at most.

    Below 0 units are missing there, above 0 there are more; "foreign" are bound to others' orders.
    """
    rows = [drift_json(one) for one in _left(config, data_dir).drifts(state, 0, MOST_SHOWN)]
    for row in rows if not as_json else ():
        row["foreign"] = row["range"]["foreign"]
        row["range"] = _range(row["range"])
    names = ("warehouse", "sku", "units", "range", "foreign", "since", "seen_at", "state")
    _print(rows, names, as_json=as_json, none=f"none that is {state}")


@left_app.command("dismiss-drift")
def dismiss_drift(
    warehouse: WarehouseArgument,
    sku: SkuArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a drift off the list until it is another one; it is not mended by itself any more."""
    showing = showing_of(config, data_dir)
    if not showing.left.dismiss_drift(warehouse, sku, BY, showing.now_ms()):
        message = (
            f"{sku} at {warehouse} has no open drift: 'holdfast warehouses drifts' shows those"
        )
        raise HoldfastError(message)
    typer.echo(f"the drift of {sku} at {warehouse} is off the list")


@left_app.command("sku")
def show_sku(
    warehouse: WarehouseArgument,
    sku: SkuArgument,
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a SKU compares with ours: the last look, what is suspected, its history."""
    showing = showing_of(config, data_dir)
    found = showing.left.looked(warehouse, sku)
    if found is None:
        raise _never_looked(warehouse, sku)
    told = looked_json(found, showing.now_ms())
    if as_json:
        output().print_json(json.dumps(told))
        return
    typer.echo(f"{sku} at {warehouse}: {told['verdict']}, {_range(told['range'])}")
    typer.echo(f"  looked at: {told['looked_at']}")
    typer.echo("  " + ", ".join(f"{name} {said}" for name, said in told["figures"].items()))
    if told["suspicion"]:
        proven = told["suspicion"]["proven"]
        certain = f", certain: {_range(proven)}" if proven else ", not certain so far"
        typer.echo(f"  suspected since {told['suspicion']['since']}{certain}")
    if told["shortfall"]:
        short = told["shortfall"]
        typer.echo(f"  short: {short['missing']} of {short['promised']} promised are not there")
    for note in told["history"]:
        figure = _range(note["range"]) if note["range"] else ""
        typer.echo(f"  {note['at']}  {note['what']}  {note['detail'] or figure}".rstrip())


@left_app.command("look-again")
def look_again(
    warehouse: WarehouseArgument,
    sku: SkuArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Have a SKU looked at with the next call to the warehouse."""
    if not _left(config, data_dir).look_again(warehouse, sku):
        raise _never_looked(warehouse, sku)
    typer.echo(f"{sku} at {warehouse} is looked at with the next call")


def _left(config: Path | None, data_dir: Path | None) -> Left:
    return showing_of(config, data_dir).left


def _print(
    rows: Sequence[dict[str, Any]], names: Sequence[str], *, as_json: bool, none: str
) -> None:
    if as_json:
        output().print_json(json.dumps(rows))
        return
    if not rows:
        typer.echo(none)
        return
    table = Table(*(name.replace("_", " ") for name in names), box=None)
    for row in rows:
        table.add_row(*(text(row[name]) for name in names))
    output().print(table)


def _range(found: dict[str, int]) -> str:
    """Say by how many units something differs: one figure where that is known."""
    low, high = found["low"], found["high"]
    return f"{low:+d}" if low == high else f"{low:+d} to {high:+d}"


def _no_report(number: int) -> HoldfastError:
    return HoldfastError(f"no report has the number {number}: 'holdfast warehouses reports'")


def _never_looked(warehouse: str, sku: str) -> HoldfastError:
    return HoldfastError(f"{sku} was never looked at at {warehouse}: it comes in its turn")
