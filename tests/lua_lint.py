"""Run luacheck over every script as it is assembled, and report in the lines of its own files.

`python -m tests.lua_lint`, part of `make check`. A shared function that one script does not use is
no finding; one that no script uses is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from reservation.store.scripts import FIRST, LUA_DIRECTORY, Script, assemble_all

CONFIGURATION = Path(__file__).parent.parent / ".luacheckrc"
_WARNING = re.compile(r"^.*/(\w+)\.lua:(\d+):(\d+): \((\w)(\d+)\) (.*)$")
# luacheck's codes for what is defined and not used: values, arguments, fields.
_UNUSED_CODES = ("21", "23", "24")


class Finding(NamedTuple):
    """One warning at its place."""

    file: str
    line: int
    column: int
    code: str
    text: str


def lint() -> list[Finding]:
    """Lint all scripts; what stands in a shared file counts once, unused only where all agree."""
    scripts = assemble_all()
    with tempfile.TemporaryDirectory(prefix="holdfast-lint-") as directory:
        for script in scripts.values():
            source = "--" + script.source  # "#!lua" is no Lua; a comment keeps the line count
            (Path(directory) / f"{script.name}.lua").write_text(source, encoding="utf-8")
        ran = subprocess.run(
            [
                "luacheck",
                "--codes",
                "--no-color",
                "--formatter=plain",
                "--config",
                CONFIGURATION,
                directory,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    if ran.returncode > 2:  # 1 and 2 are warnings and errors of the scripts
        raise RuntimeError(ran.stdout + ran.stderr)
    seen: dict[Finding, set[str]] = {}
    for line in ran.stdout.splitlines():
        if match := _WARNING.match(line):
            script = scripts[match[1]]
            file, number = _place(script, int(match[2]))
            if number > 0:  # else in the tables that `scripts.py` writes, on one line each
                finding = Finding(file, number, int(match[3]), match[4] + match[5], match[6])
                seen.setdefault(finding, set()).add(script.name)
    return sorted(finding for finding, names in seen.items() if _counts(finding, names, scripts))


def _counts(finding: Finding, names: set[str], scripts: dict[str, Script]) -> bool:
    if not finding.file.startswith("_") or not finding.code[1:].startswith(_UNUSED_CODES):
        return True
    users = {name for name in scripts if finding.file in _shared_files(scripts[name])}
    return names == users


def _shared_files(script: Script) -> list[str]:
    """Name the shared files of a script in the order in which they stand in it."""
    text = (LUA_DIRECTORY / f"{script.name}.lua").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("-- Uses: "):
            return [FIRST, *line.removeprefix("-- Uses: ").split()]
    return []


def _place(script: Script, line: int) -> tuple[str, int]:
    """Translate a line of an assembled script into file and line."""
    line -= 3  # the shebang, the tables K and STATUS
    for name in _shared_files(script):
        # Behind each stands the line that opens the next one's function.
        count = (LUA_DIRECTORY / name).read_text(encoding="utf-8").count("\n") + 1
        if line <= count:
            return name, line
        line -= count
    return f"{script.name}.lua", line + 1  # its shebang stands at the top


def main() -> int:
    """Print the findings; 0 where there are none."""
    if shutil.which("luacheck") is None:
        print("luacheck is not installed (Debian: lua-check): THE LUA SCRIPTS WERE NOT LINTED")
        return 1 if os.environ.get("HOLDFAST_CI") else 0
    findings = lint()
    for finding in findings:
        file, line, column, code, text = finding
        print(f"reservation/lua/{file}:{line}:{column}: {code} {text}")
    print(f"luacheck: {len(findings)} findings in {len(assemble_all())} scripts")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
