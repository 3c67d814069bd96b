"""Whose agents work on a store: noted, counted, and forgotten."""

from __future__ import annotations

import pytest

from reservation.store.attendance import FORGOTTEN_MS, GONE_MS, attend, leave, present
from reservation.store.keys import AGENTS
from reservation.store.store import Store
from tests.conftest import SERVERS


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_who_works_is_named_until_it_leaves_or_is_silent(store: Store) -> None:
    client = store.client
    assert await present(client) == []
    assert await attend(client, "d1", "web-1:/srv/a b") == ["web-1:/srv/a b"]
    assert await attend(client, "d1", "web-2:/mnt/a b") == ["web-2:/mnt/a b"]
    assert await attend(client, "d2", "web-3:/var") == ["web-2:/mnt/a b", "web-3:/var"]
    await leave(client, "d1")
    assert await present(client) == ["web-3:/var"]
    seconds, _ = await client.time()
    for age_ms, kept in ((GONE_MS, True), (FORGOTTEN_MS, False)):
        await client.hset(AGENTS, "d2", f"{int(seconds) * 1000 - age_ms} web-3:/var")
        assert await present(client) == []
        assert await client.hexists(AGENTS, "d2")  # to look changes nothing
        await attend(client, "d3", "web-4:/var")
        await leave(client, "d3")
        assert await client.hexists(AGENTS, "d2") is kept


async def test_a_note_of_another_form_is_none(store: Store) -> None:
    """Another build's, or a hand's: it ended sweeper, archivist, monitor and alerts, every time."""
    await store.client.hset(AGENTS, mapping={"d1": "v2 12345 host", "d2": "", "d3": "١٢ host"})
    assert await present(store.client) == []
    assert await attend(store.client, "d4", "web-1:/var") == ["web-1:/var"]
