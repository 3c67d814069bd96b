"""What a replay asks of the service, and its answers in the replay's words.

A request without a usable answer is sent again under the same id, which is safe: the id is the
idempotency key. Only when that has gone on for `PATIENCE_SECONDS` is the request given up.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from reservation.client import (
    AsyncClient,
    Forbidden,
    ImportReport,
    InsufficientStock,
    InvalidImport,
    Refused,
    Reservation,
    ReservationNotFound,
    Retry,
    RowError,
    SkuNotFound,
    SkuSuspended,
    Stock,
    Unauthenticated,
    Unavailable,
)
from reservation.errors import HoldfastError, StoreUnavailable
from reservation.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import httpx

    from reservation.client import OrderLine

T = TypeVar("T")

PATIENCE_SECONDS = 30.0  # a restarted service is back within 5 s; a longer outage is no hiccup
KNOCK_SECONDS = 3.0  # for a service that is not there at all
IMPORT_SECONDS = 300.0  # a file of 16 MiB on a slow machine
SENDINGS = 100  # of one request; the patience ends before they do
MAX_CONNECTIONS = 128

KNOCKED_AT = "knock"  # no SKU: whether it exists does not matter
ABSENT = "start the service with `holdfast up`, or give --url another address"
UNWELL = "`holdfast doctor` on its machine says what is wrong"


class Unanswered(StoreUnavailable):
    """No usable answer came within the patience; `effect` says whether it may have had one."""


class Denied(HoldfastError):
    """The key is unknown or does not allow this."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service said to one verb; `problem` is a refusal's slug, empty where it was done."""

    problem: str = ""
    state: State | None = None
    known: bool = False  # the id was there before this gateway first sent it
    prevented_units: int = 0  # requested beyond what was available
    available: tuple[int, ...] = ()  # of each short line
    suspended: tuple[str, ...] = ()  # SKUs whose breaker is open, as far as the answer says

    @property
    def granted(self) -> bool:
        """Say whether the verb had its effect now, and not in an earlier run."""
        return not self.problem and not self.known


class Gateway:
    """A channel's order gateway, for as many channels as its key may act for."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        """Connect lazily. Raises ConfigurationError where address or key cannot be one."""
        self.url = url
        self.doubted = 0  # requests that had an effect or a refusal only when sent again
        self._patience_seconds = patience_seconds or PATIENCE_SECONDS
        self._client = AsyncClient(
            url,
            key,
            deadline_seconds=self._patience_seconds,
            retry=Retry(attempts=SENDINGS),
            max_connections=MAX_CONNECTIONS,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def knock(self) -> None:
        """Find out early whether the service is there and knows the key; changes nothing.

        Raises Unanswered and Denied.
        """
        patience = min(KNOCK_SECONDS, self._patience_seconds)
        hurried = self._client.with_options(deadline_seconds=patience)
        try:
            await self._answered(hurried.stock(KNOCKED_AT))
        except SkuNotFound:
            return

    async def reserve(
        self, reservation_id: str, lines: Sequence[OrderLine], ttl_seconds: int
    ) -> Reply:
        """Ask for a hold."""
        return await self._reply(
            self._client.reserve(reservation_id, lines, ttl_seconds=ttl_seconds)
        )

    async def confirm(self, reservation_id: str) -> Reply:
        """Tell that the order is paid."""
        return await self._reply(self._client.confirm(reservation_id))

    async def fulfil(self, reservation_id: str) -> Reply:
        """Tell that everything left has been shipped."""
        return await self._reply(self._client.fulfil(reservation_id))

    async def state(self, reservation_id: str) -> State | None:
        """Read a reservation's state, None where it is not known."""
        try:
            return (await self._answered(self._client.reservation(reservation_id))).state
        except ReservationNotFound:
            return None

    async def stock(self, sku: str) -> Stock | None:
        """Read a SKU's levels and breaker, None where it has no level."""
        try:
            return await self._answered(self._client.stock(sku))
        except SkuNotFound:
            return None

    async def set_stock(self, sku: str, on_hand: int) -> Stock:
        """Set a SKU's count in the default warehouse."""
        return await self._answered(self._client.set_stock(sku, on_hand))

    async def import_stock(self, file: bytes, *, dry_run: bool = False) -> ImportReport:
        """Set levels by a file; a refused file is a report that was not applied, with errors."""
        patient = self._client.with_options(deadline_seconds=IMPORT_SECONDS)
        try:
            return await self._answered(patient.import_stock(file, dry_run=dry_run))
        except InvalidImport as refusal:
            if refusal.report is not None:
                return refusal.report
            whole = RowError(row=0, reason=refusal.detail)
        except Refused as refusal:
            whole = RowError(row=0, reason=str(refusal))
        return ImportReport(
            rows=0, created=0, changed=0, unchanged=0, applied=False, errors=(whole,)
        )

    async def _answered(self, call: Awaitable[T]) -> T:
        """Wait for an answer; say in our words that there is none, or none for this key."""
        try:
            return await call
        except (Unauthenticated, Forbidden) as error:
            message = f"{self.url} refuses the key: {error.detail} Give --key another one."
            raise Denied(message) from error
        except Unavailable as error:
            detail = error.detail if self.url in error.detail else f"{self.url}: {error.detail}"
            next_step = ABSENT if error.status is None else UNWELL
            raise Unanswered(f"{detail}; {next_step}", effect=error.effect) from error

    async def _reply(self, call: Awaitable[Reservation]) -> Reply:
        try:
            reservation = await self._answered(call)
        except Refused as refusal:
            self.doubted += refusal.doubted
            return _reply_to_refusal(refusal)
        self.doubted += reservation.doubted
        known = reservation.replayed and not reservation.doubted
        return Reply(state=reservation.state, known=known)


def _reply_to_refusal(refusal: Refused) -> Reply:
    match refusal:
        case InsufficientStock(lines=lines, suspended=suspended):
            return Reply(
                problem=refusal.slug,
                prevented_units=sum(line.requested - line.available for line in lines),
                available=tuple(line.available for line in lines),
                suspended=suspended,
            )
        case SkuSuspended(skus=skus):
            return Reply(
                problem=refusal.slug, suspended=tuple(suspension.sku for suspension in skus)
            )
        case _:
            return Reply(problem=refusal.slug)
