"""The settings of a running demonstration as a file, for the commands that need them.

`holdfast channels`, `holdfast warehouses` and others speak for themselves with what the settings
name. The secrets in it are made at each start, and open simulated partners only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from reservation.config import Settings

NAMED: Final = frozenset({"channels", "sold_from", "warehouse_clock", "warehouses", "wms"})
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
HEAD: Final = "# Of the demonstration that was begun last; made anew at each start.\n"


def write_settings(path: Path, settings: Settings) -> None:
    """Write what a demonstration has joined to its settings, for the owner alone. Raises OSError.

    Whatever else differs from the defaults the commands have from where the demonstration had it.
    """
    told = settings.model_dump(mode="json", include=set(NAMED), exclude_defaults=True)
    told["data_dir"] = str(settings.data_dir.absolute())
    path.unlink(missing_ok=True)  # one that others may read would stay so
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(HEAD + "\n".join(_lines("", told)) + "\n")


def _lines(table: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Write a table in TOML: what is plain, then the tables in it. JSON's texts are TOML's."""
    for name, value in values.items():
        if value is not None and not isinstance(value, dict):
            yield f"{_key(name)} = {json.dumps(value, ensure_ascii=False)}"
    for name, value in values.items():
        if isinstance(value, dict):
            inner = f"{table}.{_key(name)}" if table else _key(name)
            yield f"\n[{inner}]"
            yield from _lines(inner, value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
