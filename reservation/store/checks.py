"""What a store must be before we trust it with stock: version, durability, memory policy, layout.

`findings` is pure over what the server says of itself, so that `holdfast doctor` shows the same
verdicts as the start does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct
from redis import exceptions

from reservation.config import Durability, Settings
from reservation.errors import UnsafeStore
from reservation.model import BreakerPolicy
from reservation.store.keys import LAYOUT, META, PARTITION_KEYS, PARTITIONS, key
from reservation.store.link import Client, named_faults, unavailable
from reservation.store.records import pack_policy

if TYPE_CHECKING:
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

REDIS_FLOOR = (7, 0, 0)
VALKEY_FLOOR = (7, 2, 0)

# First releases without the known remote code executions, per line of development:
# CVE-2026-81934 and CVE-2025-49844 (reliability reference 2.6).
REDIS_SECURITY_FLOOR = {
    (7, 2): (7, 2, 16),
    (7, 4): (7, 4, 11),
    (8, 2): (8, 2, 9),
    (8, 4): (8, 4, 6),
    (8, 6): (8, 6, 6),
    (8, 8): (8, 8, 2),
    (8, 10): (8, 10, 1),
}
VALKEY_SECURITY_FLOOR = {(7, 2): (7, 2, 11), (8, 0): (8, 0, 7)}

MAX_CLOCK_AHEAD_MS = 5_000  # the clock mark may be so far ahead of the server's own clock


class Finding(Struct, frozen=True):
    """One thing that is wrong with a store, and how to mend it."""

    text: str
    remedy: str
    fatal: bool


def _version(text: str) -> tuple[int, int, int]:
    numbers = [int(part) for part in text.split(".")[:3] if part.isdigit()]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def _version_findings(info: Mapping[str, Any]) -> list[Finding]:
    is_valkey = "valkey_version" in info
    name = "Valkey" if is_valkey else "Redis"
    text = str(info["valkey_version" if is_valkey else "redis_version"])
    version = _version(text)
    floor = VALKEY_FLOOR if is_valkey else REDIS_FLOOR
    if version < floor:
        wanted = ".".join(map(str, floor))
        return [Finding(f"{name} {text} is too old", f"use {name} {wanted} or newer", fatal=True)]
    floors = VALKEY_SECURITY_FLOOR if is_valkey else REDIS_SECURITY_FLOOR
    secure = floors.get(version[:2])
    if secure and version < secure:
        wanted = ".".join(map(str, secure))
        remedy = f"upgrade to {name} {wanted} or a distribution's patched package"
        return [Finding(f"{name} {text} has known holes", remedy, fatal=False)]
    if not is_valkey and version[:2] == (7, 0):
        remedy = "make sure it is a distribution's patched package (Debian: 5:7.0.15-1~deb12u10)"
        return [Finding(f"Redis {text} is patched by distributions only", remedy, fatal=False)]
    return []


def _durability_findings(durability: Durability, config: Mapping[str, str]) -> list[Finding]:
    """Compare the level asked for with the server's append-only file."""
    appendonly = config.get("appendonly") == "yes"
    fsync = config.get("appendfsync", "")
    if durability is Durability.RELAXED:
        text = "durability is relaxed: a crash of the store may lose the last 2 s, then oversell"
        return [Finding(text, "set HOLDFAST_DURABILITY=fsync", fatal=False)]
    if not appendonly:
        remedy = "CONFIG SET appendonly yes, or ask for HOLDFAST_DURABILITY=relaxed"
        return [Finding("the store keeps no append-only file", remedy, fatal=True)]
    # `everysec` may hold a write back for 2 s behind a sync: a crash of the process loses it.
    kept_by = {"no", "always"} if durability is Durability.MEMORY else {"always"}
    if fsync not in kept_by:
        text = f"appendfsync {fsync} does not keep durability {durability.value}"
        remedy = f"CONFIG SET appendfsync {'no' if 'no' in kept_by else 'always'}"
        return [Finding(text, remedy, fatal=True)]
    if config.get("no-appendfsync-on-rewrite") == "yes" and durability is not Durability.MEMORY:
        text = "no-appendfsync-on-rewrite drops syncs during a rewrite"
        return [Finding(text, "CONFIG SET no-appendfsync-on-rewrite no", fatal=True)]
    return []


