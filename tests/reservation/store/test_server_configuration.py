"""What our own server is told, by what a real one says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from reservation.config import Durability, Settings
from reservation.store.embedded import EmbeddedStore
from reservation.store.machine import memory_limit_bytes
from reservation.store.server_configuration import _quoted
from tests.conftest import need_program


@pytest.fixture(params=["auto", "redis-server"], ids=["wheel", "system"])
def program(request: pytest.FixtureRequest) -> str:
    """Name a server program: the wheel's, and the system's where there is one."""
    name: str = request.param
    return name if name == "auto" else need_program(name)


@pytest.mark.parametrize(
    ("durability", "fsync"),
    [
        (Durability.RELAXED, "everysec"),
        (Durability.MEMORY, "no"),
        (Durability.FSYNC, "always"),
        (Durability.REPLICATED, "always"),
    ],
)
def test_durability_sets_the_sync(
    program: str, tmp_path: Path, durability: Durability, fsync: str
) -> None:
    """Each level has its way of syncing; the rest is the same for all."""
    asked = Settings(
        data_dir=tmp_path,
        store_binary=program,
        durability=durability,
        store_max_memory_percent=50,
        store_rewrite_percent=70,
        store_rewrite_min_mb=3,
    )
    with EmbeddedStore(asked) as store:
        told = redis.Redis.from_url(store.url, decode_responses=True).config_get("*")
    expected = {
        "appendonly": "yes",
        "appendfsync": fsync,
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": str(memory_limit_bytes() * 50 // 100),
        "maxmemory-policy": "noeviction",
        "auto-aof-rewrite-percentage": "70",
        "auto-aof-rewrite-min-size": str(3 << 20),
        "enable-debug-command": "no",
    }
    assert {name: told[name] for name in expected} == expected


def test_every_byte_of_a_path_can_be_written() -> None:
    """A path is quoted so that the server reads the same bytes."""
    assert _quoted(Path('/a "b"\n\\数')) == '"/a \\x22b\\x22\\x0a\\x5c\\xe6\\x95\\xb0"'
