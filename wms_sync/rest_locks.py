"""Locks in plain JSON: `POST {url}/locks`, fifty at once, and `POST {url}/locks/{code}/end`.

The format is ours: `docs/warehouses.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from msgspec import Struct

from partners.errors import PartnerFault
from reservation.times import rfc3339
from wms_sync.connector import UNSUPPORTED, Locks
from wms_sync.http_faults import http_fault
from wms_sync.model import Locked
from wms_sync.rest_answers import read_answer
from wms_sync.rest_messages import Code, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from partners.model import Request, Response
    from wms_sync.connector import Account
    from wms_sync.model import Lock

# No such path, or not with this method: a warehouse that has no locks answers so to each.
_NO_LOCKS: Final = frozenset({404, 405, 501})
_NO_SUCH_LOCK: Final = 404


class _Told(Struct, frozen=True):
    code: Code
    locked: bool
    reason: Text = ""
    short: list[Code] = []


class _Kept(Struct, frozen=True):
    locks: list[_Told]


class RestLocks(Locks):
    """The words of `docs/warehouses.md`. `post` writes a signed call of a path and a document."""

    batch_size = 50

    def __init__(
        self, account: Account, post: Callable[[str, Mapping[str, Any], int], Request]
    ) -> None:
        self._account = account
        self._post = post

    def lock(self, locks: Sequence[Lock], now_ms: int) -> Request:
        """Ask for all of them."""
        if not 0 < len(locks) <= self.batch_size:
            raise ValueError(f"{len(locks)} locks: 1 to {self.batch_size} at once")
        body = {
            "warehouse": self._account.code,
            "owner": self._account.owner,
            "locks": [
                {
                    "code": lock.code,
                    "valid_until": rfc3339(lock.until_ms),
                    "items": [{"sku": sku, "quantity": units} for sku, units in lock.items],
                }
                for lock in locks
            ],
        }
        return self._post("/locks", body, now_ms)

    def read_locked(self, response: Response, locks: Sequence[Lock]) -> Sequence[Locked]:
        """Read what became of each that the answer tells of."""
        if response.status in _NO_LOCKS:
            raise PartnerFault(UNSUPPORTED, f"it answers {response.status}", again=False)
        told = {one.code: one for one in read_answer(response, _Kept).locks}
        return [
            Locked(code=one.code, taken=one.locked, reason=one.reason, short=tuple(one.short))
            for lock in locks
            if (one := told.get(lock.code)) is not None
        ]

    def unlock(self, lock: Lock, now_ms: int) -> Request:
        """Ask that one ends: named by its time as well, that of a later one is another call."""
        body = {"valid_until": rfc3339(lock.until_ms)}
        return self._post(f"/locks/{quote(lock.code, safe='')}/end", body, now_ms)

    def read_unlocked(self, response: Response) -> None:
        """Take any 2xx for done, and that it is not there."""
        if not 200 <= response.status < 300 and response.status != _NO_SUCH_LOCK:
            raise http_fault(response)
