"""Single script calls: what an error means for the call, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reservation.config import Durability, Settings, load
from reservation.errors import ConfigurationError, ScriptBug, StoreUnavailable
from reservation.model import Release, Reserve, SetStock
from reservation.status import Status
from reservation.store.link import connect
from reservation.store.store import Store
from tests.conftest import SERVERS
from tests.reservation.store.proxy import Proxy, proxied
from tests.reservation.store.server import Server, running

WEEK_MS = 604_800_000


def commit_one(number: int, sku: str = "CAT") -> list[Any]:
    """Write the arguments of a reserve that takes one unit at once."""
    return [WEEK_MS, 1 << 30, "|k|r", "0 1", f"tmall:{number}", f"1 {sku}@main"]


def through(proxy: Proxy, directory: Path, **settings: Any) -> Settings:
    """Make settings for a store behind a proxy."""
    values = {"durability": Durability.MEMORY, "test_clock": True, **settings}
    return load(data_dir=directory, redis_url=proxy.url, **values)


@pytest.fixture
async def far(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a store through the proxy, with a hundred cats in stock."""
    store = await Store.open(through(proxy, tmp_path))
    await store.set_stock([SetStock("CAT", "main", 100)], "k|r")
    proxy.script_calls = 0
    yield store
    await store.close()


async def _hears_the_end(store: Store) -> None:
    """Let the loop run until the idle connections have been told that they are closed."""
    idle = store.link._idle
    assert idle
    async with asyncio.timeout(5):
        while not all(wire.lost for wire in idle):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def committed(store: Store) -> int:
    """Count the units that have been taken."""
    return (await store.read_stock(["CAT"]))[0].levels[0].committed


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "out of memory"),
        ("LOADING Redis is loading the dataset in memory", "loading its data"),
        ("READONLY You can't write against a read only replica.", "the address is a replica"),
        ("BUSY Redis is busy running a script.", "busy running"),
        ("MISCONF Errors writing to the AOF file", "cannot write to its disk"),
        ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        ("MASTERDOWN Link with MASTER is down", "Link with MASTER"),
        ("CLUSTERDOWN The cluster is down", "The cluster is down"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "Multiple keys"),
        ("MOVED 3999 127.0.0.1:6381", "3999"),
        ("ASK 3999 127.0.0.1:6381", "3999"),
        ("NOAUTH Authentication required.", "credentials"),
        ("NOPERM this user has no permissions", "credentials"),
    ],
)
async def test_an_error_of_the_server_means_not_applied(
    far: Store, proxy: Proxy, reply: str, says: str
) -> None:
    """What the server answers with an error was not executed; it is sent once."""
    proxy.answers = [f"-{reply}\r\n".encode()]
    with pytest.raises(StoreUnavailable, match=says) as raised:
        await far.link.call("reserve", 0, commit_one(1))
    assert raised.value.effect == "not_applied"
    assert proxy.script_calls == 1
    assert await committed(far) == 0


@pytest.mark.parametrize(
    "reply", ["BADARG quantity", "WRONGTYPE Operation against a key", "ERR unknown command"]
)
async def test_an_error_that_no_repetition_mends_is_a_bug(
    far: Store, proxy: Proxy, reply: str
) -> None:
    """Arguments that a script refuses and keys of a wrong type are ours to mend."""
    proxy.answers = [f"-{reply}\r\n".encode()]
    with pytest.raises(ScriptBug, match=reply.partition(" ")[2]):
        await far.link.call("reserve", 0, commit_one(1))


async def test_a_lost_reply_is_unknown_and_has_one_effect(far: Store, proxy: Proxy) -> None:
    """The client library does not send again by itself: one call, one unit gone."""
    proxy.lose_replies = 1
    with pytest.raises(StoreUnavailable, match="is not reachable") as raised:
        await far.link.call("reserve", 0, commit_one(1))
    assert raised.value.effect == "unknown"
    assert proxy.script_calls == 1
    assert await committed(far) == 1


