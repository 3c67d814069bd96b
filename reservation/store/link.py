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


def _pack(connection: Any, command: tuple[Any, ...]) -> list[bytes]:
    """Encode a command; what cannot be encoded is our caller's bug, and nothing was sent."""
    try:
        packed: list[bytes] = connection.pack_command(*command)
    except (UnicodeError, exceptions.DataError) as error:
        raise ScriptBug(f"an argument cannot be encoded: {error}") from error
    return packed


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
        self._pool = client.connection_pool
        self._scripts = scripts
        self._wait: tuple[Any, ...] | None = None
        if settings.durability is Durability.REPLICATED:
            self._wait = ("WAIT", settings.wait_replicas, settings.wait_timeout_ms)
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
        script, meter = self._scripts[name], self._meters[name]
        keys = script.keys(partition)
        command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        started = monotonic()
        try:
            reply = await self._call(command)
        except StoreUnavailable as error:
            (meter.unknown if error.effect == "unknown" else meter.failed).inc()
            raise
        meter.answered.inc()
        meter.seconds.observe(monotonic() - started)
        return reply

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
        with named_faults():
            connection = await self._pool.get_connection()
        done = False
        try:
            packed = _pack(connection, command)
            if self._wait:
                packed += _pack(connection, self._wait)
            await connection.send_packed_command(packed, check_health=False)
            reply, replicas = await self._read(connection)
            done = True
        except exceptions.NoScriptError:
            done = True
            raise
        except exceptions.ResponseError as error:
            done = True
            raise unavailable(error, sent=True) from error
        except (exceptions.RedisError, OSError, TimeoutError) as error:
            raise unavailable(error, sent=True) from error
        finally:
            # A connection whose answer was not read to its end would give it to the next caller.
            if not done:
                await connection.disconnect(nowait=True)
            await asyncio.shield(self._pool.release(connection))
        if self._wait and replicas < self._wait[1]:
            detail = f"only {replicas} of {self._wait[1]} replicas have confirmed"
            raise StoreUnavailable(detail, effect="unknown")
        return reply

    async def _read(self, connection: Any) -> tuple[Any, int]:
        """Read the script's answer and, where asked for, how many replicas have it."""
        refusal: exceptions.ResponseError | None = None
        reply, replicas = None, 0
        try:
            reply = await connection.read_response()
        except exceptions.ResponseError as error:
            refusal = error
        if self._wait:
            replicas = await connection.read_response()
        if refusal is not None:
            raise refusal
        return reply, replicas
