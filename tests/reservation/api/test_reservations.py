"""Reservations over HTTP: the contract's answers, member by member."""

from __future__ import annotations

import re

import pytest

from tests.reservation.api.conftest import SKU, Caller, slug

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
pytestmark = pytest.mark.usefixtures("clock", "stocked")


async def test_a_new_reservation_answers_201_with_the_contracts_members(tmall: Caller) -> None:
    answer = await tmall.reserve("tmall:1", (SKU, 2), ttl_seconds=60)
    assert answer.status_code == 201
    body = answer.json()
    assert "idempotent-replayed" not in answer.headers
    assert body == {
        "reservation_id": "tmall:1",
        "channel": "tmall",
        "state": "held",
        "lines": [{"sku": SKU, "warehouse": "main", "quantity": 2, "fulfilled": 0}],
        "created_at": body["created_at"],
        "expires_at": body["expires_at"],
    }
    assert TIME.fullmatch(body["created_at"])
    assert TIME.fullmatch(body["expires_at"])
    assert (await tmall("GET", "/v1/reservations/tmall:1")).json() == body
    assert (await tmall("GET", "/v1/reservations/tmall%3A1")).json() == body


async def test_the_same_lines_again_are_a_replay(tmall: Caller) -> None:
    first = await tmall.reserve("tmall:1", (SKU, 1), (SKU, 2))
    again = await tmall.reserve("tmall:1", (SKU, 3), ttl_seconds=5, confirm=True)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == first.json()


async def test_other_lines_under_a_known_id_are_refused(tmall: Caller) -> None:
    await tmall.reserve("tmall:1", (SKU, 1))
    answer = await tmall.reserve("tmall:1", (SKU, 2))
    assert (answer.status_code, slug(answer)) == (422, "idempotency-key-reused")


async def test_a_paid_order_is_confirmed_at_once(tmall: Caller) -> None:
    body = (await tmall.reserve("tmall:1", confirm=True)).json()
    assert (body["state"], body["expires_at"]) == ("confirmed", None)
    assert body["confirmed_at"] == body["created_at"]
    assert "ended_at" not in body


async def test_a_short_order_names_every_short_line_and_holds_none(
    tmall: Caller, ops: Caller
) -> None:
    await ops("PUT", "/v1/stock/other", {"on_hand": 1})
    answer = await tmall.reserve("tmall:1", (SKU, 11), ("other", 2))
    assert (answer.status_code, slug(answer)) == (409, "insufficient-stock")
    assert answer.json()["lines"] == [
        {"sku": SKU, "warehouse": "main", "requested": 11, "available": 10},
        {"sku": "other", "warehouse": "main", "requested": 2, "available": 1},
    ]
    assert "suspended" not in answer.json()
    assert (await tmall("GET", "/v1/reservations/tmall:1")).status_code == 404


async def test_the_third_failed_lock_suspends_the_sku_on_all_channels(
    tmall: Caller, admin: Caller
) -> None:
    for number in range(3):
        answer = await tmall.reserve(f"tmall:{number}", (SKU, 11))
    assert answer.json()["suspended"] == [SKU]
    refused = await admin.reserve("douyin:1", (SKU, 1))
    assert (refused.status_code, slug(refused)) == (409, "sku-suspended")
    assert "retry-after" not in refused.headers
    (suspension,) = refused.json()["skus"]
    assert suspension["sku"] == SKU
    assert suspension["retry_at"] is None
    assert TIME.fullmatch(suspension["since"])
    stock = (await admin("GET", f"/v1/stock/{SKU}")).json()
    assert stock["breaker"]["state"] == "open"


async def test_an_unknown_level_is_named(tmall: Caller) -> None:
    answer = await tmall.reserve("tmall:1", ("nowhere", 1))
    assert (answer.status_code, slug(answer)) == (422, "unknown-sku")
    assert answer.json()["skus"] == [{"sku": "nowhere", "warehouse": "main"}]


async def test_the_life_of_a_hold(tmall: Caller) -> None:
    await tmall.reserve("tmall:1", (SKU, 3))
    extended = await tmall.move("tmall:1", "extend", ttl_seconds=10)
    assert extended.status_code == 200
    confirmed = (await tmall.move("tmall:1", "confirm")).json()
    assert (confirmed["state"], confirmed["expires_at"]) == ("confirmed", None)
    lines = [{"sku": SKU, "quantity": 1}]
    part = await tmall.move("tmall:1", "fulfil", fulfilment_id="p1", lines=lines)
    assert part.json()["lines"][0]["fulfilled"] == 1
    again = await tmall.move("tmall:1", "fulfil", fulfilment_id="p1", lines=lines)
    assert again.headers["idempotent-replayed"] == "true"
    done = (await tmall.move("tmall:1", "fulfil")).json()
    assert done["state"] == "fulfilled"
    assert TIME.fullmatch(done["ended_at"])
    stock = (await tmall("GET", f"/v1/stock/{SKU}")).json()["warehouses"][0]
    assert (stock["on_hand"], stock["held"], stock["committed"]) == (7, 0, 0)