async def test_a_reply_that_does_not_come_in_time_is_unknown(proxy: Proxy, tmp_path: Path) -> None:
    """A time-out says so, and its late answer is never given to another call."""
    store = await Store.open(through(proxy, tmp_path, request_timeout_ms=500))
    await store.set_stock([SetStock("CAT", "main", 100)], "k|r")
    proxy.passing.clear()
    with pytest.raises(StoreUnavailable, match="did not answer in time") as raised:
        await store.link.call("reserve", 0, commit_one(1))
    assert raised.value.effect == "unknown"
    proxy.passing.set()
    reply = await store.link.call("read_stock", 0, ["CAT"])
    assert reply[3][1:] == ["main", "100", "0", "0", "1"]
    await store.close()


async def test_a_server_that_is_not_there_means_not_applied(far: Store, proxy: Proxy) -> None:
    """What could not be sent has no effect; when the server is back the same store works."""
    await proxy.stop()
    await _hears_the_end(far)
    with pytest.raises(StoreUnavailable, match="is not reachable") as raised:
        await far.link.call("reserve", 0, commit_one(1))
    assert raised.value.effect == "not_applied"
    await proxy.start()
    assert await committed(far) == 0


async def test_a_connection_closed_while_idle_costs_no_call(far: Store, proxy: Proxy) -> None:
    """A connection that the server has closed is noticed before it is used."""
    proxy.cut()
    await _hears_the_end(far)
    assert (await far.link.call("reserve", 0, commit_one(1)))[2] == Status.DONE


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_a_forgotten_script_is_loaded_and_sent_again(store: Store) -> None:
    """NOSCRIPT was not executed: twenty callers at once each find their one effect."""
    await store.set_stock([SetStock("CAT", "main", 100)], "k|r")
    await store.client.script_flush()
    replies = await asyncio.gather(
        *(store.link.call("reserve", 0, commit_one(number)) for number in range(20))
    )
    assert [reply[2] for reply in replies] == [Status.DONE] * 20
    assert await committed(store) == 20


async def test_a_server_that_forgets_again_and_again_is_unavailable(
    far: Store, proxy: Proxy
) -> None:
    """Loading is tried once a call; then the call is given up, not applied."""
    proxy.answers = [b"-NOSCRIPT No matching script.\r\n"] * 2
    with pytest.raises(StoreUnavailable, match="forgets its scripts") as raised:
        await far.link.call("reserve", 0, commit_one(1))
    assert raised.value.effect == "not_applied"


async def test_an_argument_that_is_no_text_is_a_bug_and_was_not_sent(
    far: Store, proxy: Proxy
) -> None:
    """A lone surrogate cannot be encoded; the connection stays in step."""
    with pytest.raises(ScriptBug, match="surrogates"):
        await far.link.call("release", 0, [WEEK_MS, "|k|r", "=\ud800", "tmall:1"])
    assert proxy.script_calls == 0
    assert await committed(far) == 0


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_cancelled_callers_leave_every_answer_with_its_own_call(store: Store) -> None:
    """300 calls cancelled at any moment: whoever stays reads the SKU that it asked for."""
    chance = random.Random(2026)
    skus = [f"S{number}" for number in range(40)]
    await store.set_stock([SetStock(sku, "main", n) for n, sku in enumerate(skus)], "k|r")

    async def ask(number: int) -> tuple[int, str]:
        reply = await store.link.call("read_stock", 0, [f"S{number}"])
        return number, reply[3][2]

    wrong = cancelled = 0
    while cancelled < 300:
        calls = [asyncio.create_task(ask(number)) for number in range(40)]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)  # so many turns of the loop
        for call in chance.sample(calls, 20):
            call.cancel()
        for found in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(found, asyncio.CancelledError):
                cancelled += 1
            else:
                wrong += found != (found[0], str(found[0]))  # type: ignore[index]
    assert wrong == 0
    assert store.link.in_use == 0


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "redis+sentinel://x", "cluster://x", "/var/redis.sock"]
)
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    """Sentinel and cluster addresses are named as not supported."""
    with pytest.raises(ConfigurationError, match="HOLDFAST_REDIS_URL"):
        connect(load(), url)


def test_a_malformed_address_is_refused() -> None:
    """The finding names the setting."""
    with pytest.raises(ConfigurationError, match="HOLDFAST_REDIS_URL"):
        connect(load(), "redis://127.0.0.1:port")


