"""What `holdfast doctor` asks of the machine: Python, memory, disk, limits, files, the port.

No check changes anything but for a small probe file that is removed again.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import stat
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from channels import tokens
from ops.admin_key import key_file
from ops.alerts.deliveries import AlertsUnavailable, Deliveries, look, outbox_path
from ops.verdicts import Check, fine, warning, wrong
from reservation.config import Durability, Settings
from reservation.receivers import is_loopback
from reservation.store.machine import memory_limit_bytes
from reservation.store.places import socket_path, store_directory

MIN_PYTHON = (3, 11)
PROBES = 64  # small synced appends: 12 ms on a good disk, bounded by PROBE_SECONDS on a bad one
PROBE_BYTES = 300  # about one reservation in the append-only file
PROBE_SECONDS = 2.0
SLOW_SYNC_MS = 10.0  # every batch waits for one sync: above it a lone order takes longer than that
MIN_OPEN_FILES = 4_096  # connections of gateways, of the store, and files
GIB = 1 << 30

PROC = Path("/proc/sys/vm")
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def python_version() -> Check:
    """Check the interpreter."""
    found = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    if sys.version_info < MIN_PYTHON:
        return wrong("python", found, "use Python 3.11 or newer")
    return fine("python", found)


def memory(settings: Settings) -> Check:
    """Say how much memory the embedded store may take."""
    limit = memory_limit_bytes()
    store = limit * settings.store_max_memory_percent // 100
    found = f"{limit / GIB:.1f} GiB, of which the embedded store may take {store / GIB:.1f} GiB"
    if store < GIB // 4:
        remedy = "give the machine or container more, or expect OOM near a million live holds"
        return warning("memory", found, remedy)
    return fine("memory", found)


def sync_speed(settings: Settings) -> Check:
    """Measure a synced append in the data directory; p50 and the longest."""
    place = _existing(settings.data_dir)
    try:
        times = sorted(_sync_times_ms(place))
    except OSError as error:
        return wrong("disk sync", f"{place}: {error.strerror}", "give a --data-dir to write in")
    p50 = statistics.median(times)
    found = f"fdatasync of {PROBE_BYTES} bytes in {place}: p50 {p50:.2f} ms, max {times[-1]:.2f} ms"
    needs_it = settings.durability in {Durability.FSYNC, Durability.REPLICATED}
    if needs_it and p50 > SLOW_SYNC_MS:
        remedy = "put the data directory on a local SSD, or accept HOLDFAST_DURABILITY=memory"
        return warning("disk sync", found, remedy)
    return fine("disk sync", found)


def _sync_times_ms(place: Path) -> list[float]:
    times: list[float] = []
    sync = getattr(os, "fdatasync", os.fsync)
    deadline = time.perf_counter() + PROBE_SECONDS
    with tempfile.TemporaryFile(dir=place) as file:
        while len(times) < PROBES and time.perf_counter() < deadline:
            started = time.perf_counter()
            file.write(bytes(PROBE_BYTES))
            file.flush()
            sync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return times


def free_disk(settings: Settings) -> Check:
    """Check that a rewrite of the append-only file has room beside the old one."""
    place = _existing(settings.data_dir)
    free = shutil.disk_usage(place).free
    wanted = memory_limit_bytes() * settings.store_max_memory_percent // 100
    found = f"{free / GIB:.1f} GiB free in {place}"
    if free < GIB:
        return wrong("disk space", found, "free some: a full disk stops every reservation")
    if free < wanted:
        remedy = f"a full store rewrites up to {wanted / GIB:.1f} GiB beside its old file"
        return warning("disk space", found, remedy)
    return fine("disk space", found)


def overcommit() -> Check:
    """Check that the store can fork for a rewrite while it uses much memory."""
    try:
        value = (PROC / "overcommit_memory").read_text().strip()
    except OSError:
        return fine("memory overcommit", "no such setting on this system")
    if value == "1":
        return fine("memory overcommit", "vm.overcommit_memory is 1")
    found = f"vm.overcommit_memory is {value}: a rewrite may fail when memory is half full"
    return warning("memory overcommit", found, "sysctl vm.overcommit_memory=1")


def huge_pages() -> Check:
    """Check that a rewrite does not copy 2 MiB for every touched page."""
    try:
        text = HUGE_PAGES.read_text()
    except OSError:
        return fine("huge pages", "no such setting on this system")
    chosen = text.partition("[")[2].partition("]")[0]
    if chosen != "always":
        return fine("huge pages", f"transparent huge pages: {chosen}")
    remedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as root)"
    return warning("huge pages", "always: rewrites copy more and stall longer", remedy)


def open_files() -> Check:
    """Check the limit on connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= MIN_OPEN_FILES:
        return fine("open files", f"limit {soft}")
    remedy = f"ulimit -n {MIN_OPEN_FILES} (the hard limit is {hard})"
    return warning("open files", f"limit {soft}: gateways may be refused a connection", remedy)


