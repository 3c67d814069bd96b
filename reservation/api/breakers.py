"""The endpoints of SKU breakers: read, list, trip, reset, policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.problems import Refused
from reservation.api.query import ListQuery
from reservation.api.refusals import sku_not_found
from reservation.api.views import breaker_json
from reservation.model import BreakerState, SetBreakerPolicy
from reservation.status import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.engine import Engine
    from reservation.model import BreakerOutcome


class BreakerEndpoints:
    """What people do to breakers, over HTTP; `engine.breakers` does it."""

    def __init__(self, engine: Engine, decoder: Decoder) -> None:
        self._engine = engine
        self.decoder = decoder

    async def read(self, call: Call) -> Answer:
        """Read a SKU's breaker as it is now."""
        sku = call.sku()
        breaker = await self._engine.breakers.breaker(sku)
        if breaker is None:
            raise Refused(sku_not_found(sku))
        return json_answer(OK, breaker_json(breaker))

    async def trip(self, call: Call) -> Answer:
        """Suspend a SKU on all channels; it is closed by hand only."""
        reason = self.decoder.reason(call.body)
        sku = call.sku()
        outcomes = await self._engine.breakers.trip([sku], reason, call.exchange.origin)
        return _one(sku, outcomes[0])

    async def reset(self, call: Call) -> Answer:
        """Close a SKU's breaker and forget its failures."""
        reason = self.decoder.reason(call.body)
        sku = call.sku()
        outcomes = await self._engine.breakers.reset([sku], reason, call.exchange.origin)
        return _one(sku, outcomes[0])

    async def set_policy(self, call: Call) -> Answer:
        """Give a SKU a policy of its own; what is left out stays as it is.

        A cool-down that is set, changed or removed while the breaker is open applies from its next
        opening on: the `retry_at` of the present one stays. Where it opens again on trial, that
        is twice the cool-down that it had, unless there was none before, or is none now.
        """
        form = self.decoder.breaker_policy(call.body)
        sku = call.sku()
        policy = SetBreakerPolicy(
            sku, form.threshold, form.window_seconds, form.cool_down_seconds, form.exempt
        )
        return _one(sku, await self._engine.breakers.set_policy(policy, call.exchange.origin))

    async def trip_many(self, call: Call) -> Answer:
        """Suspend up to a hundred SKUs at once; one unknown SKU refuses them all."""
        skus, reason = self.decoder.skus_and_reason(call.body)
        return _many(skus, await self._engine.breakers.trip(skus, reason, call.exchange.origin))

    async def reset_many(self, call: Call) -> Answer:
        """Close up to a hundred breakers at once; one unknown SKU refuses them all."""
        skus, reason = self.decoder.skus_and_reason(call.body)
        return _many(skus, await self._engine.breakers.reset(skus, reason, call.exchange.origin))

    async def list_known(self, call: Call) -> Answer:
        """List by SKU the breakers that have something to tell.

        That is: all but those closed without failures and without a policy of their own.
        """
        asked = ListQuery(call.exchange.query, "state")
        state = asked.one_of("state", BreakerState)
        after = asked.sku_before()
        asked.check()
        page, following = await self._engine.breakers.known(
            state=state, after=after, limit=asked.limit
        )
        items = [breaker_json(breaker) for breaker in page]
        return json_answer(OK, {"items": items, "next": following})


def _one(sku: str, outcome: BreakerOutcome) -> Answer:
    if outcome.status is Status.UNKNOWN_SKU or outcome.breaker is None:
        raise Refused(sku_not_found(sku))
    return json_answer(OK, breaker_json(outcome.breaker))


def _many(skus: Sequence[str], outcomes: Sequence[BreakerOutcome]) -> Answer:
    items = []
    for sku, outcome in zip(skus, outcomes, strict=True):
        if outcome.status is Status.UNKNOWN_SKU or outcome.breaker is None:
            raise Refused(sku_not_found(sku))
        items.append(breaker_json(outcome.breaker))
    return json_answer(OK, {"items": items})
