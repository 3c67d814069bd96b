"""The refusals of the API: one table of what each means, and how one is written (RFC 9457)."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping


class Slug(StrEnum):
    """The last part of a problem's `type`; it names what happened and never changes its meaning."""

    MALFORMED_REQUEST = "malformed-request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    RESERVATION_NOT_FOUND = "reservation-not-found"
    SKU_NOT_FOUND = "sku-not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    INSUFFICIENT_STOCK = "insufficient-stock"
    SKU_SUSPENDED = "sku-suspended"
    CHANNEL_QUOTA_EXCEEDED = "channel-quota-exceeded"
    RESERVATION_EXPIRED = "reservation-expired"
    RESERVATION_RELEASED = "reservation-released"
    RESERVATION_FULFILLED = "reservation-fulfilled"
    ALREADY_CONFIRMED = "already-confirmed"
    NOT_CONFIRMED = "not-confirmed"
    EXCEEDS_RESERVED = "exceeds-reserved"
    HOLD_LIMIT_REACHED = "hold-limit-reached"
    STALE_STOCK = "stale-stock"
    STOCK_BELOW_ZERO = "stock-below-zero"
    REQUEST_TOO_LARGE = "request-too-large"
    INVALID_REQUEST = "invalid-request"
    INVALID_IMPORT = "invalid-import"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    UNKNOWN_SKU = "unknown-sku"
    TOO_MANY_REQUESTS = "too-many-requests"
    INTERNAL_ERROR = "internal-error"
    STORE_UNAVAILABLE = "store-unavailable"
    OVERLOADED = "overloaded"
    ARCHIVE_UNAVAILABLE = "archive-unavailable"


class ProblemKind(Struct, frozen=True):
    """What every problem of one slug has in common."""

    status: int
    title: str
    meaning: str
    next_step: str
    same_request_later: bool  # whether sending the very same request again may succeed


