"""The order in which a request is judged (contract section 4), and who may do what (section 3)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.keyring import Keyring
from tests.reservation.api.conftest import SKU, Caller, slug

pytestmark = pytest.mark.usefixtures("stocked")

LIMIT = 2_000
TOO_LARGE = b" " * (LIMIT + 1)
PATH = "/v1/reservations"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Small bodies and a rate of one request a second, so that each step can be reached."""
    return settings.model_copy(update={"max_body_bytes": LIMIT, "rate_limit_per_second": 1.0})


@pytest.fixture
def app(engine: Engine, keyring: Keyring, settings: Settings) -> FastAPI:
    """Make the application with the rate limit of the test."""
    return create_app(engine, keyring, settings)


def body(reservation_id: str = "tmall:1", sku: str = SKU, quantity: int = 1) -> dict[str, Any]:
    return {"reservation_id": reservation_id, "lines": [{"sku": sku, "quantity": quantity}]}


STEPS = [
    ("unauthenticated", 401),
    ("forbidden", 403),  # by its role
    ("too-many-requests", 429),
    ("request-too-large", 413),
    ("malformed-request", 400),
    ("invalid-request", 422),
    ("forbidden", 403),  # by its channel
    ("unknown-sku", 422),
    ("sku-suspended", 409),
    ("channel-quota-exceeded", 409),
    ("insufficient-stock", 409),
]


async def test_the_steps_come_in_the_contracts_order(
    nobody: Caller, viewer: Caller, tmall: Caller, admin: Caller, app: FastAPI
) -> None:
    """A request with several faults is refused for the first; mending it uncovers the next."""
    html = {"content-type": "text/html"}
    seen = []

    async def ask(caller: Caller, **request: Any) -> None:
        answer = await caller("POST", PATH, **request)
        seen.append((slug(answer), answer.status_code))

    def refill(app: FastAPI) -> None:
        for route in app.routes:
            gate = route.app._gate  # type: ignore[attr-defined]
            gate._rate._buckets.clear()

    await ask(nobody, content=TOO_LARGE, headers=html)
    for caller in (viewer, tmall):
        for _ in range(2):
            await caller("GET", f"/v1/stock/{SKU}")
    await ask(viewer, content=TOO_LARGE, headers=html)
    await ask(tmall, content=TOO_LARGE, headers=html)
    refill(app)
    await ask(tmall, content=TOO_LARGE, headers=html)
    refill(app)
    await ask(tmall, body=body("douyin:1", sku=""), headers=html)
    refill(app)
    await ask(tmall, body=body("douyin:1", sku=""))
    refill(app)
    await ask(tmall, body=body("douyin:1", sku="nowhere", quantity=9_999))
    refill(app)
    await ask(tmall, body=body("tmall:1", sku="nowhere", quantity=9_999))
    for number in range(3):
        refill(app)
        await admin.reserve(f"douyin:{number}", (SKU, 9_999))
    refill(app)
    await ask(tmall, body=body(quantity=9_999))
    refill(app)
    await admin("PUT", f"/v1/stock/{SKU}-2", {"on_hand": 1})
    refill(app)
    quotas = {"quotas": [{"channel": "tmall", "ceiling": 0}]}
    await admin("PUT", f"/v1/stock/{SKU}-2/quotas", quotas)
    both = [{"sku": f"{SKU}-2", "quantity": 1}, {"sku": f"{SKU}-3", "quantity": 9_999}]
    refill(app)
    await admin("PUT", f"/v1/stock/{SKU}-3", {"on_hand": 1})
    refill(app)
    await ask(tmall, body={"reservation_id": "tmall:1", "lines": both})
    refill(app)
    await ask(tmall, body=body(sku=f"{SKU}-2", quantity=9_999))
    assert seen == STEPS


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", f"{PATH}/douyin:1/confirm", {"if_expired": "maybe"}),
        ("POST", f"{PATH}/nonsense/extend", {"ttl_seconds": 0}),
        ("POST", "/v1/stock/nowhere/adjust", {"delta": 0, "adjustment_id": "a", "reason": "b"}),
    ],
)
async def test_form_is_judged_before_the_path_is_looked_up(
    admin: Caller, method: str, path: str, form: Any
) -> None:
    answer = await admin(method, path, form)
    assert slug(answer) == "invalid-request"


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/reservations/a/b/c", "/v1/ledger"])
async def test_an_unknown_path_asks_for_the_key_first(
    nobody: Caller, admin: Caller, path: str
) -> None:
    refused = await nobody("GET", path)
    assert (refused.status_code, slug(refused)) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    missing = await admin("GET", path)
    assert (missing.status_code, slug(missing)) == (404, "not-found")


async def test_a_path_outside_of_the_api_needs_no_key_to_be_missing(nobody: Caller) -> None:
    answer = await nobody("GET", "/favicon.ico")
    assert (answer.status_code, slug(answer)) == (404, "not-found")


async def test_another_method_is_405_and_says_which_are_served(
    nobody: Caller, viewer: Caller
) -> None:
    assert (await nobody("DELETE", PATH)).status_code == 401
    answer = await viewer("DELETE", f"/v1/stock/{SKU}")
    assert (answer.status_code, slug(answer)) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    answer = await nobody("POST", "/healthz")
    assert (answer.status_code, slug(answer)) == (405, "method-not-allowed")


async def test_options_names_the_methods(viewer: Caller, nobody: Caller) -> None:
    answer = await viewer("OPTIONS", PATH)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (
        204,
        "GET, HEAD, OPTIONS, POST",
        b"",
    )
    assert (await nobody("OPTIONS", PATH)).status_code == 401


async def test_head_answers_as_get_without_a_body(viewer: Caller, tmall: Caller) -> None:
    got = await tmall("GET", f"/v1/stock/{SKU}")
    head = await viewer("HEAD", f"/v1/stock/{SKU}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_the_rate_is_counted_for_each_key(tmall: Caller, viewer: Caller) -> None:
    assert (await tmall("GET", f"/v1/stock/{SKU}")).status_code == 200
    answer = await tmall("GET", f"/v1/stock/{SKU}")
    assert (answer.status_code, slug(answer)) == (429, "too-many-requests")
    assert answer.headers["retry-after"] == "1"
    assert (await viewer("GET", f"/v1/stock/{SKU}")).status_code == 200


async def test_without_the_setting_the_test_clock_does_not_exist(
    engine: Engine, keyring: Keyring, settings: Settings, admin: Caller, tmall: Caller
) -> None:
    app = create_app(engine, keyring, settings.model_copy(update={"test_clock": False}))
    assert "/v1/test/clock" not in app.openapi()["paths"]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast") as client:
        for token in (admin.token, tmall.token):
            answer = await Caller(client, token)("POST", "/v1/test/clock", {"freeze": True})
            assert (answer.status_code, slug(answer)) == (404, "not-found")
