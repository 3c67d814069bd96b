"""Lists, ledger, proof and the stream of events, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from reservation.config import Settings
from reservation.events import history as history_module
from reservation.events.archivist import Archivist
from reservation.store.keys import key
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.api.conftest import SKU, Caller, slug
from tests.reservation.events.doings import LEVELS, Doings


@pytest.fixture
async def archived(store: Store, settings: Settings) -> AsyncIterator[None]:
    """Keep the archive in step."""
    stop = asyncio.Event()
    running = asyncio.create_task(Archivist(store, settings).run(stop))
    yield
    stop.set()
    await running


pytestmark = pytest.mark.usefixtures("archived")


@pytest.fixture
async def ledger(tmall: Caller, ops: Caller, stocked: int) -> list[dict[str, Any]]:
    """Read what happened to a SKU in a short life."""
    assert stocked
    assert (await tmall.reserve("tmall:1", (SKU, 4))).status_code == 201
    assert (await tmall.reserve("tmall:2", (SKU, 40))).status_code == 409
    assert (await tmall.move("tmall:1", "extend", ttl_seconds=60)).status_code == 200
    assert (await tmall.move("tmall:1", "confirm")).status_code == 200
    part = [{"sku": SKU, "quantity": 1}]
    assert (
        await ops("POST", "/v1/reservations/tmall:1/fulfil", {"fulfilment_id": "a", "lines": part})
    ).status_code == 200
    await ops("POST", "/v1/reservations/tmall:1/release", {"reason": "改主意"})
    body = {"delta": -2, "adjustment_id": "c-1", "reason": "broken"}
    await ops("POST", f"/v1/stock/{SKU}/adjust", body)
    await ops("POST", f"/v1/skus/{SKU}/breaker/trip", {"reason": "recall"})
    answer = await ops("GET", f"/v1/skus/{SKU}/ledger")
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def balances(event: dict[str, Any]) -> tuple[int, ...] | None:
    found = [one for one in event["data"]["balances"] if one["sku"] == SKU]
    names = ("on_hand", "held", "committed", "available")
    return tuple(found[0][name] for name in names) if found else None


async def test_the_ledger_has_every_event_with_the_balance_after_it(
    ledger: list[dict[str, Any]],
) -> None:
    told = [(event["type"].removeprefix("io.holdfast."), balances(event)) for event in ledger]
    assert told == [
        ("stock.changed", (10, 0, 0, 10)),
        ("reservation.held", (10, 4, 0, 6)),
        ("lock.failed", (10, 4, 0, 6)),
        ("reservation.extended", (10, 4, 0, 6)),
        ("reservation.confirmed", (10, 0, 4, 6)),
        ("reservation.fulfilled", (9, 0, 3, 6)),
        ("reservation.released", (9, 0, 0, 9)),
        ("stock.changed", (7, 0, 0, 7)),
        ("breaker.opened", None),
    ]


async def test_events_are_cloud_events(ledger: list[dict[str, Any]]) -> None:
    held, failed, part = ledger[1], ledger[2], ledger[5]
    assert held["specversion"] == "1.0"
    assert held["source"] == "/holdfast/p0000"
    assert held["subject"] == "tmall:1"
    data = held["data"]
    assert data["lines"] == [{"sku": SKU, "warehouse": "main", "quantity": 4}]
    assert (data["channel"], data["reservation_id"]) == ("tmall", "tmall:1")
    assert data["expires_at"] > held["time"]
    assert failed["subject"] == SKU
    assert failed["data"]["lines"] == [{"warehouse": "main", "requested": 40, "available": 6}]
    assert failed["data"]["reservation_id"] == "tmall:2"
    assert (part["data"]["part"], part["data"]["fulfilment_id"]) == (True, "a")
    released, adjusted, opened = ledger[6]["data"], ledger[7]["data"], ledger[8]["data"]
    assert (released["released_from"], released["reason"]) == ("confirmed", "改主意")
    assert (adjusted["delta"], adjusted["adjustment_id"]) == (-2, "c-1")
    assert opened["reason"] == "recall"
    assert opened["by"]


async def test_the_ledger_is_paged(ops: Caller, ledger: list[dict[str, Any]]) -> None:
    """Each page tells the same as the whole: also a balance that only an earlier page has told."""
    for limit in (1, 2, 4, len(ledger), 1_000):
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = (await ops("GET", f"/v1/skus/{SKU}/ledger?limit={limit}{after}")).json()
            found += page["items"]
            assert len(page["items"]) <= limit
            if page["next"] is None:
                break
            assert page["next"] == page["items"][-1]["id"]
            after = f"&after={page['next']}"
        assert found == ledger


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        (f"/v1/skus/{SKU}/ledger?after=1-2", 422, "invalid-request"),
        (f"/v1/skus/{SKU}/ledger?limit=0", 422, "invalid-request"),
        (f"/v1/skus/{SKU}/ledger?limit=1001", 422, "invalid-request"),
        ("/v1/skus/nowhere/ledger", 404, "sku-not-found"),
        ("/v1/skus/%20/ledger", 404, "sku-not-found"),
        ("/v1/skus/nowhere/proof", 404, "sku-not-found"),
        ("/v1/stock?after=%20", 422, "invalid-request"),
        ("/v1/stock?limit=x", 422, "invalid-request"),
        ("/v1/stock?sku=x", 422, "invalid-request"),
        ("/v1/reservations?state=gone", 422, "invalid-request"),
        ("/v1/reservations?channel=T", 422, "invalid-request"),
        ("/v1/reservations?after=tmall:99", 422, "invalid-request"),
        ("/v1/reservations?after=", 422, "invalid-request"),
        ("/v1/reservations?after=1769076000000.tmall", 422, "invalid-request"),
        ("/v1/reservations?after=-1.tmall:99", 422, "invalid-request"),
        ("/v1/reservations?after=%D9%A1.tmall:99", 422, "invalid-request"),
        ("/v1/events?after=1", 422, "invalid-request"),
    ],
)
@pytest.mark.usefixtures("stocked")
async def test_an_impossible_question_is_refused(
    ops: Caller, path: str, status: int, name: str
) -> None:
    answer = await ops("GET", path)
    assert (answer.status_code, slug(answer)) == (status, name)


@pytest.mark.parametrize("seed", range(4))
async def test_the_proof_holds_whatever_was_done(
    ops: Caller, store: Store, clock: Clock, seed: int
) -> None:
    doings = Doings(store, clock, seed)
    await doings.begin()
    for _ in range(4):
        await doings.some(40)
        for sku in sorted({sku for sku, _ in LEVELS}):
            proof = (await ops("GET", f"/v1/skus/{sku}/proof")).json()
            assert proof["agree"], proof
            for level in proof["warehouses"]:
                assert level["counters"] == level["history"]
                claims = {name: level["counters"][name] for name in ("held", "committed")}
                assert level["reservations"] == claims


async def test_the_proof_holds_while_work_goes_on(
    ops: Caller, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its three ways are read at different instants, and carried to one."""
    doings = Doings(store, clock, 7)
    await doings.begin()
    monkeypatch.setattr(history_module, "RECORDS_PER_READ", 3)
    call = store.call

    async def busy(script: str, arguments: list[Any], **options: Any) -> Any:
        reply = await call(script, arguments, **options)
        if script in {"read_reservations", "read_stock"}:
            monkeypatch.setattr(store, "call", call)
            await doings.some(5)
            monkeypatch.setattr(store, "call", busy)
        return reply

    await doings.some(60)
    for _ in range(5):
        monkeypatch.setattr(store, "call", busy)
        proof = (await ops("GET", "/v1/skus/CAT/proof")).json()
        monkeypatch.setattr(store, "call", call)
        assert proof["agree"], proof


