"""The service under test: one that is named, or one of our own for a single run."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.processes import running, undisturbed
from reservation.client import (
    Client,
    Forbidden,
    Refused,
    ReservationNotFound,
    Unauthenticated,
    Unavailable,
)
from reservation.client.connection import address
from reservation.errors import ConfigurationError

URL_VARIABLE = "HOLDFAST_URL"
KEY_VARIABLE = "HOLDFAST_KEY"
KNOCK_SECONDS = 5.0
# Whether the key may do what a run does, asked so that it changes nothing: a file that is only
# looked at, and an order that nobody has made. Whether the SKU exists does not matter.
KNOCKED_WITH = b"sku,warehouse,on_hand,safety_stock\nknock,,0,0\n"
NO_ORDER = "knock:{}"
START_SECONDS = 60.0
END_SECONDS = 60.0
AUDIT_SECONDS = 300.0
_ROOT = Path(__file__).parents[1]
_ADDRESS = re.compile(r"service +(http://\S+)")
_UP = "try"  # the last line that `holdfast up` prints when it serves


class WrongUsage(Exception):
    """What was given is of no use, and nothing has begun; the text says what to give."""


class NoService(Exception):
    """There is no service to test."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and the key that opens it."""

    url: str
    key: str
    data_dir: Path | None = None  # of our own; a named one keeps its data to itself
    process_id: int | None = None  # of our own

    def audit(self) -> dict[str, object] | None:
        """Let `holdfast audit` recount our own store; None where it is not ours."""
        if self.data_dir is None:
            return None
        done = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-m", "ops", "audit", "--json", "--data-dir", str(self.data_dir)],
            env=_environment({}),
            capture_output=True,
            text=True,
            timeout=AUDIT_SECONDS,
            check=False,
        )
        try:
            report: dict[str, object] = json.loads(done.stdout)
        except ValueError:
            return {"ok": False, "findings": [f"the audit gave no report: {done.stderr.strip()}"]}
        return report


def named_service(url: str | None) -> Service | None:
    """Find the service that is named by option or environment, with its key; None if none is.

    Raises WrongUsage where the address is none, or no key goes with it.
    """
    if url is not None and not url.strip():
        raise WrongUsage("--host is empty: give the address of a service, or leave it out")
    url = url or os.environ.get(URL_VARIABLE)
    if not url:
        return None
    try:
        address(url)
    except ConfigurationError as error:
        raise WrongUsage(str(error)) from error
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        message = f"no key for {url}: set {KEY_VARIABLE} to one whose role is admin"
        raise WrongUsage(message)
    return Service(url.rstrip("/"), key)


def knock(service: Service) -> None:
    """Find out before a run whether a service is there and ready, and lets the key do all of it.

    Raises NoService, and WrongUsage for the key.
    """
    try:
        with Client(service.url, service.key, deadline_seconds=KNOCK_SECONDS) as client:
            client.import_stock(KNOCKED_WITH, dry_run=True)
            client.confirm(NO_ORDER.format(secrets.token_hex(8)))
    except ReservationNotFound:
        return
    except (Unauthenticated, Forbidden) as error:
        told = (
            f"{service.url} refuses the key: {error.detail} Set {KEY_VARIABLE} to one whose role is"
            " admin: a run lays stock and orders on every channel (holdfast keys create)."
        )
        raise WrongUsage(told) from error
    except (Unavailable, Refused) as error:
        told = str(error)
        told = told if service.url in told else f"{service.url}: {told}"
        raise NoService(f"{told}. Is it running, and is the address right?") from error


@contextmanager
def own_service(settings: Mapping[str, str]) -> Iterator[Service]:
    """Run `holdfast up` on a free port with an embedded store; nothing is left of it.

    `settings` are HOLDFAST_ variables beside ours. Raises NoService where it does not start.
    """
    data_dir = Path(tempfile.mkdtemp(prefix="holdfast-loadtest-"))
    key = f"hf_loadtest_{secrets.token_hex(32)}"
    ours = {"HOLDFAST_ADMIN_KEY": key, "HOLDFAST_LOG_LEVEL": "warning", **settings}
    command = [sys.executable, "-m", "ops", "up", "--port", "0", "--data-dir", str(data_dir)]
    try:
        with (
            (data_dir / "service.log").open("w") as log,
            running(command, _environment(ours), errors=log, end_seconds=END_SECONDS) as process,
        ):
            yield Service(_address(process, data_dir), key, data_dir, process.pid)
    finally:
        with undisturbed():
            shutil.rmtree(data_dir, ignore_errors=True)


def _address(process: subprocess.Popen[str], data_dir: Path) -> str:
    """Wait until the service says where it is, and that it serves."""
    said: list[str] = []
    up = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:  # to its end: a full pipe would stop the service
            said.append(line)
            if line.strip().startswith(_UP):
                up.set()
        up.set()

    threading.Thread(target=read, name="service's output", daemon=True).start()
    up.wait(START_SECONDS)
    found = _ADDRESS.search("".join(said))
    if found is None or process.poll() is not None:
        why = (data_dir / "service.log").read_text()[-2_000:].strip() or "".join(said)
        message = f"the service did not start within {START_SECONDS:.0f} s: {why}"
        raise NoService(message)
    return found[1]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Give our environment without its HOLDFAST settings, with those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    path = os.pathsep.join(filter(None, [str(_ROOT), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, **settings}
