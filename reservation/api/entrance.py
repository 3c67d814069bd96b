"""The outermost layer, pure ASGI: request id, access line, series, and the last resort.

It also hands the path to the router as it came over the wire, percent-encoded: a SKU may contain
`%2F`, which decoding would turn into a separator.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog

from reservation import metrics
from reservation.api.exchange import SCOPE_KEY, Exchange, HungUp
from reservation.api.pipeline import explain
from reservation.api.problems import Problem, Slug
from reservation.errors import Effect, Overloaded, StoreUnavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("holdfast.access")

# Probes ask every few seconds: their lines would drown the others.
_QUIET_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
# In one process; with a queue of 20,000 lines behind them, more would only wait to time out.
MAX_IN_FLIGHT: Final = 10_000
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Entrance:
    """Wrap the application; every request passes here once in, once out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work on one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        sender = _Sender(send)
        exchange = sender.exchange = Exchange(scope, receive, sender)
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        scope["path"] = raw_path.decode("latin-1")
        scope[SCOPE_KEY] = exchange
        metrics.HTTP_REQUESTS_IN_FLIGHT.inc()
        self._in_flight += 1
        try:
            malformed = exchange.malformed_head()
            if malformed is not None:
                await exchange.refuse(_malformed(malformed))
            elif self._in_flight > MAX_IN_FLIGHT:
                await exchange.refuse(explain(_too_many()))
            else:
                await self._app(scope, receive, sender)
        except HungUp:
            metrics.HTTP_HANG_UPS.inc()
        except asyncio.CancelledError:  # the server ends, and waits for us no longer
            if exchange.status:
                raise
            await exchange.refuse(explain(_cut_off(exchange)))
        except Exception as error:
            if exchange.status:  # the answer has begun: the server must cut the connection
                raise
            await exchange.refuse(explain(error))
        finally:
            self._in_flight -= 1
            metrics.HTTP_REQUESTS_IN_FLIGHT.dec()
            self._record(exchange, time.perf_counter() - started)

    def _record(self, exchange: Exchange, seconds: float) -> None:
        method = exchange.method if exchange.method in _METHODS else "other"
        status = exchange.status
        series = self._series.get((exchange.route, method, status))
        if series is None:
            series = _Series(exchange.route, method, status)
            self._series[exchange.route, method, status] = series
        series.count.inc()
        series.seconds.observe(seconds)
        write = log.debug if exchange.route in _QUIET_ROUTES else log.info
        write(
            "request",
            request_id=exchange.request_id,
            key=None if exchange.key is None else exchange.key.name,
            method=method,
            route=exchange.route,
            status=status or None,  # none: the client hung up before its answer
            problem=exchange.problem,
            milliseconds=round(seconds * 1000, 2),
        )


def _too_many() -> Overloaded:
    return Overloaded(f"{MAX_IN_FLIGHT} requests are being worked on already")


def _malformed(detail: str) -> Problem:
    return Problem(Slug.MALFORMED_REQUEST, f"{detail} Send HTTP/1.1, each header once.")


def _cut_off(exchange: Exchange) -> StoreUnavailable:
    """Say what became of a request whose answer did not come while the server drained."""
    effect: Effect = "unknown" if exchange.body_seen else "not_applied"
    return StoreUnavailable("the service is ending", effect=effect)


class _Series:
    """The series of one route, method and status, bound to their labels once."""

    __slots__ = ("count", "seconds")

    def __init__(self, route: str, method: str, status: int) -> None:
        self.count = metrics.HTTP_REQUESTS.labels(route=route, method=method, status=str(status))
        self.seconds = metrics.HTTP_REQUEST_SECONDS.labels(route=route, method=method)


class _Sender:
    """Send messages; the first carries the request's id and shows which status was answered."""

    __slots__ = ("_send", "exchange")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.exchange: Exchange

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange = self.exchange
            exchange.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", exchange.request_id.encode()),
            ]
        await self._send(message)
