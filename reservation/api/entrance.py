"""The outermost layer, pure ASGI: request id, access line, series, and the last resort.

It also hands the path to the router as it came over the wire, percent-encoded: a SKU may contain
`%2F`, which decoding would turn into a separator.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import structlog

from reservation import metrics
from reservation.api.exchange import SCOPE_KEY, WHOLE, Exchange, HungUp
from reservation.api.pipeline import explain
from reservation.api.problems import Problem, Slug
from reservation.errors import Effect, Overloaded, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reservation.api.short_cuts import ShortCuts

log = structlog.get_logger("holdfast.access")

# Probes ask every few seconds: their lines would drown the others.
_QUIET_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
# In one process; with a queue of 20,000 lines behind them, more would only wait to time out.
MAX_IN_FLIGHT: Final = 10_000
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Entrance:
    """Wrap the application; every request passes here once in, once out.

    What `short_cuts` knows goes to its resource at once, what it does not through the router.
    """

    def __init__(self, app: ASGIApp, short_cuts: ShortCuts) -> None:
        self._app = app
        self._short_cuts = short_cuts
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._in_flight = 0
        self._log: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work on one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        extensions = scope.get("extensions")
        # Taken out: a scope that names what holds it would be garbage for the collector.
        whole = extensions.pop(WHOLE, None) if extensions else None
        exchange = Exchange(scope, receive, send, whole)
        self.begin()
        try:
            malformed = exchange.malformed_head()
            if malformed is not None:
                await exchange.refuse(_malformed(malformed))
            elif self._in_flight > MAX_IN_FLIGHT:
                await exchange.refuse(explain(_too_many()))
            else:
                await self._pass_on(exchange)
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
            self.end(exchange, started)

    def _pass_on(self, exchange: Exchange) -> Awaitable[None]:
        scope = exchange.scope
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        path = scope["path"] = raw_path.decode("latin-1")
        if not scope.get("root_path"):
            resource = self._short_cuts.find(path, exchange)
            if resource is not None:
                return resource.serve(exchange)
        scope[SCOPE_KEY] = exchange
        return self._app(scope, exchange.receive, _Sender(exchange))

    @property
    def is_full(self) -> bool:
        """Say whether one more request would be one too many."""
        return self._in_flight >= MAX_IN_FLIGHT

    def begin(self) -> None:
        """Note that a request is being worked on."""
        self._in_flight += 1
        metrics.TALLY.count(metrics.HTTP_REQUESTS_IN_FLIGHT)

    def end(self, exchange: Exchange, started: float) -> None:
        """Note that a request has been answered: its series, its line."""
        self._in_flight -= 1
        metrics.TALLY.count(metrics.HTTP_REQUESTS_IN_FLIGHT, -1)
        seconds = time.perf_counter() - started
        method = exchange.method if exchange.method in _METHODS else "other"
        status = exchange.status
        series = self._series.get((exchange.route, method, status))
        if series is None:
            series = _Series(exchange.route, method, status)
            self._series[exchange.route, method, status] = series
        metrics.TALLY.count(series.count)
        metrics.TALLY.observe(series.seconds, seconds)
        if self._log is None:
            self._log = log.bind()  # when logging has been set up
        if not self._log.is_enabled_for(series.level):
            return
        self._log.log(
            series.level,
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
    """The series of one route, method and status, bound to their labels once; its line's level."""

    __slots__ = ("count", "level", "seconds")

    def __init__(self, route: str, method: str, status: int) -> None:
        self.count = metrics.HTTP_REQUESTS.labels(route=route, method=method, status=str(status))
        self.seconds = metrics.HTTP_REQUEST_SECONDS.labels(route=route, method=method)
        self.level = logging.DEBUG if route in _QUIET_ROUTES else logging.INFO


class _Sender:
    """Send what others than `Exchange` answer; the first message carries the request's id."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __call__(self, message: Message) -> None:
        exchange = self._exchange
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", exchange.request_id.encode()),
            ]
        await exchange.send(message)
