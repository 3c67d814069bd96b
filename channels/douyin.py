"""Douyin's shop (抖店): signed calls and pushes, order words, stock and shelf.

A push says that something has happened to an order, never what is in it: its detail is pulled.
Ids have 18 or 19 digits and come as numbers or strings; money is fen, times are unix seconds.

Source: the platform's own SDK, as zsmhub/doudian-sdk keeps it (`api/order_searchList`,
`order_orderDetail`, `order_logisticsAdd`, `order_logisticsAddMultiPack`, `sku_syncStock`,
`token_create`, `message/`); the return codes of its documentation as a public C# SDK lists them
with every call; op.jinritemai.com, guide-docs 212/1427 (errors of the gateway).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar
from urllib.parse import urlencode

from channels.adapter import Account, Adapter, At
from channels.douyin_orders import (
    PROBE,
    read_foreign,
    read_going_order,
    read_message,
    read_named,
    read_order,
    shop_of,
)
from channels.douyin_wire import (
    DONE,
    MAX_PUSH_BYTES,
    GoingData,
    Message,
    OrderData,
    PageData,
    ShopOrder,
    TokenData,
    Unreadable,
    answered,
    clean,
    number,
    parsed,
    required,
    shaped,
    unreadable,
)
from channels.model import Hint, Listing, Page, Parcel, PlatformOrder, Token
from channels.pages import page_of
from partners.errors import Forged, Malformed, Misdirected, PartnerFault
from partners.model import Push, Reply, Request, Response
from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from partners.errors import MessageRefused

_OPTIONS: Final = MappingProxyType(
    {  # of an account; the first of each is what holds without it
        "sign_method": ("hmac-sha256", "md5"),
        "close_by": ("shelf", "stock"),
        "grant_type": ("authorization_self", "authorization_code"),
    }
)


def param_json(params: Mapping[str, object]) -> bytes:
    """Write what a call says as it is signed: keys sorted at every level, compact, unescaped.

    No floats are in it: the platform's own code and ours would write them differently.
    """
    return json.dumps(params, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(secret: str, members: Mapping[str, str], method: str) -> str:
    """Sign a call; without `method` and `v` among the members it is the sign of a call to us.

    The secret is around the message in both methods, and the key of hmac-sha256 besides.
    Source: zsmhub/doudian-sdk utils/sign_util.go, westng/doudian-sdk SignUtil.php.
    """
    text = "".join(name + members[name] for name in sorted(members))
    message = f"{secret}{text}{secret}".encode()
    if method == "md5":
        return hashlib.md5(message, usedforsecurity=False).hexdigest()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def event_sign_md5(secret: str, app_id: str, body: bytes) -> str:
    """Sign a push the old way. Source: four SDKs, zsmhub's message/doudian_sign.go among them."""
    return hashlib.md5(_event(secret, app_id, body), usedforsecurity=False).hexdigest()


def event_sign_sha256(secret: str, app_id: str, body: bytes) -> str:
    """Sign a push the new way. Source: a client of 2026 and its test vector."""
    return hmac.new(secret.encode(), _event(secret, app_id, body), hashlib.sha256).hexdigest()


def _event(secret: str, app_id: str, body: bytes) -> bytes:
    return app_id.encode() + body + secret.encode()


_T = TypeVar("_T")

_EVENT_SIGNS: Final[Mapping[int, Callable[[str, str, bytes], str]]] = MappingProxyType(
    {32: event_sign_md5, 64: event_sign_sha256}  # told apart by their length, hex digits
)


