"""The log as who follows it is told."""

from __future__ import annotations

from typing import Any

from reservation.events.balances import steps
from reservation.events.cloud import cloud_event
from reservation.events.entries import read_entry
from reservation.store.store import Store


async def told_of(store: Store) -> list[dict[str, Any]]:
    """Write every event of the store's log as a CloudEvent, in order."""
    return [
        cloud_event(version, number, event, balances)
        for version, fields in await store.log.read("", count=100_000)
        for number, (event, balances) in enumerate(steps(read_entry(fields)), start=1)
    ]
