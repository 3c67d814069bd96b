"""Start-up checks: what a server says of itself, judged; and real servers that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from reservation.config import Durability, Settings, load
from reservation.errors import ConfigurationError, StoreUnavailable, UnsafeStore
from reservation.store import checks
from reservation.store.checks import findings
from reservation.store.keys import META, PARTITION_KEYS, key
from reservation.store.store import Store
from tests.conftest import SERVERS
from tests.reservation.store.server import free_port, running

VALKEY = {"valkey_version": "9.1.2", "redis_version": "7.2.4", "role": "master"}
SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


def of_redis(version: str) -> dict[str, Any]:
    """Describe a Redis."""
    return {"redis_version": version, "role": "master", "maxmemory_policy": "noeviction"}


def of_valkey(version: str) -> dict[str, Any]:
    """Describe a Valkey."""
    return {**VALKEY, "valkey_version": version}


FSYNC, MEMORY = {"durability": Durability.FSYNC}, {"durability": Durability.MEMORY}
RELAXED, REPLICATED = (
    {"durability": Durability.RELAXED},
    {"durability": Durability.REPLICATED, "wait_replicas": 2},
)


@pytest.mark.parametrize(
    ("settings", "info", "config", "fatal", "unwise"),
    [
        (FSYNC, VALKEY, SAFE, [], []),
        (FSYNC, of_valkey("7.1.9"), SAFE, ["Valkey 7.1.9 is too old"], []),
        (FSYNC, of_valkey("7.2.10"), SAFE, [], ["Valkey 7.2.10 has known holes"]),
        (FSYNC, of_valkey("7.2.11"), SAFE, [], []),
        (FSYNC, of_valkey("8.0.6"), SAFE, [], ["Valkey 8.0.6 has known holes"]),
        (FSYNC, of_valkey("8.1.0"), SAFE, [], []),
        (FSYNC, of_redis("6.2.14"), SAFE, ["Redis 6.2.14 is too old"], []),
        (FSYNC, of_redis("7.0.15"), SAFE, [], ["patched by distributions only"]),
        (FSYNC, of_redis("7.2.15"), SAFE, [], ["Redis 7.2.15 has known holes"]),
        (FSYNC, of_redis("7.2.16"), SAFE, [], []),
        (FSYNC, of_redis("8.10.0"), SAFE, [], ["Redis 8.10.0 has known holes"]),
        (FSYNC, of_redis("9.0.0"), SAFE, [], []),
        (FSYNC, {**VALKEY, "redis_mode": "cluster"}, SAFE, ["is a cluster"], []),
        (FSYNC, {**VALKEY, "cluster_enabled": 1}, SAFE, ["is a cluster"], []),
        (FSYNC, {**VALKEY, "redis_mode": "sentinel"}, SAFE, ["is a sentinel"], []),
        (FSYNC, {**VALKEY, "role": "slave"}, SAFE, ["is a replica"], []),
        (FSYNC, {**VALKEY, "maxmemory_policy": "allkeys-lru"}, SAFE, ["allkeys-lru"], []),
        (FSYNC, VALKEY, {**SAFE, "maxmemory-policy": "volatile-ttl"}, ["volatile-ttl"], []),
        (FSYNC, VALKEY, {}, [], ["does not tell its configuration"]),
        (FSYNC, VALKEY, {**SAFE, "appendonly": "no"}, ["no append-only file"], []),
        (FSYNC, VALKEY, {**SAFE, "appendfsync": "everysec"}, ["appendfsync everysec"], []),
        (FSYNC, VALKEY, {**SAFE, "appendfsync": "no"}, ["appendfsync no"], []),
        (FSYNC, VALKEY, {**SAFE, "no-appendfsync-on-rewrite": "yes"}, ["drops syncs"], []),
        (MEMORY, VALKEY, {**SAFE, "no-appendfsync-on-rewrite": "yes"}, [], []),
        (MEMORY, VALKEY, SAFE, [], []),
        (MEMORY, VALKEY, {**SAFE, "appendfsync": "no"}, [], []),
        (MEMORY, VALKEY, {**SAFE, "appendfsync": "everysec"}, ["appendfsync everysec"], []),
        (MEMORY, VALKEY, {**SAFE, "appendonly": "no"}, ["no append-only file"], []),
        (RELAXED, VALKEY, {**SAFE, "appendonly": "no"}, [], ["may lose the last 2 s"]),
        (REPLICATED, {**VALKEY, "connected_slaves": 2}, SAFE, [], []),
        (REPLICATED, {**VALKEY, "connected_slaves": 1}, SAFE, ["1 replicas are connected"], []),
        (
            FSYNC,
            {**of_redis("6.0.0"), "role": "slave"},
            {**SAFE, "appendonly": "no"},
            ["too old", "is a replica", "no append-only file"],
            [],
        ),
    ],
)
def test_findings(
    settings: dict[str, Any],
    info: dict[str, Any],
    config: dict[str, str],
    fatal: list[str],
    unwise: list[str],
) -> None:
    """A promise that the server does not keep is fatal; what is only unwise is said."""
    found = findings(load(**settings), info, config)
    for expected, is_fatal in ((fatal, True), (unwise, False)):
        texts = [finding.text for finding in found if finding.fatal is is_fatal]
        assert len(expected) == len(texts), texts
        assert all(part in text for part, text in zip(expected, texts, strict=True)), texts
    assert all(finding.remedy for finding in found)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    ("options", "durability", "says"),
    [
        ((*ALWAYS, "--maxmemory-policy", "allkeys-lru"), Durability.FSYNC, "maxmemory-policy"),
        (("--appendonly", "yes"), Durability.FSYNC, "appendfsync everysec does not keep"),
        (("--appendonly", "yes"), Durability.MEMORY, "appendfsync everysec does not keep"),
        ((), Durability.MEMORY, "keeps no append-only file"),
        (ALWAYS, Durability.REPLICATED, "0 replicas are connected"),
        ((*ALWAYS, "--replicaof", "127.0.0.1 1"), Durability.FSYNC, "is a replica"),
        ((*ALWAYS, "--cluster-enabled", "yes"), Durability.FSYNC, "is a cluster"),
    ],
    ids=["policy", "fsync", "memory", "no log", "replicated", "replica", "cluster"],
)
async def test_a_server_that_does_not_keep_the_promise_is_refused(
    name: str, options: tuple[str, ...], durability: Durability, says: str, tmp_path: Path
) -> None:
    """The refusal names the finding and the remedy; nothing was written."""
    if "cluster" in says:
        ports = ("--port", str(free_port()), "--cluster-port", str(free_port()))
        options = (*options, *ports, "--bind", "127.0.0.1")
    with running(name, *options) as server:
        settings = load(data_dir=tmp_path, redis_url=server.url, durability=durability)
        with pytest.raises(UnsafeStore, match=says):
            await Store.open(settings)
        assert server.ask("DBSIZE") == 0


async def test_relaxed_is_taken_and_said(tmp_path: Path) -> None:
    """A cache without a log serves, with a warning that stays on the readiness."""
    with running("valkey") as server:
        settings = load(data_dir=tmp_path, redis_url=server.url, durability=Durability.RELAXED)
        store = await Store.open(settings)
        assert [text for text in store.warnings if "may lose the last 2 s" in text]
        await store.close()


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    """An address without a server is an outage, not a finding."""
    settings = load(data_dir=tmp_path, redis_url=f"unix://{tmp_path}/none")
    with pytest.raises(StoreUnavailable, match="not reachable") as raised:
        await Store.open(settings)
    assert raised.value.effect == "not_applied"


async def test_an_address_of_another_kind_is_named(tmp_path: Path) -> None:
    """The setting and the remedy are in the text."""
    with pytest.raises(ConfigurationError, match="HOLDFAST_REDIS_URL starts with 'http'"):
        await Store.open(load(data_dir=tmp_path, redis_url="http://127.0.0.1"))


async def test_a_password_that_is_wrong_is_named(tmp_path: Path) -> None:
    """Credentials are not an outage that waiting mends; the text says so."""
    with running("valkey") as server:
        server.ask("CONFIG", "SET", "requirepass", "secret")
        settings = load(data_dir=tmp_path, redis_url=f"unix://:wrong@{server.socket}")
        with pytest.raises(StoreUnavailable, match="credentials"):
            await Store.open(settings)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("layout", "1", "has layout 1, this version reads 3"), ("partitions", "4", "4 partitions")],
)
async def test_another_layout_is_refused(
    store: Store, settings: Settings, field: str, value: str, says: str
) -> None:
    """A store of another version or of several partitions is left as it is."""
    await store.client.hset(META, field, value)
    with pytest.raises(UnsafeStore, match=says):
        await Store.open(settings)


@pytest.mark.parametrize("name", PARTITION_KEYS)
async def test_a_foreign_key_in_our_place_is_refused(
    store: Store, settings: Settings, name: str
) -> None:
    """A key of another type means that the store is shared: nothing is overwritten."""
    await store.client.delete(key(0, name))
    await store.client.set(key(0, name), "x")
    with pytest.raises(UnsafeStore, match=f"{name} is a string"):
        await Store.open(settings)
    assert await store.client.get(key(0, name)) == "x"


async def test_a_moved_clock_is_refused_without_the_test_setting(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """A store whose clock was moved has wrong times: production never takes it."""
    plain = load(data_dir=tmp_path, redis_url=settings.redis_url, durability=settings.durability)
    unmoved = await Store.open(plain)
    await unmoved.close()
    await store.move_clock(advance_ms=1, freeze=None)
    with pytest.raises(UnsafeStore, match="moved by a test"):
        await Store.open(plain)
    again = await Store.open(settings)
    await again.close()


async def test_the_birth_of_a_store_is_written_once(store: Store, settings: Settings) -> None:
    """`hf:meta` keeps layout, partitions and when it all began."""
    meta = await store.client.hgetall(META)
    assert meta.keys() == {"partitions", "layout", "born_ms"}
    again = await Store.open(settings)
    await again.close()
    assert meta == await store.client.hgetall(META)


async def test_a_start_takes_the_deployments_breaker_policy(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Changed settings reach the scripts at the next start."""
    other = settings.model_copy(
        update={
            "breaker_threshold": 5,
            "breaker_window_seconds": 60,
            "breaker_cool_down_seconds": 7,
        }
    )
    opened = await Store.open(other)
    assert await store.client.hget(key(0, "breaker"), ".") == "5,60000,7000,0"
    await opened.close()


