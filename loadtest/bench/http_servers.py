"""The servers that HTTP benchmarks compare: one worker of the product, and the frozen echoes.

Each worker is alone on core 0; its store, the generator and all else are on core 1.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from loadtest.bench.machine import pin, unpin
from loadtest.bench.orders import STOCK, sku_names
from loadtest.bench.partition import LOAD_SECONDS, UNLIMITED_LOG_BYTES, describe_store
from loadtest.processes import free_port
from reservation.config import Durability, Settings
from reservation.store.embedded import EmbeddedStore

BARE_ECHO = "loadtest.baselines.bare_echo:app"
FASTAPI_ECHO = "loadtest.baselines.fastapi_echo:app"
START_SECONDS = 20.0
IMPORT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that answers on a port of 127.0.0.1 with one worker process."""

    port: int
    worker: int
    key: str = "hf_none_needed"
    store: int | None = None
    socket: str = ""  # of the store
    notes: dict[str, Any] = field(default_factory=dict)

    def rewrite_append_only_file(self) -> None:
        """Let the store begin a rewrite, and don't wait for its word; an echo has no store."""
        if self.socket:
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(self.socket)
                link.sendall(b"BGREWRITEAOF\r\n")

    def tell_store(self, *command: str) -> None:
        """Run a command of the store's. Raises redis.ResponseError where it is not taken."""
        with redis.Redis(unix_socket_path=self.socket) as client:
            client.execute_command(*command)


@contextmanager
def product(
    settings: Settings,
    durability: Durability,
    *,
    wide: bool = False,
    rewrite_percent: int = 0,
    workers: int = 1,
    more: Mapping[str, str] = {},
    pinned: bool = True,
) -> Iterator[Serving]:
    """Run API workers on an embedded store that has stock of the hot SKU, or of all.

    `more` are settings of theirs, as variables. What is not pinned runs where the system likes.
    """
    key = f"hf_bench_{secrets.token_hex(32)}"
    settings = settings.model_copy(
        update={"durability": durability, "store_rewrite_percent": rewrite_percent}
    )
    with EmbeddedStore(settings) as store:
        store.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert store.pid is not None
        if pinned:
            pin(store.pid, 1)
            pin(os.getpid(), 1)  # what we start from now on is there too
        else:
            unpin(store.pid)
            unpin(os.getpid())
        port = free_port()
        environment = os.environ | {
            "HOLDFAST_REDIS_URL": store.url,
            "HOLDFAST_DURABILITY": durability.value,
            "HOLDFAST_ADMIN_KEY": key,
            "HOLDFAST_DATA_DIR": str(settings.data_dir),
            "HOLDFAST_PORT": str(port),
            "HOLDFAST_LOG_LEVEL": "warning",
            "HOLDFAST_MAX_EVENT_LOG_BYTES": str(UNLIMITED_LOG_BYTES),
            **more,
        }
        command = [sys.executable, "-m", "ops", "api", "--workers", str(workers)]
        with _process(command, environment) as process:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process)
            _import_stock(port, key, sku_names(wide=wide))
            worker = _leaf(process.pid)
            if pinned:
                pin(worker, 0)
            yield Serving(port, worker, key, store.pid, str(store.socket), describe_store(store))


@contextmanager
def echo(application: str) -> Iterator[Serving]:
    """Run a frozen echo on uvicorn, set as the product sets it."""
    port = free_port()
    pin(os.getpid(), 1)
    command = [
        *(sys.executable, "-m", "uvicorn", application, "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "off"),
        *("--interface", "asgi3", "--no-access-log", "--no-server-header", "--no-proxy-headers"),
        *("--log-level", "error"),
    ]
    with _process(command, dict(os.environ)) as process:
        _wait_until_listening(port, process)
        pin(process.pid, 0)
        yield Serving(port, process.pid)


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 (our own)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _leaf(process_id: int) -> int:
    """Find the worker below a supervisor: the last of the line of first children."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children")
    first = children.read_text().split() if children.exists() else []
    return _leaf(int(first[0])) if first else process_id


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 (loopback)
                return
        except OSError:  # not listening yet, or 503 while the store loads
            time.sleep(0.05)
    message = f"{url} did not become ready"
    raise RuntimeError(message)


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"port {port} did not open"
    raise RuntimeError(message)


def _import_stock(port: int, key: str, skus: list[str]) -> None:
    rows = "".join(f"{sku},,{STOCK},\n" for sku in skus)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/stock/import",
        data=f"sku,warehouse,on_hand,safety_stock\n{rows}".encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "text/csv"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=IMPORT_SECONDS) as answer:  # noqa: S310 (loopback)
        told = json.load(answer)
    assert told["rows"] == len(skus)
    assert told["applied"]
