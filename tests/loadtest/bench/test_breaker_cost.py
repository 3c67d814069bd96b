"""The copy that the breaker's benchmark runs: made of the scripts as they are, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from loadtest.bench.breaker_cost import SourceMoved, without_breaker_and_event
from reservation.store.scripts import LUA_DIRECTORY, assemble

# What has changed -> (script, text that stands there once, text in its place)
CHANGES = {
    "a line that is cut is written otherwise": (
        "reserve.lua",
        "Breaker.commit()",
        "Breaker.commit( )",
    ),
    "a line that is cut stands twice": (
        "reserve.lua",
        "if any_breaker then Breaker.commit() end\n",
        2 * "if any_breaker then Breaker.commit() end\n",
    ),
    "another look at the breakers": (
        "reserve.lua",
        "local kept = more",
        "call('HLEN', K.breaker)\nlocal kept = more",
    ),
    "another event": (
        "reserve.lua",
        "local kept = more",
        "emit('Z', '', '', '')\nlocal kept = more",
    ),
}


def test_it_has_neither_breaker_nor_event() -> None:
    """It is shorter, and has what finds and takes stock."""
    whole, bare = assemble("reserve").source, without_breaker_and_event().source
    assert len(bare) < len(whole)
    assert "breaker" not in "".join(line.partition("--")[0] for line in _body(bare))
    for line in ("free_of[level] = free_of[level] - quantity", "commit('held'", "read_levels()"):
        assert line in bare


def _body(source: str) -> list[str]:
    return [line for line in source.splitlines() if not line.startswith("local K = ")]


@pytest.mark.parametrize("change", CHANGES)
def test_scripts_that_have_changed_are_refused(change: str, tmp_path: Path) -> None:
    """Else the figure would quietly be another one."""
    name, before, after = CHANGES[change]
    copy = Path(shutil.copytree(LUA_DIRECTORY, tmp_path / "lua"))
    text = (copy / name).read_text()
    assert text.count(before) == 1
    (copy / name).write_text(text.replace(before, after))
    with pytest.raises(SourceMoved):
        without_breaker_and_event(copy)
