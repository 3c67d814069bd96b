"""Whatever is done to a history: the judge finds, or refuses to read, and never falls."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from loadtest.check.judge import judge
from loadtest.history import HistoryUnreadable
from tests.loadtest.check.story import true_story, write

TIMES = 400
LONG = 5_000
# What a text, and by how much a number, becomes another.
WORDS = (
    "garbage",
    "",
    "held",
    "missing",
    "fulfilled",
    "insufficient-stock",
    "fulfil",
    "unknown-sku",
)
SHIFTS = (-(1 << 40), -60_000_000, -1, 1, 7, 60_000_000, 1 << 40, 1 << 57, 1 << 61)


def _altered(value: Any, draw: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw.choice([value + draw.choice(SHIFTS), 0, -1])
    if isinstance(value, str):
        return draw.choice(WORDS)
    if isinstance(value, list) and value:
        at = draw.randrange(len(value))
        changed = [*value[:at], _altered(value[at], draw), *value[at + 1 :]]
        return draw.choice([changed, value[:at] + value[at + 1 :], [*value, value[at]]])
    return value


def _spoilt(lines: list[dict[str, Any]], draw: Random) -> list[dict[str, Any]]:
    lines = [dict(line) for line in lines]
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(1, len(lines) - 1)
        line, deed = lines[at], draw.randrange(6)
        if deed == 0:
            del lines[at]
        elif deed == 1:
            lines.insert(at, dict(line))
        elif deed == 2:
            by = draw.choice(SHIFTS)
            line |= {name: line[name] + by for name in ("start", "end") if name in line}
        elif deed == 3:
            del line[draw.choice(list(line))]
        else:
            name = draw.choice(list(line))
            line[name] = _altered(line[name], draw)
        if len(lines) < 3:
            break
    return lines


def _fuzz(tmp_path: Path, seeds: range) -> None:
    path = write(tmp_path / "true", list(true_story().values()))
    true = [json.loads(line) for line in path.read_text().splitlines()]
    spoilt = tmp_path / "spoilt"
    found = refused = 0
    for seed in seeds:
        lines = _spoilt(true, Random(seed))
        spoilt.write_text("".join(json.dumps(line) + "\n" for line in lines))
        try:
            found += not judge([spoilt]).ok
        except HistoryUnreadable:
            refused += 1
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    # Not everything that is altered is a lie, but most is.
    assert found + refused > len(seeds) * 2 // 3, (found, refused)
    assert min(found, refused) > len(seeds) // 10, (found, refused)


def test_a_spoilt_history_is_found_out_or_refused(tmp_path: Path):
    """Records shifted, left out, doubled and altered at random."""
    _fuzz(tmp_path, range(TIMES))


@pytest.mark.chaos
def test_many_spoilt_histories(tmp_path: Path):
    """The same, thousands of times."""
    _fuzz(tmp_path, range(TIMES, LONG))
