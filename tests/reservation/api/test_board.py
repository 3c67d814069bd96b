"""The board's data over HTTP: all of it, what changes, and a SKU's timeline."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from reservation import metrics
from reservation.api import board
from reservation.engine import Engine
from reservation.events.archive import ArchiveReader
from reservation.store.log import RawEntry
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.api.conftest import SKU, Caller, slug
from tests.reservation.api.wire import serving
from tests.reservation.events.losing import kept, lose
from tests.waiting import happens

pytestmark = pytest.mark.usefixtures("agents")


async def busy(tmall: Caller, ops: Caller) -> None:
    """Hold, fail and trip."""
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    assert (await tmall.reserve("tmall:1", (SKU, 4))).status_code == 201
    assert (await tmall.reserve("tmall:2", (SKU, 9))).status_code == 409
    await ops("POST", f"/v1/skus/{SKU}/breaker/trip", {"reason": "recall"})


async def test_the_board_has_all_levels_with_health_and_breaker(tmall: Caller, ops: Caller) -> None:
    await ops("PUT", "/v1/stock/calm", {"on_hand": 10})
    await busy(tmall, ops)
    state = (await ops("GET", "/v1/board")).json()
    assert state["limits"] == {
        "at_risk_above": 0.3,
        "restored_below": 0.2,
        "dwell_seconds": 60,
        "base": "available",
    }
    worst, calm = state["levels"]
    assert (worst["sku"], worst["held"], worst["available"]) == (SKU, 4, 6)
    assert (worst["status"], worst["breaker"]["state"]) == ("at_risk", "open")
    assert (worst["breaker"]["reason"], worst["breaker"]["by"]) == ("recall", "ops")
    assert (calm["sku"], calm["breaker"], calm["exposure_weight"]) == ("calm", None, 1.0)
    today = state["figures"]["today"]
    assert (today["units:tmall"], today["orders:tmall"]) == (4, 1)
    assert (today["oversell_prevented"], today["failed_locks"], today["trips"]) == (3, 1, 1)


async def crossed(ops: Caller, times: int) -> None:
    """Wait until so many crossings of a limit have been told; each stands where it was told."""

    async def told() -> bool:
        events = (await ops("GET", f"/v1/skus/{SKU}/ledger")).json()["items"]
        return sum(event["type"].endswith("health.changed") for event in events) == times

    await happens(told)


async def test_a_timeline_has_points_and_marks(tmall: Caller, ops: Caller, clock: Clock) -> None:
    await busy(tmall, ops)
    await crossed(ops, 1)
    await clock.advance(1_000)
    await tmall.move("tmall:1", "release")
    await crossed(ops, 2)
    drawn = (await ops("GET", f"/v1/board/skus/{SKU}/timeline?minutes=60")).json()
    figures = [tuple(point[1:]) for point in drawn["points"]]
    assert figures == [(10, 4, 0, 6), (10, 0, 0, 10), (10, 0, 0, 10)]
    marks = [mark["what"] for mark in drawn["marks"]]
    assert [what for what in marks if what != "health"] == ["failed", "opened"]
    assert marks.count("health") == 2
    # Later only what was there before is known, and it is drawn from the edge on.
    await clock.advance(7_200)
    drawn = (await ops("GET", f"/v1/board/skus/{SKU}/timeline?minutes=60")).json()
    first, last = drawn["points"]
    assert (first[1:], last[0] - first[0]) == (last[1:], 3_600_000)
    assert first[1:] == [10, 0, 0, 10]


async def test_a_timeline_goes_on_from_where_one_was(
    tmall: Caller, ops: Caller, clock: Clock
) -> None:
    """Piece by piece it is the same as at once, each event in one piece only."""
    await busy(tmall, ops)
    await crossed(ops, 1)
    path = f"/v1/board/skus/{SKU}/timeline?minutes=60"
    first = (await ops("GET", path)).json()
    nothing = (await ops("GET", f"{path}&after={first['version']}")).json()
    assert nothing["marks"] == []
    assert {tuple(point[1:]) for point in nothing["points"]} == {(10, 4, 0, 6)}
    await clock.advance(1_000)
    await tmall.move("tmall:1", "release")
    assert (await tmall.reserve("tmall:3", (SKU, 99))).status_code == 409
    await ops("POST", f"/v1/skus/{SKU}/breaker/reset", {"reason": "checked"})
    await crossed(ops, 2)
    rest = (await ops("GET", f"{path}&after={first['version']}")).json()
    assert [tuple(point[1:]) for point in rest["points"]][-1] == (10, 0, 0, 10)
    whole = (await ops("GET", path)).json()
    assert first["marks"] + rest["marks"] == whole["marks"]
    assert "closed" in [mark["what"] for mark in rest["marks"]]


@pytest.mark.parametrize(
    "path", [f"/v1/board/skus/{SKU}/timeline", f"/v1/skus/{SKU}/proof", f"/v1/skus/{SKU}/ledger"]
)
async def test_what_takes_longer_than_the_request_may_is_given_up(
    ops: Caller, tmall: Caller, engine: Engine, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes at the deadline, and the thread that reads ends with it."""
    await busy(tmall, ops)
    assert (await ops("GET", path)).status_code == 200
    ended = threading.Event()

    def endless(archive: ArchiveReader, *_: Any, **__: Any) -> Iterator[RawEntry]:
        count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        try:
            for (number,) in archive._db.execute(count):
                yield f"{number}-0", {"e": "", "b": ""}
        finally:
            ended.set()

    monkeypatch.setattr(ArchiveReader, "entries_of", endless)
    monkeypatch.setattr(engine.history, "_seconds", 0.3)
    answer = await ops("GET", path)
    assert (answer.status_code, slug(answer)) == (503, "archive-unavailable")
    assert "deadline" in answer.json()["detail"]
    assert answer.json()["outcome"] == "not_applied"
    assert await asyncio.to_thread(ended.wait, 10)


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        (f"/v1/board/skus/{SKU}/timeline?after=1", 422, "invalid-request"),
        (f"/v1/board/skus/{SKU}/timeline?minutes=0", 422, "invalid-request"),
        (f"/v1/board/skus/{SKU}/timeline?minutes=1441", 422, "invalid-request"),
        ("/v1/board/skus/nowhere/timeline", 404, "sku-not-found"),
        ("/v1/board?x=1", 422, "invalid-request"),
        ("/v1/board/stream?x=1", 422, "invalid-request"),
    ],
)
async def test_an_impossible_question_is_refused(
    ops: Caller, path: str, status: int, name: str
) -> None:
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    answer = await ops("GET", path)
    assert (answer.status_code, slug(answer)) == (status, name)


