"""The API keys, kept hashed in the store and cached by every process for at most 5 s.

A revoked key is refused everywhere within `CACHE_SECONDS`, a new one works at once. The same holds
for the sessions of browsers that were signed out: their ids are kept until they would have ended
anyway. While the store cannot be reached, keys that this process knows keep opening doors (what is
behind them answers 503 by itself), and of any other key nobody can say that it is wrong:
StoreUnavailable.
"""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from redis.exceptions import RedisError

from reservation import metrics
from reservation.errors import HoldfastError, StoreUnavailable
from reservation.security import ApiKey, Role, key_id_of, new_key, opens, record_of
from reservation.store.keys import API_KEYS, ENDED_SESSIONS
from reservation.store.link import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis.asyncio import Redis

CACHE_SECONDS: Final = 5.0
REFRESH_SECONDS: Final = 2.5  # half of it, so that a busy process never waits for a refresh
# A store that hangs must not hold up who is known: the request itself will meet its deadline.
MAX_WAIT_SECONDS: Final = 1.0

# An unknown key is looked up in the store by itself, so that a new one works at once; this bounds
# what a flood of wrong keys costs the store.
MAX_LOOKUPS_PER_SECOND: Final = 50
MAX_KEYS: Final = 10_000
# Who holds a key could sign in and out for ever. Beyond it those of the key that end first are
# forgotten: of that key alone, lest one key's sign-outs bring another's sessions back.
MAX_ENDED_SESSIONS_OF_A_KEY: Final = 1_000
# The clocks of the processes differ: who is behind must not find a session forgotten that it takes.
CLOCKS_DIFFER_SECONDS: Final = 60

log = structlog.get_logger(__name__)

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(ApiKey).decode


class UnknownKey(HoldfastError):
    """No active key has this id or name."""


class AmbiguousKey(HoldfastError):
    """Several active keys have this name; the text lists their ids."""


class TooManyKeys(HoldfastError):
    """The store holds `MAX_KEYS` records, revoked ones included."""


