"""What the board shows: every level with its health, what has just happened, and the figures.

A stream begins with all of it and goes on with what changes, a few times a second at the most,
however much happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import orjson

from reservation import metrics
from reservation.api.exchange import OK, Answer, Stream, json_answer
from reservation.api.openings import Openings
from reservation.api.problems import Refused
from reservation.api.query import parameters
from reservation.api.refusals import sku_not_found
from reservation.api.streams import (
    EVENT_STREAM,
    GZIPPED,
    RETRY_MS,
    UNBUFFERED,
    gzipped,
    takes_gzip,
)
from reservation.api.views import level_json
from reservation.errors import ArchiveUnavailable, InvalidRequest, StoreUnavailable
from reservation.events.feed import Reset, Told
from reservation.health.reads import LevelHealth, ratio_or_none
from reservation.model import Breaker, BreakerState
from reservation.store.positions import version_key
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reservation.api.pipeline import Call
    from reservation.api.streams import Places
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.events.feed import Followed

TICK_SECONDS: Final = 0.2  # what changes within it is told together
QUIET_SECONDS: Final = 1.0  # between looks at the figures where nothing happens
SKUS_PER_READ: Final = 200  # a script call stays below 2 ms
MAX_TAPE: Final = 20  # events a tick that are shown; the rest is only counted
MAX_MINUTES: Final = 24 * 60
VERSION: Final = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")  # SQLite takes no longer numbers
_ALL: Final = 1_000_000
_RESERVE_ROUTES: Final = frozenset({"/v1/reservations", "/v1/reservations/batch"})


class Boards:
    """The board's data over HTTP."""

    def __init__(self, engine: Engine, places: Places, settings: Settings) -> None:
        self._engine = engine
        self._places = places
        self._openings = Openings(engine)
        self._limits = {
            "at_risk_above": settings.health_at_risk_above,
            "restored_below": settings.health_restored_below,
            "dwell_seconds": settings.health_dwell_seconds,
            "base": settings.health_base,
        }
        self._figures: tuple[float, dict[str, Any]] = (0.0, {})
        self._sampling = asyncio.Lock()

    async def state(self, call: Call) -> Answer:
        """Answer all that the board shows, as it is now."""
        parameters(call.exchange.query, known=())
        return json_answer(OK, await self._state())

    async def stream(self, call: Call) -> Stream:
        """Stream what the board shows: one event `state`, then `change` as it changes.

        Changes come within a second of what causes them.
        """
        parameters(call.exchange.query, known=())
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._places.taken(call.identity()))
            events = await self._engine.feed.follow(None, idle_seconds=QUIET_SECONDS)
            state = await self._state()  # after the position from which changes are told
            ended = stack.pop_all().close
        pieces = self._pieces(state, events)
        if takes_gzip(call.exchange.headers.get(b"accept-encoding", b"")):
            return Stream(gzipped(pieces), EVENT_STREAM, (*UNBUFFERED, *GZIPPED), ended)
        return Stream(pieces, EVENT_STREAM, UNBUFFERED, ended)

    async def timeline(self, call: Call) -> Answer:
        """Answer a SKU's balances over the last minutes, for a chart.

        `after`, the `version` of an earlier answer, asks only for what has happened since.
        """
        given = dict(parameters(call.exchange.query, known={"minutes", "after"}))
        text, after = given.get("minutes", "60"), given.get("after")
        minutes = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
        errors: list[tuple[str, str]] = []
        if not 1 <= minutes <= MAX_MINUTES:
            errors.append(("/minutes", f"must be an integer from 1 to {MAX_MINUTES}"))
        if after is not None and not VERSION.fullmatch(after):
            errors.append(("/after", "must be the version of an earlier answer, <ms>-<seq>"))
        if errors:
            raise InvalidRequest(errors)
        sku = call.sku()
        if await self._engine.stock(sku) is None:
            raise Refused(sku_not_found(sku))
        drawn = await self._engine.history.timeline(
            sku, minutes=minutes, after=None if after is None else version_key(after)
        )
        return json_answer(
            OK,
            {
                "sku": sku,
                "version": drawn.version,
                "points": drawn.points,
                "marks": [
                    {"at": at, "what": what, "detail": text} for at, what, text in drawn.marks
                ],
            },
        )

    async def _state(self) -> dict[str, Any]:
        rows, as_of_ms = await self._engine.health.every()
        breakers, _ = await self._engine.breakers.known(state=None, after="", limit=_ALL)
        by_sku = {breaker.sku: breaker for breaker in breakers}
        failed = await self._openings.of(breakers)
        return {
            "as_of": rfc3339(as_of_ms),
            "limits": self._limits,
            "levels": [
                _row(row, by_sku.get(row.level.sku), failed.get(row.level.sku)) for row in rows
            ],
            "tape": [
                orjson.Fragment(told.document) for told in await self._engine.feed.newest(MAX_TAPE)
            ],
            "figures": await self._sampled(),
        }

    async def _pieces(
        self, state: dict[str, Any], events: AsyncGenerator[Followed, None]
    ) -> AsyncGenerator[bytes, None]:
        yield b"retry: %d\n\n" % RETRY_MS
        yield _frame(b"state", state)
        collected = _Collected()
        collecting = asyncio.create_task(collected.follow(events), name="board")
        try:
            while not collecting.done():
                await collected.wait(QUIET_SECONDS)
                await asyncio.sleep(TICK_SECONDS)
                # Who lost the store, or the archive, connects again and begins anew.
                with contextlib.suppress(StoreUnavailable, ArchiveUnavailable):
                    yield _frame(b"change", await self._change(collected))
                    continue
                return
        finally:
            collected.left = True
            collecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StoreUnavailable, ArchiveUnavailable):
                await collecting

    async def _change(self, collected: _Collected) -> dict[str, Any]:
        skus, tape, count = collected.take()
        levels: list[dict[str, Any]] = []
        for first in range(0, len(skus), SKUS_PER_READ):
            read = await self._engine.health.of_skus(skus[first : first + SKUS_PER_READ])
            failed = await self._openings.of(found.breaker for found in read if found.breaker)
            for found in read:
                levels += [
                    _row(row, found.breaker, failed.get(row.level.sku)) for row in found.levels
                ]
        return {
            "levels": levels,
            "tape": [orjson.Fragment(told.document) for told in tape],
            "events": count,
            "figures": await self._sampled(),
        }

    async def _sampled(self) -> dict[str, Any]:
        """Sample the figures, at most once a second for all boards of this process."""
        async with self._sampling:
            sampled_at, figures = self._figures
            if time.monotonic() - sampled_at >= QUIET_SECONDS:
                today: dict[str, int] | None = None
                with contextlib.suppress(ArchiveUnavailable):
                    today = await self._engine.history.figures()
                metrics.TALLY.write()
                figures = {**await asyncio.to_thread(_sample), "today": today}
                self._figures = (time.monotonic(), figures)
            return figures