async def test_a_channel_does_not_see_the_board(tmall: Caller, nobody: Caller) -> None:
    for path in ("/v1/board", "/v1/board/stream", f"/v1/board/skus/{SKU}/timeline"):
        assert (await tmall("GET", path)).status_code == 403
        assert (await nobody("GET", path)).status_code == 401


async def pieces(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    """Read the events of a stream."""
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("encoding", ["gzip", "br, gzip;q=0", "identity"])
async def test_a_stream_begins_with_all_and_goes_on_with_what_changes(
    app: FastAPI,
    engine: Engine,
    tmall: Caller,
    ops: Caller,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
) -> None:
    """Compressed for who takes it: each change can be read as soon as it is there."""
    monkeypatch.setattr(board, "TICK_SECONDS", 0.01)
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    await ops("PUT", "/v1/stock/calm", {"on_hand": 10})
    headers = {"authorization": f"Bearer {ops.token}", "accept-encoding": encoding}
    async with serving(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
            client.stream("GET", "/v1/board/stream") as answer,
        ):
            gzipped = "gzip" if encoding == "gzip" else None
            assert answer.headers.get("content-encoding") == gzipped
            told = pieces(answer.aiter_lines())
            name, state = await anext(told)
            assert (name, len(state["levels"])) == ("state", 2)
            await tmall.reserve("tmall:1", (SKU, 9))
            levels: dict[str, Any] = {}
            tape: list[Any] = []
            while (
                len(tape) < 2  # the hold, and the crossing that follows from it
            ):
                name, change = await anext(told)
                assert name == "change"
                levels.update({row["sku"]: row for row in change["levels"]})
                tape += change["tape"]
            assert levels.keys() == {SKU}
            assert (levels[SKU]["available"], levels[SKU]["status"]) == (1, "at_risk")
            assert [event["type"].removeprefix("io.holdfast.") for event in tape] == [
                "reservation.held",
                "health.changed",
            ]
            engine.feed.close()
            async with asyncio.timeout(5):
                async for _ in told:
                    pass


async def test_a_stream_ends_where_what_it_showed_was_lost(
    app: FastAPI, engine: Engine, store: Store, tmall: Caller, ops: Caller
) -> None:
    """Who looks connects again and gets all anew: a change alone would not take it back."""
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    past = await kept(store)
    headers = {"authorization": f"Bearer {ops.token}"}
    async with serving(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
            client.stream("GET", "/v1/board/stream") as answer,
        ):
            told = pieces(answer.aiter_lines())
            await anext(told)
            await tmall.reserve("tmall:1", (SKU, 9))
            while not (await anext(told))[1]["tape"]:
                pass
            await lose(store, past)
            async with asyncio.timeout(10):
                async for _ in told:
                    pass
        engine.feed.close()


async def test_a_timeline_knows_what_stood_still(ops: Caller, clock: Clock, tmall: Caller) -> None:
    """A warehouse in which nothing happened for long counts in every point."""
    for warehouse, units in (("east", 1_000), ("main", 500)):
        await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": units, "warehouse": warehouse})
    for number in range(60):
        await tmall.reserve(f"tmall:{number}", (SKU, 1))
    await clock.advance(7_200)
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 600, "warehouse": "main"})
    drawn = (await ops("GET", f"/v1/board/skus/{SKU}/timeline?minutes=60")).json()
    assert [point[1] for point in drawn["points"]] == [1_500, 1_600, 1_600]
    assert [point[2] for point in drawn["points"]][-1] == 0


def test_what_is_left_to_people_of_warehouses_is_one_figure() -> None:
    """Orders, reports that are dead or odd, SKUs that are short and drifts, each once."""
    left = [
        metrics.WAREHOUSE_ANOMALIES.labels(warehouse="north"),
        metrics.WAREHOUSE_REPORTS_OPEN.labels(warehouse="north", state="dead"),
        metrics.WAREHOUSE_REPORTS_OPEN.labels(warehouse="north", state="anomaly"),
        metrics.WAREHOUSE_SHORT_SKUS.labels(warehouse="north"),
        metrics.WAREHOUSE_FINDINGS.labels(warehouse="north", kind="drift"),
    ]
    others = [
        metrics.WAREHOUSE_REPORTS_OPEN.labels(warehouse="north", state="waiting"),
        metrics.WAREHOUSE_SHORTFALLS.labels(warehouse="north"),
        metrics.WAREHOUSE_FINDINGS.labels(warehouse="north", kind="shortfall"),
    ]
    before = board._sample().get("houses_amiss", 0)
    try:
        for place, gauge in enumerate(left):
            gauge.set(10**place)
        for gauge in others:
            gauge.set(9)
        assert board._sample()["houses_amiss"] == before + 11_111
    finally:
        for gauge in (*left, *others):
            gauge.set(0)
