"""Connections to the store and single script calls: what was sent, what came back, what is unknown.

redis-py never re-sends by itself: its retries are off. An error before the call left us, or one
that the server answered, is `not_applied`; a reply that never came is `unknown`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

import redis.asyncio as redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from reservation import metrics
from reservation.config import Durability, Settings
from reservation.errors import ConfigurationError, ScriptBug, StoreLoading, StoreUnavailable
from reservation.store.scripts import Script
from reservation.store.wire import Wire, packed

Client = Any  # redis.asyncio.Redis: its annotations mix bytes with str and sync with async

MAX_CONNECTIONS = 32  # a process has at most a few calls a verb in flight

# Answers of the server that mean: not executed, and it may be again soon.
_TEMPORARY = (
    "OOM",
    "READONLY",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
)
_REMEDY = {
    "OOM": "the store is out of memory: raise maxmemory or release reservations",
    "MISCONF": "the store cannot write to its disk",
    "NOREPLICAS": "the store has too few replicas connected",
    "READONLY": "the address is a replica: point HOLDFAST_REDIS_URL at the primary",
}


def connect(settings: Settings, url: str) -> Client:
    """Make the client: RESP3, no retries of its own, bounded connections, named time-outs.

    Raises ConfigurationError for an address of a kind that is not supported.
    """
    scheme = url.partition("://")[0]
    if scheme not in {"redis", "rediss", "unix"}:
        message = (
            f"HOLDFAST_REDIS_URL starts with {scheme!r}: give redis://, rediss:// or unix://; "
            "sentinel and cluster addresses are not supported yet"
        )
        raise ConfigurationError(message)
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=settings.request_timeout_ms / 1000,
            protocol=3,
            decode_responses=True,
            socket_connect_timeout=settings.connect_timeout_ms / 1000,
            socket_timeout=settings.request_timeout_ms / 1000,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            # With them on, the pool hands out connections that the server has closed.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
    except (ValueError, TypeError) as error:
        message = f"HOLDFAST_REDIS_URL: {error}"
        raise ConfigurationError(message) from error
    return redis.Redis.from_pool(pool)


def unavailable(error: Exception, *, sent: bool) -> StoreUnavailable | ScriptBug:
    """Name what an exception of the client library means for the call that it ended."""
    if isinstance(error, exceptions.BusyLoadingError):
        return StoreLoading()
    refused = (exceptions.AuthenticationError, exceptions.NoPermissionError)
    # While it connects, the library hides a refusal behind a ConnectionError.
    if isinstance(error, refused) or isinstance(error.__cause__, refused):
        return StoreUnavailable(f"the store refuses our credentials: {error}", effect="not_applied")
    if isinstance(error, exceptions.ResponseError):
        text = str(error)
        code = getattr(error, "status_code", None) or text.partition(" ")[0]
        if code == "LOADING":
            return StoreLoading()
        if code in _TEMPORARY:
            return StoreUnavailable(_REMEDY.get(code, text[:200]), effect="not_applied")
        return ScriptBug(text[:500])
    effect = "unknown" if sent else "not_applied"
    is_late = isinstance(error, TimeoutError | exceptions.TimeoutError)
    reason = "did not answer in time" if is_late else "is not reachable"
    detail = f"the store {reason} ({type(error).__name__})"
    return StoreUnavailable(detail, effect=effect)  # type: ignore[arg-type]


@contextmanager
def named_faults() -> Iterator[None]:
    """Name the faults of plain commands as ours; those we use may be repeated at will.

    Raises StoreUnavailable and ScriptBug.
    """
    try:
        yield
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        raise unavailable(error, sent=False) from error


class _Meter:
    """The series of one script, bound to its labels once."""

    __slots__ = ("answered", "failed", "seconds", "unknown")

    def __init__(self, script: str) -> None:
        calls = metrics.STORE_CALLS
        self.answered = calls.labels(verb=script, result="answered")
        self.failed = calls.labels(verb=script, result="failed")
        self.unknown = calls.labels(verb=script, result="unknown")
        self.seconds = metrics.STORE_CALL_SECONDS.labels(verb=script)


class Link:
    """Script calls on one server, each with a single attempt."""

    def __init__(self, client: Client, scripts: Mapping[str, Script], settings: Settings) -> None:
        self.client = client
        self._scripts = scripts
        self._heads: dict[tuple[str, int], tuple[Any, ...]] = {}
        self._open: set[Wire] = set()
        self._idle: list[Wire] = []
        self.in_use = 0  # connections, now
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self._timeout_seconds = settings.request_timeout_ms / 1000
        self._wait, self._answers = b"", 1  # what rides behind each call, how much is answered
        self._wait_replicas = settings.wait_replicas
        if settings.durability is Durability.REPLICATED:
            wait = ("WAIT", settings.wait_replicas, settings.wait_timeout_ms)
            self._wait, self._answers = packed(wait), 2
        self._meters = {name: _Meter(name) for name in scripts}

    async def load_scripts(self) -> None:
        """Load every script; the server keeps loaded ones until a restart or a flush."""
        with named_faults():
            for script in self._scripts.values():
                await self.client.script_load(script.source)

    async def call(self, name: str, partition: int, arguments: list[Any]) -> Any:
        """Call a script once; load it first where the server has forgotten it.

        Raises StoreUnavailable (not_applied or unknown) and ScriptBug.
        Cost: one round trip; with `replicated` the WAIT rides in the same one.
        """
        meter = self._meters[name]
        command = (*self._head(name, partition), *arguments)
        started = monotonic()
        try:
            reply = await self._call(command)
        except StoreUnavailable as error:
            (meter.unknown if error.effect == "unknown" else meter.failed).inc()
            raise
        meter.answered.inc()
        meter.seconds.observe(monotonic() - started)
        return reply

    def _head(self, name: str, partition: int) -> tuple[Any, ...]:
        """Name a script and its keys, as every call of it begins."""
        head = self._heads.get((name, partition))
        if head is None:
            script = self._scripts[name]
            keys = script.keys(partition)
            head = self._heads[name, partition] = ("EVALSHA", script.sha, len(keys), *keys)
        return head

    async def _call(self, command: tuple[Any, ...]) -> Any:
        try:
            return await self._exchange(command)
        except exceptions.NoScriptError:  # not executed: safe to load and send again
            metrics.SCRIPT_RELOADS.inc()
            await self.load_scripts()
            try:
                return await self._exchange(command)
            except exceptions.NoScriptError as error:
                detail = "the store forgets its scripts"
                raise StoreUnavailable(detail, effect="not_applied") from error

    async def _exchange(self, command: tuple[Any, ...]) -> Any:
        try:
            data = packed(command)
        except (UnicodeError, TypeError) as error:  # our caller's bug, and nothing was sent
            raise ScriptBug(f"an argument cannot be encoded: {error}") from error
        await self._wait_for_room()
        self.in_use += 1
        try:
            reply, *confirmed = await self._answered(data + self._wait)
        finally:
            self.in_use -= 1
            self._room.release()
        if isinstance(reply, exceptions.NoScriptError):
            raise reply
        if isinstance(reply, exceptions.RedisError):
            raise unavailable(reply, sent=True) from reply
        self._expect_replicas(confirmed)
        return reply

    async def _wait_for_room(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._room.acquire()
        except TimeoutError:
            detail = f"all {MAX_CONNECTIONS} connections to the store are busy"
            raise StoreUnavailable(detail, effect="not_applied") from None

    async def _answered(self, data: bytes) -> list[Any]:
        """Exchange commands for their answers on a connection that nobody else uses meanwhile."""
        wire = await self._wire()
        try:
            answers = await wire.exchange(
                data, self._answers, timeout_seconds=self._timeout_seconds
            )
        except (exceptions.RedisError, OSError) as error:
            metrics.STORE_RECONNECTS.inc()
            raise unavailable(error, sent=True) from error
        if not wire.lost:
            self._idle.append(wire)
        return answers

    async def _wire(self) -> Wire:
        """Take an idle connection that is not known to be lost, or make one."""
        while self._idle:
            wire = self._idle.pop()
            if not wire.lost:
                return wire
        try:
            with named_faults():
                wire = await Wire.open(self.client.connection_pool.make_connection())
        except StoreUnavailable:
            metrics.STORE_RECONNECTS.inc()
            raise
        self._open = {other for other in self._open if not other.ended.is_set()} | {wire}
        return wire

    def _expect_replicas(self, confirmed: list[Any]) -> None:
        """Judge the answer to WAIT, where one was asked for."""
        for replicas in confirmed:
            if isinstance(replicas, exceptions.RedisError):
                raise unavailable(replicas, sent=True) from replicas
            if replicas < self._wait_replicas:
                detail = f"only {replicas} of {self._wait_replicas} replicas have confirmed"
                raise StoreUnavailable(detail, effect="unknown")

    async def close(self) -> None:
        """Close every connection, and wait until each has ended."""
        await self.disconnect()
        await self.client.aclose()
        await self.client.connection_pool.disconnect()

    async def disconnect(self) -> None:
        """Close the connections for script calls; the next call makes new ones."""
        for wire in self._open:
            wire.close()
        for wire in self._open:
            await wire.ended.wait()
        self._open.clear()
