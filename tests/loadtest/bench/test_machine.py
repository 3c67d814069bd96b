"""What a process used of the machine, and what others did meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from loadtest.bench import machine
from loadtest.bench.machine import Busy, Others, cpu_seconds, unevenness

BURN = """import time
end = time.process_time() + {seconds}
while time.process_time() < end: pass
print(flush=True)
input()
"""


def _burn(seconds: float) -> subprocess.Popen[bytes]:
    """Let a process use a core for so long, say so, and wait."""
    command = [sys.executable, "-c", BURN.format(seconds=seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _burnt(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.stdout.readline()


def test_the_cpu_of_another_process_is_read() -> None:
    with _burn(0.2) as other:
        _burnt(other)
        assert 0.2 <= cpu_seconds(other.pid) < 1.0
        other.communicate(b"\n")


def test_a_process_that_computes_is_busy_and_one_that_waits_is_not() -> None:
    with Busy() as busy:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    with _burn(0.01) as other:
        _burnt(other)
        with Busy(other.pid) as idle:
            while time.process_time() < end + 0.1:
                pass
        other.communicate(b"\n")
    assert busy.cpu == pytest.approx(0.1, abs=0.02)
    assert idle.cpu < 0.01


def test_what_goes_wrong_is_told_and_not_that_a_process_is_gone() -> None:
    def lose(other: subprocess.Popen[bytes]) -> None:
        with Busy(other.pid):
            other.communicate(b"\n")
            raise ConnectionResetError

    with _burn(0.01) as other, pytest.raises(ConnectionResetError):
        lose(other)


def test_what_we_and_our_children_use_is_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the machine says that it used, ours is taken off: 0.5 s of a child, 3 s in all."""
    readings = iter((100.0, 103.0))
    monkeypatch.setattr(machine, "_machine_cpu_seconds", lambda: next(readings))
    started = time.perf_counter()
    with Others() as others:
        with _burn(0.5) as own:
            _burnt(own)
            own.communicate(b"\n")
        seconds = time.perf_counter() - started
    assert others.cores * seconds == pytest.approx(2.5, abs=0.3)


def test_the_machine_says_what_it_used() -> None:
    before = machine._machine_cpu_seconds()
    with _burn(0.5) as own:
        _burnt(own)
        own.communicate(b"\n")
    assert machine._machine_cpu_seconds() - before >= 0.45


@pytest.mark.parametrize(("every", "expected"), [(1_000, 1.0), (50, 20.0)])
def test_a_machine_that_stops_now_and_then_is_uneven(
    every: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One piece of work in so many takes twenty times as long: seen where it is one in fifty."""
    now, pieces = 0.0, 0

    def clock() -> float:
        nonlocal now, pieces
        pieces += 1
        ended = pieces % 2 == 0
        now += (20.0 if pieces // 2 % every == 0 else 1.0) if ended else 0.0
        return now

    monkeypatch.setattr(machine.time, "perf_counter", clock)
    assert unevenness() == pytest.approx(expected)
