"""Which failed lock suspended a SKU: told on the board, found in the log or the archive."""

from __future__ import annotations

from datetime import datetime

import pytest

from reservation.engine import Engine
from reservation.store.store import Store
from tests.reservation.api.conftest import SKU, Caller

pytestmark = pytest.mark.usefixtures("agents")


async def suspend(tmall: Caller, ops: Caller) -> None:
    """Fail three times, the last time in two warehouses at once."""
    for warehouse, on_hand in (("main", 10), ("west", 3)):
        body = {"on_hand": on_hand, "warehouse": warehouse}
        await ops("PUT", f"/v1/stock/{SKU}", body)
    for number in range(2):
        assert (await tmall.reserve(f"tmall:{number}", (SKU, 99))).status_code == 409
    lines = [
        {"sku": SKU, "quantity": 12},
        {"sku": SKU, "warehouse": "west", "quantity": 9},
    ]
    body = {"reservation_id": "tmall:last", "lines": lines}
    assert (await tmall("POST", "/v1/reservations", body)).status_code == 409


FAILED = {
    "reservation_id": "tmall:last",
    "channel": "tmall",
    "warehouse": "west",
    "requested": 9,
    "available": 3,
}


async def test_the_board_tells_the_lock_that_opened_a_breaker(tmall: Caller, ops: Caller) -> None:
    """Of several lines the one that lacked most; of a trip by hand none."""
    await suspend(tmall, ops)
    state = (await ops("GET", "/v1/board")).json()
    assert [level["breaker"]["failed"] for level in state["levels"]] == [FAILED] * 2
    await ops("POST", f"/v1/skus/{SKU}/breaker/reset", {"reason": "checked"})
    await ops("POST", f"/v1/skus/{SKU}/breaker/trip", {"reason": "recall"})
    state = (await ops("GET", "/v1/board")).json()
    assert [level["breaker"]["failed"] for level in state["levels"]] == [None] * 2


async def test_the_archive_knows_what_the_log_has_dropped(
    tmall: Caller, ops: Caller, engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await suspend(tmall, ops)
    breaker = (await ops("GET", f"/v1/skus/{SKU}/breaker")).json()
    since_ms = round(datetime.fromisoformat(breaker["since"]).timestamp() * 1000)
    await ops("PUT", "/v1/stock/other", {"on_hand": 1})
    assert (await ops("GET", f"/v1/skus/{SKU}/ledger")).status_code == 200  # the archive has it
    trimming = store.settings.model_copy(update={"event_log_trim_bytes": 0})
    monkeypatch.setattr(store, "settings", trimming)
    await store.trim((await store.position())[1])
    assert len(await store.log.read("", count=100)) == 1
    found = await engine.history.opening(SKU, since_ms)
    assert found is not None
    assert (found.reservation_id, found.requested, found.available) == ("tmall:last", 9, 3)
    assert await engine.history.opening(SKU, since_ms - 1) is None
    assert await engine.history.opening("other", since_ms) is None


async def test_the_board_begins_with_the_last_events(tmall: Caller, ops: Caller) -> None:
    """Oldest first, the newest of them last, as in what changes."""
    await suspend(tmall, ops)
    tape = (await ops("GET", "/v1/board")).json()["tape"]
    told = [event["type"].removeprefix("io.holdfast.") for event in tape]
    assert told[-2:] == ["lock.failed", "breaker.opened"]
    assert len(told) <= 20
