"""Tmall (天猫) over Taobao's open platform: TOP calls, the message queue TMC, signed call-backs.

TMC knows no HTTP push: its messages are fetched. What comes by HTTP are call-backs that a shop has
set up itself (奇门自定义场景, any SPI); we read which trade they are about and pull that.

Source: `top` for what all calls have; bububa/opentaobao:metadata/assets/json for the calls.

Options of an account:

| name | default | |
|---|---|---|
| `sign_method` | `hmac-sha256` | of our calls; or `hmac`, `md5` |
| `group` | the default group | of TMC; an app that serves several shops gives each its own |
| `push_tolerance_seconds` | `300` | how far from now a call-back may be dated |
| `push_order_field` | `tid` | the member of a call-back that names the trade |
| `item_suffix` | none | `.tmall`: item calls are `taobao.item.quantity.update.tmall` and so on |
| `done` | none | further sub codes, by commas, that say: what you ask for was done before |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from channels import top
from channels.adapter import Account, Adapter
from channels.model import Hint, Unread
from channels.pages import page_of
from channels.tmall_messages import MESSAGES_AT_ONCE, Fetched, hints_of, order_in
from channels.tmall_trade import (
    DETAIL,
    FIELDS,
    GOING,
    SHIPPING_FIELDS,
    GoingTrade,
    Trade,
    going_order_of,
    id_of,
    order_of,
)
from partners.errors import Malformed, Misdirected, PartnerFault, Stale
from partners.model import Reply
from partners.taobao import text_of_time, time_of_text
from reservation.errors import ConfigurationError
from reservation.shops import DeductsAt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.adapter import At
    from channels.model import Listing, Page, Parcel, PlatformOrder
    from partners.errors import MessageRefused
    from partners.model import Push, Request, Response

# "订单状态不对，该物流订单已经发货或者已关闭，不能重复发货": there is nothing left to tell.
# Source: stored files 7106221633 (the text), 17430672543, 17338388737, 32003862813 (taken as done).
ALREADY_DONE: Final = frozenset({"isv.logistics-offline-service-error:B04"})

_DEFAULT_TOLERANCE_SECONDS: Final = "300"  # TOP's own
_MAX_TEXT: Final = 128

_XML: Final = "text/xml;charset=utf-8"
# Source: developer.alibaba.com/docs/api.htm?apiId=47902. TOP takes "isp." for: again, later.
_REPLY: Final = "<response><success>%s</success>%s</response>"
_PROBLEM: Final = "<error_code>%s</error_code><error_message>%s</error_message>"
_NOTHING: Final = msgspec.Raw(b"null")


class _Found(msgspec.Struct):
    tid: int | str | None = None
    tid_str: str | None = None
    modified: str | None = None


class _Trades(msgspec.Struct):
    trade: msgspec.Raw = _NOTHING


class _Changed(msgspec.Struct):
    total_results: int | str | None = None
    trades: msgspec.Raw = _NOTHING


class _Success(msgspec.Struct):
    is_success: bool | str | None = None


class _Done(_Success):
    """An answer that is no error may still say that nothing was done."""

    shipping: _Success | None = None


_CHANGED: Final = msgspec.json.Decoder(_Changed)
_TRADES: Final = msgspec.json.Decoder(_Trades)
_EACH: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
_TRADE: Final = msgspec.json.Decoder(Trade)
_FOUND: Final = msgspec.json.Decoder(_Found)
_FETCHED: Final = msgspec.json.Decoder(Fetched)
_DONE: Final = msgspec.json.Decoder(_Done)
_SECONDS: Final = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_NOT_DONE: Final = frozenset({False, "false"})


class Tmall(Adapter):
    """Tmall's words to ours and back."""

    platform: ClassVar[str] = "tmall"
    default_url: ClassVar[str] = "https://gw.api.taobao.com"
    page_size: ClassVar[int] = 100
    longest_window_ms: ClassVar[int] = 1_800_000  # a day is allowed, half an hour is recommended
    queue: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = (
        *("sign_method", "push_tolerance_seconds", "push_order_field"),
        *("done", "item_suffix", "group"),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        options = account.options
        self._sign_method = options.get("sign_method", "hmac-sha256")
        tolerance = options.get("push_tolerance_seconds", _DEFAULT_TOLERANCE_SECONDS)
        for is_so, problem in (
            (not (account.app_key and account.secrets), "Tmall needs app_key and secrets"),
            (self._sign_method not in top.SIGN_METHODS, f"no sign_method {self._sign_method!r}"),
            (_SECONDS.fullmatch(tolerance) is None, f"no push_tolerance_seconds {tolerance!r}"),
        ):
            if is_so:
                raise ConfigurationError(f"channel {account.channel}: {problem}")
        self._tolerance_ms = int(tolerance) * 1000
        self._order_field = options.get("push_order_field", "tid")
        self._done = ALREADY_DONE | set(filter(None, options.get("done", "").split(",")))
        self._item_suffix = options.get("item_suffix", "")
        self._app_key = account.app_key.encode()
        self._url = (account.url or self.default_url).removesuffix("/router/rest")
        self._deducts_at = account.deducts_at or DeductsAt.ORDER

    # -- in: call-backs --------------------------------------------------------------------------

    def read_push(self, push: Push, now_ms: int) -> Sequence[Hint]:
        """Verify a call-back and read which trade it is about. One that names none is malformed.

        It carries no id of its own, so its signature is its id: the same call sent again within
        the time it is good for is the same message; repeated later, with a new time, it is another
        one, and the trade is pulled once more.
        """
        callback = top.verified(push, self.account.secrets)
        try:
            called_at_ms = time_of_text(callback.params.get(b"timestamp", b"").decode())
            method = callback.params.get(b"method", b"").decode()
        except ValueError as wrong:
            raise Malformed("a call-back without a time, or with a name that is no text") from wrong
        if abs(now_ms - called_at_ms) > self._tolerance_ms:
            raise Stale(f"called {now_ms - called_at_ms} ms ago")
        if callback.params.get(b"app_key", self._app_key) != self._app_key:
            raise Misdirected("a call-back of another application")
        try:
            order_id = self._order_named(callback)
        except (ValueError, RecursionError) as wrong:
            raise Malformed(str(wrong)[:_MAX_TEXT]) from wrong
        return [Hint(message_id=callback.sign, topic=method[:_MAX_TEXT], order_id=order_id)]

    def _order_named(self, callback: top.Callback) -> str:
        """Return the trade that a call-back names. Raises ValueError and RecursionError."""
        if callback.body:
            order_id = order_in(callback.body, self._order_field)
        else:
            order_id = callback.params.get(self._order_field.encode(), b"").decode()
        return id_of(order_id)

    def acknowledge(self) -> Reply:
        """Say so as TOP's own checker does."""
        return Reply(200, (_REPLY % ("true", "")).encode(), _XML)

    def refuse(self, why: MessageRefused) -> Reply:
        """Say it in the words of TOP's own checker, whatever the reason."""
        del why
        return _failure(403, "sign-check-failure", "Illegal request")

    def later(self) -> Reply:
        """Say that the fault is on our side."""
        return _failure(503, "isp.system-busy", "Please try again")

    # -- in: pulls -------------------------------------------------------------------------------

    def detail(self, order_id: str, at: At) -> Request:
        """Ask for a trade, without anything about its buyer."""
        return self._call("taobao.trade.fullinfo.get", at, tid=order_id, fields=FIELDS)

    def read_detail(self, response: Response) -> PlatformOrder:
        """Read a trade."""
        detail = _answer(response, "trade_fullinfo_get_response", DETAIL)
        try:
            return order_of(detail.trade or Trade(), self._deducts_at)
        except ValueError as wrong:
            raise top.unreadable(wrong) from wrong

    def shipping(self, order_id: str, at: At) -> Request:
        """Ask for a trade with where it goes: masked, and the token that opens it to carriers."""
        fields = {"fields": SHIPPING_FIELDS, "include_oaid": "include_oaid"}
        return self._call("taobao.trade.fullinfo.get", at, tid=order_id, **fields)

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read a trade with where it goes."""
        detail = _answer(response, "trade_fullinfo_get_response", GOING)
        try:
            return going_order_of(detail.trade or GoingTrade(), self._deducts_at)
        except ValueError as wrong:
            raise top.unreadable(wrong) from wrong

    def changed(self, begin_ms: int, end_ms: int, page: int, at: At) -> Request:
        """Ask for a page of the trades that changed.

        Latest first: while pages are read from the first to the last, what changes meanwhile moves
        the rest back by one, and what was to come next is not seen. So read the first to learn how
        many there are, then from the last to the first. TOP counts in seconds: the window asked
        for is the smallest of whole ones around it.
        """
        return self._call(
            "taobao.trades.sold.increment.get",
            at,
            fields=FIELDS,
            start_modified=text_of_time(begin_ms),
            end_modified=text_of_time(end_ms + 999),
            page_no=str(page),
            page_size=str(self.page_size),
        )

    def read_changed(self, response: Response) -> Page:
        """Read a page; a trade that cannot be read is pulled by itself.

        With `use_has_next`, which we do not ask for, it would have no total.
        """
        changed = _answer(response, "trades_sold_increment_get_response", _CHANGED)
        found = _each(changed.trades)
        try:
            total = _count(changed.total_results or 0)
        except ValueError as wrong:
            raise top.unreadable(wrong) from wrong
        if total < len(found):
            raise top.unreadable(f"{len(found)} trades of {total}")
        return page_of(
            found,
            -(-total // self.page_size),
            whole=lambda said: order_of(_TRADE.decode(said), self._deducts_at),
            named=_named,
            unreadable=(ValueError, RecursionError),
        )

    def fetch(self, at: At) -> Request:
        """Fetch messages. The queue is the app's, not the seller's: no session opens it."""
        return self._queue_call("consume", at, quantity=str(MESSAGES_AT_ONCE))

    def read_fetched(self, response: Response) -> Sequence[Hint]:
        """Read messages. One whose content cannot be read holds none of the others up."""
        fetched = _answer(response, "tmc_messages_consume_response", _FETCHED)
        try:
            return hints_of(fetched)
        except ValueError as wrong:
            raise top.unreadable(wrong) from wrong

    def confirm_fetched(self, message_ids: Sequence[str], at: At) -> Request:
        """Tell TMC that it may forget messages; at most as many as it hands out at once."""
        if not 0 < len(message_ids) <= MESSAGES_AT_ONCE:
            raise ValueError(f"{len(message_ids)} messages: 1 to {MESSAGES_AT_ONCE} at once")
        return self._queue_call("confirm", at, s_message_ids=",".join(message_ids))

    # -- out -------------------------------------------------------------------------------------

    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Set the stock of a SKU, or of an item of a single kind, whole.

        A whole number says the same however often it is said: `key` is not needed. (TOP's own,
        `outer_biz_key`, is for increments only.)
        """
        del key
        if units < 0:
            raise ValueError(f"{units} units cannot be shown")
        return self._call(
            f"taobao.item.quantity.update{self._item_suffix}",
            at,
            num_iid=listing.item_id,
            sku_id=listing.platform_sku_id,
            quantity=str(units),
            type="1",
        )

    def close(self, listing: Listing, key: str, at: At) -> Request:
        """Take an item of a single kind off the shelf; give a SKU among others no stock.

        Off the shelf is safer: an order that its buyer lets lapse puts its units back on sale. But
        an item goes with all of its SKUs, and comes back with all of them, those too that are to
        stay closed.
        """
        if listing.platform_sku_id:
            return self.show(listing, 0, key, at)
        method = f"taobao.item.update.delisting{self._item_suffix}"
        return self._call(method, at, num_iid=listing.item_id)

    def reopen(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Undo `close`. TOP puts no item without stock on the shelf."""
        if listing.platform_sku_id:
            return self.show(listing, units, key, at)
        if units < 1:
            raise ValueError(f"{listing.sku} comes back on the shelf with a unit at least")
        method = f"taobao.item.update.listing{self._item_suffix}"
        return self._call(method, at, num_iid=listing.item_id, num=str(units))

    # `reject` stays None: `taobao.trade.close` closes what is not paid, for what is paid TOP knows
    # no call of the seller's. The buyer has to ask for the refund, and a person has to ask him to.

    def shipped(self, order_id: str, parcel: Parcel, at: At) -> Request:
        """Tell that a parcel has left, of the whole trade or of some of its lines (拆单)."""
        return self._call(
            "taobao.logistics.offline.send",
            at,
            tid=order_id,
            sub_tid=",".join(parcel.lines),
            is_split="1" if parcel.lines else "",
            out_sid=parcel.tracking_number,
            company_code=parcel.company,
        )

    def read_done(self, response: Response) -> None:
        """Read the answer to a write, or to the confirmation of messages."""
        try:
            members = top.members_of(response)
        except PartnerFault as fault:
            if fault.code in self._done:
                return
            raise
        raw = next((raw for name, raw in members.items() if name.endswith("_response")), None)
        if raw is None:
            raise top.unreadable(f"an answer of {sorted(members)}")
        done = top.read(raw, _DONE)
        if done.is_success in _NOT_DONE or (done.shipping or done).is_success in _NOT_DONE:
            raise PartnerFault("not-done", "the answer says so without a reason", again=False)

    # -- below -----------------------------------------------------------------------------------

    def _call(self, method: str, at: At, **params: str) -> Request:
        return top.call(self._url, self._common(method, at) | params, self.account.secrets[0])

    def _queue_call(self, verb: str, at: At, **params: str) -> Request:
        common = self._common(f"taobao.tmc.messages.{verb}", at) | {"session": ""}
        group = self.account.options.get("group", "")
        return top.call(self._url, common | params | {"group_name": group}, self.account.secrets[0])

    def _common(self, method: str, at: At) -> dict[str, str]:
        return {
            "method": method,
            "app_key": self.account.app_key,
            "session": at.token,
            "timestamp": text_of_time(at.now_ms),
            "v": "2.0",
            "sign_method": self._sign_method,
            "format": "json",
        }


def _answer(response: Response, name: str, decoder: msgspec.json.Decoder[top.Shape]) -> top.Shape:
    members = top.members_of(response)
    if name not in members:
        raise top.unreadable(f"an answer of {sorted(members)}, not of {name}")
    return top.read(members[name], decoder)


def _each(trades: msgspec.Raw) -> list[msgspec.Raw]:
    """List the trades of a page, whether in a list, in a member `trade`, or one by itself."""
    if bytes(trades).startswith(b"{"):
        trades = top.read(trades, _TRADES).trade
    is_one = bytes(trades).startswith(b"{")
    return [trades] if is_one else top.read(trades, _EACH) or []


def _named(said: msgspec.Raw) -> tuple[str, int | None] | Unread:
    """Read of a trade which one it is, and when it changed, if that can be read."""
    try:
        found = _FOUND.decode(said)
        order_id = id_of(found.tid, found.tid_str)
    except (ValueError, RecursionError) as wrong:
        return Unread(f"a trade without its number: {ascii(str(wrong))[:_MAX_TEXT]}", bytes(said))
    try:
        return order_id, time_of_text(found.modified or "")
    except ValueError:
        return order_id, None


def _count(value: int | str) -> int:
    if _COUNT.fullmatch(str(value)) is None:
        raise ValueError(f"{str(value)[:_MAX_TEXT]!r} is no number of trades")
    return int(value)


def _failure(status: int, code: str, text: str) -> Reply:
    return Reply(status, (_REPLY % ("false", _PROBLEM % (code, text))).encode(), _XML)
