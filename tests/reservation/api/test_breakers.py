"""Breakers over HTTP: trip, reset and policy by hand, and what every channel is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from reservation.model import Origin
from reservation.times import rfc3339
from tests.conftest import Clock
from tests.reservation.api.conftest import SKU, Caller, slug

pytestmark = pytest.mark.usefixtures("stocked")
PATH = f"/v1/skus/{SKU}/breaker"
RECALL = {"reason": "recall of lot 7"}


async def fail(caller: Caller, number: int) -> Any:
    """Ask for more than there is."""
    return await caller.reserve(f"tmall:f{number}", (SKU, 9_999))


async def test_a_quiet_one_is_closed(viewer: Caller) -> None:
    answer = await viewer("GET", PATH)
    assert answer.status_code == 200
    assert answer.json() == {
        "sku": SKU,
        "state": "closed",
        "since": None,
        "reason": None,
        "by": None,
        "failures": 0,
        "retry_at": None,
        "policy": {
            "threshold": 3,
            "window_seconds": 300,
            "cool_down_seconds": 0,
            "exempt": False,
        },
    }


async def test_a_trip_suspends_on_every_channel_until_it_is_reset(
    ops: Caller, tmall: Caller, admin: Caller
) -> None:
    tripped = (await ops("POST", f"{PATH}/trip", RECALL)).json()
    assert (tripped["state"], tripped["reason"], tripped["by"]) == ("open", RECALL["reason"], "ops")
    assert tripped["retry_at"] is None
    for caller, reservation_id in ((tmall, "tmall:1"), (admin, "douyin:1")):
        refused = await caller.reserve(reservation_id)
        assert slug(refused) == "sku-suspended"
        assert refused.json()["skus"][0]["reason"] == RECALL["reason"]
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 5_000})
    assert (await ops("GET", PATH)).json()["state"] == "open"
    reset = (await ops("POST", f"{PATH}/reset", {"reason": "checked"})).json()
    assert (reset["state"], reset["since"], reset["by"], reset["reason"]) == (
        *("closed", None, None, None),
    )
    assert (await tmall.reserve("tmall:1")).status_code == 201


async def test_what_failures_have_suspended_can_be_reset(ops: Caller, tmall: Caller) -> None:
    for number in range(3):
        await fail(tmall, number)
    found = (await ops("GET", PATH)).json()
    assert (found["state"], found["failures"], found["reason"]) == ("open", 3, "failed locks")
    assert (await ops("POST", f"{PATH}/reset", RECALL)).json()["state"] == "closed"
    assert (await fail(tmall, 0)).json()["type"] == "/problems/insufficient-stock"


async def test_a_policy_of_its_own_counts_from_the_next_lock_on(ops: Caller, tmall: Caller) -> None:
    set_ = await ops("PUT", f"{PATH}/policy", {"threshold": 1, "cool_down_seconds": 60})
    assert set_.json()["policy"] == {
        "threshold": 1,
        "window_seconds": 300,
        "cool_down_seconds": 60,
        "exempt": False,
    }
    assert (await fail(tmall, 1)).json()["suspended"] == [SKU]
    refused = await fail(tmall, 2)
    assert (slug(refused), refused.headers["Retry-After"]) == ("sku-suspended", "60")
    freed = (await ops("PUT", f"{PATH}/policy", {"exempt": True})).json()
    assert (freed["state"], freed["policy"]["exempt"]) == ("closed", True)
    for number in range(5):
        assert slug(await fail(tmall, number)) == "insufficient-stock"


async def test_an_empty_policy_changes_nothing(ops: Caller) -> None:
    before = (await ops("GET", PATH)).json()
    assert (await ops("PUT", f"{PATH}/policy", {})).json() == before


async def test_many_at_once_all_or_none(ops: Caller) -> None:
    await ops("PUT", "/v1/stock/DOG", {"on_hand": 1})
    body = {"skus": [SKU, "DOG", SKU], **RECALL}
    answer = await ops("POST", "/v1/breakers/trip", body)
    assert [(item["sku"], item["state"]) for item in answer.json()["items"]] == [
        *((SKU, "open"), ("DOG", "open")),
    ]
    refused = await ops("POST", "/v1/breakers/reset", {"skus": ["DOG", "NOPE"], **RECALL})
    assert (refused.status_code, slug(refused)) == (404, "sku-not-found")
    assert "NOPE" in refused.json()["detail"]
    assert (await ops("GET", "/v1/skus/DOG/breaker")).json()["state"] == "open"
    answer = await ops("POST", "/v1/breakers/reset", {"skus": [SKU, "DOG"], **RECALL})
    assert [item["state"] for item in answer.json()["items"]] == ["closed", "closed"]


async def test_they_are_listed_by_sku_in_pages(ops: Caller, viewer: Caller) -> None:
    names = [f"S{number}" for number in range(5)]
    for name in names:
        await ops("PUT", f"/v1/stock/{name}", {"on_hand": 1})
    await ops("POST", "/v1/breakers/trip", {"skus": names, **RECALL})
    await ops("PUT", f"{PATH}/policy", {"threshold": 9})
    seen: list[str] = []
    after = ""
    while True:
        page = (await viewer("GET", f"/v1/breakers?state=open&limit=2{after}")).json()
        seen += [item["sku"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == names
    every = (await viewer("GET", "/v1/breakers")).json()
    assert [(item["sku"], item["state"]) for item in every["items"]] == [
        (SKU, "closed"),
        *((name, "open") for name in names),
    ]
    assert every["next"] is None
    assert (await viewer("GET", "/v1/breakers?state=half_open")).json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "pointers"),
    [
        ("POST", f"{PATH}/trip", {}, ["/reason"]),
        ("POST", f"{PATH}/trip", {"reason": ""}, ["/reason"]),
        ("POST", f"{PATH}/reset", {"reason": "x" * 201, "y": 1}, ["/reason", "/y"]),
        (
            "PUT",
            f"{PATH}/policy",
            {"threshold": 21, "window_seconds": 0, "cool_down_seconds": -1, "exempt": None},
            ["/threshold", "/window_seconds", "/cool_down_seconds", "/exempt"],
        ),
        ("POST", "/v1/breakers/trip", {"skus": [], **RECALL}, ["/skus"]),
        ("POST", "/v1/breakers/trip", {"skus": ["a"] * 101, **RECALL}, ["/skus"]),
        ("POST", "/v1/breakers/trip", {"skus": ["a", " "]}, ["/reason", "/skus/1"]),
        ("GET", "/v1/breakers?state=ajar&limit=0&after=", None, ["/state", "/limit", "/after"]),
        ("GET", "/v1/breakers?limit=1001", None, ["/limit"]),
        ("GET", "/v1/breakers?limit=%D9%A3", None, ["/limit"]),
        ("GET", "/v1/breakers?page=1", None, ["/page"]),
    ],
)
async def test_bad_input_names_every_fault(
    ops: Caller, method: str, path: str, body: Any, pointers: list[str]
) -> None:
    answer = await ops(method, path, body)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == sorted(pointers)


@pytest.mark.parametrize("sku", ["NOPE", "%20", ".", "%ff"])
@pytest.mark.parametrize("verb", ["", "/trip", "/reset", "/policy"])
async def test_a_sku_without_a_level_is_not_found(ops: Caller, sku: str, verb: str) -> None:
    method = {"": "GET", "/policy": "PUT"}.get(verb, "POST")
    body = None if not verb else {"threshold": 2} if verb == "/policy" else RECALL
    answer = await ops(method, f"/v1/skus/{sku}/breaker{verb}", body)
    assert answer.status_code == 404
    assert slug(answer) in {"sku-not-found", "not-found"}


async def test_a_lock_that_the_warehouse_rejects_counts(ops: Caller, engine: Any) -> None:
    """The engine's method for the warehouse side: once an id, for each SKU that is known."""
    who = Origin("wms", "request")
    for reservation_id in ("tmall:1", "tmall:1", "tmall:2"):
        await engine.breakers.reject_lock(reservation_id, [SKU, "NOPE"], who)
    assert (await ops("GET", PATH)).json()["failures"] == 2
    outcomes = await engine.breakers.reject_lock("tmall:3", [SKU, SKU], who)
    assert [(outcome.changed, outcome.breaker.state) for outcome in outcomes] == [(True, "open")]


