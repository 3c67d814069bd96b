"""The endpoints of operation: alive, ready, figures, the test clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reservation import metrics
from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.problems import Problem, Refused, Slug, retry_after
from reservation.times import rfc3339

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.engine import Engine


async def health(_call: Call) -> Answer:
    """Say that the process is alive, whatever the store does."""
    return json_answer(OK, {"status": "ok"})


async def figures(_call: Call) -> Answer:
    """Answer all series in Prometheus' text format, summed over the worker processes."""
    metrics.TALLY.write()
    body = await asyncio.to_thread(metrics.render)
    return Answer(OK, body, metrics.CONTENT_TYPE.encode())


class Operations:
    """What keeps the service running and asks the engine for it."""

    def __init__(self, engine: Engine, decoder: Decoder) -> None:
        self._engine = engine
        self.decoder = decoder

    async def ready(self, _call: Call) -> Answer:
        """Say whether requests can be served: store reachable, scripts loaded, clock sane."""
        readiness = await self._engine.readiness()
        if readiness.ready:
            return json_answer(OK, {"ready": True, "warnings": list(readiness.warnings)})
        findings = list(readiness.findings)
        detail = "; ".join(findings) or "the store is not ready"
        raise Refused(
            Problem(
                Slug.STORE_UNAVAILABLE,
                f"Not ready: {detail}.",
                {"outcome": "not_applied", "findings": findings},
                retry_after(1),
            )
        )

    async def move_clock(self, call: Call) -> Answer:
        """Move the store's test clock; only where `test_clock` is set, never in production."""
        form = self.decoder.clock(call.body)
        advance = form.advance_seconds
        now_ms = await self._engine.move_clock(
            advance_ms=None if advance is None else round(advance * 1000), freeze=form.freeze
        )
        return json_answer(OK, {"now": rfc3339(now_ms)})
