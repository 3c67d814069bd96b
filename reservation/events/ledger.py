"""A page of a SKU's ledger: each event with the balances after it, wherever the page begins."""

from __future__ import annotations

from typing import Any

from reservation.events.archive import ArchiveReader
from reservation.events.balances import steps
from reservation.events.cloud import cloud_event
from reservation.events.entries import (
    Balance,
    Balances,
    LoggedEvent,
    levels_of,
    read_entry,
    skus_of,
)
from reservation.model import split_level_key
from reservation.store.positions import Version, version_key

EventId = tuple[int, int, int]

_FROM_THE_START = (0, 0)


def ledger_page(
    archive: ArchiveReader, sku: str, after: EventId | None, limit: int
) -> list[dict[str, Any]]:
    """Read a page of a SKU's ledger.

    What an entry does not say of a balance of this SKU is carried along, and looked for before the
    page where nothing in the page has told it; other SKUs' balances are told where they changed.
    """
    carried = _Carried(archive, sku)
    found: list[dict[str, Any]] = []
    start = _FROM_THE_START if after is None else after[:2]
    for version, fields in archive.entries_of(sku, after=start):
        position = version_key(version)
        carried.come_to(position)
        for number, (event, told) in enumerate(steps(read_entry(fields)), start=1):
            if sku not in skus_of(event):
                continue
            named = carried.over(event, told)
            if after is not None and (*position, number) <= after:
                continue
            found.append(cloud_event(version, number, event, named))
            if len(found) == limit:
                return found
    return found


class _Carried:
    """The balances of a SKU's levels along its ledger; None: not known."""

    def __init__(self, archive: ArchiveReader, sku: str) -> None:
        self._archive = archive
        self._sku = sku
        self._beginnings = archive.beginnings
        self._balances: dict[str, Balance | None] = {}
        self._position = _FROM_THE_START

    def come_to(self, position: Version) -> None:
        """Begin with the entry at a position."""
        if any(self._position < beginning <= position for beginning in self._beginnings):
            self._balances = {}  # what came before it is not known
        self._position = position

    def over(self, event: LoggedEvent, told: Balances) -> Balances:
        """Say what is known after an event; `told` is what its entry says."""
        self._balances.update(told)
        named = dict(told)
        for level in levels_of(event) - told.keys():
            if split_level_key(level)[0] == self._sku:
                if level not in self._balances:
                    self._balances[level] = self._look_back(level)
                if (balance := self._balances[level]) is not None:
                    named[level] = balance
        return dict(sorted(named.items()))

    def _look_back(self, level: str) -> Balance | None:
        """Look no further than the gap before it; only the last beginning has its baseline kept."""
        passed = [beginning for beginning in self._beginnings if beginning <= self._position]
        since = passed[-1] if passed else _FROM_THE_START
        found = self._archive.balance_before(level, self._position, since=since)
        if found is None and passed == self._beginnings:
            return self._archive.baseline(self._sku).get(level)
        return found