async def test_the_proof_counts_who_is_reinstated_meanwhile(
    admin: Caller,
    ops: Caller,
    store: Store,
    clock: Clock,
    stocked: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It claimed nothing when the live reservations were named, and does when they are summed."""
    assert stocked
    await admin.reserve("tmall:1", (SKU, 4), ttl_seconds=60)
    await clock.advance(61)
    await admin.reserve("tmall:2", (SKU, 1))
    call = store.call

    async def busy(script: str, arguments: list[Any], **options: Any) -> Any:
        if script == "read_reservations" and len(arguments) > 1:
            await admin.move("tmall:1", "confirm", if_expired="reinstate")
        return await call(script, arguments, **options)

    monkeypatch.setattr(store, "call", busy)
    proof = (await ops("GET", f"/v1/skus/{SKU}/proof")).json()
    assert proof["agree"], proof
    assert proof["warehouses"][0]["reservations"] == {"held": 1, "committed": 4}


async def test_the_proof_counts_no_part_twice(
    admin: Caller, ops: Caller, store: Store, stocked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part leaves after the history was read and before the reservation is."""
    assert stocked
    await admin.reserve("tmall:1", (SKU, 9), confirm=True)
    call, parts = store.call, iter("abc")

    async def busy(script: str, arguments: list[Any], **options: Any) -> Any:
        if script == "read_reservations" and len(arguments) > 1:
            part = {"fulfilment_id": next(parts), "lines": [{"sku": SKU, "quantity": 2}]}
            await admin("POST", "/v1/reservations/tmall:1/fulfil", part)
        return await call(script, arguments, **options)

    monkeypatch.setattr(store, "call", busy)
    proof = (await ops("GET", f"/v1/skus/{SKU}/proof")).json()
    assert proof["agree"], proof
    assert proof["warehouses"][0]["reservations"] == {"held": 0, "committed": 7}


@pytest.mark.parametrize("counter", ["on_hand", "held", "committed"])
async def test_the_proof_finds_what_does_not_agree(
    tmall: Caller, ops: Caller, store: Store, stocked: int, counter: str
) -> None:
    assert stocked
    await tmall.reserve("tmall:1", (SKU, 2))
    await tmall.reserve("tmall:2", (SKU, 2), confirm=True)
    assert (await ops("GET", f"/v1/skus/{SKU}/proof")).json()["agree"]
    await store.client.hincrby(key(0, counter), f"{SKU}@main", 1)
    proof = (await ops("GET", f"/v1/skus/{SKU}/proof")).json()
    assert not proof["agree"]
    (level,) = proof["warehouses"]
    assert level["counters"][counter] == level["history"][counter] + 1


async def test_a_lost_reservation_is_found_by_the_proof(
    tmall: Caller, ops: Caller, store: Store, stocked: int
) -> None:
    assert stocked
    await tmall.reserve("tmall:1", (SKU, 2))
    await store.client.hdel(key(0, "reservations"), "tmall:1")
    proof = (await ops("GET", f"/v1/skus/{SKU}/proof")).json()
    assert not proof["agree"]
    assert proof["warehouses"][0]["reservations"] == {"held": 0, "committed": 0}
    assert proof["warehouses"][0]["history"]["held"] == 2


async def test_stock_is_listed_by_sku(ops: Caller) -> None:
    for name in ("b", "a", "猫", "B"):
        await ops("PUT", f"/v1/stock/{name}", {"on_hand": 1})
    await ops("PUT", "/v1/stock/a", {"on_hand": 2, "warehouse": "east"})
    whole = (await ops("GET", "/v1/stock")).json()
    assert [item["sku"] for item in whole["items"]] == ["B", "a", "b", "猫"]
    assert whole["next"] is None
    page = (await ops("GET", "/v1/stock?limit=2")).json()
    assert [item["sku"] for item in page["items"]] == ["B", "a"]
    assert page["next"] == "a"
    levels = (await ops("GET", "/v1/stock/a")).json()["warehouses"]
    assert page["items"][1]["warehouses"] == sorted(levels, key=lambda one: one["warehouse"])
    rest = (await ops("GET", f"/v1/stock?after={page['next']}&limit=2")).json()
    assert [item["sku"] for item in rest["items"]] == ["b", "猫"]


@pytest.mark.usefixtures("stocked")
async def test_reservations_are_listed_newest_first(
    tmall: Caller, admin: Caller, clock: Clock
) -> None:
    for name in ("tmall:1", "douyin:2", "tmall:3"):
        assert (await admin.reserve(name)).status_code == 201
    await admin.move("tmall:3", "confirm")

    async def listed(caller: Caller, query: str = "") -> list[str]:
        answer = await caller("GET", f"/v1/reservations{query}")
        assert answer.status_code == 200, answer.text
        return [item["reservation_id"] for item in answer.json()["items"]]

    assert await listed(admin) == ["tmall:3", "douyin:2", "tmall:1"]
    assert await listed(tmall) == ["tmall:3", "tmall:1"]
    assert await listed(tmall, "?channel=douyin") == []
    assert await listed(admin, "?channel=douyin") == ["douyin:2"]
    assert await listed(admin, "?state=held") == ["douyin:2", "tmall:1"]
    one = (await admin("GET", "/v1/reservations?limit=1")).json()
    assert await listed(admin, f"?limit=1&after={one['next']}") == ["douyin:2"]
    assert one["items"] == [(await admin("GET", "/v1/reservations/tmall:3")).json()]
    await clock.advance(1_800)
    assert await listed(admin, "?state=held") == []
    assert await listed(admin, "?state=expired") == ["douyin:2", "tmall:1"]


@pytest.mark.usefixtures("stocked")
async def test_who_may_read_history(
    tmall: Caller, viewer: Caller, ops: Caller, admin: Caller, nobody: Caller
) -> None:
    """The contract's role table."""
    asked = {
        "/v1/stock": (200, 200, 200, 200, 401),
        "/v1/reservations": (200, 200, 200, 200, 401),
        f"/v1/skus/{SKU}/ledger": (403, 200, 200, 200, 401),
        f"/v1/skus/{SKU}/proof": (403, 200, 200, 200, 401),
    }
    for path, expected in asked.items():
        callers = (tmall, viewer, ops, admin, nobody)
        found = tuple([(await caller("GET", path)).status_code for caller in callers])
        assert found == expected, path
    assert (await nobody("GET", "/v1/events")).status_code == 401


class TestWithoutAgents:
    """No archive, or one that comes late or does not come on."""

    @pytest.fixture
    def archived(self) -> None:
        """Run no archivist."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wait for no agents."""
        monkeypatch.setattr(history_module, "PATIENCE_SECONDS", 0.05)

    @pytest.mark.usefixtures("stocked")
    async def test_history_is_unavailable_and_all_else_works(
        self, ops: Caller, settings: Settings
    ) -> None:
        """The answer does not tell where on the machine the archive would be."""
        for path in (
            "/v1/stock",
            "/v1/reservations",
            f"/v1/skus/{SKU}/ledger",
            f"/v1/skus/{SKU}/proof",
        ):
            answer = await ops("GET", path)
            assert (answer.status_code, slug(answer)) == (503, "archive-unavailable")
            assert answer.headers["retry-after"] == "1"
            assert str(settings.data_dir) not in answer.text
        assert (await ops("GET", f"/v1/stock/{SKU}")).status_code == 200

    @pytest.mark.usefixtures("stocked")
    async def test_one_that_is_behind_says_how_far(
        self, ops: Caller, store: Store, settings: Settings, clock: Clock
    ) -> None:
        """Its answer would be older than the question."""
        archivist = Archivist(store, settings)
        await archivist.copy()
        assert (await ops("GET", "/v1/stock")).status_code == 200
        await clock.advance(7)
        await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 11})
        behind = await ops("GET", "/v1/stock")
        assert behind.status_code == 503
        assert "7.0 s behind" in behind.json()["detail"]
        archivist.close()

    @pytest.mark.parametrize("seed", range(3))
    async def test_the_proof_of_an_archive_that_came_late(
        self, ops: Caller, store: Store, settings: Settings, clock: Clock, seed: int
    ) -> None:
        """Its history begins with what the store had then."""
        doings = Doings(store, clock, seed)
        await doings.begin()
        await doings.some(60)
        store.settings = settings.model_copy(update={"event_log_trim_bytes": 0})
        await store.trim((await store.position())[1])
        archivist = Archivist(store, settings)
        for _ in range(3):
            await doings.some(30)
            for sku in sorted({sku for sku, _ in LEVELS}):
                await store.read_stock([sku])  # tell what the clock has done
                await archivist.copy()
                proof = (await ops("GET", f"/v1/skus/{sku}/proof")).json()
                assert proof["agree"], proof
        archivist.close()


