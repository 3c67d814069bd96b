"""A store that is not there yet: refused until it is, and known to have been looked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ops.awaited import AwaitedStore
from reservation.config import Settings, load
from reservation.errors import StoreUnavailable


async def test_until_it_is_there_nothing_is_applied(tmp_path: Path) -> None:
    """The first look fails and is over; calls are refused, and say so."""
    store = AwaitedStore(load(data_dir=tmp_path))
    opening = asyncio.create_task(store.open_when_there())
    try:
        assert not store.looked.is_set()
        with pytest.raises(StoreUnavailable, match="has not been reached yet") as early:
            await store.read_stock(["CAT"])
        await asyncio.wait_for(store.looked.wait(), 5)
        with pytest.raises(StoreUnavailable, match="is not reachable") as late:
            await store.read_stock(["CAT"])
    finally:
        opening.cancel()
        await store.close()
    assert early.value.effect == late.value.effect == "not_applied"


async def test_when_it_was_looked_for_it_can_be_used(settings: Settings) -> None:
    """A worker that serves after the first look refuses nothing that another would serve."""
    store = AwaitedStore(settings)
    opening = asyncio.create_task(store.open_when_there())
    try:
        await asyncio.wait_for(store.looked.wait(), 5)
        (stock,) = await store.read_stock(["CAT"])
    finally:
        await opening
        await store.close()
    assert stock.levels == ()
