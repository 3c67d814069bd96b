"""The gateway: `POST /router/rest`, what every call is held to, and which method answers it.

Source: developer.alibaba.com doc 101617. Which of several errors the real one tells first is not
public; here the session is judged last, and the signature before it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
from starlette.requests import Request
from starlette.responses import Response

from channels.simulator.platform import ShopWorld
from channels.simulator.tmall.call import Call, read_time
from channels.simulator.tmall.items import Items
from channels.simulator.tmall.messages import Messages
from channels.simulator.tmall.problems import (
    TOLD,
    Problem,
    call_limited,
    invalid,
    session_refused,
)
from channels.simulator.tmall.seller import Seller, Settings
from channels.simulator.tmall.signing import METHODS, is_signed
from channels.simulator.tmall.trades import Trades
from partners.simulation.faults import CallFault
from partners.simulation.query import pairs_of
from partners.simulation.simulator import Cut

MOST_BYTES: Final = 1_048_576  # of a body
MOST_PARAMETERS: Final = 200
TOLERANCE_MS: Final = 600_000  # of `timestamp`, either way
FORM: Final = "application/x-www-form-urlencoded"

# Of the application as a whole; every other method needs the seller's session.
_WITHOUT_SESSION: Final = frozenset({"taobao.tmc.messages.consume", "taobao.tmc.messages.confirm"})

_Method = Callable[[Call], dict[str, Any]]


class Gateway:
    """Take calls apart, check them, and have them answered."""

    def __init__(
        self, world: ShopWorld, seller: Seller, settings: Settings, messages: Messages
    ) -> None:
        self._world, self._seller, self._settings = world, seller, settings
        self._methods: dict[str, _Method] = {
            **Trades(world.shop, seller, settings).methods(),
            **Items(world.shop).methods(),
            **messages.methods(),
        }
        self._names = random.Random(seller.app_key)  # noqa: S311 (of requests, no secret)
        self._second, self._calls_in_second = 0, 0

    async def rest(self, request: Request) -> Response | Cut:
        """Answer a call: always 200, in the format that it asks for."""
        request_id = f"{self._names.getrandbits(60):012x}"
        parameters: dict[str, str] = {}
        try:
            parameters = await _parameters(request)
            answer = self._answer(parameters, request_id)
        except Problem as problem:
            answer = problem.view(request_id)
        if answer is None:
            return Cut()
        if parameters.get("format") == "json":
            return Response(orjson.dumps(answer), media_type="application/json;charset=UTF-8")
        return Response(_xml(answer), media_type="text/xml;charset=UTF-8")

    def _answer(self, parameters: dict[str, str], request_id: str) -> dict[str, Any] | None:
        """Check and do a call; None: its answer does not arrive. Raises Problem."""
        now_ms = self._world.clock.now_ms()
        name, method = self._check(parameters, now_ms)
        self._check_rate(now_ms)
        fault = self._world.faults.call()
        if fault is not None and not fault.takes_effect:
            _tell(fault)
            return None
        try:
            done = method(Call(parameters, now_ms))
        except Problem:
            if fault is None:
                raise
        if fault is not None:
            _tell(fault)
            return None
        root = name.removeprefix("taobao.").replace(".", "_") + "_response"
        return {root: {**done, "request_id": request_id}}

    def _check(self, parameters: dict[str, str], now_ms: int) -> tuple[str, _Method]:
        name = _given(parameters, "method", 21, "method")
        if (method := self._methods.get(name)) is None:
            raise Problem(22, "Invalid method")
        if parameters.get("format", "xml") not in {"xml", "json"}:
            raise Problem(23, "Invalid format")
        signature = _given(parameters, "sign", 24, "signature")
        if parameters.get("simplify", "false") != "false":
            raise invalid("simplify", "this simulator answers in full only")
        if _given(parameters, "app_key", 28, "app key") != self._seller.app_key:
            raise Problem(29, "Invalid app Key", "isv.appkey-not-exists")
        if _given(parameters, "v", 32, "version") != "2.0":
            raise Problem(33, "Invalid version")
        self._check_time(_given(parameters, "timestamp", 30, "timestamp"), now_ms)
        sign_method = parameters.get("sign_method") or "md5"
        if sign_method not in METHODS or not signature:
            raise Problem(25, "Invalid signature")
        if not is_signed(parameters, self._seller.secret, sign_method):
            raise Problem(25, "Invalid signature")
        if name not in _WITHOUT_SESSION:
            session = _given(parameters, "session", 26, "session")
            if session != self._seller.session or not self._settings.session_valid:
                raise session_refused(self._seller.app_key)
        return name, method

    def _check_time(self, timestamp: str, now_ms: int) -> None:
        try:
            apart_ms = abs(read_time(timestamp) - now_ms)
        except ValueError:
            raise Problem(31, "Invalid timestamp") from None
        if apart_ms > TOLERANCE_MS:
            raise Problem(31, "Invalid timestamp")

    def _check_rate(self, now_ms: int) -> None:
        """Count calls within each second of the clock, where they are limited."""
        if (most := self._settings.calls_per_second) == 0:
            return
        if self._second != (second := now_ms // 1000):
            self._second, self._calls_in_second = second, 0
        if self._calls_in_second >= most:
            raise call_limited()
        self._calls_in_second += 1


async def _parameters(request: Request) -> dict[str, str]:
    """Read all parameters, of the query and of the body. Raises Problem."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise invalid("body", f"{MOST_BYTES} bytes at the most")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != FORM:
        raise invalid("content-type", FORM)
    parameters: dict[str, str] = {}
    try:
        for part in (request.scope["query_string"], bytes(body)):
            for name, value in pairs_of(part, MOST_PARAMETERS, strict=True):
                if parameters.setdefault(name, value) != value:
                    raise invalid(name[:40], "given twice")
    except ValueError:
        raise invalid("body", "no form in UTF-8") from None
    return parameters


def _given(parameters: dict[str, str], name: str, code: int, words: str) -> str:
    if not (value := parameters.get(name, "")):
        raise Problem(code, f"Missing {words}")
    return value


def _tell(fault: CallFault) -> None:
    """Raise the Problem that the platform tells of a fault, if it tells of it."""
    if fault in TOLD:
        raise Problem(*TOLD[fault])


def _xml(answer: dict[str, Any]) -> str:
    """Write an answer as XML, the gateway's format unless another is asked for."""
    return '<?xml version="1.0" encoding="utf-8" ?>' + _elements(answer)


def _elements(what: Any, name: str = "") -> str:
    if isinstance(what, dict):
        inner = "".join(_elements(value, key) for key, value in what.items())
        return f"<{name}>{inner}</{name}>" if name else inner
    if isinstance(what, list):
        return "".join(_elements(each, name) for each in what)
    text = str(what).lower() if isinstance(what, bool) else str(what)
    return f"<{name}>{escape(text)}</{name}>"
