"""The files of docs/adding-a-channel.md, as they are printed there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.ops.service import ROOT

GUIDE = (ROOT / "docs" / "adding-a-channel.md").read_text("utf-8")
MODULES = ("teahouse", "teahouse_simulator", "test_teahouse")  # in the order of their imports


def blocks(language: str) -> list[str]:
    """Give the blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """Give the files that are printed, by name, which their first line is."""
    printed = blocks("python") + blocks("toml")
    named = {text.partition("\n")[0].removeprefix("# "): text for text in printed}
    return {**named, "teahouse.csv": "".join(blocks("csv"))}


def write(folder: Path) -> None:
    """Write them to a folder."""
    for name, text in files().items():
        (folder / name).write_text(text, "utf-8")


def loaded(texts: dict[str, str], patch: pytest.MonkeyPatch) -> ModuleType:
    """Load its modules, changed or not, and give the one with the suite."""
    for name in MODULES:
        module = ModuleType(name)
        patch.setitem(sys.modules, name, module)
        exec(compile(texts[f"{name}.py"], f"{name}.py", "exec"), vars(module))  # noqa: S102
    return module
