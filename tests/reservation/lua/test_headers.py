"""The header of every script against its body, its caller and its table: no header lies."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reservation.config import load
from reservation.status import Status
from reservation.store.keys import PARTITION_KEYS
from reservation.store.scripts import LUA_DIRECTORY, BadHeader, assemble, assemble_all
from reservation.store.verbs import VERBS
from tests.conftest import need_program
from tests.lua_lint import lint
from tests.reservation.lua.partition import Event, Row
from tests.reservation.lua.test_life_cycle import TABLE
from tests.reservation.lua.test_life_cycle import VERBS as LIFE_CYCLE_VERBS

MAX_FILE_LINES = 400
MAX_SCRIPT_BYTES = 64 * 1024

SCRIPTS = sorted(path.stem for path in LUA_DIRECTORY.glob("[!_]*.lua"))
TABLES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))

TAKES_MEMORY = "#!lua"
PASSES_WHEN_FULL = "#!lua flags=allow-oom"
READ_ONLY = "#!lua flags=no-writes,allow-oom"
SHEBANGS = {
    **dict.fromkeys(SCRIPTS, PASSES_WHEN_FULL),
    **dict.fromkeys(("reserve", "set_stock", "adjust_stock"), TAKES_MEMORY),
    **dict.fromkeys(("set_quota", "ensure_partition"), TAKES_MEMORY),
    **dict.fromkeys(("read_reservations", "audit_scan"), READ_ONLY),
}

_WRITE = re.compile(r"'(?:HSET|HSETNX|HDEL|ZADD|ZREM|XADD|XTRIM)'")
_CHECK = re.compile(r"\bbad\(")
_NAME = re.compile(r"\b\w+(?:\.\w+)?\b")
_FUNCTION = re.compile(
    r"^local function (\w+)\([^\n]* end$|^local function (\w+)\(.*?^end$", re.MULTILINE | re.DOTALL
)


def text_of(name: str) -> str:
    return (LUA_DIRECTORY / f"{name}.lua").read_text(encoding="utf-8")


def header(name: str) -> str:
    """Return the comment block at the top, as one text without dashes."""
    lines = []
    for line in text_of(name).splitlines()[1:]:
        if not line.startswith("--"):
            break
        lines.append(line[2:].strip())
    return "\n".join(lines)


def body(name: str) -> str:
    """Return what follows the header, without comments."""
    code = text_of(name).split("\n\n", 1)[1]
    return re.sub(r"--[^\n]*", "", code)


def section(name: str, title: str) -> str:
    """Return one section of the header, up to the next title."""
    until = r"(?=^(?:KEYS|ARGV|Returns|Emits|Cost)\b|\Z)"
    found = re.search(rf"^{title} (.*?){until}", header(name), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def shared_functions(name: str) -> dict[str, str]:
    """Return the functions of the files that a script uses, by the names that it calls them by."""
    uses = re.search(r"^Uses: (.+)$", header(name), re.MULTILINE)
    assert uses is not None
    functions: dict[str, str] = {}
    for used in uses[1].split():
        text = (LUA_DIRECTORY / used).read_text(encoding="utf-8")
        code = re.sub(r"--[^\n]*", "", text)
        for match in _FUNCTION.finditer(code):
            functions[match[1] or match[2]] = match[0]
        if module := re.search(r"^-- Module: (\w+)$", text, re.MULTILINE):
            for exported, function in re.findall(r"(\w+) = (\w+)", code.rpartition("return {")[2]):
                functions[f"{module[1]}.{exported}"] = functions[function]
    return functions


def reachable(name: str) -> str:
    """Return the body and every shared function that it reaches, as one text."""
    functions = shared_functions(name)
    reached, waiting = {}, [body(name)]
    while waiting:
        for word in set(_NAME.findall(waiting.pop())) & functions.keys():
            if word not in reached:
                reached[word] = functions[word]
                waiting.append(functions[word])
    return "\n".join([body(name), *reached.values()])


def rows() -> Iterator[Row]:
    """Collect the rows of all tables of this folder."""
    for table in TABLES:
        if table == Path(__file__).stem:
            continue
        module = importlib.import_module(f"tests.reservation.lua.{table}")
        for value in vars(module).values():
            if isinstance(value, list):
                yield from (item for item in value if isinstance(item, Row))


def flat(value: Any) -> Iterator[Any]:
    """Walk an answer."""
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    else:
        yield value


def statuses_in_rows(name: str) -> set[str]:
    """Name the statuses that the rows of a script answer; a record says that it is done."""
    found = set()
    for row in rows():
        if row.call.script == name:
            for item in flat(row.answer):
                if isinstance(item, Status):
                    found.add(item.name)
                elif name != "audit_scan" and re.match(r"[HCXRF]1\d{12},", str(item)):
                    found.add("DONE")
    for verb, call in LIFE_CYCLE_VERBS.items():
        if call.script == name:
            found |= {status.name for status, _ in TABLE[verb].values()}
    return found


def declared_statuses(name: str) -> list[str]:
    """Name the statuses of `Returns`, in its order."""
    names = re.findall(r"\b[A-Z][A-Z_]{3,}\b", section(name, "Returns"))
    return [found for found in names if found in Status.__members__]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_keys_declared_are_the_keys_used(name: str) -> None:
    """KEYS[n] are numbered in order, of the right type, and each is reached by the script."""
    script = assemble(name)
    code = reachable(name)
    used = set(re.findall(r"\bK\.(\w+)", code))
    if re.search(r"\bK\[", code):  # by name: the names stand in the script as texts
        used |= set(re.findall(r"'(\w+)'", body(name))) & PARTITION_KEYS.keys()
    if name == "audit_scan":  # its argument names the key
        used |= set(script.key_names)
    assert sorted(script.key_names) == sorted(used)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_statuses_declared_are_those_that_rows_have_seen(name: str) -> None:
    """Every status of `Returns` has a row, and no row sees another one."""
    assert set(declared_statuses(name)) == statuses_in_rows(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_statuses_declared_stand_in_the_code(name: str) -> None:
    """No status is answered that `Returns` does not name."""
    code = reachable(name)
    written = set(re.findall(r"\bSTATUS\.(\w+)", code))
    declared = set(declared_statuses(name))
    refused = re.findall(
        r"STATUS\.(\w+)", text_of("_verbs").split("REFUSED_AS = {")[1].split("}")[0]
    )
    may = written | (set(refused) if re.search(r"\brefuse\(", code) else set()) | {"DONE"}
    assert declared <= may
    assert written - {"REPLAYED" if "add_reports" in code else ""} <= declared


@pytest.mark.parametrize("name", SCRIPTS)
def test_statuses_are_declared_in_order_of_precedence(name: str) -> None:
    """The order of `Returns` is that of status.py; LOG_FULL, a fault, is told before stock."""
    order = list(Status.__members__)
    declared = [found for found in declared_statuses(name) if found != "LOG_FULL"]
    assert sorted(declared, key=order.index) == declared


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_events_declared_are_those_that_rows_have_seen(name: str) -> None:
    """Every kind of `Emits` has a row, and no row sees another one."""
    declared = set(re.findall(r"\b([A-Z])\b", section(name, "Emits")))
    seen = {
        text[0]
        for row in rows()
        if row.call.script == name
        for value in row.changes.values()
        if isinstance(value, Event)
        for text in value.events
    }
    assert declared == seen


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_shebang_says_what_the_script_may_do(name: str) -> None:
    """Only what takes memory is refused when there is none left; reads are held to reading."""
    assert SHEBANGS[name] == text_of(name).partition("\n")[0]


def doers(functions: dict[str, str], what: re.Pattern[str]) -> set[str]:
    """Name the functions that do something, themselves or by calling one that does."""
    found = {name for name, text in functions.items() if what.search(text)}
    while more := {
        name
        for name, text in functions.items()
        if name not in found and found & set(_NAME.findall(text.partition("(")[2]))
    }:
        found |= more
    return found


def checks_behind_writes(code: str, shared: dict[str, str]) -> list[str]:
    """Name what may refuse an argument below the first write of a script's own statements."""
    functions = shared | {match[1] or match[2]: match[0] for match in _FUNCTION.finditer(code)}
    statements = _FUNCTION.sub("", code)
    writers, checkers = doers(functions, _WRITE), doers(functions, _CHECK) | {"bad"}
    first = next(
        (at.start() for at in _NAME.finditer(statements) if at[0] in writers), len(statements)
    )
    if written := _WRITE.search(statements):
        first = min(first, written.start())
    return [word for word in _NAME.findall(statements[first:]) if word in checkers]


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_checked_below_the_first_write(name: str) -> None:
    """After the first write of a body nothing is left that could refuse an argument."""
    assert checks_behind_writes(body(name), shared_functions(name)) == []


