"""The gateway: `POST /{method path}`, what every call is held to, and which method answers it.

Sources: zsmhub/doudian-sdk core/doudian_op_api_client.go (where each parameter stands), the table
of codes in `problems`. Which of several errors the real one tells first is not public, nor how far
`timestamp` may be off. It wants param_json in one form (names sorted at every level, compact,
nothing escaped); whether it would take the signature of another form is not public: here it does
not.
"""

from __future__ import annotations

import hmac
import json
import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from channels.simulator.douyin.app import App, Settings
from channels.simulator.douyin.call import Call
from channels.simulator.douyin.problems import SUCCESS, TOLD, Problem, invalid
from channels.simulator.douyin.signing import DEFAULT, METHODS, sign
from channels.simulator.douyin.tokens import Tokens
from channels.simulator.platform import ShopWorld
from partners.simulation.faults import CallFault
from partners.simulation.query import pairs_of
from partners.simulation.simulator import Cut

MOST_BYTES: Final = 1_048_576  # of a body
MOST_PARAMETERS: Final = 50
TOLERANCE_MS: Final = 600_000  # of `timestamp`, either way
EVERY_METHOD: Final = "*"
CHINA: Final = timezone(timedelta(hours=8))
_SECONDS: Final = re.compile(r"\d{9,11}", re.ASCII)
_APP_KEY: Final = re.compile(r"\d{19}", re.ASCII)
_TIME: Final = "%Y-%m-%d %H:%M:%S"

Method = Callable[[Call], dict[str, Any]]


