"""The Python client: `Client` for threads, `AsyncClient` for asyncio, with the same methods.

    from reservation.client import Client, InsufficientStock

    with Client("http://127.0.0.1:8000", key) as holdfast:
        try:
            holdfast.reserve("tmall:2601220001", [("CATFOOD-10KG", 2)])
        except InsufficientStock as refused:
            print(refused.lines)  # every short line, with what is available
        else:
            holdfast.confirm("tmall:2601220001")

The reservation id is the idempotency key: every verb may be sent again, and is, within the call's
deadline, when an answer is lost, the service is restarting or overloaded. What the service refuses
is raised as a class of its own (`errors` has the tree). It needs httpx and msgspec, nothing else.
"""

from reservation.client.asynchronous import AsyncClient
from reservation.client.conversation import Retry
from reservation.client.errors import (
    AlreadyConfirmed,
    ClientError,
    ExceedsReserved,
    Forbidden,
    HoldLimitReached,
    IdempotencyKeyReused,
    ImpossibleMove,
    InsufficientStock,
    InvalidImport,
    InvalidRequest,
    MalformedRequest,
    NotConfirmed,
    NotFound,
    OutcomeUnknown,
    Problem,
    Refused,
    RequestTooLarge,
    ReservationExpired,
    ReservationFulfilled,
    ReservationNotFound,
    ReservationReleased,
    SkuNotFound,
    SkuSuspended,
    StaleStock,
    StockBelowZero,
    StockConflict,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnknownSku,
)
from reservation.client.operations import (
    Confirm,
    Extend,
    Fulfil,
    LineLike,
    Operation,
    OrderLine,
    Release,
    Reserve,
)
from reservation.client.results import (
    Availability,
    Breaker,
    BreakerPage,
    FormError,
    ImportReport,
    LevelName,
    Reservation,
    RowError,
    Stock,
    StockLevel,
    Suspension,
)
from reservation.client.synchronous import Client
from reservation.model import (
    AvailabilityItem,
    BreakerPolicy,
    BreakerState,
    Line,
    Readiness,
    Shortage,
    State,
)

__all__ = [
    "AlreadyConfirmed",
    "AsyncClient",
    "Availability",
    "AvailabilityItem",
    "Breaker",
    "BreakerPage",
    "BreakerPolicy",
    "BreakerState",
    "Client",
    "ClientError",
    "Confirm",
    "ExceedsReserved",
    "Extend",
    "Forbidden",
    "FormError",
    "Fulfil",
    "HoldLimitReached",
    "IdempotencyKeyReused",
    "ImportReport",
    "ImpossibleMove",
    "InsufficientStock",
    "InvalidImport",
    "InvalidRequest",
    "LevelName",
    "Line",
    "LineLike",
    "MalformedRequest",
    "NotConfirmed",
    "NotFound",
    "Operation",
    "OrderLine",
    "OutcomeUnknown",
    "Problem",
    "Readiness",
    "Refused",
    "Release",
    "RequestTooLarge",
    "Reservation",
    "ReservationExpired",
    "ReservationFulfilled",
    "ReservationNotFound",
    "ReservationReleased",
    "Reserve",
    "Retry",
    "RowError",
    "Shortage",
    "SkuNotFound",
    "SkuSuspended",
    "StaleStock",
    "State",
    "Stock",
    "StockBelowZero",
    "StockConflict",
    "StockLevel",
    "Suspension",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnknownSku",
]
