"""Assemble the Lua scripts: read each header, put in front what it uses, know its digest.

A script's header is its contract and is what this module acts on: `KEYS[n] name type: …` says
which keys the caller passes and becomes the table `K`; `Uses:` lists the shared files.

Each file is a function inside the one before it. A call makes all functions of a script anew; what
they take from a function around them costs nothing to find, what stands beside them is searched.
A shared file with `-- Module: Name` returns its functions, and they are made at the first use of
one of them, as `Name.function`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from reservation.status import Status
from reservation.store.keys import PARTITION_KEYS, key

LUA_DIRECTORY = Path(__file__).parent.parent / "lua"
FIRST = "_names.lua"  # in front of every script

_KEY_LINE = re.compile(r"^-- KEYS\[(\d+)\] (\w+) (\w+): \S")
_USES_LINE = re.compile(r"^-- Uses: (.+)$")
_MODULE_LINE = re.compile(r"^-- Module: (\w+)$", re.MULTILINE)


class BadHeader(ValueError):
    """A script's header does not say what the loader needs."""


@dataclass(frozen=True, slots=True)
class Script:
    """One operation: its assembled source, SHA-1 digest and the names of its keys in order."""

    name: str
    source: str
    sha: str
    key_names: tuple[str, ...]

    def keys(self, partition: int) -> tuple[str, ...]:
        """Name the keys that a call on `partition` declares."""
        return tuple(key(partition, name) for name in self.key_names)


def _header(name: str, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the key names and the shared files that a header declares."""
    key_names: list[str] = []
    uses: tuple[str, ...] = ()
    for line in text.splitlines()[1:]:
        if not line.startswith("--"):
            break
        if match := _KEY_LINE.match(line):
            number, key_name, kind = int(match[1]), match[2], match[3]
            if number != len(key_names) + 1 or PARTITION_KEYS.get(key_name) != kind:
                message = f"{name}.lua: bad key line: {line}"
                raise BadHeader(message)
            key_names.append(key_name)
        elif line.startswith("-- KEYS"):
            message = f"{name}.lua: unreadable key line: {line}"
            raise BadHeader(message)
        elif match := _USES_LINE.match(line):
            uses = tuple(match[1].split())
    if not key_names or not uses or not text.startswith("#!lua"):
        message = f"{name}.lua: the header needs a shebang, 'Uses:' and 'KEYS[1]'"
        raise BadHeader(message)
    return tuple(key_names), uses


def _part(text: str) -> str:
    """Return a shared file as a script has it: a module in a function that makes it."""
    module = _MODULE_LINE.search(text)
    return f"local {module[1]} = made_at_first_use(function()\n{text}end)\n" if module else text


def assemble(name: str, directory: Path = LUA_DIRECTORY) -> Script:
    """Read `name`.lua with all that it uses into one script."""
    text = (directory / f"{name}.lua").read_text(encoding="utf-8")
    key_names, uses = _header(name, text)
    shebang, _, body = text.partition("\n")
    named = ", ".join(f"{key_name} = KEYS[{n}]" for n, key_name in enumerate(key_names, start=1))
    codes = ", ".join(f"{status.name} = {status.value}" for status in Status)
    first = f"{shebang}\nlocal K = {{ {named} }}\nlocal STATUS = {{ {codes} }}\n"
    parts = [_part((directory / used).read_text(encoding="utf-8")) for used in (FIRST, *uses)]
    source = first + "return (function()\n".join([*parts, body]) + "end)()\n" * len(parts)
    return Script(name, source, hashlib.sha1(source.encode()).hexdigest(), key_names)  # noqa: S324 (what EVALSHA names scripts by)


def assemble_all(directory: Path = LUA_DIRECTORY) -> dict[str, Script]:
    """Assemble every script of the directory; files that begin with `_` are shared parts."""
    names = sorted(path.stem for path in directory.glob("*.lua") if path.stem[0] != "_")
    return {name: assemble(name, directory) for name in names}
