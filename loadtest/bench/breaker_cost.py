"""What the breaker and the event cost: the reserve script against a copy without them.

The copy is made here, of the scripts as they are: each cut must find its text once, and no word of
the breaker or the event may be left. So it cannot fall behind the engine unnoticed, and nothing
but this measurement ever runs it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.measure import Measure, in_slices
from loadtest.bench.orders import WIDE_SKUS, draw_skus, sku_name, sku_names
from loadtest.bench.partition import BATCH, ORIGIN, Bed, Partition, server
from loadtest.bench.run import Run
from reservation.store.scripts import LUA_DIRECTORY, Script, assemble

OPEN_BREAKERS = 1_000  # of SKUs that no order names
SLICE = 1_000  # orders of one side before it is the other's turn
SKUS_PER_CALL = 100
FAILURES = 3  # that open one: `partition.POLICY`


class SourceMoved(Exception):
    """The scripts are no longer as the cuts know them: write the cuts anew."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece of a script: from `first` to the end of the next `last`, for it `instead`."""

    file: str
    first: str
    last: str = "\n"
    instead: str = ""


BREAKER = (
    Cut("reserve.lua", "-- Uses: ", instead="-- Uses: _prelude.lua _quota.lua _overdue.lua\n"),
    Cut("reserve.lua", "\nread_any_breaker()\n", "  Breaker.read(skus)\nend\n", "\n"),
    Cut("reserve.lua", "-- The suspended SKUs among", "\nend\n"),
    Cut("reserve.lua", "  for _, sku in ipairs(skus) do\n    if Breaker.", "\n  end\n"),
    Cut("reserve.lua", "-- A grant is one success", "\nend\n"),
    Cut("reserve.lua", "  if any_breaker then count_successes("),
    Cut("reserve.lua", "W, any_breaker = kept, false", instead="W = kept\n"),
    Cut("reserve.lua", "  local refusal = any_breaker", "if refusal then return refusal end\n"),
    Cut("reserve.lua", "if any_breaker then Breaker.commit() end\n", ""),
    Cut("_prelude.lua", "-- ---- breakers ---", "-- ---- writing", "-- ---- writing"),
)
EVENT = (
    Cut("reserve.lua", "      origin = sub(text, 2)\n", "check_origin(origin)\n", "origin = ''\n"),
    Cut(
        "reserve.lua",
        "origins[count], shapes[count]",
        "text, origin,",
        "shapes[count], first_line[count] = text,",
    ),
    Cut(
        "reserve.lua",
        "origin_of[filled], moved",
        "origins[index], id",
        "moved[2 * filled - 1] = id",
    ),
    Cut("reserve.lua", "tell_run() -- of what has expired\n", "W.run = 'G'\n"),
    Cut("reserve.lua", "  if log_bytes > max_log_bytes"),
    Cut("reserve.lua", "      touch(level) -- the event tells its balances"),
    Cut("_overdue.lua", "  tell('GX'", instead="  change_record(id, raw)\n"),
    Cut("_names.lua", "  run = '',"),
    Cut("_names.lua", "  told = 0,"),
    Cut("_names.lua", "  events = {},"),
    Cut("_prelude.lua", "-- Refuse what would break the grammar of events", "\nend\n"),
    Cut("_prelude.lua", "-- What records tell of those", "\nend\n"),
    Cut("_prelude.lua", "-- Keep a record that tells", "\nend\n"),
    Cut("_prelude.lua", "local function emit(", "\nend\n"),
    Cut("_prelude.lua", "local function balances_text()", "\nend\n"),
    # Entries of `due` are told apart by the version, which the event gives: here by the time.
    Cut(
        "_prelude.lua",
        "  tell_run()\n  if #W.events > 0 then\n",
        "format('%d', log_bytes))\n",
        "  version = now_text .. '-0'\n  call('HSET', K.clock, 'now', now_text)\n",
    ),
    Cut("_overdue.lua", "#W.events + #W.moved", "", "#W.moved"),
)
TRACES = re.compile(
    r"any_breaker|K\.breaker|count_failure|W\.events|\bemit\(|\btell\(|tell_run|XADD"
)


def without_breaker_and_event(directory: Path = LUA_DIRECTORY) -> Script:
    """Assemble a reserve script without either. Raises SourceMoved."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as place:
        copy = Path(shutil.copytree(directory, Path(place) / "lua"))
        for cut in (*BREAKER, *EVENT):
            file = copy / cut.file
            file.write_text(_apply(cut, file.read_text(encoding="utf-8")), encoding="utf-8")
        script = assemble("reserve", copy)
    if left := sorted(set(TRACES.findall(script.source))):
        message = f"a breaker or an event is left in it: {', '.join(left)}"
        raise SourceMoved(message)
    return script


def _apply(cut: Cut, text: str) -> str:
    before, found, after = text.partition(cut.first)
    dropped, ended, after = after.partition(cut.last) if cut.last else ("", "-", after)
    if not found or not ended or cut.first in dropped + after:
        message = f"{cut.file}: not there, or not once: {cut.first!r} … {cut.last!r}"
        raise SourceMoved(message)
    return before + cut.instead + after


def measure(run: Run) -> list[Measure]:
    """Measure hot and wide, each with quiet and with 1,000 open breakers; with ÷ without."""
    bare = without_breaker_and_event()
    rows = []
    with server(run.settings, orders=run.orders) as bed:
        for label, wide in (("hot", False), ("wide", True)):
            for open_breakers in (0, OPEN_BREAKERS):
                row = Measure(
                    f"breaker-{label}-{open_breakers}-open",
                    f"breaker and event, {label}, {open_breakers or 'no'} open breakers",
                    "µs of server CPU a reservation",
                    f"reserve script, batches of {BATCH}",
                    "the same without breaker and event",
                    notes=dict(bed.notes),
                )
                for seed in range(run.repetitions):
                    partition = _prepared(bed, wide=wide, open_breakers=open_breakers)
                    skus = draw_skus(run.orders, wide=wide, seed=seed)
                    whole, cut = in_slices(
                        [partition.reserve, lambda part, p=partition: p.reserve(part, bare)],  # type: ignore[misc]
                        skus,
                        SLICE,
                    )
                    row.a.append(whole)
                    row.b.append(cut)
                    partition.close()
                    run.progress(row.name)
                rows.append(row)
    return rows


def _prepared(bed: Bed, *, wide: bool, open_breakers: int) -> Partition:
    partition = Partition(bed)
    partition.count(sku_names(wide=wide))
    _open(partition, [sku_name(WIDE_SKUS + number) for number in range(open_breakers)])
    return partition


def _open(partition: Partition, skus: Sequence[str]) -> None:
    """Open the breakers of SKUs of which nothing is there, by failed locks."""
    partition.count(skus, 0)
    for first in range(0, len(skus), SKUS_PER_CALL):
        acts: list[str | int] = [0]
        for sku in skus[first : first + SKUS_PER_CALL]:
            for number in range(FAILURES):
                acts += ["F", sku, ORIGIN, f"tmall:{number}"]
        partition.call("set_breaker", acts)