def secrets(settings: Settings) -> Check:
    """Check that nobody else can read the key or enter the store."""
    directory = store_directory(settings.data_dir)
    places = [
        (key_file(settings), 0o600),
        (settings.data_dir / tokens.FOLDER, 0o700),
        (directory, 0o700),
        (directory / "store.conf", 0o600),
    ]
    found = []
    for path, most in places:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            return wrong("secrets", f"{path}: {error.strerror}", "run as the owner of the data")
        mode = stat.S_IMODE(status.st_mode)
        if mode & ~most:
            remedy = f"chmod {most:o} {path}"
            return wrong("secrets", f"{path} is open to others (mode {mode:o})", remedy)
        if status.st_uid != os.getuid():
            remedy = "run as the owner of the data directory"
            return wrong("secrets", f"{path} belongs to user {status.st_uid}", remedy)
        found.append(path.name)
    return fine("secrets", f"closed to others: {', '.join(found)}" if found else "none yet")


def socket_place(settings: Settings) -> Check:
    """Say where the embedded store's socket is, and whether it had to leave the data directory."""
    path = socket_path(settings.data_dir)
    if path.is_relative_to(store_directory(settings.data_dir)):
        return fine("store socket", str(path))
    return fine("store socket", f"{path} (the data directory's path is too long for a socket)")


def port(settings: Settings) -> Check:
    """Check that the port is free, or that it is Holdfast that has it."""
    place = f"{settings.host}:{settings.port}"
    if settings.port == 0:
        return fine("port", "any free one is taken")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if _is_holdfast(settings):
            return fine("port", f"Holdfast answers at {place}")
        found = f"{place}: {error.strerror or error}"
        return wrong("port", found, "end what listens there, or give another --host or --port")
    return fine("port", f"{place} is free")


def _is_holdfast(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    try:
        url = f"http://{host}:{settings.port}/problems/store-unavailable"
        answer = httpx.get(url, timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success and "store-unavailable" in answer.text


def _existing(path: Path) -> Path:
    """Name the directory itself, or the nearest above it that exists."""
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def alerts(settings: Settings) -> Check:
    """Say who is alerted, and whether the messages arrive and their links lead anywhere."""
    if not settings.alerts:
        return fine("alerts", "nobody is alerted; docs/alerts.md says how")
    try:
        backlogs = look(outbox_path(settings.data_dir), Deliveries.backlogs)
    except AlertsUnavailable as error:
        return wrong("alerts", str(error), "mend the file's rights, or move it away")
    dead = sum(backlog.dead for backlog in backlogs or ())
    told = f"{len(settings.alerts)} receivers: {', '.join(sorted(settings.alerts))}"
    if dead:
        remedy = "'holdfast alerts dead' says why, 'holdfast alerts resend' sends them again"
        return warning("alerts", f"{dead} messages were not taken", remedy)
    if settings.public_url is None and is_loopback(settings.host):
        remedy = "set public_url to the address under which people reach the board"
        return warning("alerts", f"{told}; their links lead to this machine only", remedy)
    return fine("alerts", told)
