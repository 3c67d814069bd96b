"""The exception tree of the client: what the service refused, and what got no usable answer.

    HoldfastError
      ClientError
        Refused                    the service said no; nothing changed. One class a reason:
          MalformedRequest, RequestTooLarge, InvalidRequest, InvalidImport, UnknownSku,
          IdempotencyKeyReused, Unauthenticated, Forbidden, TooManyRequests,
          NotFound             ReservationNotFound, SkuNotFound
          InsufficientStock, SkuSuspended, ChannelQuotaExceeded
          StockConflict        StaleStock, StockBelowZero
          ImpossibleMove       ReservationExpired, ReservationReleased, ReservationFulfilled,
                               AlreadyConfirmed, NotConfirmed, ExceedsReserved, HoldLimitReached
        Unavailable                no usable answer within the deadline; nothing was applied
          OutcomeUnknown           … or it may have been: the same request again finds out

A refusal that a newer service invents is a plain `Refused` with its slug.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec

from reservation.client.results import (
    FormError,
    ImportReport,
    LevelName,
    Suspension,
)
from reservation.errors import Effect, HoldfastError
from reservation.model import Shortage, State
from reservation.quota_model import QuotaExcess

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as the service wrote it (RFC 9457); `members` are its extensions, undecoded."""

    slug: str
    status: int
    title: str = ""
    detail: str = ""
    request_id: str = ""
    retry_after_seconds: int | None = None
    doubted: bool = False
    members: dict[str, Any] = {}  # msgspec copies an empty default for each instance

    def member(self, name: str, kind: type[T], default: T) -> T:
        """Decode one extension member; one that is absent or not of its kind is the default."""
        try:
            return msgspec.convert(self.members[name], kind)
        except (KeyError, msgspec.ValidationError):
            return default


class ClientError(HoldfastError):
    """Anything that a call of the client raises about its request."""


class Refused(ClientError):
    """The service said no, and nothing changed.

    `slug` names the reason for programs, `detail` says it to people with figures and next step,
    `members` is all else that the service said. `doubted`: within this call an earlier sending of
    the same request got no answer; should it be under way still, it may yet take effect.
    """

    slug: str = ""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem
        self.slug = problem.slug
        self.status = problem.status
        self.detail = problem.detail
        self.members = problem.members
        self.request_id = problem.request_id
        self.retry_after_seconds = problem.retry_after_seconds
        self.doubted = problem.doubted

    def __str__(self) -> str:
        """Say what was refused and which request it was."""
        text = self.detail or self.problem.title or f"status {self.status}"
        return f"{text} [{self.slug}, request {self.request_id}]"


class MalformedRequest(Refused):
    """The service could not read the request; something on the way has changed it."""

    slug = "malformed-request"


class RequestTooLarge(Refused):
    """The request has more bytes than the service takes, or the client can send; split it."""

    slug = "request-too-large"


class InvalidRequest(Refused):
    """The request breaks rules of form: all of them are in `errors`."""

    slug = "invalid-request"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.errors = problem.member("errors", tuple[FormError, ...], ())


class InvalidImport(Refused):
    """The file has bad rows, and none was applied; `report` is None where it has another form."""

    slug = "invalid-import"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        try:
            self.report: ImportReport | None = msgspec.convert(problem.members, ImportReport)
        except msgspec.ValidationError:
            self.report = None


class UnknownSku(Refused):
    """There is no stock level for the SKUs and warehouses in `skus`."""

    slug = "unknown-sku"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.skus = problem.member("skus", tuple[LevelName, ...], ())


class IdempotencyKeyReused(Refused):
    """The id is known with other content; repeat that, or choose another id."""

    slug = "idempotency-key-reused"


class Unauthenticated(Refused):
    """The key is unknown or has been revoked."""

    slug = "unauthenticated"


class Forbidden(Refused):
    """The key's role or channel does not allow this."""

    slug = "forbidden"


class TooManyRequests(Refused):
    """The key's rate is used up for longer than the call could wait."""

    slug = "too-many-requests"


class NotFound(Refused):
    """There is no such thing; this very class: no such path."""

    slug = "not-found"