# Servers that cannot take a write.


@pytest.fixture(params=SERVERS)
def alone(request: pytest.FixtureRequest) -> Any:
    """Run a server of our own without any data."""
    with running(request.param, "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


async def opened(server: Server, directory: Path, **settings: Any) -> Store:
    """Open a store with ten cats, of which one is held as tmall:0."""
    values = {"data_dir": directory, "redis_url": server.url, **settings}
    store = await Store.open(load(**values))
    await store.set_stock([SetStock("CAT", "main", 10)], "k|r")
    await store.link.call("reserve", 0, commit_one(0))
    return store


async def test_without_memory_nothing_new_is_reserved_and_everything_else_goes_on(
    alone: Server, tmp_path: Path
) -> None:
    """OOM refuses reserve and stock writes; release frees, reads tell."""
    store = await opened(alone, tmp_path)
    alone.ask("CONFIG", "SET", "maxmemory", 1 << 20)
    for call in (
        store.run(Reserve, [Reserve("tmall:1", (), 1_000)], ["k|r"]),
        store.set_stock([SetStock("CAT", "main", 11)], "k|r"),
    ):
        with pytest.raises(StoreUnavailable, match="out of memory") as raised:
            await call
        assert raised.value.effect == "not_applied"
    released = await store.run(Release, [Release("tmall:0")], ["k|r"])
    assert [outcome.status for outcome in released] == [Status.DONE]
    assert await committed(store) == 0
    await store.close()


@pytest.mark.parametrize(
    ("refuse", "accept", "says"),
    [
        (("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE"), "the address is a replica"),
        (
            ("CONFIG", "SET", "min-replicas-to-write", 1),
            ("CONFIG", "SET", "min-replicas-to-write", 0),
            "too few replicas",
        ),
    ],
    ids=["READONLY", "NOREPLICAS"],
)
async def test_a_server_that_refuses_writes_has_applied_nothing(
    alone: Server,
    tmp_path: Path,
    refuse: tuple[str | int, ...],
    accept: tuple[str | int, ...],
    says: str,
) -> None:
    """A demoted primary, or one without its replicas: not applied, and fine again afterwards."""
    store = await opened(alone, tmp_path)
    alone.ask(*refuse)
    with pytest.raises(StoreUnavailable, match=says) as raised:
        await store.link.call("reserve", 0, commit_one(1))
    assert raised.value.effect == "not_applied"
    alone.ask(*accept)
    assert (await store.link.call("reserve", 0, commit_one(1)))[2] == Status.DONE
    await store.close()


@pytest.mark.parametrize("name", SERVERS)
async def test_an_answer_without_its_replica_is_unknown(name: str, tmp_path: Path) -> None:
    """WAIT rides with the call: a replica that does not hear of it leaves the outcome unknown."""
    log = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")
    with running(name, *log) as primary:
        async with proxied(primary.socket) as wire:
            with running(name, "--replicaof", f"127.0.0.1 {wire.port}") as replica:
                await _caught_up(replica)
                store = await opened(
                    primary, tmp_path, durability=Durability.REPLICATED, wait_timeout_ms=100
                )
                wire.passing.clear()
                with pytest.raises(StoreUnavailable, match="only 0 of 1 replicas") as raised:
                    await store.link.call("reserve", 0, commit_one(1))
                assert raised.value.effect == "unknown"
                refused = [WEEK_MS, "x"]
                with pytest.raises(ScriptBug, match="BADARG"):
                    await store.link.call("confirm", 0, refused)
                wire.passing.set()
                await _caught_up(replica)
                reply = await store.link.call("reserve", 0, commit_one(1))
                assert reply[2][0] == Status.REPLAYED
                found = replica.ask("HGET", "hf:{p0000}:committed", "CAT@main")
                assert found == "2"
                await store.close()


async def _caught_up(replica: Server) -> None:
    """Wait until the replica says that it follows its primary."""
    async with asyncio.timeout(20):
        while "'master_link_status': 'up'" not in str(replica.ask("INFO", "replication")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
