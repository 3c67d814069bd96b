"""Probes, figures, pages, headers: what is around the endpoints."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI

from reservation.api import entrance
from reservation.api.application import create_app
from reservation.api.problems import KINDS, Slug
from reservation.api.refusals import fault, refusal, stock_refusal
from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import Overloaded, StoreUnavailable
from reservation.model import Origin, Outcome, Readiness, StockOutcome, Suspension
from reservation.status import Status
from reservation.store.keyring import Keyring
from tests.reservation.api.conftest import SKU, Caller, slug

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_the_process_is_alive_and_ready(nobody: Caller) -> None:
    assert (await nobody("GET", "/healthz")).json() == {"status": "ok"}
    ready = await nobody("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True


async def test_what_is_not_ready_says_why(
    nobody: Caller, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def loading() -> Readiness:
        return Readiness(ready=False, findings=("the store is loading its data from disk",))

    monkeypatch.setattr(engine, "readiness", loading)
    answer = await nobody("GET", "/readyz")
    assert (answer.status_code, slug(answer)) == (503, "store-unavailable")
    assert answer.json()["findings"] == ["the store is loading its data from disk"]
    assert (await nobody("GET", "/healthz")).status_code == 200


FAULTS = [
    (StoreUnavailable("gone", effect="unknown"), "store-unavailable", "unknown", "1"),
    (StoreUnavailable("x", effect="not_applied", retry_after_seconds=3), "store-unavailable",
     "not_applied", "3"),
    (Overloaded("full", retry_after_seconds=2), "overloaded", "not_applied", "2"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "outcome", "wait"), FAULTS)
async def test_a_fault_of_the_store_says_what_became_of_the_request(
    tmall: Caller,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: StoreUnavailable,
    kind: str,
    outcome: str,
    wait: str,
) -> None:
    async def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(engine, "reserve", failing)
    answer = await tmall.reserve("tmall:1")
    assert (answer.status_code, slug(answer)) == (503, kind)
    assert (answer.json()["outcome"], answer.headers["retry-after"]) == (outcome, wait)


async def test_requests_beyond_the_bound_are_refused_as_overload(
    nobody: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "MAX_IN_FLIGHT", 0)
    answer = await nobody("GET", "/healthz")
    assert (answer.status_code, slug(answer)) == (503, "overloaded")


@pytest.mark.parametrize("given", ["r-1", "A.b_C-9", "x" * 64])
async def test_a_callers_request_id_comes_back(nobody: Caller, given: str) -> None:
    answer = await nobody("GET", "/healthz", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ä"])
async def test_another_request_id_is_replaced(nobody: Caller, given: str) -> None:
    headers: Any = [(b"x-request-id", given.encode())]
    answer = await nobody.client.get("/v1/nothing", headers=headers)
    made = answer.headers["x-request-id"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", made)
    assert made != given
    assert answer.json()["instance"] == made


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (TRACE, TRACE),
        ("01" + TRACE[2:] + "-more", "01" + TRACE[2:] + "-more"),
        ("ff" + TRACE[2:], ""),
        (TRACE.upper(), ""),
        ("00-" + "0" * 32 + TRACE[35:], ""),
        (TRACE + "-more", ""),
        ("nonsense", ""),
    ],
)
async def test_who_asks_is_passed_to_the_engine(
    tmall: Caller, engine: Engine, monkeypatch: pytest.MonkeyPatch, given: str, passed: str
) -> None:
    seen: list[Origin] = []

    async def watched(_operation: Any, origin: Origin) -> Outcome:
        seen.append(origin)
        return Outcome(Status.RESERVATION_NOT_FOUND)

    monkeypatch.setattr(engine, "confirm", watched)
    await tmall(
        "POST",
        "/v1/reservations/tmall:1/confirm",
        headers={"x-request-id": "r-1", "traceparent": given},
    )
    assert seen == [Origin("tmall", "r-1", passed)]


async def test_figures_are_public_unless_a_setting_asks_for_a_key(
    nobody: Caller, engine: Engine, keyring: Keyring, settings: Settings, viewer: Caller
) -> None:
    answer = await nobody("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "holdfast_http_requests_total" in answer.text
    assert SKU not in answer.text
    private = create_app(engine, keyring, settings.model_copy(update={"metrics_public": False}))
    nobody.client._transport.app = private  # type: ignore[attr-defined]
    assert (await nobody("GET", "/metrics")).status_code == 401
    assert (await viewer("GET", "/metrics")).status_code == 200


@pytest.mark.parametrize("name", list(Slug))
async def test_every_problem_has_a_page(nobody: Caller, name: str) -> None:
    answer = await nobody("GET", f"/problems/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert KINDS[Slug(name)].title in answer.text


async def test_an_unknown_problem_has_none(nobody: Caller) -> None:
    for name in ("nothing", "%ff"):
        answer = await nobody("GET", f"/problems/{name}")
        assert (answer.status_code, slug(answer)) == (404, "not-found")


async def test_the_documentation_needs_nothing_from_elsewhere(nobody: Caller, app: FastAPI) -> None:
    page = (await nobody("GET", "/docs")).text
    assert not re.search(r"<script|<link|https?://|src=", page)
    for path in app.openapi()["paths"]:
        assert path in page


REFUSALS = set(Status) - {
    Status.DONE,
    Status.REPLAYED,
    Status.MORE,
    Status.LOG_FULL,  # the engine makes it a fault
    Status.FOREIGN_LINE,  # its pointers come from the request
    Status.STALE_STOCK,
    Status.STOCK_BELOW_ZERO,
    Status.STOCK_TOO_LARGE,
    Status.TOO_MANY_WAREHOUSES,
}


@pytest.mark.parametrize("status", sorted(REFUSALS))
def test_every_refusal_of_a_reservation_has_a_problem(status: Status) -> None:
    problem = refusal(Outcome(status), "tmall:1")
    assert KINDS[problem.slug].same_request_later == status.may_succeed_later


@pytest.mark.parametrize(
    "status",
    [
        Status.UNKNOWN_SKU,
        Status.ID_REUSED,
        Status.STALE_STOCK,
        Status.STOCK_BELOW_ZERO,
        Status.STOCK_TOO_LARGE,
        Status.TOO_MANY_WAREHOUSES,
    ],
)
def test_every_refusal_of_a_stock_write_has_a_problem(status: Status) -> None:
    problem = stock_refusal(StockOutcome(status), "a", "main", limit=64)
    assert problem.status in {404, 409, 422}


def test_a_suspension_that_a_clock_ends_says_when_to_try_again() -> None:
    ends = Suspension("a", 0, "three failed locks", retry_at_ms=10_500)
    later = Suspension("b", 0, "three failed locks", retry_at_ms=20_500)
    never = Suspension("c", 0, "by hand")
    told = refusal(Outcome(Status.SKU_SUSPENDED, suspensions=(ends, later), as_of_ms=10_000), "x:1")
    assert told.headers == ((b"retry-after", b"11"),)
    told = refusal(Outcome(Status.SKU_SUSPENDED, suspensions=(ends, never), as_of_ms=10_000), "x:1")
    assert told.headers == ()


def test_an_answer_about_a_fault_ends_as_a_sentence() -> None:
    assert fault(StoreUnavailable("gone.", effect="unknown")).detail.startswith("gone; it may")
