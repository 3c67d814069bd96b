"""Locks in plain JSON, as docs/warehouses.md shows them."""

from __future__ import annotations

import json

import pytest

from partners.errors import PartnerFault
from partners.model import Response
from tests.wms_sync.qimen_house import NOW_MS
from tests.wms_sync.test_warehouses_guide import REST, blocks
from wms_sync.connector import TOO_MANY, UNSUPPORTED, Locks
from wms_sync.model import Lock, Locked

FIRST = Lock(code="tmall:2601220001@main", items=(("CATFOOD", 2),), until_ms=1_769_049_000_000)
SECOND = Lock(code="tmall:2601220002@main", items=(("CATFOOD", 1),), until_ms=1_769_049_000_000)


@pytest.fixture
def locks() -> Locks:
    """Those of a warehouse that speaks plain JSON."""
    assert REST.locks is not None
    return REST.locks


def test_locks_are_written_as_they_are_shown(locks: Locks) -> None:
    """Member by member."""
    (text,) = blocks("json locks")
    request = locks.lock([FIRST], NOW_MS)
    assert (request.method, request.url) == ("POST", "http://w/locks")
    assert json.loads(request.body) | {"owner": "OWNER"} == json.loads(text)


def test_the_answer_shown_is_read(locks: Locks) -> None:
    """One taken, one refused; of one that is not named nothing is known."""
    (text,) = blocks("json locked")
    third = Lock(code="tmall:3@main", items=(("A", 1),), until_ms=1)
    assert locks.read_locked(Response(200, text.encode()), [FIRST, SECOND, third]) == [
        Locked(code=FIRST.code, taken=True),
        Locked(code=SECOND.code, taken=False, reason="not enough", short=("CATFOOD",)),
    ]


def test_a_lock_is_ended_by_its_code_and_time(locks: Locks) -> None:
    """A later one under the same code is another call."""
    request = locks.unlock(FIRST, NOW_MS)
    assert request.url == "http://w/locks/tmall%3A2601220001%40main/end"
    later = Lock(code=FIRST.code, items=FIRST.items, until_ms=FIRST.until_ms + 1)
    assert request.headers["webhook-id"] != locks.unlock(later, NOW_MS).headers["webhook-id"]
    assert request.headers["webhook-id"] == locks.unlock(FIRST, NOW_MS).headers["webhook-id"]
    for status in (200, 204, 404):
        locks.read_unlocked(Response(status, b""))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, UNSUPPORTED),
        (405, UNSUPPORTED),
        (501, UNSUPPORTED),
        (429, TOO_MANY),
        (503, "http-503"),
        (200, "unreadable"),
    ],
)
def test_what_is_no_answer(locks: Locks, status: int, code: str) -> None:
    """It has none, or nobody knows."""
    with pytest.raises(PartnerFault) as fault:
        locks.read_locked(Response(status, b"<html>"), [FIRST])
    assert fault.value.code == code


def test_so_many_at_once(locks: Locks) -> None:
    """One to fifty."""
    for number in (0, 51):
        with pytest.raises(ValueError, match="1 to 50"):
            locks.lock([FIRST] * number, NOW_MS)
