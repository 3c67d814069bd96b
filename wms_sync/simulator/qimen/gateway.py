"""The gateway: what every call is held to, and which method answers it.

Source: developer.alibaba.com docs 118403, 118404. Answers are always `<response>` with a flag; the
status is 200 but where a fault, or a call above the intake, is told by one. Which of several errors
a real one tells first is not public; here the signature is judged first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from partners.simulation.faults import CallFault
from partners.simulation.query import pairs_of
from partners.simulation.simulator import Cut
from wms_sync.simulator.qimen.account import Account, Settings
from wms_sync.simulator.qimen.calls import Act, Calls
from wms_sync.simulator.qimen.document import read, read_time, written
from wms_sync.simulator.qimen.problem import TOLD, Problem, of
from wms_sync.simulator.qimen.signing import is_signed
from wms_sync.simulator.refused import Refusal, Refused
from wms_sync.simulator.site import Site

MOST_BYTES: Final = 1_048_576  # of a body
MOST_PARAMETERS: Final = 50
PREFIX: Final = "taobao.qimen."  # that a gateway may keep before a method's name
VERSIONS: Final = ("2.0", "3.0")
KINDS: Final = ("application/xml", "text/xml")
_REQUIRED: Final = ("method", "timestamp", "app_key", "customerId", "v", "format", "sign_method")


class Gateway:
    """Take calls apart, check them, and have them answered. `counts` tells how they ended."""

    def __init__(self, site: Site, account: Account, settings: Settings) -> None:
        self.counts: Counter[str] = Counter()
        self._site, self._account, self._settings = site, account, settings
        self._methods = Calls(site.warehouse, account, settings).methods

    async def service(self, request: Request) -> Response | Cut:
        """Answer a call, after the latency that is set."""
        answer = self._answer(request, await _body(request))
        if self._settings.latency_ms:
            await asyncio.sleep(self._settings.latency_ms / 1000)
        return answer

    def _answer(self, request: Request, body: bytes | None) -> Response | Cut:
        """Check a call and do it."""
        try:
            name, act = self._read(request, body)
        except Problem as problem:
            self.counts[f"problem {problem.code}"] += 1
            return _said(problem)
        self.counts[name] += 1
        self._site.warehouse.intake.sent.came(act.orders, self._site.warehouse.catch_up())
        fault = self._site.faults.call()
        if fault is not None and not fault.takes_effect:
            return self._say_fault(fault)
        answer = self._do(act)
        self._site.wake()
        return answer if fault is None else self._say_fault(fault)

    def _read(self, request: Request, body: bytes | None) -> tuple[str, Act]:
        """Hold a call to the rules; its method's name and what it asks for. Raises Problem."""
        if body is None:
            raise Problem("invalid-xml", f"a body has {MOST_BYTES} bytes at the most")
        query = _query(request.scope["query_string"])
        for name in _REQUIRED:
            if not query.get(name):
                raise Problem("missing-parameter", f"{name} is required in the query")
        if query["sign_method"] != "md5" or not is_signed(query, body, self._account.secret):
            raise Problem("sign-check-failure", "Illegal request")
        self._check_time(query["timestamp"])
        if query["app_key"] != self._account.app_key:
            raise Problem("invalid-parameter", "invalid app_key")
        if query["customerId"] != self._account.customer_id:
            raise Problem("invalid-parameter", "invalid customerId")
        if query["v"] not in VERSIONS or query["format"] != "xml":
            raise Problem("invalid-parameter", f"v is {' or '.join(VERSIONS)}, format is xml")
        method = query["method"].removeprefix(PREFIX)
        if (reader := self._methods.get(method)) is None:
            raise Problem("30002", f"invalid method {method[:60]!r}")
        kind = request.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() not in KINDS:
            raise Problem("invalid-parameter", f"content-type is {' or '.join(KINDS)}")
        return method, reader(read(body))

    def _check_time(self, timestamp: str) -> None:
        try:
            apart_ms = abs(read_time(timestamp) - self._site.clock.now_ms())
        except ValueError:
            raise Problem("invalid-parameter", "timestamp is YYYY-MM-DD HH:MM:SS") from None
        if apart_ms > self._settings.tolerance_ms:
            raise Problem("invalid-parameter", f"timestamp {timestamp} is not fresh")

    def _do(self, act: Act) -> Response:
        try:
            return _said(act.do())
        except Refused as refused:
            self.counts[f"refused {refused.why}"] += 1
            if refused.why is not Refusal.THROTTLED:
                return _said(of(refused))
            self.counts["throttled above the intake"] += 1
            return self._say_throttled(act.orders)
        except Problem as problem:
            self.counts[f"problem {problem.code}"] += 1
            return _said(problem)

    def _say_throttled(self, orders: int) -> Response:
        warehouse = self._site.warehouse
        answer = self._say_told(CallFault.THROTTLED)
        if self._settings.retry_after and answer.status_code == 429:
            wait_ms = warehouse.intake.wait_ms(orders, warehouse.catch_up())
            answer.headers["retry-after"] = str(-(-wait_ms // 1000))
        return answer

    def _say_fault(self, fault: CallFault) -> Response | Cut:
        return self._say_told(fault) if fault in TOLD else Cut()

    def _say_told(self, fault: CallFault) -> Response:
        """Tell of a fault by a status, or by Qimen's failure."""
        told = str(getattr(self._settings, f"{fault.value}_as"))
        if told == "flag":
            return _said(Problem(*TOLD[fault]))
        return Response(status_code=int(told))


async def _body(request: Request) -> bytes | None:
    """Read a body; None where it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _query(raw: bytes) -> dict[str, str]:
    """Read the query, decoded. Raises Problem."""
    query: dict[str, str] = {}
    try:
        pairs = list(pairs_of(raw, MOST_PARAMETERS))
    except ValueError:
        raise Problem("invalid-parameter", "the query cannot be read") from None
    for name, value in pairs:
        if query.setdefault(name, value) != value:
            raise Problem("invalid-parameter", f"{name[:40]} is given twice")
    return query


def _said(what: dict[str, Any] | Problem) -> Response:
    """Answer with a success and what belongs to it, or with a failure."""
    if isinstance(what, Problem):
        answer = {"flag": "failure", "code": what.code, "message": str(what)}
    else:
        answer = {"flag": "success", "code": "0", "message": "", **what}
    return Response(written("response", answer), media_type="text/xml;charset=UTF-8")
