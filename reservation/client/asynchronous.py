"""The client for asyncio: its methods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from reservation.client import calls
from reservation.client.asynchronous_speaker import AsyncSpeaker
from reservation.client.errors import Refused, Unavailable
from reservation.client.following import Following
from reservation.client.operations import (
    Confirm,
    Extend,
    Fulfil,
    LineLike,
    Operation,
    Release,
    Reserve,
)
from reservation.client.results import (
    Availability,
    Breaker,
    Event,
    ImportReport,
    LevelHealth,
    Page,
    Proof,
    Quota,
    Reservation,
    Reset,
    SkuHealth,
    SkuLevels,
    SkuQuotas,
    Stock,
)
from reservation.model import BreakerState, HealthStatus, Readiness, State

T = TypeVar("T")
P = ParamSpec("P")


class AsyncClient(AsyncSpeaker):
    """Speaks to a Holdfast service; one per process, shared by all its tasks.

    Every method ends within its deadline and raises `Refused` where the service says no,
    `Unavailable` where there is no usable answer and nothing happened, and `OutcomeUnknown` where
    something may have: then the same call again, with the same id, finds out.
    """

    # -- reservations ----------------------------------------------------------------------------

    async def reserve(
        self,
        reservation_id: str,
        lines: Iterable[LineLike],
        *,
        ttl_seconds: int | None = None,
        confirm: bool = False,
    ) -> Reservation:
        """Hold all lines or none; with `confirm` commit them at once.

        Raises InsufficientStock, SkuSuspended, UnknownSku, IdempotencyKeyReused.
        """
        return await self._ask(calls.operate(Reserve(reservation_id, lines, ttl_seconds, confirm)))

    async def reservation(self, reservation_id: str) -> Reservation:
        """Read a reservation as it is now. Raises ReservationNotFound."""
        return await self._ask(calls.read_reservation(reservation_id))

    async def confirm(self, reservation_id: str, *, reinstate: bool = False) -> Reservation:
        """Commit a hold; with `reinstate` also an expired one whose stock is still free.

        Raises ReservationExpired, ReservationReleased, InsufficientStock (reinstating).
        """
        return await self._ask(calls.operate(Confirm(reservation_id, reinstate)))

    async def release(self, reservation_id: str, *, reason: str | None = None) -> Reservation:
        """Give back what has not left. Raises ReservationFulfilled."""
        return await self._ask(calls.operate(Release(reservation_id, reason)))

    async def extend(self, reservation_id: str, ttl_seconds: int) -> Reservation:
        """Set a hold's deadline to now plus `ttl_seconds`, earlier or later than it was.

        Raises HoldLimitReached, and the refusals of a reservation that is not held.
        """
        return await self._ask(calls.operate(Extend(reservation_id, ttl_seconds)))

    async def fulfil(
        self,
        reservation_id: str,
        *,
        fulfilment_id: str | None = None,
        lines: Iterable[LineLike] | None = None,
    ) -> Reservation:
        """Book as shipped what is left, or the `lines` of one part under `fulfilment_id`.

        Raises NotConfirmed, ExceedsReserved.
        """
        return await self._ask(calls.operate(Fulfil(reservation_id, fulfilment_id, lines)))

    async def batch(
        self, operations: Iterable[Operation]
    ) -> list[Reservation | Refused | Unavailable]:
        """Ask up to 1,000 verbs at once, each on its own; refusals are values, in their places.

        A batch that had to be sent again answers with what is true by then: an `extend` that was
        granted, with a `confirm` behind it, is then answered AlreadyConfirmed.
        """
        return await self._ask(calls.batch(operations))

    # -- stock -----------------------------------------------------------------------------------

    async def stock(self, sku: str) -> Stock:
        """Read all levels of a SKU and its breaker. Raises SkuNotFound."""
        return await self._ask(calls.read_stock(sku))

    async def availability(
        self, skus: Iterable[str], *, warehouse: str | None = None, channel: str | None = None
    ) -> Availability:
        """Ask what may still be sold of up to 100 SKUs, one item per warehouse.

        With `channel` by that one: no more than the quotas let it have.
        """
        return await self._ask(calls.availability(skus, warehouse, channel))

    async def set_stock(
        self,
        sku: str,
        on_hand: int,
        *,
        warehouse: str | None = None,
        safety_stock: int | None = None,
        if_on_hand: int | None = None,
    ) -> Stock:
        """Set a level to a count; with `if_on_hand` only if that many are on hand now.

        Without it the call is not sent again after an unknown outcome: it could undo a count that
        somebody else has written in between. Raises StaleStock.
        """
        return await self._ask(
            calls.set_stock(
                sku,
                on_hand,
                warehouse=warehouse,
                safety_stock=safety_stock,
                if_on_hand=if_on_hand,
            )
        )

    async def adjust_stock(
        self,
        sku: str,
        delta: int,
        *,
        adjustment_id: str,
        reason: str,
        warehouse: str | None = None,
    ) -> Stock:
        """Change a level by a difference, once per `adjustment_id` within SKU and warehouse.

        Raises StockBelowZero, SkuNotFound, IdempotencyKeyReused.
        """
        return await self._ask(
            calls.adjust_stock(
                sku, delta, adjustment_id=adjustment_id, reason=reason, warehouse=warehouse
            )
        )

    async def quotas(self, sku: str) -> SkuQuotas:
        """Read the channel quotas of a SKU, what channels have and may take. Raises SkuNotFound."""
        return await self._ask(calls.read_quotas(sku))

    async def set_quotas(
        self, sku: str, quotas: Iterable[Quota], *, warehouse: str | None = None
    ) -> SkuQuotas:
        """Set all quotas of a level: what is not given is gone, none removes them all.

        They are in force when this returns. Not sent again after an unknown outcome, as
        `set_stock`. Raises SkuNotFound, and ValueError for an `until` without a time zone.
        """
        return await self._ask(calls.set_quotas(sku, quotas, warehouse))

    async def import_stock(self, file: bytes | Path, *, dry_run: bool = False) -> ImportReport:
        """Set levels from CSV (`sku,warehouse,on_hand,safety_stock`): all rows, or none.

        Not sent again after an unknown outcome, as `set_stock`. Raises InvalidImport, and OSError
        where a path cannot be read.
        """
        content = await asyncio.to_thread(file.read_bytes) if isinstance(file, Path) else file
        return await self._ask(calls.import_stock(content, dry_run=dry_run))

    # -- breakers --------------------------------------------------------------------------------

    async def breaker(self, sku: str) -> Breaker:
        """Read a SKU's breaker as it is now. Raises SkuNotFound."""
        return await self._ask(calls.read_breaker(sku))

    async def breakers(
        self,
        *,
        state: BreakerState | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Page[Breaker]:
        """List by SKU the breakers that have something to tell, 100 a page unless told otherwise.

        That is: all but those closed without failures and without a policy of their own.
        """
        return await self._ask(calls.list_breakers(state, after, limit))

    async def trip(self, sku: str, *, reason: str) -> Breaker:
        """Suspend a SKU on all channels, until a hand resets it.

        Like every act on a breaker it is not sent again after an unknown outcome: it could undo
        what somebody else has done in between. Raises SkuNotFound.
        """
        return await self._ask(calls.act_on_breaker("trip", sku, reason))

    async def reset(self, sku: str, *, reason: str) -> Breaker:
        """Close a SKU's breaker and forget its failures. Raises SkuNotFound."""
        return await self._ask(calls.act_on_breaker("reset", sku, reason))

    async def trip_many(self, skus: Iterable[str], *, reason: str) -> tuple[Breaker, ...]:
        """Suspend up to 100 SKUs at once, all or none. Raises SkuNotFound."""
        return await self._ask(calls.act_on_breakers("trip", skus, reason))

    async def reset_many(self, skus: Iterable[str], *, reason: str) -> tuple[Breaker, ...]:
        """Close up to 100 breakers at once, all or none. Raises SkuNotFound."""
        return await self._ask(calls.act_on_breakers("reset", skus, reason))

    async def set_breaker_policy(
        self,
        sku: str,
        *,
        threshold: int | None = None,
        window_seconds: int | None = None,
        cool_down_seconds: int | None = None,
        exempt: bool | None = None,
    ) -> Breaker:
        """Give a SKU a policy of its own; what is None stays as it is. Raises SkuNotFound."""
        return await self._ask(
            calls.set_breaker_policy(
                sku,
                threshold=threshold,
                window_seconds=window_seconds,
                cool_down_seconds=cool_down_seconds,
                exempt=exempt,
            )
        )

    # -- what has happened -----------------------------------------------------------------------

    async def list_stock(
        self, *, after: str | None = None, limit: int | None = None
    ) -> Page[SkuLevels]:
        """List all levels by SKU, as they were at `as_of`: at most a second ago.

        A page of this and of the other lists has 100 items unless told otherwise, up to 1,000.
        """
        return await self._ask(calls.list_stock(after, limit))

    async def list_reservations(
        self,
        *,
        channel: str | None = None,
        state: State | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Page[Reservation]:
        """List reservations, newest first; a channel's key sees its own."""
        return await self._ask(calls.list_reservations(channel, state, after, limit))

    async def sku_health(self, sku: str) -> SkuHealth:
        """Ask how much of a SKU is promised and unshipped, and how much to show of it.

        Raises SkuNotFound.
        """
        return await self._ask(calls.read_health(sku))

    async def list_health(
        self,
        *,
        status: HealthStatus | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Page[LevelHealth]:
        """List levels, worst first: at risk before healthy, of these the higher ratio.

        The order changes with every sale: a level that moves between two pages may be missed or
        seen twice.
        """
        return await self._ask(calls.list_health(status, after, limit))

    async def ledger(
        self, sku: str, *, after: str | None = None, limit: int | None = None
    ) -> Page[Event]:
        """Page through all that happened to a SKU, oldest first, each with the balance after it.

        Raises SkuNotFound.
        """
        return await self._ask(calls.read_ledger(sku, after, limit))

    async def proof(self, sku: str) -> Proof:
        """Have a SKU's balances computed from its history and its live reservations, and compared.

        Raises SkuNotFound.
        """
        return await self._ask(calls.prove(sku))

    async def every(
        self, ask: Callable[P, Awaitable[Page[T]]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T, None]:
        """Walk a list from page to page: `every(holdfast.ledger, "CATFOOD-10KG", limit=1000)`.

        Each page is asked for when the one before is used up; it raises what the list raises.
        """
        asked: dict[str, Any] = dict(kwargs)
        while True:  # ends with the page that has none behind it
            page = await ask(*args, **asked)
            for item in page.items:
                yield item
            if page.next is None:
                return
            asked["after"] = page.next

    def events(self, *, after: str | None = None) -> AsyncGenerator[Event | Reset, None]:
        """Follow what happens, over all connections that it takes: each event once, in order.

        It begins behind the id `after`, else now. A connection that is lost, or silent for 40 s, is
        made anew behind the last event, for as long as you listen; a `Reset` says that events are
        missing. A channel's key sees its own orders, and all of stock and breakers. Close it when
        you stop: the plain client's by `with` or `close`, also from another thread, the other's by
        `contextlib.aclosing`. Raises Refused, and Unavailable where it is no service.
        """
        return self._follow(Following(after, self._retry))

    # -- operation -------------------------------------------------------------------------------

    async def readiness(self) -> Readiness:
        """Ask whether the service can serve; where not, `findings` says why, without a retry."""
        return await self._ask(calls.readiness())

    async def move_clock(
        self, *, advance_seconds: float | None = None, freeze: bool | None = None
    ) -> datetime:
        """Move a test service's clock, or stop it or let it go; returns where it stands.

        A jump is not sent again after an unknown outcome: two would be twice as far. Raises
        NotFound where the service has no test clock.
        """
        return await self._ask(calls.move_clock(advance_seconds=advance_seconds, freeze=freeze))