class Gateway:
    """Take calls apart, check them, and have them answered. `methods` has them by name."""

    def __init__(
        self,
        world: ShopWorld,
        app: App,
        settings: Settings,
        tokens: Tokens,
        methods: dict[str, Method],
    ) -> None:
        self._world, self._app, self._settings = world, app, settings
        self._tokens = tokens
        self.methods = {**tokens.methods(), **methods}
        self._names = random.Random(app.app_key)  # noqa: S311 (of requests, no secret)
        self._second, self._calls_in_second = 0, dict[str, int]()

    async def answer(self, request: Request) -> Response | Cut:
        """Answer a call: HTTP 200, and a code."""
        log_id = f"{self._names.getrandbits(128):032X}"
        try:
            data = self._do(
                request.scope["path"].strip("/").replace("/", "."),
                _query(request.scope["query_string"]),
                request.headers.get("content-type", ""),
                await _body(request),
            )
        except Problem as problem:
            return _said(problem.view(log_id))
        except _Unanswered:
            return Cut()
        done = {"code": SUCCESS, "msg": "success", "sub_code": "", "sub_msg": ""}
        return _said({**done, "log_id": log_id, "data": data})

    def _do(
        self, path: str, query: dict[str, str], content_type: str, body: bytes
    ) -> dict[str, Any] | None:
        now_ms = self._world.clock.now_ms()
        if (method := self.methods.get(path)) is None:
            raise Problem(70_000, "isp.api-service-off", "API不存在或API已下线")
        self._check_caller(path, query, now_ms)
        self._check_signature(path, query, body)
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise invalid("content-type", "application/json")
        parameters = _canonical(body)
        if path not in self._tokens.methods():
            self._check_token(query.get("access_token", ""), now_ms)
        self._check_rate(path, now_ms)
        fault = self._world.faults.call()
        if fault is not None and not fault.takes_effect:
            raise _told(fault)
        try:
            data = method(Call(parameters, now_ms))
        except Problem:
            if fault is None:
                raise
            data = None
        if fault is not None:
            raise _told(fault)
        return data

    def _check_caller(self, path: str, query: dict[str, str], now_ms: int) -> None:
        if not (app_key := query.get("app_key")):
            raise Problem(40_001, "isv.app-id-missing", "认证失败，app_key不存在")
        if not _APP_KEY.fullmatch(app_key) or app_key != self._app.app_key:
            raise Problem(
                40_003, "isv.app-id-invalid", "认证失败，app_key格式不正确，应为19位纯数字"
            )
        for name in ("method", "v", "timestamp"):
            if not query.get(name):
                raise Problem(40_001, "isv.parameter-missing", f"缺少参数: {name}")
        if query["method"] != path:
            raise invalid("method", f"is {path} here")
        if query["v"] != "2":
            raise invalid("v", "is 2")
        if abs(_timestamp_ms(query["timestamp"]) - now_ms) > TOLERANCE_MS:
            raise Problem(40_003, "isv.timestamp-invalid", "时间戳不合法")

    def _check_signature(self, path: str, query: dict[str, str], body: bytes) -> None:
        if not (given := query.get("sign")):
            raise Problem(
                40_001, "isv.signature-missing", "获取签名失败，请根据文档确保参数拼装正确"
            )
        by = query.get("sign_method") or DEFAULT
        if by not in METHODS:
            raise invalid("sign_method", " | ".join(METHODS))
        right = sign(
            app_key=self._app.app_key,
            secret=self._app.secret,
            method=path,
            param_json=body,
            timestamp=query["timestamp"],
            by=by,
        )
        if not hmac.compare_digest(given.encode(), right.encode()):
            raise _wrong_signature()

    def _check_token(self, token: str, now_ms: int) -> None:
        if not token:
            raise Problem(40_001, "isv.access-token-missing", "认证失败，access_token不能为空")
        self._tokens.check(token, now_ms)
        if not self._settings.authorized:
            raise Problem(
                30_001, "dop.authorization-closed", "店铺授权已被关闭，请联系商家打开授权开关"
            )

    def _check_rate(self, path: str, now_ms: int) -> None:
        """Count calls within each second of the clock, where they are limited."""
        if not (limits := self._settings.calls_per_second):
            return
        if self._second != (second := now_ms // 1000):
            self._second, self._calls_in_second = second, {}
        counted = [name for name in (path, EVERY_METHOD) if name in limits]
        if any(self._calls_in_second.get(name, 0) >= limits[name] for name in counted):
            raise Problem(*TOLD[CallFault.THROTTLED])
        for name in counted:
            self._calls_in_second[name] = self._calls_in_second.get(name, 0) + 1


class _Unanswered(Exception):
    """The answer does not arrive."""


def _told(fault: CallFault) -> Exception:
    return Problem(*TOLD[fault]) if fault in TOLD else _Unanswered()


def _wrong_signature() -> Problem:
    return Problem(40_003, "isv.signature-invalid", "签名校验失败")


def _query(query_string: bytes) -> dict[str, str]:
    try:
        pairs = list(pairs_of(query_string, MOST_PARAMETERS))
    except ValueError:
        raise invalid("query", "UTF-8") from None
    query: dict[str, str] = {}
    for name, value in pairs:
        if query.setdefault(name, value) != value:
            raise invalid(name[:40], "given twice")
    return query


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise invalid("param_json", f"{MOST_BYTES} bytes at the most")
    return bytes(body)


def _timestamp_ms(text: str) -> int:
    if _SECONDS.fullmatch(text):
        return int(text) * 1000
    try:
        at = datetime.strptime(text, _TIME).replace(tzinfo=CHINA)
        return int(at.timestamp()) * 1000
    except (ValueError, OverflowError):
        raise Problem(40_003, "isv.timestamp-format-error", "时间戳格式错误") from None


def _canonical(body: bytes) -> dict[str, Any]:
    """Read param_json, which must be written as the platform's documents want it."""
    try:
        text = body.decode()
        parameters = json.loads(text, parse_float=_number, parse_constant=_no_number)
        form = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        parameters, text, form = None, "", ""
    if not isinstance(parameters, dict):
        raise Problem(
            40_003,
            "isv.parameter-format-invalid",
            "业务参数json解析失败，所有参数需为string类型",
        )
    if form != text:
        raise _wrong_signature()
    return parameters


def _number(text: str) -> float | int:
    """Read a number with a point; a whole one is not written so, and then differs."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _no_number(text: str) -> float:
    raise ValueError(text)


def _said(view: dict[str, Any]) -> Response:
    return Response(orjson.dumps(view), media_type="application/json; charset=utf-8")
