"""`holdfast warehouses`: what waits for warehouses, what becomes of it, what they refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table

from ops.cli.endings import output
from ops.cli.options import ConfigOption, DataDirOption, JsonOption
from ops.cli.warehouse_files import BY, MOST_SHOWN, WarehouseArgument, showing_of, text
from ops.cli.warehouse_left import left_app
from reservation.errors import ConfigurationError, HoldfastError
from wms_sync.desk_endpoints import delivery_json
from wms_sync.forecast_endpoints import warehouses_json
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.desk import Verdict
from wms_sync.outbox.reads import look_at
from wms_sync.rules.capacity import MOST_ORDERS_PER_DAY
from wms_sync.rules.priority import Lane
from wms_sync.showing import done_at
from wms_sync.written import forecast_json, order_json

if TYPE_CHECKING:
    from pathlib import Path

    from wms_sync.outbox.desk import Desk
    from wms_sync.outbox.reads import OutboxReads
    from wms_sync.showing import Showing

T = TypeVar("T")

warehouses_app = typer.Typer(
    help="Warehouses whose systems take orders from Holdfast: what waits, what will be late, "
    "what they refused.",
    no_args_is_help=True,
)
warehouses_app.add_typer(left_app)

CodeArgument = Annotated[
    str, typer.Argument(metavar="CODE", help="The order's code: RESERVATION-ID@WAREHOUSE.")
]


@warehouses_app.command("list")
def list_warehouses(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the warehouses: how each is fed, what waits, and what will be late."""
    showing = showing_of(config, data_dir)
    rows = warehouses_json(showing, showing.now_ms())
    if as_json:
        output().print_json(json.dumps(rows))
        return
    if not rows:
        typer.echo("the settings name no system of a warehouse: see docs/warehouses.md")
        return
    names = ("warehouse", "waiting", "oldest", "an hour", "used", "pace", "breaker")
    left = ("anomalies", "reports", "shortfalls", "drifts")
    table = Table(*names, *left, "checked", "first 8 h", "needed", box=None)
    for row in rows:
        forecast, breaker = row["forecast"] or {}, row["breaker"] or {}
        table.add_row(
            row["warehouse"],
            str(row["waiting"]),
            _span(row["oldest_age_seconds"]),
            text(row["orders_per_hour"]),
            _percent(row["capacity_used"]),
            _percent(row["pace"]),
            text(breaker.get("state")),
            *(text(row[name]) for name in left),
            _checked(row["comparison"]),
            text(forecast.get("first_breach_at")),
            text(forecast.get("needed_per_hour")),
        )
    output().print(table)