class Douyin(Adapter):
    """Douyin's shop.

    Options of an account: `sign_method` (hmac-sha256, md5), `close_by` (shelf, stock),
    `grant_type` (authorization_self, authorization_code) with `code`. With a `shop_id` no message
    about another shop of the same application is taken.
    """

    platform: ClassVar[str] = "douyin"
    default_url: ClassVar[str] = "https://openapi-fxg.jinritemai.com"
    options: ClassVar[tuple[str, ...]] = ("sign_method", "close_by", "grant_type", "code")
    answer_seconds: ClassVar[float] = 5.0  # one source says 2: record, answer, work afterwards

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        if not account.app_key or not all(account.secrets) or not account.secrets:
            raise ConfigurationError(f"channel {account.channel}: Douyin needs app_key and secrets")
        options = account.options
        for name, words in _OPTIONS.items():
            if options.get(name, words[0]) not in words:
                raise ConfigurationError(
                    f"channel {account.channel}: option {name} is one of {', '.join(words)}"
                )
        self._sign_method = options.get("sign_method", "hmac-sha256")
        self._close_by_stock = options.get("close_by") == "stock"

    # -- in: pushes ------------------------------------------------------------------------------

    def read_push(self, push: Push, now_ms: int) -> Sequence[Hint]:
        """Verify and read a push: one message or a list of them; () of a probe.

        One that is for another shop of the application is refused. In a list with ours it comes
        out as what cannot be read: it is kept, and shown.
        No time is signed, so nothing is ever stale here: a push that is sent again by whoever has
        seen it is right for ever. It does no harm by two rules that others keep: a message id is
        taken once, and a message is a hint only, after which the order is pulled as it is now.
        """
        del now_ms
        self._verify(push)
        if len(push.body) > MAX_PUSH_BYTES:
            raise Malformed("longer than any push")
        try:
            content = parsed(push.body)
            messages = shaped(content if isinstance(content, list) else [content], list[Message])
            told = [message for message in messages if clean(message.tag) != PROBE]
            foreign = [self._is_foreign(message) for message in told]
            hints = [
                read_foreign(message) if is_foreign else read_message(message)
                for message, is_foreign in zip(told, foreign, strict=True)
            ]
        except Unreadable as error:
            raise Malformed(str(error)) from error
        if hints and all(foreign):
            raise Misdirected(hints[0].unknown)
        return hints

    def _is_foreign(self, message: Message) -> bool:
        """Say whether a message names another shop than ours; one that names none may be ours."""
        ours = self.account.shop_id
        return bool(ours) and shop_of(message) not in {"", ours}

    def _verify(self, push: Push) -> None:
        """Raise Forged unless one of our secrets has signed the very bytes, for our app."""
        app_key = self.account.app_key
        if push.headers.get("app-id", app_key) != app_key:
            raise Forged("for another app")
        theirs = push.headers.get("event-sign", "").encode("ascii", "replace")
        ours = _EVENT_SIGNS.get(len(theirs))
        if ours is None:
            raise Forged("no signature, or none of a known length")
        if not any(
            hmac.compare_digest(ours(secret, app_key, push.body).encode(), theirs)
            for secret in self.account.secrets
        ):
            raise Forged("no secret of ours has signed this")

    def acknowledge(self) -> Reply:
        """Say that a push is taken."""
        return Reply(200, b'{"code":0,"msg":"success"}')

    def refuse(self, why: MessageRefused) -> Reply:
        """Refuse a push: the platform reads the code, not the HTTP status."""
        del why
        return Reply(200, b'{"code":40041,"msg":"fail"}')

    def later(self) -> Reply:
        """Ask for a push again. When it comes again is not published: the sweep does not wait."""
        return Reply(200, b'{"code":40044,"msg":"later"}')

    # -- in: pulls -------------------------------------------------------------------------------

    def detail(self, order_id: str, at: At) -> Request:
        """Ask for an order."""
        return self._call("/order/orderDetail", {"shop_order_id": order_id}, at)

    def read_detail(self, response: Response) -> PlatformOrder:
        """Read an order."""
        order = _data(response, OrderData).shop_order_detail
        try:
            return read_order(order, self.account.deducts_at)
        except Unreadable as error:
            raise unreadable(error) from error

    def shipping(self, order_id: str, at: At) -> Request:
        """Ask for an order: its detail has where it goes."""
        return self.detail(order_id, at)

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read an order with where it goes: what is ciphered stays so, carriers open it."""
        order = _data(response, GoingData).shop_order_detail
        try:
            return read_going_order(order, self.account.deducts_at)
        except Unreadable as error:
            raise unreadable(error) from error

    def changed(self, begin_ms: int, end_ms: int, page: int, at: At) -> Request:
        """Ask for a page of what changed. Pages are read from the last to the first.

        An order that changes again meanwhile leaves the window, and all behind it move up: read
        forwards one of them would be missed, read backwards one is seen twice. The platform has
        no pages beyond the 50,000th order: a window with more of them is halved.
        """
        params = {
            "update_time_start": begin_ms // 1000,
            "update_time_end": -(-end_ms // 1000),
            "size": self.page_size,
            "page": page - 1,
            "order_by": "update_time",
            "order_asc": True,
        }
        return self._call("/order/searchList", params, at)

    def read_changed(self, response: Response) -> Page:
        """Read a page; its orders are whole, but for one that we cannot read: that one is pulled.

        So an unknown word stops the order that has it, and not the sweep.
        """
        content = _data(response, PageData)
        try:
            total = number(content.total, "total") or 0
        except Unreadable as error:
            raise unreadable(error) from error
        return page_of(
            content.shop_order_list or [],
            -(-total // self.page_size),
            whole=lambda said: read_order(shaped(said, ShopOrder), self.account.deducts_at),
            named=read_named,
            unreadable=(Unreadable,),
        )

    # -- out -------------------------------------------------------------------------------------

    def token(self, refresh: str, at: At) -> Request:
        """Ask for a token: by `refresh`, or the first one by the shop's id or its code.

        A token lives 7 days, what refreshes it 14, a code 10 minutes. None of these calls carries
        a token. Asked within an hour of its end, the platform gives a new one and lets the old one
        live for that hour; asked before, it gives the old one again.
        """
        options = self.account.options
        bare = At(at.now_ms)
        if refresh:
            params = {"grant_type": "refresh_token", "refresh_token": refresh}
            return self._call("/token/refresh", params, bare)
        params = {
            "grant_type": options.get("grant_type", "authorization_self"),
            "code": options.get("code", ""),
            "shop_id": self.account.shop_id,
        }
        return self._call("/token/create", params, bare)

    def read_token(self, response: Response, now_ms: int) -> Token:
        """Read a token. `expires_in` is seconds from now; the SDK's own text calls it a time."""
        content = _data(response, TokenData)
        try:
            seconds = required(number(content.expires_in, "expires_in"), "expires_in")
        except Unreadable as error:
            raise unreadable(error) from error
        is_time = seconds > 1_000_000_000  # 31 years: longer than any token, earlier than any now
        if not content.access_token:
            raise unreadable(Unreadable("no access_token"))
        return Token(
            content.access_token,
            seconds * 1000 if is_time else now_ms + seconds * 1000,
            content.refresh_token or "",
        )

    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Set the stock of a SKU in full; the same key a second time is refused as done."""
        params: dict[str, object] = {
            "idempotent_id": key,
            "incremental": False,
            "stock_num": units,
        }
        if listing.platform_sku_id:
            params["sku_id"] = _whole(listing.platform_sku_id)
        else:
            params |= {"code": listing.sku, "product_id": _whole(listing.item_id)}
        return self._call("/sku/syncStock", params, at)

    def close(self, listing: Listing, key: str, at: At) -> Request:
        """Take the product off the shelf; give one SKU among others no stock.

        Off the shelf is safer: an order that lapses puts its units back on sale. But a product goes
        with all of its SKUs. With the option `close_by=stock` it is never taken off.
        """
        if self._close_by_stock or not listing.alone:
            return self.show(listing, 0, key, at)
        return self._call("/product/setOffline", {"product_id": _whole(listing.item_id)}, at)

    def reopen(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Undo `close`; what is on the shelf again is shown by the call that comes next."""
        if self._close_by_stock or not listing.alone:
            return self.show(listing, units, key, at)
        return self._call("/product/setOnline", {"product_id": _whole(listing.item_id)}, at)

    # `reject` stays None: /order/orderCancel takes only what is not paid, with six reasons that are
    # none of ours. For what is paid no call of the seller's is known: the buyer has to ask for it.

    def shipped(self, order_id: str, parcel: Parcel, at: At) -> Request:
        """Tell that a parcel has left with all of the order, or with some lines of it whole.

        A call for the whole order cannot name lines; the other one can, and takes an id that makes
        a repetition harmless. A line that waits for a refund makes the platform refuse both.
        """
        package = {
            "company_code": parcel.company,
            "logistics_code": parcel.tracking_number,
        }
        if not parcel.lines:
            return self._call("/order/logisticsAdd", {"order_id": order_id, **package}, at)
        lines = [{"shipped_order_id": line} for line in parcel.lines]
        params = {
            "order_id": order_id,
            "pack_list": [{**package, "shipped_order_info": lines}],
            # Several parcels of an order may travel as one; a line is in one of them.
            "request_id": f"{order_id}-{parcel.tracking_number}-{parcel.lines[0]}",
        }
        return self._call("/order/logisticsAddMultiPack", params, at)

    def read_done(self, response: Response) -> None:
        """Read the answer to a write."""
        try:
            answered(response)
        except PartnerFault as fault:
            part = DONE.get(fault.code)
            if part is None or part not in str(fault):
                raise

    def _call(self, path: str, params: Mapping[str, object], at: At) -> Request:
        """Write a call, signed by the newest secret. The token is not signed."""
        body = param_json(params)
        members = {
            "app_key": self.account.app_key,
            "method": path[1:].replace("/", "."),
            "param_json": body.decode(),
            "timestamp": str(at.now_ms // 1000),
            "v": "2",
        }
        query = {name: members[name] for name in ("method", "app_key", "timestamp", "v")}
        query |= {"access_token": at.token} if at.token else {}
        query["sign_method"] = self._sign_method
        query["sign"] = sign(self.account.secrets[0], members, self._sign_method)
        return Request(
            "POST",
            f"{self.account.url}{path}?{urlencode(query)}",
            body,
            {"content-type": "application/json;charset=utf-8"},
        )


def _whole(listing_id: str) -> int:
    """Write an id of ours as the number that the platform wants."""
    if not (listing_id.isascii() and listing_id.isdigit()):
        raise ConfigurationError(f"{listing_id!r} is no id of Douyin's: it has digits only")
    return int(listing_id)


def _data(response: Response, shape: type[_T]) -> _T:
    content = answered(response)
    try:
        return shaped(content, shape)
    except Unreadable as error:
        raise unreadable(error) from error