KINDS: Final[Mapping[Slug, ProblemKind]] = MappingProxyType(
    {
        Slug.MALFORMED_REQUEST: ProblemKind(
            400,
            "The request cannot be read",
            "The body is not JSON in UTF-8 (or, for an import, its content type is not text/csv), "
            "it did not arrive in time or is compressed, the Content-Type header names something "
            "else, or the head is not as HTTP/1.1 wants it.",
            "Send one JSON object with 'Content-Type: application/json'; detail says where "
            "reading stopped.",
            same_request_later=False,
        ),
        Slug.UNAUTHENTICATED: ProblemKind(
            401,
            "No valid key",
            "The Authorization header is missing, is not 'Bearer <key>', or the key is unknown or "
            "has been revoked.",
            "Send 'Authorization: Bearer <key>' with a key made by 'holdfast keys create'.",
            same_request_later=False,
        ),
        Slug.FORBIDDEN: ProblemKind(
            403,
            "The key does not allow this",
            "The key is valid, but its role may not do this, or the reservation would belong to a "
            "channel that is not the key's own.",
            "Use a key of the right role or channel; the role table in the documentation says who "
            "may do what.",
            same_request_later=False,
        ),
        Slug.NOT_FOUND: ProblemKind(
            404,
            "No such path",
            "Nothing is served at this path.",
            "Compare the path with /docs; a '/' inside a SKU is written %2F.",
            same_request_later=False,
        ),
        Slug.RESERVATION_NOT_FOUND: ProblemKind(
            404,
            "No such reservation",
            "The id is unknown, its receipt's retention has ended, it belongs to a channel that "
            "is not the key's own, or it cannot be an id at all.",
            "Check the id; if it was refused before, or never arrived, reserve it.",
            same_request_later=True,
        ),
        Slug.SKU_NOT_FOUND: ProblemKind(
            404,
            "No such SKU",
            "There is no stock level for this SKU (in this warehouse).",
            "Create the level first, with PUT /v1/stock/{sku} or an import.",
            same_request_later=True,
        ),
        Slug.METHOD_NOT_ALLOWED: ProblemKind(
            405,
            "Not with this method",
            "The path exists, but not with this method.",
            "Use one of the methods that the Allow header names.",
            same_request_later=False,
        ),
        Slug.INSUFFICIENT_STOCK: ProblemKind(
            409,
            "Not enough stock",
            "At least one line asks for more than is available. Nothing was held, not even the "
            "lines that could have been. 'lines' names every short line, 'suspended' the SKUs "
            "that this failure suspended.",
            "Ask for at most what is available, or try again when stock has come in or holds have "
            "ended: a refused id stays free.",
            same_request_later=True,
        ),
        Slug.SKU_SUSPENDED: ProblemKind(
            409,
            "Ordering is suspended",
            "After several failed locks within a short time ordering of the named SKUs was "
            "stopped on all channels. Nothing was held.",
            "Stop offering the SKU until it is reopened: by new stock, by an operator, or at "
            "'retry_at' where that is set.",
            same_request_later=True,
        ),
        Slug.CHANNEL_QUOTA_EXCEEDED: ProblemKind(
            409,
            "Not for this channel",
            "There is stock, but by the quotas set for channels this one may not take so much of "
            "it: it would have more than its ceiling, or units that are kept for other channels. "
            "Nothing was held, and it is no failed lock. 'lines' names every such line.",
            "Ask for at most what is available to this channel, or try again when its "
            "reservations have ended or the quotas were changed: a refused id stays free.",
            same_request_later=True,
        ),
        Slug.RESERVATION_EXPIRED: ProblemKind(
            409,
            "The hold has expired",
            "The time to live passed before this request, and the units went back on sale.",
            "Confirm with if_expired=reinstate to retake the stock if it is still free, or reserve "
            "anew under another id.",
            same_request_later=False,
        ),
        Slug.RESERVATION_RELEASED: ProblemKind(
            409,
            "The reservation was released",
            "A released reservation has given its units back and does not move any more.",
            "Reserve anew under another id.",
            same_request_later=False,
        ),
        Slug.RESERVATION_FULFILLED: ProblemKind(
            409,
            "The reservation is fulfilled",
            "All its goods have left; nothing is left to release or extend.",
            "Book returned goods as a stock adjustment.",
            same_request_later=False,
        ),
        Slug.ALREADY_CONFIRMED: ProblemKind(
            409,
            "The reservation is confirmed already",
            "A confirmed reservation has no deadline that could be extended.",
            "Nothing needs to be done: it stays until it is fulfilled or released.",
            same_request_later=False,
        ),
        Slug.NOT_CONFIRMED: ProblemKind(
            409,
            "The reservation is not confirmed",
            "Only confirmed reservations can be fulfilled; this one is still held.",
            "Confirm it first.",
            same_request_later=True,
        ),
        Slug.EXCEEDS_RESERVED: ProblemKind(
            409,
            "More than is left",
            "The part asks for more units than the reservation has left to ship, or the "
            "reservation has had its most parts.",
            "Read the reservation: quantity minus fulfilled is what is left. An empty body ships "
            "all of it.",
            same_request_later=False,
        ),
        Slug.HOLD_LIMIT_REACHED: ProblemKind(
            409,
            "The hold cannot be extended so far",
            "The deadline asked for lies further from the reservation's creation than a hold may "
            "reach.",
            "Extend by less, or confirm it.",
            same_request_later=False,
        ),
        Slug.STALE_STOCK: ProblemKind(
            409,
            "The stock has changed meanwhile",
            "'if_on_hand' differs from what is on hand, so nothing was written. 'on_hand' is the "
            "figure as it is, null where there is no level.",
            "Read the stock, decide anew, and send the figure that you saw.",
            same_request_later=True,
        ),
        Slug.STOCK_BELOW_ZERO: ProblemKind(
            409,
            "The stock would fall below zero",
            "The adjustment takes away more than is on hand, so nothing was written.",
            "Check the delta against 'on_hand', or set the counted figure with PUT.",
            same_request_later=True,
        ),
        Slug.REQUEST_TOO_LARGE: ProblemKind(
            413,
            "The body is too large",
            "The body exceeds the limit for this path; the rest of it was not read.",
            "Split the batch or the file into smaller ones.",
            same_request_later=False,
        ),
        Slug.INVALID_REQUEST: ProblemKind(
            422,
            "The request breaks a rule of form",
            "'errors' lists every broken rule at once, each with the JSON pointer of its place. "
            "Nothing was applied.",
            "Correct the members that the pointers name.",
            same_request_later=False,
        ),
        Slug.INVALID_IMPORT: ProblemKind(
            422,
            "The file has bad rows",
            "'errors' lists the bad rows (row 1 is the first line after the header). Nothing was "
            "applied; the counts are those of the good rows.",
            "Correct the rows and import the whole file again; dry_run=true checks without "
            "writing.",
            same_request_later=False,
        ),
        Slug.IDEMPOTENCY_KEY_REUSED: ProblemKind(
            422,
            "The id is taken by other content",
            "A reservation, part, parcel or adjustment with this id exists and says "
            "something else.",
            "Repeat the original content, or choose another id for a new one.",
            same_request_later=False,
        ),
        Slug.UNKNOWN_SKU: ProblemKind(
            422,
            "Unknown SKU",
            "'skus' names the lines for which there is no stock level in their warehouse.",
            "Check the codes; create missing levels with PUT /v1/stock/{sku} or an import.",
            same_request_later=True,
        ),
        Slug.TOO_MANY_REQUESTS: ProblemKind(
            429,
            "Too many requests",
            "The key has used up its rate.",
            "Wait for as many seconds as Retry-After says; many operations fit into one batch.",
            same_request_later=True,
        ),
        Slug.INTERNAL_ERROR: ProblemKind(
            500,
            "A fault of ours",
            "The service met something that it was not built for. The log has it under the "
            "request id.",
            "Report the request id. Sending a request with the same id again is safe.",
            same_request_later=True,
        ),
        Slug.STORE_UNAVAILABLE: ProblemKind(
            503,
            "The store gave no answer",
            "'outcome' not_applied means that nothing happened; unknown means that the request "
            "may have taken effect.",
            "Send the same request again after Retry-After seconds. With an id (of a reservation, "
            "part or adjustment) that is always safe, its effect happens at most once; after an "
            "unknown outcome read a stock level before setting it anew.",
            same_request_later=True,
        ),
        Slug.ARCHIVE_UNAVAILABLE: ProblemKind(
            503,
            "History cannot be told now",
            "Lists, ledger and proof come from the archive that the agents write into the data "
            "directory. This process has none, or it has not come as far as the log within 2 s. "
            "Everything else works.",
            "Try again after Retry-After seconds; where it stays, look whether the agents run and "
            "share this data directory.",
            same_request_later=True,
        ),
        Slug.OVERLOADED: ProblemKind(
            503,
            "More than can be worked on",
            "A bounded queue is full. Nothing was applied.",
            "Send the same request again after Retry-After seconds.",
            same_request_later=True,
        ),
    }
)


