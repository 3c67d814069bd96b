"""The role table of the contract, cell by cell, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reservation.api.conftest import SKU, Caller

pytestmark = pytest.mark.usefixtures("stocked")

LINES = [{"sku": SKU, "quantity": 1}]
ADJUSTMENT = {"delta": 1, "adjustment_id": "a", "reason": "count"}
WHY = {"reason": "recall"}
CSV = {"content-type": "text/csv"}
FILE = b"sku,warehouse,on_hand,safety_stock\nx,,1,\n"


def reserve(channel: str) -> tuple[str, str, Any]:
    return "POST", "/v1/reservations", {"reservation_id": f"{channel}:new", "lines": LINES}


def move(channel: str, verb: str) -> tuple[str, str, Any]:
    body = {"ttl_seconds": 60} if verb == "extend" else {}
    return "POST", f"/v1/reservations/{channel}:1/{verb}", body


# What is asked, and what channel (tmall), viewer, ops, admin and nobody get. `own` is tmall's.
# A fulfil of the held reservation is 409 for whoever may ask.
MATRIX: list[tuple[str, tuple[str, str, Any], tuple[int, int, int, int, int]]] = [
    ("reserve own", reserve("tmall"), (201, 403, 403, 201, 401)),
    ("reserve foreign", reserve("douyin"), (403, 403, 403, 201, 401)),
    ("confirm own", move("tmall", "confirm"), (200, 403, 403, 200, 401)),
    ("confirm foreign", move("douyin", "confirm"), (404, 403, 403, 200, 401)),
    ("release own", move("tmall", "release"), (200, 403, 200, 200, 401)),
    ("release foreign", move("douyin", "release"), (404, 403, 200, 200, 401)),
    ("extend own", move("tmall", "extend"), (200, 403, 403, 200, 401)),
    ("extend foreign", move("douyin", "extend"), (404, 403, 403, 200, 401)),
    ("fulfil own", move("tmall", "fulfil"), (409, 403, 409, 409, 401)),
    ("fulfil foreign", move("douyin", "fulfil"), (404, 403, 409, 409, 401)),
    ("read own", ("GET", "/v1/reservations/tmall:1", None), (200, 200, 200, 200, 401)),
    ("read foreign", ("GET", "/v1/reservations/douyin:1", None), (404, 200, 200, 200, 401)),
    (
        "batch",
        ("POST", "/v1/reservations/batch", {"operations": [{"op": "nothing"}]}),
        (200, 403, 200, 200, 401),
    ),
    ("read stock", ("GET", f"/v1/stock/{SKU}", None), (200, 200, 200, 200, 401)),
    ("availability", ("GET", f"/v1/availability?sku={SKU}", None), (200, 200, 200, 200, 401)),
    ("set stock", ("PUT", f"/v1/stock/{SKU}", {"on_hand": 10}), (403, 403, 200, 200, 401)),
    ("adjust stock", ("POST", f"/v1/stock/{SKU}/adjust", ADJUSTMENT), (403, 403, 200, 200, 401)),
    ("import stock", ("POST", "/v1/stock/import", FILE), (403, 403, 200, 200, 401)),
    ("read quotas", ("GET", f"/v1/stock/{SKU}/quotas", None), (403, 200, 200, 200, 401)),
    ("set quotas", ("PUT", f"/v1/stock/{SKU}/quotas", {"quotas": []}), (403, 403, 200, 200, 401)),
    ("read breaker", ("GET", f"/v1/skus/{SKU}/breaker", None), (200, 200, 200, 200, 401)),
    ("list breakers", ("GET", "/v1/breakers", None), (200, 200, 200, 200, 401)),
    ("trip", ("POST", f"/v1/skus/{SKU}/breaker/trip", WHY), (403, 403, 200, 200, 401)),
    ("reset", ("POST", f"/v1/skus/{SKU}/breaker/reset", WHY), (403, 403, 200, 200, 401)),
    ("set policy", ("PUT", f"/v1/skus/{SKU}/breaker/policy", {}), (403, 403, 200, 200, 401)),
    ("trip many", ("POST", "/v1/breakers/trip", {"skus": [SKU], **WHY}), (403, 403, 200, 200, 401)),
    (
        "reset many",
        ("POST", "/v1/breakers/reset", {"skus": [SKU], **WHY}),
        (403, 403, 200, 200, 401),
    ),
    ("test clock", ("POST", "/v1/test/clock", {"freeze": True}), (403, 403, 403, 200, 401)),
    ("alive", ("GET", "/healthz", None), (200, 200, 200, 200, 200)),
    ("ready", ("GET", "/readyz", None), (200, 200, 200, 200, 200)),
    ("metrics", ("GET", "/metrics", None), (200, 200, 200, 200, 200)),
    ("openapi", ("GET", "/openapi.json", None), (200, 200, 200, 200, 200)),
    ("docs", ("GET", "/docs", None), (200, 200, 200, 200, 200)),
    ("problem", ("GET", "/problems/forbidden", None), (200, 200, 200, 200, 200)),
]
WHO = ("tmall", "viewer", "ops", "admin", "nobody")
CELLS = [
    pytest.param(WHO[column], request, status, id=f"{WHO[column]} {what}")
    for what, request, row in MATRIX
    for column, status in enumerate(row)
]


@pytest.mark.parametrize(("who", "request_sent", "expected"), CELLS)
async def test_each_role_may_do_what_the_contract_says(
    tmall: Caller,
    viewer: Caller,
    ops: Caller,
    admin: Caller,
    nobody: Caller,
    *,
    who: str,
    request_sent: tuple[str, str, Any],
    expected: int,
) -> None:
    callers = dict(zip(WHO, (tmall, viewer, ops, admin, nobody), strict=True))
    for channel in ("tmall", "douyin"):
        await admin.reserve(f"{channel}:1")
    method, path, body = request_sent
    if isinstance(body, bytes):
        answer = await callers[who](method, path, content=body, headers=CSV)
    else:
        answer = await callers[who](method, path, body)
    assert answer.status_code == expected, answer.text


async def test_an_unknown_id_and_another_channels_look_alike(tmall: Caller, admin: Caller) -> None:
    await admin.reserve("douyin:1")
    foreign = (await tmall("GET", "/v1/reservations/douyin:1")).json()
    unknown = (await tmall("GET", "/v1/reservations/douyin:2")).json()
    for problem in (foreign, unknown):
        del problem["instance"]
    assert foreign["detail"].replace("douyin:1", "") == unknown["detail"].replace("douyin:2", "")
    assert foreign["type"] == unknown["type"]


async def test_a_revoked_key_opens_nothing(tmall: Caller, keyring: Any) -> None:
    assert (await tmall("GET", f"/v1/stock/{SKU}")).status_code == 200
    await keyring.revoke("tmall")
    assert (await tmall("GET", f"/v1/stock/{SKU}")).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {}x"])
async def test_only_a_bearer_key_counts(tmall: Caller, nobody: Caller, header: str) -> None:
    sent = {"authorization": header.format(tmall.token)}
    answer = await nobody("GET", f"/v1/stock/{SKU}", headers=sent)
    assert answer.status_code == 401


async def test_the_scheme_is_read_in_any_case(tmall: Caller, nobody: Caller) -> None:
    sent = {"authorization": f"bEARER {tmall.token}"}
    assert (await nobody("GET", f"/v1/stock/{SKU}", headers=sent)).status_code == 200