class TestPlace:
    """Where a page begins, with an archive that is kept by hand."""

    @pytest.fixture
    def archived(self) -> None:
        """Run no archivist."""

    @pytest.fixture
    def archivist(self, store: Store, settings: Settings) -> Iterator[Archivist]:
        """Keep the archive when told to."""
        made = Archivist(store, settings)
        yield made
        made.close()

    @pytest.mark.usefixtures("stocked")
    async def test_a_page_goes_on_whatever_became_of_the_row_before_it(
        self, ops: Caller, admin: Caller, clock: Clock, settings: Settings, archivist: Archivist
    ) -> None:
        """It leaves the state that is listed, is forgotten, begins anew: none behind is missed."""
        for number in range(1, 6):
            assert (await admin.reserve(f"tmall:{number}")).status_code == 201
            await clock.advance(0.001)

        async def page(query: str) -> tuple[list[str], str | None]:
            await archivist.copy()
            answer = await ops("GET", f"/v1/reservations?limit=2{query}")
            assert answer.status_code == 200, answer.text
            found = answer.json()
            return [item["reservation_id"] for item in found["items"]], found["next"]

        first, place = await page("&state=held")
        assert first == ["tmall:5", "tmall:4"]
        await admin.move("tmall:4", "release")
        assert (await page(f"&state=held&after={place}"))[0] == ["tmall:3", "tmall:2"]
        for number in (1, 2, 3):  # what is confirmed is never forgotten
            await admin.move(f"tmall:{number}", "confirm")
        await clock.advance(settings.receipt_retention_seconds)
        await archivist.tidy()
        assert (await page(""))[0] == ["tmall:5", "tmall:3"]
        assert (await page(f"&after={place}"))[0] == ["tmall:3", "tmall:2"]
        assert (await admin.reserve("tmall:4")).status_code == 201
        assert (await page(""))[0] == ["tmall:4", "tmall:5"]
        assert (await page(f"&after={place}"))[0] == ["tmall:3", "tmall:2"]


async def test_a_cursor_does_not_tell_of_other_channels(
    ops: Caller, tmall: Caller, admin: Caller, clock: Clock
) -> None:
    """Another channel's order and one that never was are one place, also within the same ms."""
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 5})
    now_ms = await clock.freeze()
    for name in ("tmall:1", "douyin:7001", "tmall:2"):
        assert (await admin.reserve(name)).status_code == 201
    asked = [
        await tmall("GET", f"/v1/reservations?after={now_ms}.{order}")
        for order in ("douyin:7001", "douyin:7002", "tmall:2")
    ]
    listed = [[item["reservation_id"] for item in answer.json()["items"]] for answer in asked]
    assert listed == [["tmall:2", "tmall:1"], ["tmall:2", "tmall:1"], ["tmall:1"]]
    own = (await tmall("GET", "/v1/reservations?limit=1")).json()["next"]
    assert own == f"{now_ms}.tmall:2"
