"""Logs: one line a request, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from ops import logs
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store

TOKEN = "hf_0123456789_" + "a1" * 32


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the lines go; the configuration of before comes back afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    target = io.StringIO()
    yield target
    structlog.reset_defaults()
    root.handlers, root.level = before[0], before[1]


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_request_leaves_one_line_and_never_its_key(
    stream: io.StringIO, store: Store, engine: Engine, settings: Settings
) -> None:
    logs.configure(form="json", stream=stream)
    keyring = Keyring(store.client)
    _, token = await keyring.create(Role.CHANNEL, channels=("tmall",), name="gateway 1")
    transport = httpx.ASGITransport(app=create_app(engine, keyring, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        sent = {"authorization": f"Bearer {token}", "x-request-id": "r-1"}
        await client.get(f"/v1/reservations/tmall:1?key={token}", headers=sent)
        await client.get("/v1/nothing", headers={"authorization": f"Bearer {token}x"})
        await client.get("/healthz")
    await keyring.close()
    written = [line for line in lines(stream) if line["event"] == "request"]
    assert len(written) == 2
    known, unknown = written
    assert {name: known[name] for name in ("request_id", "key", "method", "route", "status")} == {
        "request_id": "r-1",
        "key": "gateway 1",
        "method": "GET",
        "route": "/v1/reservations/{reservation_id}",
        "status": 404,
    }
    assert known["problem"] == "reservation-not-found"
    assert known["milliseconds"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", known["at"])
    assert (unknown["key"], unknown["status"], unknown["route"]) == (None, 401, "unknown")
    secret = token.rpartition("_")[2]
    assert secret not in stream.getvalue()
    assert "Bearer" not in stream.getvalue()


async def test_a_fault_leaves_its_traceback_in_the_log_and_not_in_the_answer(
    stream: io.StringIO,
    store: Store,
    engine: Engine,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.configure(form="json", stream=stream)

    async def broken(_sku: str) -> None:
        raise RuntimeError(f"no luck with {TOKEN}")

    monkeypatch.setattr(engine, "stock", broken)
    keyring = Keyring(store.client)
    _, token = await keyring.create(Role.VIEWER)
    transport = httpx.ASGITransport(app=create_app(engine, keyring, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        sent = {"authorization": f"Bearer {token}"}
        answer = await client.get("/v1/stock/a", headers=sent)
    await keyring.close()
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal-error"
    assert "luck" not in answer.text
    (line,) = [line for line in lines(stream) if line["level"] == "error"]
    assert "RuntimeError: no luck" in line["exception"]
    assert TOKEN not in stream.getvalue()
    assert token not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_blanked_wherever_they_stand(form: str, stream: io.StringIO) -> None:
    logs.configure(form=form, stream=stream)
    log = structlog.get_logger("x")
    nested = {"token": "s3cret", "n": [TOKEN]}
    log.info("using", key_given=TOKEN, Authorization="Basic abc123", nested=nested)
    log.warning("address", url="rediss://user:s3cret@host:6379/0", header="Bearer s3cret")
    logging.getLogger("library").warning("sent %s to redis://:s3cret@host", TOKEN)
    log.info("robot", url="https://oapi/robot/send?access_token=s3cret&timestamp=1&sign=s3cret")
    log.info("robot", url="https://qyapi/webhook/send?key=s3cret", hook="whsec_s3cret")
    try:
        int(TOKEN)
    except ValueError:
        log.exception("failed", error=ValueError(TOKEN))
        logging.getLogger("library").exception("failed")
    written = stream.getvalue()
    assert TOKEN not in written
    assert "s3cret" not in written
    assert "abc123" not in written
    assert written.count(logs.REDACTED) >= 7
    assert "ValueError" in written


def test_the_level_is_kept_for_libraries_too(stream: io.StringIO) -> None:
    logs.configure(level="warning", form="json", stream=stream)
    structlog.get_logger("x").info("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    logging.getLogger("uvicorn.error").warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize("level", ["debug", "info"])
def test_requests_of_ours_leave_no_line(level: str, stream: io.StringIO) -> None:
    """The address of a robot is its key: the client library must not write it down."""
    logs.configure(level=level, form="json", stream=stream)
    transport = httpx.MockTransport(lambda _request: httpx.Response(200))
    with httpx.Client(transport=transport) as client:
        client.post("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=s3cret")
    assert stream.getvalue() == ""