@pytest.mark.parametrize(("ahead", "expected"), [(0, 0), (60_000, 60_000)])
async def test_a_mark_ahead_of_the_servers_clock_is_measured(
    store: Store, ahead: int, expected: int
) -> None:
    """How far, to the moment of asking; a test clock is not judged."""
    seconds, microseconds = await store.client.time()
    now = seconds * 1000 + microseconds // 1000
    await store.client.hset(key(0, "clock"), "now", str(now + ahead))
    found = await checks.clock_ahead_ms(store.client)
    assert max(0, expected - 5_000) <= found <= expected
    await store.move_clock(advance_ms=90_000, freeze=None)
    assert await checks.clock_ahead_ms(store.client) == 0


async def test_a_server_that_hides_its_configuration_is_taken_with_a_warning(
    tmp_path: Path,
) -> None:
    """A managed store may refuse CONFIG: said, not fatal."""
    with running("valkey", *ALWAYS, "--rename-command", "CONFIG", "") as server:
        store = await Store.open(load(data_dir=tmp_path, redis_url=server.url))
        assert [text for text in store.warnings if "does not tell its configuration" in text]
        await store.close()


async def test_inspect_asks_for_what_findings_need(store: Store) -> None:
    """INFO and CONFIG of a real server hold every name that is judged."""
    client = store.client
    assert isinstance(client, redis.Redis)
    info, config = await checks.inspect(client)
    assert {"redis_version", "role", "maxmemory_policy", "connected_slaves"} <= info.keys()
    assert {"appendonly", "appendfsync", "maxmemory-policy"} <= config.keys()
    assert "no-appendfsync-on-rewrite" in config
