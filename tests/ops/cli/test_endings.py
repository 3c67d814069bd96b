"""How commands end where nobody reads what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from loadtest.processes import free_port
from tests.ops.service import ROOT, environment
from tests.waiting import until

MADE = "rc = 7; from ops.cli.endings import output; c = output(); {}; raise SystemExit(rc)"


def unread(*command: object, **settings: str) -> subprocess.Popen[str]:
    """Start a command whose standard output is a pipe that is closed at its other end."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment(**settings),
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    return process


def test_a_service_that_nobody_reads_serves_and_ends_well(tmp_path: Path) -> None:
    """`holdfast up | head -1`: with its addresses lost, too. SIGTERM ends it with 0."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = unread("-m", "ops", "up", "--port", port, "--data-dir", tmp_path)

    def ready() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    try:
        until(ready, "it serves", seconds=30)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "BrokenPipeError" not in said
        assert not ready_elsewhere(url)
    finally:
        process.kill()
        process.wait()


def ready_elsewhere(url: str) -> bool:
    """Say whether a child of it still answers."""
    try:
        httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def test_what_nobody_reads_changes_no_exit_code() -> None:
    """Said at once, and more than a pipe holds; nothing is left to fail at the process's end."""
    process = unread("-c", MADE.format("c.print('a'); c.print('b' * 100_000)"))
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (7, "")
