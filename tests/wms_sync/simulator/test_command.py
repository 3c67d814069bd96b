"""The command, as a process: where it listens, and its sentences."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

QIMEN = [sys.executable, "-m", "wms_sync.simulator", "qimen", "--app-key", "1", "--secret", "s"]


def test_it_serves_until_it_is_ended() -> None:
    """It says where; the control side answers there; Ctrl-C ends it without a traceback."""
    arguments = [*QIMEN, "--port", "0", "--now-ms", "1769076000000", "--speed", "0"]
    arguments += ["--intake", "18000", "--burst", "25", "--url", "http://127.0.0.1:9/x"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline().decode()
            assert first.startswith("qimen at http://127.0.0.1:")
            url = first.split(" at ")[1].strip().removesuffix("/router/qimen/service")
            state = httpx.get(f"{url}/simulator/state", trust_env=False).json()
            assert state["clock"] == {"now_ms": 1769076000000, "speed": 0}
            assert (state["intake"]["bound_of_an_hour"], state["url"]) == (
                *(775, "http://127.0.0.1:9/x"),
            )
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert "Traceback" not in errors.decode()
    assert process.returncode in {0, 130}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--speed", "-1"], "a speed is 0 (frozen) to 100000"),
        (["--burst", "0"], "burst is 1 to"),
        (["--per", "week"], "week"),
        (["--owner-code", " "], "owner_code is empty"),
        (["--url", "ftp://x"], "a url is http://"),
    ],
)
def test_wrong_usage_is_a_sentence(arguments: list[str], sentence: str) -> None:
    """Exit code 2, and what is wrong, never a traceback."""
    ended = subprocess.run([*QIMEN, *arguments], capture_output=True, timeout=30, check=False)
    errors = ended.stderr.decode()
    assert (ended.returncode, sentence in errors, "Traceback" in errors) == (2, True, False)
