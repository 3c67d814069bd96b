"""Keys in the store: created, cached, revoked, and what holds while the store is away."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as redis

from reservation.errors import StoreUnavailable
from reservation.security import Role
from reservation.store import keyring as module
from reservation.store.keyring import CACHE_SECONDS, AmbiguousKey, Keyring, UnknownKey
from reservation.store.keys import API_KEYS, ENDED_SESSIONS
from reservation.store.store import Store

NOWHERE = "unix:///nonexistent/store.sock"


class Time:
    """A clock that the test moves, in seconds."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ring(store: Store, time: Time) -> Keyring:
    return Keyring(store.client, monotonic=time)


async def test_a_key_made_by_another_process_works_at_once(
    ring: Keyring, store: Store, time: Time
) -> None:
    assert await ring.authenticate("hf_aaaa_" + "0" * 64) is None
    record, token = await Keyring(store.client).create(Role.CHANNEL, channels=("tmall",))
    assert await ring.authenticate(token) == record


async def test_a_revoked_key_is_refused_at_the_latest_when_the_cache_ends(
    ring: Keyring, store: Store, time: Time
) -> None:
    _, token = await ring.create(Role.OPS)
    assert await ring.authenticate(token) is not None
    await Keyring(store.client).revoke("ops")
    time.now += CACHE_SECONDS + 0.001
    assert await ring.authenticate(token) is None


async def test_a_fresh_cache_costs_the_store_nothing(
    ring: Keyring, store: Store, time: Time
) -> None:
    _, token = await ring.create(Role.OPS)
    await ring.authenticate(token)
    before = (await store.client.info("commandstats"))["cmdstat_hgetall"]["calls"]
    for _ in range(100):
        assert await ring.authenticate(token) is not None
    stats = await store.client.info("commandstats")
    assert stats["cmdstat_hgetall"]["calls"] == before


async def test_a_busy_process_refreshes_without_waiting(ring: Keyring, time: Time) -> None:
    _, token = await ring.create(Role.OPS)
    await ring.authenticate(token)
    time.now += module.REFRESH_SECONDS + 0.1
    assert await ring.authenticate(token) is not None
    assert ring._refreshing is not None
    await ring._refreshing
    assert ring._age() == 0


async def test_a_flood_of_wrong_keys_is_bounded(ring: Keyring, store: Store, time: Time) -> None:
    await ring.authenticate("hf_aaaa_" + "0" * 64)
    before = (await store.client.info("commandstats"))["cmdstat_hget"]["calls"]
    for number in range(500):
        assert await ring.authenticate(f"hf_{number:04d}_" + "0" * 64) is None
    after = (await store.client.info("commandstats"))["cmdstat_hget"]["calls"]
    assert after - before <= module.MAX_LOOKUPS_PER_SECOND


async def test_without_the_store_known_keys_stay_valid_and_of_others_nobody_knows(
    ring: Keyring, time: Time
) -> None:
    _, token = await ring.create(Role.OPS)
    assert await ring.authenticate(token) is not None
    ring._client = redis.Redis.from_url(NOWHERE)
    time.now += 60
    assert await ring.authenticate(token) is not None
    with pytest.raises(StoreUnavailable) as raised:
        await ring.authenticate("hf_bbbb_" + "0" * 64)
    assert raised.value.effect == "not_applied"


async def test_without_the_store_and_without_a_cache_no_key_is_called_wrong(time: Time) -> None:
    ring = Keyring(redis.Redis.from_url(NOWHERE), monotonic=time)
    with pytest.raises(StoreUnavailable):
        await ring.authenticate("hf_aaaa_" + "0" * 64)


async def test_a_store_that_hangs_does_not_hold_up_who_is_known(
    ring: Keyring, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = await ring.create(Role.OPS)
    await ring.authenticate(token)
    hanging = asyncio.Event()

    class Hanging:
        async def hgetall(self, _key: str) -> None:
            """Never answer."""
            await hanging.wait()
            raise OSError

    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 0.01)
    ring._client = Hanging()  # type: ignore[assignment]
    time.now += 60
    assert await ring.authenticate(token) is not None
    hanging.set()
    await ring.close()


async def test_a_broken_record_opens_nothing_and_harms_no_other(
    ring: Keyring, store: Store
) -> None:
    _, token = await ring.create(Role.OPS)
    await store.client.hset(API_KEYS, "broken", "{")
    assert await Keyring(store.client).authenticate(token) is not None
    assert await ring.authenticate("hf_broken_" + "0" * 64) is None
    assert [key.name for key in await ring.list_keys()] == ["ops"]


async def test_a_cancelled_caller_does_not_stop_the_refresh(ring: Keyring) -> None:
    _, token = await ring.create(Role.OPS)
    waiting = asyncio.create_task(ring.authenticate(token))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await ring.authenticate(token) is not None


