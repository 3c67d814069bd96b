"""Processes that we start: none outlives the block in which it runs, however that ends."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CUT_OFF = signal.SIGUSR1  # asks the leader of a run to end it early, and to prove what was played


@contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], *, errors: IO[str], end_seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """Run a command of ours; it has `end_seconds` to leave when it is told to."""
    process = subprocess.Popen(  # noqa: S603 (our own command)
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to answer
    )
    try:
        yield process
    finally:
        with undisturbed():
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(end_seconds)
            process.kill()
            process.wait()


def free_port() -> int:
    """Find a port of this machine for a process of ours; another may take it first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no further Ctrl-C interrupt the clearing away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)
