"""Requests a second through one worker: `POST /v1/reservations` beside two echoes.

One worker alone on core 0; store and generator on core 1; 64 keep-alive connections, one request
in flight each. The echoes run on the same server with the same settings: one bare, one with FastAPI
and pydantic models.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from loadtest.bench.orders import STOCK, order_id, sku_name
from loadtest.bench.report import Comparison, in_turn, pin
from reservation.config import Durability, Settings
from reservation.store.embedded import EmbeddedStore

CONNECTIONS = 64
START_SECONDS = 20.0
LOAD_SECONDS = 60.0
RUNS: Iterator[int] = iter(range(1_000_000))  # ids are new in every run


def measure(
    settings: Settings, *, orders: int, repetitions: int, progress: Callable[[str], None]
) -> list[Comparison]:
    """Compare the product, at durability `memory`, with each echo."""
    key = f"hf_bench_{secrets.token_hex(32)}"
    with (
        _product(settings, Durability.MEMORY, key) as (product, worker),
        _echo("loadtest.baselines.bare_echo:app") as (bare, bare_worker),
        _echo("loadtest.baselines.fastapi_echo:app") as (fastapi, fastapi_worker),
    ):
        pin(os.getpid(), 1)
        for process_id in (worker, bare_worker, fastapi_worker):
            pin(process_id, 0)

        def post(port: int) -> Callable[[], float]:
            return lambda: uvloop.run(_rate(port, key, orders))

        return [
            in_turn(
                Comparison(name, "requests/s", "POST /v1/reservations, hot", against),
                post(product),
                post(port),
                repetitions=repetitions,
                progress=progress,
            )
            for name, against, port in (
                ("HTTP, one worker, against a bare echo", "bare ASGI echo", bare),
                ("HTTP, one worker, against FastAPI", "FastAPI + pydantic echo", fastapi),
            )
        ]


@contextmanager
def _product(settings: Settings, durability: Durability, key: str) -> Iterator[tuple[int, int]]:
    """Run one API worker on an embedded store; yields its port and its process id."""
    settings = settings.model_copy(update={"durability": durability, "store_rewrite_percent": 0})
    with EmbeddedStore(settings) as store:
        store.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert store.pid is not None
        pin(store.pid, 1)
        port = _free_port()
        environment = os.environ | {
            "HOLDFAST_REDIS_URL": store.url,
            "HOLDFAST_DURABILITY": durability.value,
            "HOLDFAST_ADMIN_KEY": key,
            "HOLDFAST_DATA_DIR": str(settings.data_dir),
            "HOLDFAST_PORT": str(port),
            "HOLDFAST_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "ops", "api", "--workers", "1"]
        with _process(command, environment) as process:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process)
            _put_stock(port, key)
            yield port, _leaf(process.pid)


@contextmanager
def _echo(application: str) -> Iterator[tuple[int, int]]:
    port = _free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", application, "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"),
    ]
    with _process(command, dict(os.environ)) as process:
        _wait_until_listening(port, process)
        yield port, process.pid


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def _put_stock(port: int, key: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/stock/{sku_name(0)}",
        data=json.dumps({"on_hand": STOCK}).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 (loopback)


async def _rate(port: int, key: str, orders: int) -> float:
    """Post `orders` orders; return requests a second. Every answer must be a 201."""
    run = next(RUNS)
    head = (
        "POST /v1/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    )
    requests = []
    for number in range(orders):
        body = json.dumps(
            {
                "reservation_id": order_id(run * 10_000_000 + number),
                "lines": [{"sku": sku_name(0), "quantity": 1}],
            }
        )
        requests.append(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    waiting = iter(requests)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(waiting), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    started = time.perf_counter()
    for connection in connections:
        connection.send_next()
    await asyncio.gather(*(connection.done for connection in connections))
    return orders / (time.perf_counter() - started)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight."""

    def __init__(self, waiting: Iterator[bytes]) -> None:
        self._waiting = waiting
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has another base

    def send_next(self) -> None:
        """Send the next request, or end."""
        assert self._transport is not None
        request = next(self._waiting, None)
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at:].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 201"):
            self.done.set_exception(RuntimeError(self._received[:500].decode()))
            return
        self._received = b""
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError())