@warehouses_app.command("orders")
def list_orders(
    warehouse: WarehouseArgument,
    *,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    lane: Annotated[Lane | None, typer.Option(help="Only those of this lane.")] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List orders of a warehouse, the longest in their state first; a thousand at most."""
    showing = showing_of(config, data_dir)
    start = (-1, "")

    def ask(reads: OutboxReads) -> list[dict[str, Any]]:
        if warehouse not in showing.terms and warehouse not in reads.known_warehouses():
            raise _no_warehouse(showing, warehouse)
        seen = showing.foreseen(reads, warehouse)
        found = reads.page(warehouse, state, start, MOST_SHOWN, lane=lane)
        locks = reads.locks(one.code for one in found)
        return [order_json(one, seen, locks.get(one.code)) for one in found]

    found = look_at(showing.path, ask)
    if found is None and warehouse not in showing.terms:
        raise _no_warehouse(showing, warehouse)
    _print_orders(found or [], as_json=as_json, none="none")


@warehouses_app.command("order")
def show_order(
    code: CodeArgument,
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one order: where it is, when it is handed over, its whole way."""
    showing = showing_of(config, data_dir)
    as_of_ms = showing.now_ms()
    found = look_at(
        showing.path,
        lambda reads: delivery_json(reads, showing, code, as_of_ms, shows_receiver=False),
    )
    if found is None:
        raise _no_order(code)
    if as_json:
        output().print_json(json.dumps(found))
        return
    place = f", place {found['position']}" if found["position"] else ""
    typer.echo(f"{code}: {found['state']}{place}")
    for name in ("lane", "ship_by", "estimated_at", "cancel", "anomaly", "reason"):
        if found[name]:
            typer.echo(f"  {name.replace('_', ' ')}: {found[name]}")
    if lock := found["lock"]:
        until = f" until {lock['valid_until']}" if lock["valid_until"] else ""
        reason = f": {lock['reason']}" if lock["reason"] else ""
        typer.echo(f"  lock: {lock['state']}{until}{reason}")
    for step in found["steps"]:
        typer.echo(f"  {step['at']}  {step['what']}  {step['detail'] or ''}".rstrip())


@warehouses_app.command("forecast")
def show_forecast(
    warehouse: WarehouseArgument,
    *,
    orders_per_hour: Annotated[
        int | None,
        typer.Option(
            "--orders-per-hour",
            min=1,
            max=MOST_ORDERS_PER_DAY // 24,
            help="What if it took so many.",
        ),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Foresee the queue of a warehouse: what breaks 8 hours, and which rate would avert it."""
    showing = showing_of(config, data_dir)
    if warehouse not in showing.terms:
        raise _no_warehouse(showing, warehouse)

    def ask(reads: OutboxReads) -> dict[str, Any] | None:
        seen = showing.foreseen(reads, warehouse)
        if seen is not None and orders_per_hour is not None:
            seen = seen.with_capacity(orders_per_hour)
        return None if seen is None else forecast_json(seen, assumed=orders_per_hour is not None)

    found = look_at(showing.path, ask)
    if as_json:
        output().print_json(json.dumps(found))
    elif found is None:
        typer.echo("nothing has waited for it so far")
    else:
        typer.echo(_sentence(found))
        table = Table("at", "waiting", "oldest", "handed an hour", "takes", box=None)
        for point in found["ahead"][::4]:
            table.add_row(
                point["at"],
                text(point["waiting"]),
                _span(point["oldest_age_seconds"]),
                text(point["handed_per_hour"]),
                str(point["orders_per_hour"]),
            )
        output().print(table)


@warehouses_app.command("anomalies")
def list_anomalies(
    *, data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List orders that a person has to look into, with the reason."""
    showing = showing_of(config, data_dir)

    def ask(reads: OutboxReads) -> list[dict[str, Any]]:
        amiss = reads.anomalies((-1, ""), MOST_SHOWN)
        locks = reads.locks(one.code for one in amiss)
        return [order_json(one, None, locks.get(one.code)) for one in amiss]

    found = look_at(showing.path, ask)
    none = "none: every warehouse has taken what it was handed"
    _print_orders(found or [], as_json=as_json, none=none)


@warehouses_app.command("retry")
def retry(code: CodeArgument, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Hand over once more what was rejected; ask anew for a refused lock, or lacking details."""
    if not _do(config, data_dir, lambda desk, now_ms: desk.retry(code, BY, now_ms)):
        message = (
            f"{code} is not rejected, or is wanted back, or has an earlier order's number: "
            f"'holdfast warehouses order {code}' says where it is"
        )
        raise HoldfastError(message)
    typer.echo(f"{code} waits for its turn again")


@warehouses_app.command("dismiss")
def dismiss(
    code: CodeArgument, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Take an order off the list of anomalies, since you have seen to it."""
    if not _do(config, data_dir, lambda desk, now_ms: desk.dismiss(code, BY, now_ms)):
        message = f"{code} is not on the list: 'holdfast warehouses anomalies' shows it"
        raise HoldfastError(message)
    typer.echo(f"{code} is off the list")


@warehouses_app.command("cancel")
def cancel(
    code: CodeArgument,
    reason: Annotated[str, typer.Option(help="Why; it is recorded, and told to the warehouse.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask that an order does not leave, all parts of it; its stock is given back by itself."""

    def ask(desk: Desk, now_ms: int) -> Verdict | None:
        for found in desk.deliveries("code = ?", (code,)):
            return desk.ask_cancel(found.reservation_id, f"{reason} ({BY})", now_ms)
        return None

    verdict = _do(config, data_dir, ask)
    if verdict is None:
        raise _no_order(code)
    typer.echo(_VERDICTS[verdict].format(code=code))
    if verdict is Verdict.TOO_LATE:
        raise typer.Exit(1)


_VERDICTS = {
    Verdict.IN_TIME: "{code} is kept back",
    Verdict.ASKED: "{code}: its warehouse is asked as soon as the agents run; 'order' says the end",
    Verdict.TOO_LATE: "{code} cannot be kept back: it leaves, or has left",
}


def _do(config: Path | None, data_dir: Path | None, deed: Callable[[Desk, int], T]) -> T | None:
    showing = showing_of(config, data_dir)
    return done_at(showing.path, lambda desk: deed(desk, showing.now_ms()))


def _print_orders(rows: Sequence[dict[str, Any]], *, as_json: bool, none: str) -> None:
    if as_json:
        output().print_json(json.dumps(rows))
        return
    if not rows:
        typer.echo(none)
        return
    names = ("code", "state", "since", "lane", "ship by", "place", "expected", "anomaly", "reason")
    table = Table(*names, box=None)
    columns = ("code", "state", "since", "lane", "ship_by", "position", "estimated_at")
    for row in rows:
        table.add_row(*(text(row[name]) for name in (*columns, "anomaly", "reason")))
    output().print(table)


def _sentence(found: dict[str, Any]) -> str:
    """Say what will be late, and what would avert it."""
    rate, late_after = found["orders_per_hour"], found["late_after_seconds"] // 3600
    said = f"with {rate} an hour" if found["assumed"] else f"it takes {rate} an hour"
    stuck = f"{found['stuck']} have waited longer than {late_after} h; " if found["stuck"] else ""
    if found["first_breach_at"] is None:
        return f"{stuck}{said}, nobody {'else ' if stuck else ''}waits longer than {late_after} h"
    which = "the next" if stuck else "the first"
    needed = found["needed_per_hour"]
    return (
        f"{stuck}{which} order breaks {late_after} h at {found['first_breach_at']} unless the rate"
        f" reaches {needed} an hour; {said}"
    )


def _no_warehouse(showing: Showing, warehouse: str) -> ConfigurationError:
    known = ", ".join(sorted(showing.terms)) or "none: give --config"
    return ConfigurationError(f"the settings name no warehouse {warehouse!r}; they name {known}")


def _no_order(code: str) -> HoldfastError:
    return HoldfastError(f"no order {code!r} has entered: a code is RESERVATION-ID@WAREHOUSE")


def _checked(comparison: dict[str, Any] | None) -> str:
    """Say how many SKUs the pass that is under way has checked, or the last one."""
    return text(None if comparison is None else f"{comparison['checked']}/{comparison['skus']}")


def _percent(value: float | None) -> str:
    return text(None if value is None else f"{value:.0%}")


def _span(seconds: int | None) -> str:
    if seconds is None:
        return text(None)
    minutes = seconds // 60
    return f"{minutes // 60} h {minutes % 60:02} min"