class ReservationNotFound(NotFound):
    """The id is unknown, no longer kept, or another channel's."""

    slug = "reservation-not-found"


class SkuNotFound(NotFound):
    """The SKU has no stock level (in this warehouse)."""

    slug = "sku-not-found"


class InsufficientStock(Refused):
    """`lines` names every short line; `suspended` the SKUs that this failure suspended."""

    slug = "insufficient-stock"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.lines = problem.member("lines", tuple[Shortage, ...], ())
        self.suspended = problem.member("suspended", tuple[str, ...], ())


class SkuSuspended(Refused):
    """Ordering of `skus` is suspended on all channels."""

    slug = "sku-suspended"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.skus = problem.member("skus", tuple[Suspension, ...], ())


class ChannelQuotaExceeded(Refused):
    """There is stock, but quotas do not give it to this channel; `lines` names every such line."""

    slug = "channel-quota-exceeded"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.lines = problem.member("lines", tuple[QuotaExcess, ...], ())


class StockConflict(Refused):
    """A stock write does not fit what is there: `on_hand` as it is, None without a level."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        on_hand = problem.members.get("on_hand")
        self.on_hand = on_hand if isinstance(on_hand, int) else None


class StaleStock(StockConflict):
    """The level is not what `if_on_hand` said."""

    slug = "stale-stock"


class StockBelowZero(StockConflict):
    """The adjustment takes more than is on hand."""

    slug = "stock-below-zero"


class ImpossibleMove(Refused):
    """The reservation's `state` does not allow the move; None where the service does not say."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        try:
            self.state: State | None = State(problem.members["state"])
        except (KeyError, ValueError):
            self.state = None


class ReservationExpired(ImpossibleMove):
    """The hold's time to live has passed; `confirm(…, reinstate=True)` may retake the stock."""

    slug = "reservation-expired"


class ReservationReleased(ImpossibleMove):
    """It has given its units back and does not move any more."""

    slug = "reservation-released"


class ReservationFulfilled(ImpossibleMove):
    """All its goods have left."""

    slug = "reservation-fulfilled"


class AlreadyConfirmed(ImpossibleMove):
    """A confirmed reservation has no deadline to extend."""

    slug = "already-confirmed"


class NotConfirmed(ImpossibleMove):
    """Only confirmed reservations are fulfilled."""

    slug = "not-confirmed"


class ExceedsReserved(ImpossibleMove):
    """The part asks for more than is left to ship, or is one part too many."""

    slug = "exceeds-reserved"


class HoldLimitReached(ImpossibleMove):
    """A hold may not reach so far from its creation."""

    slug = "hold-limit-reached"


class Unavailable(ClientError):
    """No usable answer within the deadline, and certainly nothing was applied.

    `attempts` sendings were made, all under `request_id`; `status` is that of the last answer,
    None where there was none. `rows_applied` counts the rows of an interrupted import that stand:
    importing the same file again is safe.
    """

    effect: ClassVar[Effect] = "not_applied"
    advice: ClassVar[str] = "nothing was applied; it may be sent again"

    def __init__(
        self,
        detail: str,
        *,
        attempts: int = 1,
        request_id: str = "",
        status: int | None = None,
        retry_after_seconds: int | None = None,
        rows_applied: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.attempts = attempts
        self.request_id = request_id
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.rows_applied = rows_applied

    def __str__(self) -> str:
        """Say what went wrong and what may be done now."""
        return f"{self.detail} ({self.advice})"


class OutcomeUnknown(Unavailable):
    """No usable answer, and the request may have taken effect.

    Sending the same request again is safe wherever it carries an id; a stock level that was set
    without `if_on_hand` is best read first.
    """

    effect = "unknown"
    advice = (
        "it may have been applied; sending the same id again is safe, "
        "what carries no id is best read first"
    )


def _leaves(kind: type[Refused]) -> list[type[Refused]]:
    return [kind, *(leaf for below in kind.__subclasses__() for leaf in _leaves(below))]


# slug -> class; what is not here is a plain Refused.
REFUSALS = {kind.slug: kind for kind in _leaves(Refused) if kind.slug}