def findings(
    settings: Settings, info: Mapping[str, Any], config: Mapping[str, str]
) -> list[Finding]:
    """Judge a server by INFO and CONFIG; `config` may lack what the server does not tell."""
    found = _version_findings(info)
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled") == 1:
        remedy = "use a single primary; several partitions come with the scale-out step"
        found.append(Finding("the store is a cluster", remedy, fatal=True))
    if info.get("redis_mode") == "sentinel":
        found.append(
            Finding("the address is a sentinel", "give the primary's own address", fatal=True)
        )
    if info.get("role") in {"slave", "replica"}:
        found.append(
            Finding("the address is a replica", "point HOLDFAST_REDIS_URL at the primary", True)
        )
    policy = info.get("maxmemory_policy") or config.get("maxmemory-policy")
    if policy and policy != "noeviction":
        text = f"maxmemory-policy {policy} may throw reservations away"
        found.append(Finding(text, "CONFIG SET maxmemory-policy noeviction", fatal=True))
    if config:
        found += _durability_findings(settings.durability, config)
    else:
        remedy = "let the user run CONFIG GET, or make sure of appendonly and appendfsync"
        found.append(Finding("the store does not tell its configuration", remedy, fatal=False))
    if settings.durability is Durability.REPLICATED:
        replicas = int(info.get("connected_slaves", 0))
        if replicas < settings.wait_replicas:
            text = f"{replicas} replicas are connected, {settings.wait_replicas} are asked for"
            found.append(Finding(text, "connect replicas or lower HOLDFAST_WAIT_REPLICAS", True))
    return found


async def inspect(client: Client) -> tuple[dict[str, Any], dict[str, str]]:
    """Ask a server about itself; the configuration is empty where it refuses to tell."""
    info = await client.info()
    try:
        config = await client.config_get("append*", "maxmemory*", "no-appendfsync-on-rewrite")
    except exceptions.ResponseError:
        config = {}
    return info, config


async def check_server(client: Client, settings: Settings) -> tuple[str, ...]:
    """Refuse a server that cannot keep the promises; return what is merely unwise.

    Raises UnsafeStore and StoreUnavailable.
    """
    with named_faults():
        info, config = await inspect(client)
    if int(info.get("loading", 0)):
        detail = "the store is loading its data from disk"
        raise unavailable(exceptions.BusyLoadingError(detail), sent=False)
    found = findings(settings, info, config)
    for finding in found:
        if not finding.fatal:
            log.warning("store_check", finding=finding.text, remedy=finding.remedy)
    fatal = [finding for finding in found if finding.fatal]
    if fatal:
        raise UnsafeStore("; ".join(f"{item.text}: {item.remedy}" for item in fatal))
    return tuple(finding.text for finding in found)


async def claim_layout(client: Client) -> None:
    """Write the store's layout where it has none; refuse one that this version cannot read."""
    with named_faults():
        await client.hsetnx(META, "partitions", str(PARTITIONS))
        await client.hsetnx(META, "layout", str(LAYOUT))
        meta = await client.hgetall(META)
    if meta.get("layout") != str(LAYOUT):
        message = (
            f"the store has layout {meta.get('layout')}, this version reads {LAYOUT}: "
            "use the version that wrote it, or an empty store"
        )
        raise UnsafeStore(message)
    if meta.get("partitions") != str(PARTITIONS):
        message = (
            f"the store has {meta.get('partitions')} partitions, this version serves {PARTITIONS}"
        )
        raise UnsafeStore(message)


async def ensure_partition(
    store: Store, settings: Settings, partition: int = 0, *, adopt_policy: bool = True
) -> None:
    """Lay the fixed keys; refuse keys of a wrong type and a clock that was moved for a test."""
    with named_faults():
        async with store.client.pipeline(transaction=False) as pipeline:
            for name in PARTITION_KEYS:
                pipeline.type(key(partition, name))
            types = await pipeline.execute()
    for (name, wanted), found in zip(PARTITION_KEYS.items(), types, strict=True):
        if found not in {wanted, "none"}:
            message = f"{key(partition, name)} is a {found}, not a {wanted}: is the store shared?"
            raise UnsafeStore(message)
    policy = BreakerPolicy(
        settings.breaker_threshold,
        settings.breaker_window_seconds,
        settings.breaker_cool_down_seconds,
    )
    arguments = [pack_policy(policy), int(adopt_policy)]
    reply = await store.call("ensure_partition", arguments, partition=partition)
    with named_faults():
        await store.client.hsetnx(META, "born_ms", reply[0])
    if reply[2] == 1 and not settings.test_clock:
        message = (
            "the store's clock was moved by a test: its times are wrong. Use another store, or "
            "HOLDFAST_TEST_CLOCK=1 to go on testing"
        )
        raise UnsafeStore(message)


async def clock_ahead_ms(client: Client, partition: int = 0) -> int:
    """Say how far the clock mark is ahead of the server's clock, in ms; 0 with a test clock.

    Raises StoreUnavailable.
    """
    with named_faults():
        now, offset = await client.hmget(key(partition, "clock"), "now", "offset")
        seconds, microseconds = await client.time()
    if offset is not None or now is None:
        return 0
    return max(0, int(now) - (int(seconds) * 1000 + int(microseconds) // 1000))