MOVES = [
    # made and moved by, then the refused verb with its body: slug and state
    ([], "fulfil", {}, "not-confirmed", "held"),
    (["confirm"], "extend", {"ttl_seconds": 1}, "already-confirmed", "confirmed"),
    (["release"], "confirm", {}, "reservation-released", "released"),
    (["release"], "extend", {"ttl_seconds": 1}, "reservation-released", "released"),
    (["release"], "fulfil", {}, "reservation-released", "released"),
    (["confirm", "fulfil"], "release", {}, "reservation-fulfilled", "fulfilled"),
    (["confirm", "fulfil"], "extend", {"ttl_seconds": 1}, "reservation-fulfilled", "fulfilled"),
    (
        ["confirm"],
        "fulfil",
        {"fulfilment_id": "p", "lines": [{"sku": SKU, "quantity": 2}]},
        "exceeds-reserved",
        "confirmed",
    ),
]


@pytest.mark.parametrize(("made", "verb", "body", "expected", "state"), MOVES)
async def test_an_impossible_move_is_409_and_names_the_state(
    tmall: Caller, *, made: list[str], verb: str, body: dict[str, object], expected: str, state: str
) -> None:
    await tmall.reserve("tmall:1")
    for step in made:
        assert (await tmall.move("tmall:1", step)).status_code == 200
    answer = await tmall.move("tmall:1", verb, **body)
    assert (answer.status_code, slug(answer)) == (409, expected)
    assert answer.json()["state"] == state


async def test_an_expired_hold_says_so_and_may_be_reinstated(tmall: Caller, admin: Caller) -> None:
    await tmall.reserve("tmall:1", ttl_seconds=60)
    moved = await admin("POST", "/v1/test/clock", {"advance_seconds": 60})
    assert moved.status_code == 200
    answer = await tmall.move("tmall:1", "confirm")
    assert (answer.status_code, slug(answer)) == (409, "reservation-expired")
    assert answer.json()["state"] == "expired"
    read = (await tmall("GET", "/v1/reservations/tmall:1")).json()
    assert (read["state"], read["expires_at"], read["ended_at"]) == (
        "expired",
        None,
        moved.json()["now"],
    )
    back = (await tmall.move("tmall:1", "confirm", if_expired="reinstate")).json()
    assert back["state"] == "confirmed"
    assert "ended_at" not in back


async def test_a_line_that_is_not_in_the_reservation_is_pointed_at(tmall: Caller) -> None:
    await tmall.reserve("tmall:1", (SKU, 1), confirm=True)
    lines = [
        {"sku": SKU, "quantity": 1},
        {"sku": "foreign", "quantity": 1},
        {"sku": SKU, "warehouse": "elsewhere", "quantity": 1},
    ]
    answer = await tmall.move("tmall:1", "fulfil", fulfilment_id="p", lines=lines)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/lines/1/sku",
        "/lines/2/sku",
    ]


async def test_the_hold_limit_is_told(tmall: Caller, admin: Caller) -> None:
    await tmall.reserve("tmall:1", ttl_seconds=86_400)
    for _ in range(6):
        await admin("POST", "/v1/test/clock", {"advance_seconds": 86_399})
        assert (await tmall.move("tmall:1", "extend", ttl_seconds=86_400)).status_code == 200
    await admin("POST", "/v1/test/clock", {"advance_seconds": 86_399})
    answer = await tmall.move("tmall:1", "extend", ttl_seconds=60)
    assert (answer.status_code, slug(answer)) == (409, "hold-limit-reached")
    assert answer.json()["state"] == "held"


@pytest.mark.parametrize("path_id", ["nonsense", "Tmall:1", "tmall:", "tmall:a%2Fb", "%ff", "%zz"])
async def test_an_impossible_id_in_a_path_is_not_found(tmall: Caller, path_id: str) -> None:
    read = await tmall("GET", f"/v1/reservations/{path_id}")
    assert (read.status_code, slug(read)) == (404, "reservation-not-found")
    moved = await tmall.move(path_id, "confirm")
    assert (moved.status_code, slug(moved)) == (404, "reservation-not-found")


async def test_an_empty_body_counts_as_an_empty_object(tmall: Caller) -> None:
    await tmall.reserve("tmall:1")
    answer = await tmall("POST", "/v1/reservations/tmall:1/confirm")
    assert answer.json()["state"] == "confirmed"
