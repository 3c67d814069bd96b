"""A loop that stands still ends its process; one that turns, or has ended, does not."""

from __future__ import annotations

import subprocess
import sys

from tests.ops.service import ROOT

PROGRAM = """
import asyncio, time
from ops.heartbeat import ended_where_it_hangs

async def main():
    with ended_where_it_hangs(hang_seconds=0.5, beat_seconds=0.05):
        await asyncio.sleep({turns})
        time.sleep({stands})
    time.sleep({afterwards})
    print("done")

asyncio.run(main())
"""


def run(*, turns: float, stands: float, afterwards: float) -> subprocess.CompletedProcess[str]:
    """Run a loop that turns, stands still, and is not watched any more, so many seconds each."""
    program = PROGRAM.format(turns=turns, stands=stands, afterwards=afterwards)
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_loop_that_hangs_ends_its_process_and_says_where() -> None:
    """The supervisor brings another; the stack stands in the log."""
    ended = run(turns=0.1, stands=20, afterwards=0)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "in main" in ended.stderr


def test_a_loop_that_turns_is_left_alone() -> None:
    """However long it lives, and whatever comes after it."""
    ended = run(turns=1.0, stands=0.1, afterwards=1.0)
    assert (ended.returncode, ended.stdout) == (0, "done\n")
