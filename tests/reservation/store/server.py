"""Servers with options that the embedded store never has: replicas, little memory, no log."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from reservation.config import Settings
from reservation.store.binary import find_binary
from tests.conftest import need_program
from tests.waiting import until


def free_port() -> int:
    """Name a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One server process on a unix socket, ours to stop."""

    def __init__(self, name: str, directory: Path, *options: str) -> None:
        binary = need_program("redis-server") if name == "redis" else find_binary(Settings()).path
        self.directory = directory
        self.socket = directory / "s"
        self.url = f"unix://{self.socket}"
        fixed = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(directory)]
        self._command = [str(binary), *fixed, "--save", "", "--loglevel", "warning", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            until(self.answers, "the server answers")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def answers(self) -> bool:
        """Say whether it takes commands; one that loads does not."""
        try:
            return bool(self.ask("PING"))
        except redis.ConnectionError:
            return False

    def ask(self, *command: str | int) -> object:
        """Run one command."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return client.execute_command(*command)


@contextmanager
def running(name: str, *options: str) -> Iterator[Server]:
    """Run a server in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="hf") as directory:
        server = Server(name, Path(directory), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
