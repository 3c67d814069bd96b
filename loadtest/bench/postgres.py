"""PostgreSQL as the peer: conditional UPDATE and INSERT in one transaction, durable, no HTTP.

A server of its own in a temporary directory, with `pgbench` of the same installation; both have all
cores. It refuses to run as root: there it runs as `postgres`, or as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtest.bench.http_rate import CONNECTIONS, WARM_UP, note_disk, note_loads, post
from loadtest.bench.http_servers import product
from loadtest.bench.machine import BASELINES
from loadtest.bench.measure import Measure, in_turn
from loadtest.bench.run import Run
from reservation.config import Durability
from reservation.errors import ConfigurationError

CLIENTS = 16
ORDERS_A_SECOND = 4_000  # about: pgbench runs for a time
START_SECONDS = 30.0
PROGRAMS = ("initdb", "postgres", "pgbench", "psql")
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
SERVER_SETTINGS = {  # beside the defaults, of which fsync, synchronous_commit and full pages are on
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
}
TRANSACTIONS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


def measure(run: Run) -> list[Measure]:
    """Compare `POST /v1/reservations` at `fsync` with the transaction, hot and wide."""
    with _running() as peer:
        return [_measure(run, peer, wide=wide) for wide in (False, True)]


def _measure(run: Run, peer: _Peer, *, wide: bool) -> Measure:
    label = "wide" if wide else "hot"
    name = f"POST /v1/reservations at fsync, one worker ÷ PostgreSQL, {label}"
    seconds = max(1, run.orders // ORDERS_A_SECOND)
    with product(run.settings_in(label), Durability.FSYNC, wide=wide) as serving:
        post(serving, WARM_UP, wide=wide)
        loads, rates = in_turn(
            lambda: post(serving, run.orders, wide=wide),
            lambda: peer.rate(f"postgres_{label}.sql", seconds),
            repetitions=run.repetitions,
            progress=lambda: run.progress(name),
        )
    row = Measure(
        f"postgres-{label}",
        name,
        "reservations/s",
        f"POST /v1/reservations, {CONNECTIONS} connections",
        f"UPDATE + INSERT, {CLIENTS} clients",
        a=[load.rate for load in loads],
        b=rates,
    )
    row.notes |= serving.notes | {"postgresql": peer.version, **SERVER_SETTINGS}
    note_loads(row, loads, [])
    note_disk(row, run)
    return row


def find_programs() -> Path:
    """Find the directory of an installation. Raises ConfigurationError with the next step."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    for pattern in PLACES:
        places += sorted(Path("/").glob(pattern[1:]), reverse=True)
    for place in places:
        if all((place / name).exists() for name in PROGRAMS):
            return place
    raise ConfigurationError(
        f"no PostgreSQL with {', '.join(PROGRAMS)} is installed: install it (Debian, Ubuntu: "
        "apt install postgresql), or leave the suite postgres out"
    )


class _Peer:
    """A running server and its programs."""

    def __init__(self, programs: Path, directory: Path, identity: dict[str, Any]) -> None:
        self._programs, self._directory, self._identity = programs, directory, identity
        self.version = self.run("postgres", "--version").strip()

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run one of the programs as the server's user. Raises RuntimeError with its words."""
        ended: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 (the installation's own)
            [self._programs / program, *arguments],
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
            **self._identity,
        )
        if ended.returncode:
            raise RuntimeError(f"{program} failed: {ended.stderr.strip()[-500:]}")
        return ended.stdout

    def start(self) -> subprocess.Popen[bytes]:
        """Make a cluster and start its server; return when it answers."""
        data = self._directory / "data"
        self.run("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-D", data)
        settings = {**SERVER_SETTINGS, "unix_socket_directories": str(self._directory)}
        server = subprocess.Popen(  # noqa: S603 (the installation's own)
            [
                *(self._programs / "postgres", "-D", data),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=(self._directory / "log").open("wb"),
            **self._identity,
        )
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            try:
                self.ask("SELECT 1")
            except RuntimeError:
                time.sleep(0.1)
            else:
                return server
        words = (self._directory / "log").read_text(errors="replace")[-500:]
        server.kill()
        raise RuntimeError(f"postgres did not start: {words}")

    def ask(self, query: str) -> str:
        """Ask the server."""
        return self.run("psql", *self._access(), "-At", "-c", query).strip()

    def rate(self, script: str, seconds: int) -> float:
        """Build the tables anew and run a script; return transactions a second.

        Raises RuntimeError where the units that are reserved are not those of the reservations.
        """
        for name in ("postgres_schema.sql", script):
            shutil.copy(BASELINES / name, self._directory)  # where its user may read it
            (self._directory / name).chmod(0o644)
        self.run("psql", *self._access(), "-q", "-f", "postgres_schema.sql")
        told = self.run(
            *("pgbench", *self._access(), "-n", "-M", "prepared", "-c", str(CLIENTS)),
            *("-j", "2", "-T", str(seconds), "-f", script),
        )
        if (
            self.ask("SELECT sum(reserved) = (SELECT count(*) FROM reservation) FROM inventory")
            != "t"
        ):
            raise RuntimeError("PostgreSQL's reserved units are not those of its reservations")
        found = TRANSACTIONS.search(told)
        assert found is not None
        return float(found[1])

    def _access(self) -> tuple[str, ...]:
        return ("-h", str(self._directory), "-U", "postgres", "postgres")


@contextmanager
def _running() -> Iterator[_Peer]:
    programs = find_programs()
    with tempfile.TemporaryDirectory(prefix="holdfast-postgres-") as name:
        directory = Path(name)
        identity = _other_identity()
        if identity:
            os.chown(directory, identity["user"], identity["group"])
        peer = _Peer(programs, directory, identity)
        server = peer.start()
        try:
            yield peer
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown
            try:
                server.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _other_identity() -> dict[str, Any]:
    """Name whom to run as where we are root, for `subprocess`. Raises ConfigurationError."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise ConfigurationError("PostgreSQL refuses to run as root: run this as another user")
