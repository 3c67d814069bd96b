"""What Douyin writes, as it comes: shapes that take numbers or strings, and its error codes.

Only members that matter to stock are named; a hundred others are passed over.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple, NoReturn, TypeVar, cast

import msgspec

from channels.errors import TokenRefused
from partners.errors import PartnerFault
from partners.model import Response

MAX_PUSH_BYTES: Final = 1_048_576  # a message has some hundred bytes; how many come is not told
MAX_TEXT: Final = 128  # characters of anything that we keep
MAX_CIPHER: Final = 1_024  # characters of a part of an address; others keep up to 660
MAX_REASON: Final = 200  # characters of the platform's own text that go into our log
LATEST_SECOND: Final = 1 << 33  # in the year 2242: what is later is no time in seconds

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)  # below 2^53
_SECONDS: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?", re.ASCII)

Loose = str | int | None  # a number or its digits; a JSON number with a point is neither

_T = TypeVar("_T")


class Unreadable(ValueError):
    """What has come is not what the platform is known to send; the text holds nothing of it."""


class Message(msgspec.Struct, frozen=True):
    """A message of a push."""

    tag: Loose = None
    msg_id: Loose = None
    camel_msg_id: Loose = msgspec.field(default=None, name="msgId")
    data: object = None  # an object, or the text of one


class AfterSale(msgspec.Struct, frozen=True):
    """What has become of a line after it was bought."""

    after_sale_status: Loose = None
    after_sale_type: Loose = None
    refund_status: Loose = None


class SkuOrder(msgspec.Struct, frozen=True):
    """A line. The ids that end in `_str` are exact where the others went through a double."""

    order_id: Loose = None
    order_status: Loose = None
    code: Loose = None
    out_sku_id: Loose = None
    product_id: Loose = None
    product_id_str: Loose = None
    sku_id: Loose = None
    item_num: Loose = None
    pay_amount: object = None
    pay_time: object = None
    update_time: Loose = None
    ship_time: Loose = None  # when it left, 0 of one that has not
    reduce_stock_type: Loose = None
    after_sale_info: AfterSale | None = None


class NamedOrder(msgspec.Struct, frozen=True):
    """Of an order which one it is."""

    order_id: Loose = None


class ShopOrder(NamedOrder, frozen=True):
    """An order, in its detail and in a list the same."""

    order_status: Loose = None
    create_time: Loose = None
    update_time: Loose = None
    pay_time: Loose = None
    pay_amount: object = None
    sku_order_list: list[SkuOrder] = []


class Place(msgspec.Struct, frozen=True):
    """A province, a city, a district (`town`) or a street."""

    name: Loose = None


class PostAddress(msgspec.Struct, frozen=True):
    """Where an order goes; `detail` is empty where it is ciphered."""

    province: Place | None = None
    city: Place | None = None
    town: Place | None = None
    street: Place | None = None
    detail: Loose = None
    encrypt_detail: Loose = None


class GoingOrder(ShopOrder, frozen=True):
    """An order in its detail, and where it goes."""

    shop_name: Loose = None
    post_addr: PostAddress | None = None
    post_receiver: Loose = None
    encrypt_post_receiver: Loose = None
    post_tel: Loose = None
    encrypt_post_tel: Loose = None
    post_code: Loose = None
    exp_ship_time: Loose = None  # by when it has to leave
    seller_remark_stars: Loose = None
    seller_words: str | None = None
    buyer_words: str | None = None


class GoingData(msgspec.Struct, frozen=True):
    """`data` of order.orderDetail, read with where it goes."""

    shop_order_detail: GoingOrder


class OrderData(msgspec.Struct, frozen=True):
    """`data` of order.orderDetail."""

    shop_order_detail: ShopOrder


class PageData(msgspec.Struct, frozen=True):
    """`data` of order.searchList; its orders are read one step later."""

    total: Loose
    shop_order_list: list[object] | None = None


class TokenData(msgspec.Struct, frozen=True):
    """`data` of token.create and token.refresh."""

    access_token: str
    expires_in: Loose
    refresh_token: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    code: Loose = None
    err_no: Loose = None  # with `message`, of calls that are older
    msg: str | None = None
    message: str | None = None
    sub_code: Loose = None
    sub_msg: str | None = None
    data: object = None


class _Fate(NamedTuple):
    """What an error means for the call."""

    again: bool
    unknown: bool  # it may have taken effect


_NEVER: Final = _Fate(again=False, unknown=False)
_LATER: Final = _Fate(again=True, unknown=False)
_MAYBE: Final = _Fate(again=True, unknown=True)
_LOST: Final = _Fate(again=False, unknown=True)

CODES: Final = {
    "10001": _MAYBE,  # a part of it failed
    "20000": _MAYBE,  # out of service
    "20001": _MAYBE,  # out of time
    "30001": _NEVER,  # no permission, or the shop has taken it back
    "30002": _NEVER,  # not from this address
    "40001": _NEVER,  # something is missing, for the gateway …
    "40002": _NEVER,  # … for the service behind it
    "40003": _NEVER,  # something is wrong, for the gateway …
    "40004": _NEVER,  # … for the service behind it
    "50001": _MAYBE,  # the gateway failed
    "50002": _NEVER,  # the order, the product or the shop does not allow it
    "60000": _LATER,  # too fast
    "70000": _NEVER,  # no such call any more
    "80000": _NEVER,  # risk control
    "90000": _MAYBE,  # nobody knows
}

# What a sub code says better than its code; a head stands for all sub codes `head:number`.
SUB_CODES: Final = {
    "isp.service-error": _MAYBE,
    "dop.service-error": _MAYBE,
    "isv.traffic-limited": _LATER,
    "isp.traffic-limited": _LATER,
    "isv.access-token-expired": _LATER,  # with a new token
    "isv.access-token-no-existed": _LATER,
    "isv.access-token-missing": _LATER,
    "isv.timestamp-invalid": _LATER,  # a call that is made anew has a new one
    "dop.token-generate-failed": _NEVER,
    "isp.api-service-off": _NEVER,
    "isv.api-service-off": _NEVER,
    # Refusals of a service that are its own failures, as its documentation says with the call.
    "isv.business-failed:20004": _MAYBE,  # order.orderDetail: busy
    "isv.business-failed:20045": _LATER,  # order.orderDetail: the list of orders is out of order
    "isv.business-failed:20055": _LATER,  # same
    "isv.business-failed:2010001": _MAYBE,  # product.*: the update failed
    "isv.business-failed:2010002": _MAYBE,  # product.setOffline: out of time
    "isv.business-failed:2010013": _LATER,  # product.setOffline: the account was not found out
    "isv.business-failed:2010067": _LATER,  # product.*: too fast
    "isv.business-failed:2010401": _LATER,  # sku.syncStock, product.*: too fast, busy
    "isv.parameter-invalid:40004": _LATER,  # sku.syncStock: out of time, says its text
    "isv.business-failed:60118": _LATER,  # order.logisticsAdd*: the after-sale was not found out
}
# A refusal of what is done already, by a part of its text: such numbers mean something else in
# other calls. 2010021 is of a product that is off (or on) the shelf as it was asked to be, 60110 of
# a parcel that was told before: there is nothing left to tell.
DONE: Final = {
    "isv.idempotent-id-existed": "",
    "isv.parameter-invalid:40010": "idempotent_id",
    "isv.parameter-invalid:2010021": "重复",
    "isv.business-failed:60110": "已发货",
}
_NEW_TOKEN: Final = frozenset(
    {"isv.access-token-expired", "isv.access-token-no-existed", "isv.access-token-missing"}
)
_HTTP: Final = {429: _LATER, 408: _MAYBE}


def parsed(raw: bytes | str) -> object:
    """Read JSON; a member that is there twice is an error, since two readers would differ on it."""
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        return cast("object", json.loads(text, object_pairs_hook=_once, parse_constant=_constant))
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable("no JSON that we read") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("a member twice")
    return members


def _constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no JSON")


def shaped(content: object, shape: type[_T]) -> _T:
    """Hold what was read against a shape."""
    try:
        return msgspec.convert(content, shape)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:  # a surrogate as a name
        raise Unreadable(f"not a {getattr(shape, '__name__', 'value')}") from error


def clean(value: Loose) -> str:
    """Return a short text of printable characters; "" where there is none."""
    text = "" if value is None else str(value).strip()
    if len(text) > MAX_TEXT or not text.isprintable():
        raise Unreadable("a text that is too long or not printable")
    return text


def sealed(plain: Loose, cipher: Loose) -> str:
    """Return a text of the buyer's, or else its cipher, which carriers' labels are made with."""
    text = str(plain or "").strip() or str(cipher or "").strip()
    if len(text) > MAX_CIPHER or not text.isprintable():
        raise Unreadable("an address that is too long or not printable")
    return text


def identifier(value: Loose) -> str:
    """Return an id as a string, to its last digit; "" where there is none (0 is none)."""
    text = clean(value)
    if text in {"", "0"}:
        return ""
    if _IDENTIFIER.fullmatch(text) is None:
        raise Unreadable("an id of other characters")
    return text


def number(value: Loose, field: str) -> int | None:
    """Return a count, an amount in fen or a time; None where there is none."""
    text = clean(value)
    if not text:
        return None
    if _WHOLE.fullmatch(text) is None:
        raise Unreadable(f"{field} is no number that can be")
    return int(text)


def moment(value: Loose, field: str) -> int | None:
    """Return a time in ms of one in seconds; None where there is none (0 is none)."""
    seconds = number(value, field)
    if seconds is not None and seconds >= LATEST_SECOND:
        raise Unreadable(f"{field} is no time in seconds")
    return seconds * 1000 if seconds else None


def required(value: _T | None, field: str) -> _T:
    """Return what has to be there, neither 0 nor empty."""
    if not value:
        raise Unreadable(f"without {field}")
    return value


def unreadable(error: Unreadable) -> PartnerFault:
    """Say of an answer that it is not what it should be; asked again it would be the same."""
    return PartnerFault("unreadable", str(error), again=False, unknown=True)


def answered(response: Response) -> object:
    """Return `data` of an answer; raise PartnerFault where it is an error or none at all."""
    after = _SECONDS.fullmatch(response.headers.get("retry-after", ""))
    wait = float(after.group()) if after else None
    if response.status != 200:
        fate = _HTTP.get(response.status, _MAYBE if response.status >= 500 else _NEVER)
        raise _fault(f"http-{response.status}", "", fate, wait)
    try:
        answer = shaped(parsed(response.body), _Envelope)
        code, sub_code = clean(answer.code), clean(answer.sub_code)
        code = code or {"0": "10000"}.get(clean(answer.err_no), clean(answer.err_no))
    except Unreadable as error:
        raise _fault("unreadable", str(error), _MAYBE, None) from error
    if code == "10000":
        return answer.data
    text = answer.sub_msg or answer.msg or answer.message or ""
    raise _fault(sub_code or code or "unreadable", text, _fate(code, sub_code), wait)


def _fate(code: str, sub_code: str) -> _Fate:
    """Look up an error, its sub code first; of one that is in no table only its side is known."""
    head = _head(sub_code)
    for table, name in ((SUB_CODES, sub_code), (SUB_CODES, head), (CODES, code)):
        if name in table:
            return table[name]
    return _MAYBE if head.startswith(("isp.", "dop.")) else _LOST


def _head(sub_code: str) -> str:
    return sub_code.partition(":")[0].strip()


def _fault(code: str, text: str, fate: _Fate, after_seconds: float | None) -> PartnerFault:
    shown = "".join(char if char.isprintable() else "?" for char in text[:MAX_REASON])
    kind = TokenRefused if _head(code) in _NEW_TOKEN else PartnerFault
    return kind(code, shown, again=fate.again, after_seconds=after_seconds, unknown=fate.unknown)
