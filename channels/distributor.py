"""A dealer's own system: Standard Webhooks both ways, orders whole in each message.

A new dealer is an account in the settings, no code. What it sends and gets: `docs/distributors.md`.

Options of an account: `orders_path`, where its orders can be asked for below its `url` (without it
the pushes have it all); `status.<a word of its own>`, the state of ours that it means; `orders`,
the folder where its order files are put; `dealer_code`, which their names must have; with
`orders_partial` = `yes` those orders of a bad file are taken that have no bad row.
A GET is signed like a message with an empty body; its id is made of what is asked for. Where there
is a token it goes along as `Authorization: Bearer`.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(1.0.0); its envelope: `envelope`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NoReturn
from urllib.parse import quote, urlencode

import orjson
from msgspec import Meta, Struct
from standardwebhooks import Webhook

from channels.adapter import Account, Adapter, At
from channels.envelope import Message, read_envelope
from channels.model import Hint, PlatformOrder
from channels.order_document import (
    Numbered,
    OrderDocument,
    Unreadable,
    as_shape,
    milliseconds,
    order_no_of,
    platform_order,
    read_json,
    shipping_of,
    words_of,
)
from channels.order_file import OrderFile, read_file_name, read_order_file
from channels.pages import page_of, unread
from partners.errors import Malformed, MessageRefused, PartnerFault, UnknownWord
from partners.model import Reply, Request
from partners.webhooks import MESSAGE_ID, TOLERANCE_MS, verified_id
from reservation.csv_rows import RowError, UnreadableFile
from reservation.errors import ConfigurationError
from reservation.shops import DeductsAt
from reservation.times import rfc3339
from reservation.webhooks import is_secret, signed_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from channels.model import Listing, Page, Parcel, Unread
    from partners.model import Push, Response

MOST_WAIT_SECONDS: Final = 3_600.0  # however long a dealer asks us to wait
MOST_REASON: Final = 300  # characters of an answer that are kept


# What the last two parts of a type say. What has become of an order its status says, so all of
# these are read alike; they are told apart where one looks into a message.
_ORDER: Final = "order"
_PROBE: Final = "ping"

_REFUSALS: Final[Mapping[type[MessageRefused], int]] = {Malformed: 400}  # any other: 401

_GONE: Final = 410  # the dealer wants nothing from us any more
_AGAIN: Final = frozenset({408, 425, 429})  # too slow, too early, too many: of our doing
_SERVER_FAULTS: Final = range(500, 600)
_SURELY_NOTHING: Final = frozenset({*_AGAIN, 501, 503})  # the rest of them may have taken effect


class OrdersPage(Struct, frozen=True):
    """A page of the orders that have changed; each an OrderDocument."""

    orders: list[Any]
    pages: Annotated[int, Meta(ge=0, le=1_000_000)]


class Distributor(Adapter):
    """A dealer that speaks Standard Webhooks. Raises ConfigurationError for a poor account."""

    platform: ClassVar[str] = "distributor"
    options: ClassVar[tuple[str, ...]] = (
        *("orders_path", "orders", "orders_partial", "dealer_code"),
        "status.",
    )
    knows_our_skus: ClassVar[bool] = True
    default_url: ClassVar[str] = ""
    answer_seconds: ClassVar[float] = 15.0  # the least that the specification advises senders

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._only_files = not (account.url or account.secrets)
        if self._only_files:
            _check_files_alone(account)
        elif not (account.url and account.secrets and all(map(is_secret, account.secrets))):
            raise ConfigurationError(
                f"{account.channel}: a dealer has a url and a secret, newest first where there are "
                "two, each the base64 of 24 to 64 bytes, with whsec_ before it or without; who "
                "only puts files into the folder `orders` has neither"
            )
        try:
            self._words = words_of(account.options)
        except UnknownWord as error:
            raise ConfigurationError(f"{account.channel}: {error}") from None
        self._signers = tuple(Webhook(secret) for secret in account.secrets)
        partial = account.options.get("orders_partial", "no")
        if partial not in {"no", "yes"}:
            raise ConfigurationError(f"{account.channel}: orders_partial is yes or no")
        self._partial = partial == "yes"
        self._dealer_code = account.options.get("dealer_code")
        self._orders_path = account.options.get("orders_path")
        self._deducts_at = account.deducts_at or DeductsAt.ORDER

    @classmethod
    def needs_url(cls, options: Mapping[str, str]) -> bool:
        """Say whether it is more than a folder for files."""
        return not options.get("orders")

    # -- in: pushes ------------------------------------------------------------------------------

    def read_push(self, push: Push, now_ms: int) -> Sequence[Hint]:
        """Verify a message and read it. Its order stands in it, its id is the one of its header."""
        message_id = verified_id(push, self._signers, now_ms)
        try:
            message = read_envelope(push)
            kind = message.type.split(".")
            if kind[-1] == _PROBE:
                return ()
            if _ORDER not in kind[-2:-1]:
                unknown = str(UnknownWord("type", message.type))
                return (Hint(message_id=message_id, topic=message.type, unknown=unknown),)
            return (self._order_hint(message_id, message, now_ms),)
        except Unreadable as error:
            raise Malformed(f"{message_id}: {error}") from None

    def acknowledge(self) -> Reply:
        """Answer 204."""
        return Reply(204)

    def refuse(self, why: MessageRefused) -> Reply:
        """Answer 401, or 400 to what is signed well and still cannot be read."""
        return Reply(_REFUSALS.get(type(why), 401))

    def later(self) -> Reply:
        """Answer 503: a sender tries again."""
        return Reply(503)

    def _order_hint(self, message_id: str, message: Message, now_ms: int) -> Hint:
        document = as_shape(message.data, OrderDocument)
        order_id, changed_at_ms = order_no_of(document), milliseconds(document.updated_at)
        # It would be true for ever; what is said in the wrong offset looks just so.
        if changed_at_ms > now_ms + TOLERANCE_MS:
            raise Unreadable("updated_at lies in the future")
        try:
            order = self._told(document)
        except UnknownWord as error:
            return Hint(
                message_id=message_id,
                topic=message.type,
                order_id=order_id,
                unknown=str(error),
                changed_at_ms=changed_at_ms,
            )
        return Hint(message_id=message_id, topic=message.type, order_id=order_id, order=order)

    # -- in: pulls -------------------------------------------------------------------------------

    def detail(self, order_id: str, at: At) -> Request | None:
        """Ask for an order, where the dealer can be asked."""
        return self._get(f"/{quote(order_id, safe='')}", at)

    def read_detail(self, response: Response) -> PlatformOrder:
        """Read an order."""
        try:
            return self._order(read_json(_body(response), OrderDocument))
        except Unreadable as error:
            _unreadable(error)

    def shipping(self, order_id: str, at: At) -> Request | None:
        """Ask for an order, where the dealer can be asked: it has where it goes."""
        return self.detail(order_id, at)

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read an order with where it goes."""
        try:
            document = read_json(_body(response), OrderDocument)
            return replace(self._order(document), shipping=shipping_of(document))
        except Unreadable as error:
            _unreadable(error)

    def changed(self, begin_ms: int, end_ms: int, page: int, at: At) -> Request | None:
        """Ask for a page of the orders that changed, where the dealer can be asked."""
        query = {
            "updated_from": rfc3339(begin_ms),
            "updated_to": rfc3339(end_ms),
            "page": page,
        }
        return self._get(f"?{urlencode(query)}", at)

    def read_changed(self, response: Response) -> Page:
        """Read a page; one that cannot be read keeps none of the others back.

        It is named without its details, and asked for by itself: that one alone is in trouble.
        """
        try:
            page = read_json(_body(response), OrdersPage)
        except Unreadable as error:
            _unreadable(error)
        return page_of(
            page.orders,
            page.pages,
            whole=lambda said: self._order(as_shape(said, OrderDocument)),
            named=_named,
            unreadable=(Unreadable,),
        )

    def _order(self, document: OrderDocument) -> PlatformOrder:
        return platform_order(document, self._words, self._deducts_at)

    def _told(self, document: OrderDocument) -> PlatformOrder:
        """Read an order of a message, with where it goes.

        An address that cannot be read is none: nobody waits for stock because of it.
        """
        order = self._order(document)
        try:
            return replace(order, shipping=shipping_of(document))
        except Unreadable:
            return order

    def _get(self, target: str, at: At) -> Request | None:
        if self._orders_path is None:
            return None
        url = f"{self.account.url}{self._orders_path}{target}"
        headers = signed_headers(self._signers, _id_of("get", url), at.now_ms // 1000, b"")
        if at.token:
            headers["authorization"] = f"Bearer {at.token}"
        return Request("GET", url, headers=headers)

    # -- in: files -------------------------------------------------------------------------------

    @property
    def folder(self) -> str:
        """Name the folder of the option `orders`."""
        return self.account.options.get("orders", "")

    def read_file(self, name: str, raw: bytes, sha256: bytes | None, now_ms: int) -> OrderFile:
        """Read an order file; it has to be this dealer's, where we know its code."""
        try:
            named = read_file_name(name)
        except UnreadableFile as unreadable:
            return OrderFile((), (unreadable.error,))
        problem = ""
        if self._dealer_code not in {None, named.dealer}:
            problem = f"the file is of {named.dealer}, and this folder is {self._dealer_code}'s"
        elif named.written_at_ms > now_ms + TOLERANCE_MS:  # it would be true for ever
            problem = "the time in the name of the file lies in the future"
        if problem:
            return OrderFile((), (RowError(0, None, problem),))
        return read_order_file(
            raw,
            name=named,
            sha256=sha256,
            words=self._words,
            deducts_at=self._deducts_at,
            partial=self._partial,
        )

    # -- out -------------------------------------------------------------------------------------

    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Tell what may be sold: stock.available."""
        return self._tell("stock.available", _stock(listing, units), key, at)

    def close(self, listing: Listing, key: str, at: At) -> Request:
        """Tell that no orders are taken: sku.suspended."""
        return self._tell("sku.suspended", _stock(listing, 0), key, at)

    def reopen(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Tell that orders are taken again: sku.resumed."""
        return self._tell("sku.resumed", _stock(listing, units), key, at)

    def reject(self, order: PlatformOrder, at: At) -> Request | None:
        """Tell that an order cannot be covered: order.rejected; once for each change of it."""
        if self._only_files:
            return None
        data = {
            "order_no": order.order_id,
            "reason": "insufficient-stock",
            "lines": [
                {"line_no": line.line_id, "sku": line.sku, "quantity": line.quantity}
                for line in order.lines
            ],
        }
        key = _id_of("order.rejected", order.order_id, str(order.changed_at_ms))
        return self._tell("order.rejected", data, key, at)

    def shipped(self, order_id: str, parcel: Parcel, at: At) -> Request | None:
        """Tell that a parcel has left: order.shipped; no lines: all of the order."""
        if self._only_files:
            return None
        data = {
            "order_no": order_id,
            "company": parcel.company,
            "tracking_number": parcel.tracking_number,
            "lines": list(parcel.lines),
        }
        parts = (order_id, parcel.company, parcel.tracking_number, *parcel.lines)
        key = _id_of("order.shipped", *parts)
        return self._tell("order.shipped", data, key, at)

    def read_done(self, response: Response) -> None:
        """Take any 2xx for done; a repetition with the same id is the dealer's to know."""
        _body(response)

    def _tell(self, kind: str, data: Mapping[str, Any], key: str, at: At) -> Request:
        message = {"type": kind, "timestamp": rfc3339(at.now_ms), "data": data}
        body = orjson.dumps(message)
        message_id = key if MESSAGE_ID.fullmatch(key) else _id_of(key)
        headers = signed_headers(self._signers, message_id, at.now_ms // 1000, body)
        return Request(
            "POST", self.account.url, body, {"content-type": "application/json", **headers}
        )


def _check_files_alone(account: Account) -> None:
    """Raise ConfigurationError where an account asks for what takes an address."""
    if "orders_path" in account.options:
        message = f"{account.channel}: orders_path lies below the dealer's url, and there is none"
        raise ConfigurationError(message)


def _stock(listing: Listing, units: int) -> dict[str, Any]:
    return {
        "sku": listing.sku,
        "item_id": listing.item_id,
        "platform_sku_id": listing.platform_sku_id,
        "available": units,
    }


def _id_of(*parts: str) -> str:
    """Make an id of what a message is about: the same for the same."""
    # Written as JSON, so that no two lists of parts read alike.
    return f"msg_{hashlib.sha256(orjson.dumps(parts)).hexdigest()[:40]}"


def _body(response: Response) -> bytes:
    """Return the body of an answer that is none of a fault. Raises PartnerFault."""
    status = response.status
    if 200 <= status < 300:
        return response.body
    said = " ".join(response.body[: 4 * MOST_REASON].decode("utf-8", "replace").split())
    text = "the endpoint is gone" if status == _GONE else said[:MOST_REASON]
    raise PartnerFault(
        str(status),
        text,
        again=status in _AGAIN or status in _SERVER_FAULTS,
        after_seconds=_retry_after(response.headers),
        unknown=status in _SERVER_FAULTS and status not in _SURELY_NOTHING,
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds to wait; of a date nothing can be made without a clock."""
    text = headers.get("retry-after", "").strip()
    return min(float(text), MOST_WAIT_SECONDS) if re.fullmatch("[0-9]{1,9}", text) else None


def _named(said: Any) -> tuple[str, int | None] | Unread:
    """Read of an order which one it is."""
    try:
        return order_no_of(as_shape(said, Numbered)), None
    except Unreadable as error:
        return unread(str(error), said)


def _unreadable(error: Unreadable) -> NoReturn:
    # Again: a 200 that is not the dealer's own, but some proxy's page, is seen and passes.
    raise PartnerFault("unreadable", str(error), again=True) from None