@pytest.mark.parametrize("name", [name for name in SCRIPTS if SHEBANGS[name] != READ_ONLY])
def test_a_check_below_the_first_write_is_found(name: str) -> None:
    """Every script that writes is known to, by whatever it calls."""
    late = body(name) + "\nint(ARGV[1], 0, 1, 'late')\n"
    assert checks_behind_writes(late, shared_functions(name)) == ["int"]


@pytest.mark.parametrize("name", [name for name in SCRIPTS if SHEBANGS[name] == READ_ONLY])
def test_a_read_only_script_has_no_write(name: str) -> None:
    """No write command is reached."""
    assert not _WRITE.search(body(name))
    assert not doers(shared_functions(name), _WRITE) & set(_NAME.findall(reachable(name)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_header_has_its_parts_in_order(name: str) -> None:
    """A summary sentence first, then Uses, KEYS, ARGV, Returns, Emits, Cost; ARGV counts up."""
    text = header(name)
    summary = text.splitlines()[0]
    assert summary.endswith(".")
    titles = re.findall(r"^(Uses|KEYS|ARGV|Returns|Emits|Cost)", text, re.MULTILINE)
    order = ["Uses", "KEYS", "ARGV", "Returns", "Emits", "Cost"]
    assert sorted(titles, key=order.index) == titles
    assert {"Uses", "KEYS", "Returns", "Cost"} <= set(titles)
    numbers = re.findall(r"^ARGV\[(\d+)(\.\.)?\] \S", text, re.MULTILINE)
    assert [str(n) for n in range(1, len(numbers) + 1)] == [number for number, _ in numbers]
    assert all(not group for _, group in numbers[:-1])


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.script)
def test_the_caller_passes_the_call_arguments_of_the_header(verb: Any) -> None:
    """The repeated group begins where the caller's own arguments end."""
    numbers = re.findall(r"^ARGV\[(\d+)\.\.\]", header(verb.script), re.MULTILINE)
    assert numbers == [str(len(verb.call_arguments(load())) + 1)]


@pytest.mark.parametrize("path", sorted(LUA_DIRECTORY.glob("*.lua")), ids=lambda path: path.stem)
def test_a_file_is_short(path: Path) -> None:
    """Files and lines are short enough to read."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_FILE_LINES
    assert [line for line in lines if len(line) > 100 or "\t" in line] == []


def test_assembled_scripts_are_small() -> None:
    """The server keeps every script; sending all of them at a start costs little."""
    assert [
        name for name, each in assemble_all().items() if len(each.source) > MAX_SCRIPT_BYTES
    ] == []


def test_every_script_is_in_the_readme() -> None:
    """The table of lua/README.md names each script once."""
    readme = (LUA_DIRECTORY / "README.md").read_text(encoding="utf-8")
    table = readme.partition("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(named) == SCRIPTS


@pytest.mark.parametrize(
    "text",
    [
        "-- no shebang\n-- Uses: _prelude.lua\n-- KEYS[1] held hash: x\n",
        "#!lua\n-- KEYS[1] held hash: x\n",
        "#!lua\n-- Uses: _prelude.lua\n",
        "#!lua\n-- Uses: _prelude.lua\n-- KEYS[2] held hash: x\n",
        "#!lua\n-- Uses: _prelude.lua\n-- KEYS[1] held zset: x\n",
        "#!lua\n-- Uses: _prelude.lua\n-- KEYS[1] nothing hash: x\n",
        "#!lua\n-- Uses: _prelude.lua\n-- KEYS[1] held\n",
    ],
)
def test_a_header_that_lacks_something_is_refused(tmp_path: Path, text: str) -> None:
    """The loader refuses a header that it cannot act on."""
    (tmp_path / "bad.lua").write_text(f"{text}\nreturn 1\n")
    (tmp_path / "_prelude.lua").write_text("")
    with pytest.raises(BadHeader, match=r"bad\.lua"):
        assemble("bad", tmp_path)


def test_luacheck_has_nothing_to_say() -> None:
    """Scripts use no unknown global; every shared function is used by some script."""
    need_program("luacheck")
    assert lint() == []
