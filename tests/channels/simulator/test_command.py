"""The command, as a process: where it listens, and its sentences."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

COMMAND = [sys.executable, "-m", "channels.simulator"]
TMALL = [*COMMAND, "tmall", "--app-key", "12345678", "--secret", "helloworld"]


def test_it_serves_until_it_is_ended() -> None:
    """It says where; the control side answers there; Ctrl-C ends it without a traceback."""
    arguments = [*TMALL, "--port", "0", "--now-ms", "1769076000000", "--speed", "0"]
    began_ns = time.time_ns()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline().decode()
            url = first.split(" at ")[1].strip().removesuffix("/router/rest")
            state = httpx.get(f"{url}/simulator/state", trust_env=False).json()
            assert state["clock"] == {"now_ms": 1769076000000, "speed": 0}
            body = {"skus": [{"outer_id": "A", "quantity": 1}]}
            item = httpx.post(f"{url}/simulator/items", json=body, trust_env=False).json()
            assert began_ns < int(item["item_id"]) < time.time_ns()  # a later shop begins behind it
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
        (["--now-ms", "-1"], "a time is 0 to"),
        (["--redeliver-ms", "0"], "redeliver_ms"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
    ],
)
def test_wrong_usage_is_a_sentence(arguments: list[str], sentence: str) -> None:
    """Exit code 2, and what is wrong, never a traceback."""
    ended = subprocess.run([*TMALL, *arguments], capture_output=True, timeout=30, check=False)
    errors = ended.stderr.decode()
    assert (ended.returncode, sentence in errors, "Traceback" in errors) == (2, True, False)


def test_a_port_that_is_taken_is_named() -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*TMALL, "--port", port], capture_output=True, timeout=30, check=False
        )
    assert (ended.returncode, f"port {port}" in ended.stderr.decode()) == (2, True)


def test_a_secret_may_come_by_the_environment() -> None:
    """And without one the command says which option is missing."""
    ended = subprocess.run(
        [*COMMAND, "tmall", "--app-key", "1"], capture_output=True, timeout=30, check=False, env={}
    )
    assert (ended.returncode, "HOLDFAST_SIMULATOR_SECRET" in ended.stderr.decode()) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "platform"),
    [
        (["douyin", "--app-key", "1234567890123456789", "--secret", "s"], "douyin"),
        (["dealer", "--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "dealer"),
    ],
)
def test_the_others_serve_as_well(arguments: list[str], platform: str) -> None:
    """Each says where it is, and its control side answers there."""
    command = [*COMMAND, *arguments, "--port", "0", "--first-id", "77"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            url = process.stdout.readline().decode().split(" at ")[1].split()[0]
            state = httpx.get(f"{url}/state", trust_env=False).json()
            assert state["platform"] == platform
            body = {"skus": [{"outer_id": "A", "quantity": 1}]}
            item = httpx.post(f"{url}/items", json=body, trust_env=False).json()
            assert int(item["item_id"]) == 77
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["douyin", "--app-key", "12", "--secret", "s"], "an app_key has 19 digits"),
        (["douyin", "--app-key", "1" * 19, "--secret", "s", "--push-sign", "sha1"], "sha1"),
        (["dealer", "--secret", "short"], "a secret is whsec_ and the base64 of 24 to 64 bytes"),
    ],
)
def test_what_the_others_cannot_take(arguments: list[str], sentence: str) -> None:
    """Exit code 2, and a sentence."""
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, timeout=30, check=False)
    errors = ended.stderr.decode()
    assert (ended.returncode, sentence in errors, "Traceback" in errors) == (2, True, False)
