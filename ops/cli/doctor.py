"""`holdfast doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import asyncio
import sys

import orjson
import typer
from msgspec import to_builtins
from rich.text import Text

from ops.cli.endings import output
from ops.cli.options import (
    ConfigOption,
    DataDirOption,
    HostOption,
    JsonOption,
    PortOption,
    settings_of,
)
from ops.doctor import examine, exit_code
from ops.verdicts import Check, Verdict

_MARKS = {
    Verdict.FINE: ("ok   ", "green"),
    Verdict.WARNING: ("warn ", "yellow"),
    Verdict.WRONG: ("WRONG", "bold red"),
    Verdict.UNREACHABLE: ("DOWN ", "bold red"),
}


def doctor_command(
    *,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    host: HostOption = None,
    port: PortOption = None,
    config: ConfigOption = None,
) -> None:
    """Check this installation. Exit code 0: nothing is wrong; 1: something is; 3: no store."""
    settings = settings_of(config, log_level="error", data_dir=data_dir, host=host, port=port)
    found = asyncio.run(examine(settings))
    code = exit_code(found)
    if as_json:
        told = {"ok": code == 0, "checks": to_builtins(found)}
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(found)
    raise typer.Exit(code)


def _print(found: list[Check]) -> None:
    console = output()
    width = max(len(check.name) for check in found)
    for check in found:
        mark, style = _MARKS[check.verdict]
        console.print(Text.assemble((mark, style), f"  {check.name:<{width}}  {check.found}"))
        if check.remedy:
            console.print(Text(f"{'':<{width + 7}}  -> {check.remedy}", style="dim"))
    counts = {verdict: sum(check.verdict is verdict for check in found) for verdict in Verdict}
    bad = counts[Verdict.WRONG] + counts[Verdict.UNREACHABLE]
    console.print(f"{bad} wrong, {counts[Verdict.WARNING]} warnings")