class Problem(Struct, frozen=True):
    """One refusal: `detail` gives cause, figures and next step; `members` are the extensions."""

    slug: Slug
    detail: str
    members: dict[str, Any] = {}  # msgspec copies an empty default for each instance
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def status(self) -> int:
        """Name the HTTP status."""
        return KINDS[self.slug].status

    def document(self, instance: str) -> dict[str, Any]:
        """Write the problem as JSON data; `instance` is the request's id."""
        kind = KINDS[self.slug]
        return {
            "type": f"/problems/{self.slug}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "instance": instance,
            **self.members,
        }


class Refused(Exception):
    """Ends the work on a request with a problem; `pipeline` answers it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.slug, problem.detail)
        self.problem = problem


def retry_after(seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    """Make the header that says when to try again."""
    return ((b"retry-after", b"%d" % max(1, seconds)),)


def invalid(errors: list[tuple[str, str]]) -> Problem:
    """List broken rules of form, each as (JSON pointer, detail)."""
    count = f"{len(errors)} rules are broken" if len(errors) > 1 else "A rule is broken"
    pointer, reason = errors[0]
    first = f"{pointer or 'the document'} {reason}"
    return Problem(
        Slug.INVALID_REQUEST,
        f"{count}, nothing was applied; first: {first}.",
        {"errors": [{"pointer": place, "detail": text} for place, text in errors]},
    )
