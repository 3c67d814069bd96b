"""Holds every answer that a test receives against the OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from channels.endpoints import channel_endpoints
from channels.intake.endpoints import Messages
from ops.alerts.endpoints import alert_endpoints
from ops.way import way_endpoints
from reservation.api.application import create_app
from reservation.config import Settings
from wms_sync.endpoints import warehouse_endpoints
from wms_sync.showing import Showing

# Answers that every path may give and none documents for itself; 401 where figures need a key.
UNIVERSAL = {401, 404, 405, 413, 500, 503}


def keeps_the_document(answer: httpx.Response) -> None:
    """Fail where an answer has a status, type, header or body that its endpoint does not name."""
    method, path = answer.request.method.lower(), answer.request.url.raw_path.decode()
    operation = _operation(method, path.partition("?")[0])
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])
    if operation is None:
        assert answer.status_code in {200, 204, 401, 404, 405, 429}
        return
    told = operation["responses"].get(str(answer.status_code))
    if told is None:
        assert answer.status_code in UNIVERSAL, f"{answer.status_code} is not documented"
        return
    if "content" not in told:
        assert not answer.content
        return
    (media_type,) = told["content"]
    assert answer.headers["content-type"].partition(";")[0] == media_type
    for name in ("Retry-After", "Idempotent-Replayed"):
        assert name not in answer.headers or name in told["headers"], f"{name} is not documented"
    if media_type.endswith("json"):
        _validator(method, operation["operationId"], answer.status_code).validate(answer.json())


@cache
def _document() -> dict[str, Any]:
    nothing: Any = None
    settings = Settings(test_clock=True)
    more = alert_endpoints(settings) | Messages(settings).endpoints()
    more |= channel_endpoints(settings)
    showing = Showing(settings)
    more |= warehouse_endpoints(settings, showing) | way_endpoints(nothing, settings, showing)
    return create_app(nothing, nothing, settings, more=more).openapi()


@cache
def _validator(method: str, name: str, status: int) -> Any:
    document = _document()
    (operation,) = [
        methods[method]
        for methods in document["paths"].values()
        if methods.get(method, {}).get("operationId") == name
    ]
    (content,) = operation["responses"][str(status)]["content"].values()
    return jsonschema_rs.Draft202012Validator(
        {**content["schema"], "components": document["components"]}
    )


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, methods in _document()["paths"].items():
        pattern = re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(template))
        if method in methods and re.fullmatch(pattern, path):
            found: dict[str, Any] = methods[method]
            return found
    return None