class _Collected:
    """What has happened since the last tick."""

    def __init__(self) -> None:
        self._skus: dict[str, None] = {}
        self._tape: deque[Told] = deque(maxlen=MAX_TAPE)
        self._count = 0
        self._something = asyncio.Event()
        self.left = False  # nobody looks any more; a cancellation alone may get lost on the way

    async def follow(self, events: AsyncGenerator[Followed, None]) -> None:
        """Collect until the feed ends or does not go on from where it was, or who looks has left.

        Where it does not go on, what is shown may never have happened: who looks connects again,
        and gets all anew. Who has left is seen when it tells of anything.
        """
        try:
            async with contextlib.aclosing(events):
                async for told in events:
                    if self.left or isinstance(told, Reset):
                        return
                    if isinstance(told, Told):
                        self._skus.update(dict.fromkeys(told.skus))
                        self._tape.append(told)
                        self._count += 1
                        self._something.set()
        finally:
            self._something.set()

    async def wait(self, seconds: float) -> None:
        """Wait until something has happened, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._something.wait()

    def take(self) -> tuple[list[str], list[Told], int]:
        """Take what was collected: SKUs, the newest events, how many there were."""
        taken = list(self._skus), list(self._tape), self._count
        self._skus.clear()
        self._tape.clear()
        self._count = 0
        self._something.clear()
        return taken


def _frame(name: bytes, document: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name, orjson.dumps(document))


def _row(
    row: LevelHealth, breaker: Breaker | None, failed: dict[str, Any] | None
) -> dict[str, Any]:
    """Write a level, and of an open breaker the failed lock that opened it."""
    level = row.level
    told = None
    if breaker is not None and (breaker.state is not BreakerState.CLOSED or breaker.failures):
        told = {
            "state": breaker.state,
            "since": rfc3339_or_none(breaker.since_ms),
            "reason": breaker.reason,
            "by": breaker.by,
            "failures": breaker.failures,
            "threshold": breaker.policy.threshold,
            "retry_at": rfc3339_or_none(breaker.retry_at_ms),
            "failed": failed,
        }
    return {
        "sku": level.sku,
        **level_json(level),
        "unshipped_ratio": ratio_or_none(row.ratio),
        "status": row.status,
        "exposure_weight": row.weight,
        "sold_out_in_seconds": row.sold_out_in_seconds,
        "breaker": told,
    }


def _sample() -> dict[str, Any]:
    """Read the series that the board shows, summed over all processes."""
    granted = 0.0
    refused: dict[str, float] = {}
    buckets: dict[str, float] = {}
    gauges: dict[str, float] = {}
    for family in metrics.totals():
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "holdfast_operations_total":
                if (labels["verb"], labels["outcome"]) == ("reserve", "done"):
                    granted += sample.value
            elif sample.name == "holdfast_refusals_total":
                refused[labels["slug"]] = refused.get(labels["slug"], 0) + sample.value
            elif sample.name == "holdfast_http_request_duration_seconds_bucket":
                if labels["method"] == "POST" and labels["route"] in _RESERVE_ROUTES:
                    buckets[labels["le"]] = buckets.get(labels["le"], 0) + sample.value
            elif name := _SUMMED.get((sample.name, labels.get("state") or labels.get("kind", ""))):
                gauges[name] = gauges.get(name, 0) + sample.value
            elif sample.name in _GAUGES:
                name = _GAUGES[sample.name] + _feed(labels)
                gauges[name] = max(gauges.get(name, 0), sample.value)
    return {
        "at": time.time(),
        "granted": granted,
        "refused": refused,
        "reserve_seconds": [[bound, buckets[bound]] for bound in sorted(buckets, key=float)],
        **gauges,
    }


_GAUGES: Final = {
    "holdfast_expiry_lag_seconds": "expiry_lag_seconds",
    "holdfast_event_log_bytes": "event_log_bytes",
    "holdfast_feed_lag_seconds": "lag_seconds_",
    "holdfast_alerts_waiting": "alerts_waiting",
    "holdfast_alert_dead_letters": "alerts_dead",
}
# By the state or kind in their label; those of all channels are one figure.
_SUMMED: Final = {
    ("holdfast_channel_orders_unfit", "waiting"): "orders_unfit",
    ("holdfast_channel_orders_unfit", "stuck"): "orders_unfit",
    ("holdfast_channel_offers", "dead"): "letters_dead",
    ("holdfast_channel_offers", "not_closed"): "not_closed",
    ("holdfast_channel_parcels", "dead"): "parcels_dead",
    ("holdfast_warehouse_anomalies", ""): "houses_amiss",
    ("holdfast_warehouse_reports_open", "dead"): "houses_amiss",
    ("holdfast_warehouse_reports_open", "anomaly"): "houses_amiss",
    ("holdfast_warehouse_short_skus", ""): "houses_amiss",
    ("holdfast_warehouse_findings", "drift"): "houses_amiss",
}


def _feed(labels: dict[str, str]) -> str:
    return labels.get("feed", "")
