"""Holds the archive of a deployment against its store: each entry once, and the log bounded."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from reservation.errors import ArchiveUnavailable
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.balances import carry, steps
from reservation.events.entries import Balances, read_entry
from reservation.store.keys import key
from reservation.store.store import Store
from tests.chaos.deployment import Deployment, Stopwatch
from tests.waiting import POLL_SECONDS

IN_STEP_SECONDS = 20.0  # for the archive to have it all and the log to be trimmed, when work ends


async def check_archive(deployment: Deployment, *, log_bytes: int) -> int:
    """Wait until the archive has all, then compare; returns how many entries it has.

    The log in the store must come down to `log_bytes`. The balances after each event must follow
    from those before it, from the store's birth on: an entry that were missing, doubled or out of
    order would break them.
    """
    store = await Store.open(deployment.settings)
    path = archive_path(deployment.settings.data_dir)
    try:
        watch = Stopwatch()
        while True:
            _, version = await store.position()
            size = int(await store.client.hget(key(0, "clock"), "log_bytes"))
            position = _position(path)
            if position == version and size <= log_bytes:
                break
            assert watch.seconds < IN_STEP_SECONDS, (position, version, size)
            await asyncio.sleep(POLL_SECONDS)
        added = (await store.client.xinfo_stream(key(0, "events")))["entries-added"]
        with ArchiveReader(path) as archive:
            assert archive.since is None, "the archive has begun anew"
            entries = archive.entries((0, 0), 10_000_000)
        assert len(entries) == added
        _check_balances(entries)
    finally:
        await store.close()
    return len(entries)


def _position(path: Path) -> str | None:
    """Read how far an archive is; None where who was to make it was killed before it had."""
    with contextlib.suppress(ArchiveUnavailable), ArchiveReader(path) as archive:
        return archive.position
    return None


def _check_balances(entries: list[tuple[str, dict[str, str]]]) -> None:
    balances: Balances = {}
    for version, fields in entries:
        for event, after in steps(read_entry(fields)):
            carry(event, after, balances)
            for level, balance in after.items():
                assert balances[level] == balance, (version, event)