async def test_a_cool_down_that_was_switched_off_does_not_double(
    ops: Caller, tmall: Caller, clock: Clock
) -> None:
    """0 is none: what fails on trial then stays closed until there is more stock, or a hand."""
    path = f"/v1/skus/{SKU}/breaker"
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 1})
    await ops("PUT", f"{path}/policy", {"cool_down_seconds": 60})
    for number in range(3):
        await tmall.reserve(f"tmall:{number}", (SKU, 5))
    await clock.advance(60)
    await ops("PUT", f"{path}/policy", {"cool_down_seconds": 0})
    await tmall.reserve("tmall:9", (SKU, 5))
    breaker = (await ops("GET", path)).json()
    assert (breaker["state"], breaker["retry_at"]) == ("open", None)


@pytest.mark.parametrize("later", [0, 30, 600])
@pytest.mark.parametrize("first", [0, 60])
async def test_a_cool_down_applies_from_the_next_opening_on(
    ops: Caller, tmall: Caller, clock: Clock, first: int, later: int
) -> None:
    """The one that is open keeps its `retry_at`, or stays without one; the document says so."""
    await ops("PUT", f"{PATH}/policy", {"cool_down_seconds": first})
    for number in range(3):
        await fail(tmall, number)
    opened = (await ops("GET", PATH)).json()
    assert (opened["state"], opened["retry_at"] is None) == ("open", first == 0)
    changed = (await ops("PUT", f"{PATH}/policy", {"cool_down_seconds": later})).json()
    assert changed["policy"]["cool_down_seconds"] == later
    assert changed["retry_at"] == opened["retry_at"]
    await clock.advance(first)
    assert (await ops("GET", PATH)).json()["state"] == ("half_open" if first else "open")
    await ops("POST", f"{PATH}/reset", RECALL)
    for number in range(3):
        await fail(tmall, number)
    again = (await ops("GET", PATH)).json()
    assert (again["state"], again["retry_at"] is None) == ("open", later == 0)
    told = (await ops("GET", "/openapi.json")).json()["paths"]["/v1/skus/{sku}/breaker/policy"]
    assert "from its next opening on" in told["put"]["description"]


@pytest.mark.parametrize(("later", "seconds"), [(30, 120), (600, 120), (0, None)])
async def test_on_trial_the_cool_down_that_it_had_is_doubled(
    ops: Caller, tmall: Caller, clock: Clock, later: int, seconds: int | None
) -> None:
    """Not the one that was set meanwhile; removed, there is none."""
    await ops("PUT", f"{PATH}/policy", {"cool_down_seconds": 60})
    for number in range(3):
        await fail(tmall, number)
    await ops("PUT", f"{PATH}/policy", {"cool_down_seconds": later})
    now_ms = await clock.advance(60)
    await fail(tmall, 9)
    retry_at = (await ops("GET", PATH)).json()["retry_at"]
    assert retry_at == (None if seconds is None else rfc3339(now_ms + 1_000 * seconds))