class Keyring:
    """Create, find, list and revoke keys. One per process; `monotonic` is its clock, in seconds."""

    def __init__(self, client: Redis, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._keys: Mapping[str, ApiKey] = {}
        self._shown_of: Mapping[str, ApiKey] = self._keys
        self._shown: dict[str, ApiKey] = {}
        self._ended: frozenset[str] = frozenset()  # sessions that were signed out
        self._read_at: float | None = None  # when the cache was last known to be true
        self._refreshing: asyncio.Task[None] | None = None
        self._failing = False  # the last refresh could not reach the store
        self._lookups_second = 0
        self._lookups = 0

    async def authenticate(self, token: str) -> ApiKey | None:
        """Find the active key behind `token`, or None.

        Raises StoreUnavailable where the store is needed to tell and cannot be reached.
        Cost: none while the cache is fresh, one read for a key that it does not have.
        """
        record = await self._find(key_id_of(token))
        if record is None or not opens(record, token):
            return None
        if self._keys.get(record.key_id) is record:
            self._opened()[record.sha256] = record
        return record

    def at_hand(self, token: bytes) -> ApiKey | None:
        """Find a key that was shown since the keys were last read; None where `authenticate` must.

        Digests are looked up, not keys: how long that takes tells nothing about a key.
        """
        return self.at_hand_by_digest(sha256(token).hexdigest())

    def at_hand_by_digest(self, digest: str) -> ApiKey | None:
        """Find a key as `at_hand` does, by its digest."""
        if self._age() > REFRESH_SECONDS:
            return None
        return self._opened().get(digest)

    async def active(self, key_id: str) -> ApiKey | None:
        """Find an active key by its id, for who has shown it before; else as `authenticate`."""
        record = await self._find(key_id)
        return record if record is not None and record.active else None

    async def of_session(self, key_id: str, session_id: str) -> ApiKey | None:
        """Find the active key of a session that was not signed out; else as `authenticate`."""
        key = await self.active(key_id)
        if self._read_at is None:
            detail = "whether the session was signed out cannot be told"
            raise StoreUnavailable(detail, effect="not_applied")
        return None if _ended_name(key_id, session_id) in self._ended else key

    async def end_session(self, key_id: str, session_id: str, *, ends_at: int) -> None:
        """Sign a session out for all processes; `ends_at` (s) is when it would end anyway.

        Other processes refuse it within `CACHE_SECONDS`, this one at once.
        Raises StoreUnavailable: then it may go on, and ending it again is safe.
        """
        name = _ended_name(key_id, session_id)
        over = _now_ms() // 1000 - CLOCKS_DIFFER_SECONDS
        try:
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.zadd(ENDED_SESSIONS, {name: ends_at})
                pipeline.zremrangebyscore(ENDED_SESSIONS, "-inf", over)
                pipeline.zrange(ENDED_SESSIONS, 0, -1)  # those that end first come first
                _, _, names = await pipeline.execute()
            of_this_key = [told for told in map(_text, names) if told.startswith(f"{key_id}:")]
            if surplus := of_this_key[:-MAX_ENDED_SESSIONS_OF_A_KEY]:
                await self._client.zrem(ENDED_SESSIONS, *surplus)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unreachable(error, sent=True) from error
        self._ended |= {name}

    async def _find(self, key_id: str) -> ApiKey | None:
        age = self._age()
        if age > REFRESH_SECONDS:
            refresh = self._refresh()
            if age > CACHE_SECONDS and not (self._failing and key_id in self._keys):
                await asyncio.wait({refresh}, timeout=MAX_WAIT_SECONDS)
        record = self._keys.get(key_id)
        if record is not None and record.active:
            return record
        if record is not None and self._age() <= CACHE_SECONDS:
            return None
        return await self._look_up(key_id)

    async def create(
        self, role: Role, *, channels: tuple[str, ...] = (), name: str = ""
    ) -> tuple[ApiKey, str]:
        """Make and store a key; returns its record and the text to hand to its holder, once.

        Raises ValueError for a name or channel of the wrong form, TooManyKeys, StoreUnavailable.
        """
        record, token = new_key(role, channels=channels, name=name, now_ms=_now_ms())
        await self._put(record)
        return record, token

    async def ensure_admin(self, token: str) -> bool:
        """Make `token` an admin key unless it is known already; False where it has been revoked.

        Keys seeded earlier stay valid until they are revoked, so a change can be rolled out with
        two valid at once. Raises ValueError for a key of the wrong form, StoreUnavailable.
        """
        record = record_of(token, Role.ADMIN, name="admin", now_ms=_now_ms())
        known = await self._fetch(record.key_id)
        if known is not None and known.sha256 == record.sha256 and known.role is Role.ADMIN:
            return known.active
        await self._put(record)
        return True

    async def list_keys(self) -> list[ApiKey]:
        """List all keys, revoked ones too, oldest first."""
        return sorted((await self._fetch_all()).values(), key=lambda key: key.created_at_ms)

    async def revoke(self, id_or_name: str) -> ApiKey:
        """Revoke the active key with this id, else the only active one with this name.

        Other processes refuse it within `CACHE_SECONDS`, this one at once.
        Raises UnknownKey, AmbiguousKey, StoreUnavailable.
        """
        active = {key_id: key for key_id, key in (await self._fetch_all()).items() if key.active}
        found = [active[id_or_name]] if id_or_name in active else []
        found = found or [key for key in active.values() if key.name == id_or_name]
        if not found:
            message = f"no active key has the id or name {id_or_name!r}: see 'holdfast keys list'"
            raise UnknownKey(message)
        if len(found) > 1:
            ids = ", ".join(sorted(key.key_id for key in found))
            message = f"{len(found)} active keys are named {id_or_name!r}: revoke by id ({ids})"
            raise AmbiguousKey(message)
        revoked = msgspec.structs.replace(found[0], revoked_at_ms=_now_ms())
        await self._put(revoked)
        return revoked

    async def close(self) -> None:
        """Let a refresh that is under way end."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    # -- cache -----------------------------------------------------------------------------------

    def _opened(self) -> dict[str, ApiKey]:
        """Keep the active keys that were shown, by digest, as long as nothing is known anew."""
        if self._shown_of is not self._keys:
            self._shown_of, self._shown = self._keys, {}
        return self._shown

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._monotonic() - self._read_at

    def _refresh(self) -> asyncio.Task[None]:
        """Read all keys anew, at most once at a time."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._read_all(), name="keyring refresh")
        return self._refreshing

    async def _read_all(self) -> None:
        asked_at, before = self._monotonic(), self._ended
        try:
            self._keys = await self._fetch_all()
            # What was signed out here meanwhile may not have been read.
            self._ended = await self._fetch_ended() | (self._ended - before)
        except StoreUnavailable as error:
            if not self._failing:
                log.warning("keys cannot be refreshed", cause=str(error))
            metrics.KEY_REFRESH_FAILURES.inc()
            self._failing = True
        else:
            self._read_at, self._failing = asked_at, False

    async def _look_up(self, key_id: str) -> ApiKey | None:
        second = int(self._monotonic())
        if second != self._lookups_second:
            self._lookups_second, self._lookups = second, 0
        if self._lookups >= MAX_LOOKUPS_PER_SECOND:
            if self._age() <= CACHE_SECONDS:
                return None
            detail = "too many unknown keys are being looked up"
            raise StoreUnavailable(detail, effect="not_applied")
        self._lookups += 1
        record = await self._fetch(key_id)
        if record is not None:
            self._keys = {**self._keys, key_id: record}
        return record

    # -- store -----------------------------------------------------------------------------------

    async def _fetch_all(self) -> dict[str, ApiKey]:
        try:
            fields = await self._client.hgetall(API_KEYS)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unreachable(error) from error
        records = ((_text(key_id), _record(value)) for key_id, value in fields.items())
        return {key_id: record for key_id, record in records if record is not None}

    async def _fetch_ended(self) -> frozenset[str]:
        try:
            ids: list[Any] = await self._client.zrange(ENDED_SESSIONS, 0, -1)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unreachable(error) from error
        return frozenset(map(_text, ids))

    async def _fetch(self, key_id: str) -> ApiKey | None:
        try:
            value = await self._client.hget(API_KEYS, key_id)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unreachable(error) from error
        return None if value is None else _record(value)

    async def _put(self, record: ApiKey) -> None:
        try:
            if await self._client.hlen(API_KEYS) >= MAX_KEYS and record.active:
                message = f"the store holds {MAX_KEYS} keys, revoked ones included"
                raise TooManyKeys(message)
            await self._client.hset(API_KEYS, record.key_id, _encode(record))
        except (RedisError, OSError, TimeoutError) as error:
            raise _unreachable(error, sent=True) from error
        self._keys = {**self._keys, record.key_id: record}


def _unreachable(error: Exception, *, sent: bool = False) -> StoreUnavailable:
    """Name a fault; a read has changed nothing, of a write that was sent nobody knows."""
    named = unavailable(error, sent=sent)
    if isinstance(named, StoreUnavailable):
        return named
    return StoreUnavailable("the store cannot read its keys", effect="not_applied")


def _record(value: str | bytes) -> ApiKey | None:
    """Read a record; one that was written by hand and is broken opens nothing."""
    try:
        return _decode(value)
    except msgspec.DecodeError as error:
        log.warning("a key's record is broken", cause=str(error))
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ended_name(key_id: str, session_id: str) -> str:
    return f"{key_id}:{session_id}"
