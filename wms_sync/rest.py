"""A warehouse's own system: plain JSON, signed both ways by Standard Webhooks.

The format is ours, for warehouses that have none of their own: `docs/warehouses.md`. A GET is
signed like a message with an empty body. A call's id is made of what it asks, so that a repetition
has the same one; a question's also of when: who takes each id once would answer it as of before.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(1.0.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

import msgspec
import orjson
from msgspec import Struct
from standardwebhooks import Webhook

from partners.errors import Malformed, MessageRefused, Misdirected, PartnerFault
from partners.model import Reply, Request
from partners.webhooks import verified_id
from reservation.errors import ConfigurationError
from reservation.times import rfc3339
from reservation.webhooks import is_secret, signed_headers
from wms_sync.connector import NOT_THERE, Account, Connector
from wms_sync.model import Count, Created, message_id
from wms_sync.rest_answers import MOST_BYTES, check_success, read_answer, unreadable
from wms_sync.rest_locks import RestLocks
from wms_sync.rest_messages import Change, Code, Text, Units, read_message

if TYPE_CHECKING:
    from partners.model import Push, Response
    from wms_sync.model import DeliveryOrder, Report

_NO_RECEIVER: Final = ("name", "mobile", "detail_address")
_REFUSALS: Final[Mapping[type[MessageRefused], int]] = {Malformed: 400, Misdirected: 400}


class _Told(Struct, frozen=True):
    code: Code
    accepted: bool
    id: Text = ""
    reason: Text = ""
    short: list[Code] = []


class _Handed(Struct, frozen=True):
    orders: list[_Told]


class _Cancelled(Struct, frozen=True):
    cancelled: bool


class _Level(Struct, frozen=True):
    sku: Code
    free: Change
    locked: Units = 0


class _Stock(Struct, frozen=True):
    stock: list[_Level]


class Rest(Connector):
    """The words of `docs/warehouses.md`. Raises ConfigurationError for a poor account."""

    system: ClassVar[str] = "rest"
    batch_size: int = 50
    stock_size: ClassVar[int] = 10  # a query of as many Chinese codes has 6 kB
    answer_seconds: ClassVar[float] = 15.0  # the least that the specification advises senders

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        where = f"wms.{account.warehouse}"
        if not account.url:
            raise ConfigurationError(f"{where}: rest needs url: set it")
        if not account.secrets or not all(map(is_secret, account.secrets)):
            raise ConfigurationError(
                f"{where}: rest needs secrets, newest first where there are two, each the base64 "
                "of 24 to 64 bytes, with whsec_ before it or without"
            )
        self._signers = tuple(Webhook(secret) for secret in account.secrets)
        self.locks = RestLocks(account, self._post)

    # -- out -------------------------------------------------------------------------------------

    def problem(self, order: DeliveryOrder) -> str:
        """Say what nobody can ship without."""
        missing = [
            name for name in _NO_RECEIVER if not getattr(order.dispatch.receiver, name).strip()
        ]
        return f"the receiver has no {', no '.join(missing)}" if missing else ""

    def create(self, orders: Sequence[DeliveryOrder], now_ms: int) -> Request:
        """Hand orders over, whole."""
        if not 0 < len(orders) <= self.batch_size:
            raise ValueError(f"{len(orders)} orders: 1 to {self.batch_size} at once")
        body = {
            "warehouse": self.account.code,
            "owner": self.account.owner,
            "orders": [_document(order) for order in orders],
        }
        return self._post("/orders", body, now_ms)

    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Read what became of each that the answer tells of."""
        told = {one.code: one for one in read_answer(response, _Handed).orders}
        return [
            Created(
                code=one.code,
                accepted=one.accepted,
                warehouse_order_id=one.id,
                reason=one.reason,
                short=tuple(one.short),
            )
            for order in orders
            if (one := told.get(order.code)) is not None
        ]

    def cancel(self, order: DeliveryOrder, reason: str, now_ms: int) -> Request:
        """Ask that an order does not leave."""
        return self._post(
            f"/orders/{quote(order.code, safe='')}/cancel", {"reason": reason}, now_ms
        )

    def read_cancelled(self, response: Response) -> bool:
        """Read whether that was in time."""
        _check_known(response)
        return read_answer(response, _Cancelled).cancelled

    def hold(self, order: DeliveryOrder, *, held: bool, reason: str, now_ms: int) -> Request:
        """Ask that an order waits there, or goes on."""
        body = {"held": held, "reason": reason}
        return self._post(f"/orders/{quote(order.code, safe='')}/hold", body, now_ms)

    def read_done(self, response: Response) -> None:
        """Take any 2xx for done."""
        _check_known(response)
        check_success(response)

    def stock(self, skus: Sequence[str], now_ms: int) -> Request:
        """Ask what there is."""
        if not 0 < len(skus) <= self.stock_size:
            raise ValueError(f"{len(skus)} SKUs: 1 to {self.stock_size} at once")
        query = urlencode([("sku", sku) for sku in skus], quote_via=quote)
        return self._call("GET", f"/stock?{query}", b"", now_ms)

    def read_stock(self, response: Response) -> Sequence[Count]:
        """Read the counts."""
        levels = read_answer(response, _Stock).stock
        if len({level.sku for level in levels}) < len(levels):
            raise unreadable("a SKU stands there twice")
        return [Count(sku=one.sku, free=one.free, locked=one.locked) for one in levels]

    # -- in --------------------------------------------------------------------------------------

    def read_reports(self, push: Push, now_ms: int) -> Sequence[Report]:
        """Verify a message and read it; its name is the one of its header."""
        if len(push.body) > MOST_BYTES:
            raise Malformed(f"{len(push.body)} bytes, more than {MOST_BYTES}")
        header_id = verified_id(push, self._signers, now_ms)
        return read_message(push.body, self.account.code, message_id("rest", header_id))

    def acknowledge(self) -> Reply:
        """Answer 204."""
        return Reply(204)

    def refuse(self, why: MessageRefused) -> Reply:
        """Answer 401, or 400 to what is signed well and cannot be taken all the same."""
        return Reply(_REFUSALS.get(type(why), 401))

    def later(self) -> Reply:
        """Answer 503: a sender tries again."""
        return Reply(503)

    # -- below -----------------------------------------------------------------------------------

    def _post(self, path: str, document: Mapping[str, Any], now_ms: int) -> Request:
        return self._call("POST", path, orjson.dumps(document), now_ms)

    def _call(self, method: str, path: str, body: bytes, now_ms: int) -> Request:
        url = f"{self.account.url}{path}"
        when = (str(now_ms),) if method == "GET" else ()
        name = message_id("msg", method, url, body.decode(), *when).replace(".", "_")
        headers = signed_headers(self._signers, name, now_ms // 1000, body)
        content = {"content-type": "application/json"} if body else {}
        return Request(method, url, body, content | headers)


def _document(order: DeliveryOrder) -> dict[str, Any]:
    dispatch, to = order.dispatch, order.dispatch.receiver
    return {
        "code": order.code,
        "created_at": rfc3339(order.created_ms),
        "lane": dispatch.lane,
        "ship_by": rfc3339(dispatch.ship_by_ms),
        "placed_at": rfc3339(dispatch.placed_ms),
        "paid_at": None if dispatch.paid_ms is None else rfc3339(dispatch.paid_ms),
        "platform": dispatch.platform,
        "shop": dispatch.shop,
        "carrier": dispatch.carrier,
        "bench": dispatch.bench,
        "quality_check": dispatch.quality_check,
        "receiver": msgspec.structs.asdict(to),
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.quantity,
                "price_fen": line.price_fen,
            }
            for line in order.lines
        ],
    }


def _check_known(response: Response) -> None:
    if response.status == 404:
        raise PartnerFault(NOT_THERE, "it knows no such order", again=False)
