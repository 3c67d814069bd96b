"""A distributor passes the conformance suite, also before the simulated dealer."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from channels.adapter import Account
from channels.conformance import NOW_MS, Counterpart, Failure, Said
from channels.distributor import Distributor
from channels.model import OrderState
from channels.simulator.dealer import Account as Secrets
from channels.simulator.dealer import Dealer
from channels.simulator.dealer.document import written, yuan
from channels.simulator.dealer.signing import signature
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from partners.model import Push, Response
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from tests.channels.conformance.long import Long

NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
UNPAID, PAID = OrderState.UNPAID, OrderState.PAID
SHIPPED, CLOSED = OrderState.SHIPPED, OrderState.CLOSED


class DealerSide(Counterpart):
    """A dealer that sends its orders, and can be asked for them."""

    adapter = Distributor
    account = Account(
        channel="dealer-hz",
        url="https://dealer.test",
        secrets=(NEW, OLD),
        options={"orders_path": "/orders"},
    )
    stranger = "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmch"
    words: ClassVar = {
        "unpaid": UNPAID,
        "待付款": UNPAID,
        "paid": PAID,
        "已付款": PAID,
        "partly_shipped": PAID,
        "部分发货": PAID,
        "shipped": SHIPPED,
        "已发货": SHIPPED,
        "completed": SHIPPED,
        "签收完成": SHIPPED,
        "cancelled": CLOSED,
        "已取消": CLOSED,
        "refunded": CLOSED,
        "已退款": CLOSED,
    }
    signature = "webhook-signature"
    fresh_ms = 300_000
    path = "/webhooks"

    def message(self, message_id: str, order: Said) -> bytes:
        """Write a message; its id is in a header."""
        del message_id
        said = {"type": "order.updated", "timestamp": written(NOW_MS), "data": document(order)}
        return json.dumps(said, ensure_ascii=False).encode()

    def signed(self, body: bytes, *, message_id: str, at_ms: int, secret: str) -> Push:
        """Sign it as the specification has it."""
        seconds = str(at_ms // 1000)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": seconds,
            "webhook-signature": signature((secret,), message_id, seconds, body),
            "content-type": "application/json",
        }
        return Push(body, headers)

    def probe(self) -> bytes:
        """Write a ping."""
        return b'{"type": "ping", "timestamp": "2026-01-22T10:00:00Z", "data": {}}'

    def detail(self, order: Said) -> Response:
        """Write an order that was asked for."""
        return answer(document(order))

    def changed(self, orders: list[Said], pages: int) -> Response:
        """Write a page."""
        return answer({"orders": [document(order) for order in orders], "pages": pages})

    def done(self) -> list[Response]:
        """Any 2xx is."""
        return [Response(204, b""), Response(200, b"thanks"), Response(202, b"{}")]

    def failures(self) -> list[Failure]:
        """Statuses tell."""
        throttled = Response(429, b"", {"retry-after": "7"})
        return [
            Failure(name="throttled", response=throttled, again=True, after_seconds=7.0),
            Failure(name="busy", response=Response(503, b"later"), again=True),
            Failure(name="gone", response=Response(410, b""), again=False),
            Failure(name="no such order", response=Response(404, b""), again=False),
            Failure(name="wrong signature", response=Response(401, b""), again=False),
        ]

    def simulator(self) -> Dealer:
        """Make the simulated one."""
        clock = Clock(NOW_MS, speed=0)
        world = ShopWorld(clock, Faults(seed=1), Shop(clock))
        return Dealer(world, Secrets(sending=(NEW,), receiving=(NEW,)))

    def listen(self, simulator: Dealer, url: str) -> None:
        """Have it send."""
        simulator.url = url


def answer(document: Any) -> Response:
    return Response(200, json.dumps(document, ensure_ascii=False).encode())


def document(order: Said) -> dict[str, Any]:
    found: dict[str, Any] = {
        "order_no": int(order.order_id),
        "status": order.word,
        "created_at": written(order.created_at_ms),
        "updated_at": written(order.changed_at_ms),
        "lines": [
            {
                "line_no": int(line.line_id),
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price_yuan": yuan(line.price_fen),
                "status": line.word,
            }
            for line in order.lines
        ],
    }
    if order.paid_at_ms is not None:
        found |= {"paid_at": written(order.paid_at_ms), "paid_yuan": yuan(order.amount_fen)}
    return found


class TestDistributor(Long):
    """One that can be asked."""

    counterpart = DealerSide()


class SendingSide(DealerSide):
    """A dealer that cannot be asked: its messages have it all."""

    account = Account(channel="dealer-hz", url="https://dealer.test", secrets=(NEW, OLD))


class TestDistributorThatOnlySends(Long):
    """One that cannot."""

    counterpart = SendingSide()
