"""An order as a dealer writes it: the document of its messages and answers, as a platform's order.

Shape: `{order_no, status, created_at, updated_at, lines: [{line_no, sku, quantity, status?,
unit_price_yuan?}], paid_at?, paid_yuan?, receiver?: {name, mobile, province, city, detail_address,
area?, zip_code?}, ship_by?, urgent?}`; more members are ignored. Always the whole order.
Units and bounds: numbers of orders and lines are texts or whole numbers; times RFC 3339 with an
offset; yuan a number or a text with at most two decimals; 1 … MOST_LINES lines.
The format is ours (`docs/distributors.md`): dealers' systems have none in common.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from channels.model import LATEST_SHIP_BY_MS, Lane, OrderLine, OrderState, PlatformOrder, Shipping
from partners.errors import UnknownWord
from reservation.model import LOCAL_ID, MAX_STOCK, sku_problem
from reservation.shops import DeductsAt

# The dealer's words, English and Chinese: 待付款 → 已付款 → 已发货 → 签收完成.
WORDS: Final[Mapping[str, OrderState]] = {
    "unpaid": OrderState.UNPAID,
    "待付款": OrderState.UNPAID,
    "paid": OrderState.PAID,
    "已付款": OrderState.PAID,
    "partly_shipped": OrderState.PAID,  # its lines tell which have left
    "部分发货": OrderState.PAID,
    "shipped": OrderState.SHIPPED,
    "已发货": OrderState.SHIPPED,
    "completed": OrderState.SHIPPED,
    "签收完成": OrderState.SHIPPED,
    "cancelled": OrderState.CLOSED,
    "已取消": OrderState.CLOSED,
    "refunded": OrderState.CLOSED,
    "已退款": OrderState.CLOSED,
    "returned": OrderState.SHIPPED,  # refunded after it had left: a count brings it back
    "已退货": OrderState.SHIPPED,
}

MOST_LINES: Final = 1_000  # an order; as many as a reservation takes
MOST_WORD: Final = 64  # characters of a word that is shown to somebody
MOST_ADDRESS_PART: Final = 200  # characters
_FEN_DIGITS: Final = 12  # before the point: what no order costs
_CENT: Final = Decimal("0.01")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

Name = str | int
Instant = Annotated[datetime, Meta(tz=True)]


class Unreadable(Exception):
    """A document is not what it should be; the text says where."""


class LineDocument(Struct, frozen=True):
    """A line as a dealer writes it; without a `status` it has the order's."""

    line_no: Name
    sku: str
    quantity: int
    status: str | None = None
    unit_price_yuan: Decimal | None = None


AddressPart = Annotated[str, Meta(min_length=1, max_length=MOST_ADDRESS_PART)]


class ReceiverDocument(Struct, frozen=True):
    """Where an order goes, as a dealer writes it."""

    name: AddressPart
    mobile: AddressPart
    province: AddressPart
    city: AddressPart
    detail_address: AddressPart
    area: Annotated[str, Meta(max_length=MOST_ADDRESS_PART)] = ""
    zip_code: Annotated[str, Meta(max_length=MOST_ADDRESS_PART)] = ""


class GoingDocument(Struct, frozen=True):
    """Where an order goes, by when, and whether before others."""

    receiver: ReceiverDocument
    ship_by: Instant | None = None
    urgent: bool | None = None


class Numbered(Struct, frozen=True):
    """Of an order as a dealer writes it, which one it is."""

    order_no: Name


class OrderDocument(Numbered, frozen=True):
    """An order as a dealer writes it."""

    status: str
    created_at: Instant
    updated_at: Instant
    lines: Annotated[list[LineDocument], Meta(min_length=1, max_length=MOST_LINES)]
    paid_at: Instant | None = None
    paid_yuan: Decimal | None = None
    # They move no stock: what of them cannot be read keeps no order from its own.
    receiver: Any = None
    ship_by: Any = None
    urgent: Any = None


T = TypeVar("T")


def read_json(body: bytes, shape: type[T]) -> T:
    """Read JSON; numbers stay exact.

    Raises Unreadable where it is no JSON, of another shape, or names a member twice: which of the
    two is meant, nobody can say.
    """
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_float=Decimal,
            parse_constant=_no_number,
        )
    except (ValueError, ArithmeticError) as error:
        raise Unreadable(f"is no JSON: {error}") from None
    except RecursionError:
        raise Unreadable("is no JSON: nested too deeply") from None
    return as_shape(value, shape)


def as_shape(value: Any, shape: type[T]) -> T:
    """Hold JSON that was read against a shape. Raises Unreadable."""
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, ValueError) as error:  # the latter: of lone surrogates
        raise Unreadable(ascii(str(error))[1:-1]) from None


def words_of(options: Mapping[str, str]) -> Mapping[str, OrderState]:
    """Return the words with a dealer's own: `status.<its word>` names a state of ours.

    Raises UnknownWord where it names none.
    """
    own: dict[str, OrderState] = {}
    for option, state in options.items():
        prefix, _, word = option.partition(".")
        if prefix == "status" and word:
            if state not in set(OrderState):
                raise UnknownWord(option, state)
            own[word] = OrderState(state)
    return {**WORDS, **own}


def order_no_of(document: Numbered) -> str:
    """Read the order's number. Raises Unreadable."""
    number = str(document.order_no)
    if problem := number_problem(number):
        raise Unreadable(f"order_no {problem}, unlike {number[:MOST_WORD]!a}")
    return number