async def test_two_keys_of_one_name_are_valid_until_one_is_revoked_by_its_id(
    ring: Keyring,
) -> None:
    old, old_token = await ring.create(Role.CHANNEL, channels=("tmall",))
    new, new_token = await ring.create(Role.CHANNEL, channels=("tmall",))
    assert await ring.authenticate(old_token) == old
    assert await ring.authenticate(new_token) == new
    with pytest.raises(AmbiguousKey, match=new.key_id):
        await ring.revoke("tmall")
    await ring.revoke(old.key_id)
    assert await ring.authenticate(old_token) is None
    assert await ring.authenticate(new_token) == new
    assert (await ring.revoke("tmall")).key_id == new.key_id
    with pytest.raises(UnknownKey):
        await ring.revoke("tmall")


async def test_the_first_admin_key_is_seeded_once_and_never_after_its_revocation(
    ring: Keyring,
) -> None:
    token = "an-operators-own-key"
    assert await ring.ensure_admin(token)
    assert await ring.ensure_admin(token)
    record = await ring.authenticate(token)
    assert record is not None
    assert (record.role, record.name) == (Role.ADMIN, "admin")
    assert len(await ring.list_keys()) == 1
    await ring.revoke("admin")
    assert not await ring.ensure_admin(token)
    assert await ring.authenticate(token) is None
    assert await ring.ensure_admin("an-operators-next-key")


async def test_the_store_never_sees_a_key(ring: Keyring, store: Store) -> None:
    _, token = await ring.create(Role.OPS)
    await ring.ensure_admin("an-operators-own-key")
    kept = repr(await store.client.hgetall(API_KEYS))
    assert token.rpartition("_")[2] not in kept
    assert "an-operators-own-key" not in kept


async def test_a_session_that_was_signed_out_is_ended_everywhere_when_the_cache_ends(
    ring: Keyring, store: Store, time: Time
) -> None:
    key, _ = await ring.create(Role.OPS)
    other = Keyring(store.client, monotonic=time)
    assert await other.of_session(key.key_id, "aa") == key
    await ring.end_session(key.key_id, "aa", ends_at=2**40)
    assert await ring.of_session(key.key_id, "aa") is None
    assert await ring.of_session(key.key_id, "bb") == key
    time.now += CACHE_SECONDS + 0.001
    assert await other.of_session(key.key_id, "aa") is None
    await ring.revoke("ops")
    assert await ring.of_session(key.key_id, "bb") is None


async def test_a_refresh_under_way_does_not_bring_a_session_back(
    ring: Keyring, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have read the store before the session was signed out."""
    key, _ = await ring.create(Role.OPS)
    await ring.of_session(key.key_id, "aa")
    read, go_on = asyncio.Event(), asyncio.Event()
    fetch = ring._fetch_ended

    async def slow() -> frozenset[str]:
        found = await fetch()
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(ring, "_fetch_ended", slow)
    refresh = ring._refresh()
    await read.wait()
    await ring.end_session(key.key_id, "aa", ends_at=2**40)
    go_on.set()
    await refresh
    assert await ring.of_session(key.key_id, "aa") is None


async def test_ended_sessions_are_kept_until_their_end_and_bounded(
    ring: Keyring, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound those of the same key that end first are forgotten, no other key's."""
    monkeypatch.setattr(module, "MAX_ENDED_SESSIONS_OF_A_KEY", 3)
    await ring.end_session("admin", "copied", ends_at=2**40 - 1)
    for name, ends_at in (("past", 1), ("c", 2**40 + 3), ("a", 2**40), ("d", 2**40 + 4)):
        await ring.end_session("k", name, ends_at=ends_at)
    kept = ["admin:copied", "k:a", "k:c", "k:d"]
    assert await store.client.zrange(ENDED_SESSIONS, 0, -1) == kept
    await ring.end_session("k", "b", ends_at=2**40 + 2)
    kept[1] = "k:b"
    assert await store.client.zrange(ENDED_SESSIONS, 0, -1) == kept


async def test_who_cannot_ask_the_store_does_not_take_a_session_for_signed_in(
    ring: Keyring, time: Time
) -> None:
    key, _ = await ring.create(Role.OPS)
    ring._client = redis.Redis.from_url(NOWHERE)
    with pytest.raises(StoreUnavailable):
        await ring.of_session(key.key_id, "aa")


async def test_a_key_that_was_shown_is_at_hand_until_keys_are_read_again(
    ring: Keyring, time: Time
) -> None:
    """Nobody waits for a key that was found a moment ago; every change asks anew."""
    record, token = await ring.create(Role.VIEWER)
    shown = token.encode()
    assert ring.at_hand(shown) is None
    assert await ring.authenticate(token) == record
    assert ring.at_hand(shown) == record
    for other in (b"", shown[:-1], shown + b" ", shown.upper(), b"\xff"):
        assert ring.at_hand(other) is None
    time.now += module.REFRESH_SECONDS + 0.01
    assert ring.at_hand(shown) is None


async def test_a_revoked_key_is_not_at_hand(ring: Keyring) -> None:
    """Revoked here it is gone at once."""
    await ring.authenticate("hf_aaaa_" + "0" * 64)
    record, token = await ring.create(Role.VIEWER)
    await ring.authenticate(token)
    assert ring.at_hand(token.encode()) == record
    await ring.revoke(record.key_id)
    assert ring.at_hand(token.encode()) is None
    assert await ring.authenticate(token) is None