def platform_order(
    document: OrderDocument, words: Mapping[str, OrderState], deducts_at: DeductsAt
) -> PlatformOrder:
    """Read an order. Raises Unreadable, and UnknownWord for a status that is in no table."""
    order_id = order_no_of(document)
    _check_lines(document.lines)
    created, changed = milliseconds(document.created_at), milliseconds(document.updated_at)
    paid_at = None if document.paid_at is None else milliseconds(document.paid_at)
    paid = None if document.paid_yuan is None else fen(document.paid_yuan)
    prices = [
        None if one.unit_price_yuan is None else fen(one.unit_price_yuan) for one in document.lines
    ]
    state = state_of(document.status, words)
    lines = tuple(
        order_line(
            str(one.line_no),
            one.sku,
            one.quantity,
            state if one.status is None else state_of(one.status, words),
            price,
        )
        for one, price in zip(document.lines, prices, strict=True)
    )
    return PlatformOrder(
        order_id=order_id,
        state=state,
        word=document.status,
        lines=lines,
        deducts_at=deducts_at,
        created_at_ms=created,
        changed_at_ms=changed,
        paid_at_ms=paid_at,
        paid_fen=paid_of(lines) if paid is None else paid,
    )


def shipping_of(document: OrderDocument) -> Shipping | None:
    """Read where an order goes, None where that is not told. Raises Unreadable."""
    if document.receiver is None:
        return None
    said = {name: getattr(document, name) for name in ("receiver", "ship_by", "urgent")}
    going = as_shape(said, GoingDocument)
    to = going.receiver
    for part in (to.name, to.mobile, to.province, to.city, to.detail_address, to.area, to.zip_code):
        if not part.isprintable():
            raise Unreadable("a part of the receiver is not printable, in one line")
    if not all(map(str.strip, (to.name, to.mobile, to.province, to.city, to.detail_address))):
        raise Unreadable("a part of the receiver is blank")
    return Shipping(
        name=to.name,
        mobile=to.mobile,
        province=to.province,
        city=to.city,
        detail_address=to.detail_address,
        area=to.area,
        zip_code=to.zip_code,
        ship_by_ms=None if going.ship_by is None else in_time(milliseconds(going.ship_by)),
        lane=Lane.RUSH if going.urgent else None,
    )


def state_of(word: str, words: Mapping[str, OrderState]) -> OrderState:
    """Translate a status. Raises UnknownWord."""
    state = words.get(word)
    if state is None:
        raise UnknownWord("status", word[:MOST_WORD])
    return state


def order_line(
    line_id: str, sku: str, quantity: int, state: OrderState, price_fen: int | None
) -> OrderLine:
    """Make a line; what was paid for it is its price, where it is paid and still wanted."""
    paid = price_fen is not None and state in {OrderState.PAID, OrderState.SHIPPED}
    return OrderLine(
        line_id=line_id,
        sku=sku,
        quantity=quantity,
        state=state,
        paid_fen=price_fen * quantity if paid and price_fen is not None else None,
    )


def paid_of(lines: Sequence[OrderLine]) -> int | None:
    """Sum what was paid for the lines; None where a line does not tell."""
    amounts = [line.paid_fen for line in lines if line.paid_fen is not None]
    return sum(amounts) if len(amounts) == len(lines) else None


def number_problem(number: str) -> str | None:
    """Say what is wrong with the number of an order or a line, or None."""
    if number in {".", ".."}:  # in a path they would mean another one
        return "is not a dot or two"
    return None if LOCAL_ID.fullmatch(number) else "has 1 to 64 characters of [A-Za-z0-9._-]"


def fen(yuan: Decimal) -> int:
    """Turn yuan into fen, exactly. Raises Unreadable where that cannot be."""
    # Bounded first: a quantize of 1e999999 would ask for as many digits.
    if not yuan.is_finite() or yuan.adjusted() >= _FEN_DIGITS or yuan < 0:
        raise Unreadable(f"{yuan:.6g} is no amount in yuan")
    cents = yuan.quantize(_CENT)
    if cents != yuan:
        raise Unreadable(f"{yuan:.6g} yuan is no whole number of fen")
    return int(cents.scaleb(2))


def milliseconds(time: datetime) -> int:
    """Turn a time into ms since 1970. Raises Unreadable before that."""
    if time < _EPOCH:
        raise Unreadable("a time is before 1970")
    return (time - _EPOCH) // _MILLISECOND


def in_time(ship_by_ms: int) -> int:
    """Return by when an order has to leave. Raises Unreadable for what nobody can mean."""
    if ship_by_ms > LATEST_SHIP_BY_MS:
        raise Unreadable("ship_by is later than 2100")
    return ship_by_ms


def _check_lines(lines: Sequence[LineDocument]) -> None:
    seen: set[str] = set()
    for line in lines:
        number = str(line.line_no)
        problem = number_problem(number)
        if problem:
            raise Unreadable(f"line_no {problem}")
        if number in seen:
            raise Unreadable(f"line_no {number} stands there twice")
        seen.add(number)
        problem = sku_problem(line.sku)
        if problem:
            raise Unreadable(f"sku of line {number}: {problem}")
        if not 1 <= line.quantity <= MAX_STOCK:
            raise Unreadable(f"quantity of line {number} is not 1 to {MAX_STOCK}")


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(members)
    if len(document) != len(members):
        raise ValueError("a member stands there twice")
    return document


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
