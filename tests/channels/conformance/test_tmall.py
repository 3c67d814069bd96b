"""Tmall passes the conformance suite, also before the simulated one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import httpx
import pytest

from channels.adapter import Account
from channels.conformance import NOW_MS, Counterpart, Failure, Said, SaidLine
from channels.conformance.wire import Wire, wired
from channels.model import OrderState
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.tmall import Seller
from channels.simulator.tmall import Tmall as Simulated
from channels.simulator.tmall.call import written
from channels.simulator.tmall.callback import callback
from channels.simulator.tmall.trades import yuan
from channels.simulator.trade import Sku, Wanted
from channels.tmall import Tmall
from channels.top import SIGN_METHODS
from partners.model import Push, Response
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from tests.channels.conformance.long import Long
from tests.channels.tmall_golden import golden

KEY, NEW, OLD = "12345678", "helloworld", "the-secret-before"
UNPAID, PAID = OrderState.UNPAID, OrderState.PAID
SHIPPED, CLOSED = OrderState.SHIPPED, OrderState.CLOSED


class TmallSide(Counterpart):
    """Taobao's open platform: call-backs, trades, the queue."""

    adapter = Tmall
    account = Account(channel="tmall", url="https://gw.test", app_key=KEY, secrets=(NEW, OLD))
    stranger = "guessed"
    words: ClassVar = {
        "TRADE_NO_CREATE_PAY": UNPAID,
        "WAIT_BUYER_PAY": UNPAID,
        "PAY_PENDING": UNPAID,
        "WAIT_PRE_AUTH_CONFIRM": UNPAID,
        "WAIT_SELLER_SEND_GOODS": PAID,
        "PAID_FORBID_CONSIGN": PAID,
        "SELLER_CONSIGNED_PART": PAID,
        "WAIT_BUYER_CONFIRM_GOODS": SHIPPED,
        "TRADE_BUYER_SIGNED": SHIPPED,
        "TRADE_FINISHED": SHIPPED,
        "TRADE_CLOSED": CLOSED,
        "TRADE_CLOSED_BY_TAOBAO": CLOSED,
    }
    signature = "sign"
    fresh_ms = 300_000
    names_messages = False  # a call-back has no id
    opens = "simulator-session"

    def message(self, message_id: str, order: Said) -> bytes:
        """Write a scene's body."""
        del message_id
        return json.dumps({"tid": int(order.order_id), "备注": "✓"}, ensure_ascii=False).encode()

    def signed(self, body: bytes, *, message_id: str, at_ms: int, secret: str) -> Push:
        """Sign it with a header of its own."""
        del message_id
        seller = Seller(app_key=KEY, secret=secret)
        query, headers = callback(seller, "demo.order.push", body, at_ms, {"X-Shop": "旗舰店"})
        return Push(body, headers, query)

    def detail(self, order: Said) -> Response:
        """Write trade.fullinfo.get."""
        trade = {
            "tid": int(order.order_id),
            "status": order.word,
            "payment": yuan(order.amount_fen),
            "created": written(order.created_at_ms),
            "modified": written(order.changed_at_ms),
            "orders": {"order": [_line(line) for line in order.lines]},
        }
        if order.paid_at_ms is not None:
            trade["pay_time"] = written(order.paid_at_ms)
        return answer(trade_fullinfo_get_response={"trade": trade})

    def changed(self, orders: list[Said], pages: int) -> Response:
        """Write trades.sold.increment.get; without any there is no member `trades`."""
        found = [
            {"tid": int(order.order_id), "modified": written(order.changed_at_ms)}
            for order in orders
        ]
        total = (pages - 1) * 100 + len(found) if found else 0
        some = {"trades": {"trade": found}} if found else {}
        return answer(trades_sold_increment_get_response={**some, "total_results": total})

    def fetched(self, messages: list[tuple[str, Said]]) -> Response:
        """Write tmc.messages.consume."""
        found = [
            {
                "id": int(message_id),
                "topic": "taobao_trade_TradeBuyerPay",
                "content": self.message("", order).decode(),
                "pub_time": written(NOW_MS),
            }
            for message_id, order in messages
        ]
        some = {"tmc_message": found} if found else {}
        return answer(tmc_messages_consume_response={"messages": some})

    def done(self) -> list[Response]:
        """Give what was seen of a parcel (also told twice), of the shelf and the queue."""
        return [golden(name) for name in ("sent", "sent_before", "delisted", "confirmed")]

    def failures(self) -> list[Failure]:
        """Give what was seen, and the codes of the documents."""

        def error(code: int, sub_code: str, sub_msg: str = "") -> Response:
            return answer(
                error_response={"code": code, "msg": "", "sub_code": sub_code, "sub_msg": sub_msg}
            )

        ban = "This ban will last for 2 more seconds"
        return [
            Failure(
                name="throttled",
                response=error(7, "isp.call-limited", ban),
                again=True,
                after_seconds=2.0,
            ),
            Failure(
                name="too many timeouts",
                response=golden("too_many_timeouts"),
                again=True,
                after_seconds=180.0,
            ),
            Failure(
                name="no session",
                response=error(27, "sessionkey-not-generated-by-server"),
                again=True,
                token=True,
            ),
            Failure(
                name="out of order",
                response=error(15, "isp.top-remote-service-unavailable"),
                again=True,
            ),
            Failure(name="wrong parameter", response=golden("invalid_parameter"), again=False),
            Failure(name="wrong signature", response=error(25, ""), again=False),
        ]

    def simulator(self) -> Simulated:
        """Make the simulated one."""
        clock = Clock(NOW_MS, speed=0)
        world = ShopWorld(clock, Faults(seed=1), Shop(clock))
        return Simulated(world, Seller(app_key=KEY, secret=NEW))

    def listen(self, simulator: Simulated, url: str) -> None:
        """Remember where a scene can call; the queue is all that it sends by itself."""
        del simulator
        self.messages_at = url


def answer(**members: Any) -> Response:
    return Response(200, json.dumps(members, ensure_ascii=False).encode())


def _line(line: SaidLine) -> dict[str, Any]:
    return {
        "oid": int(line.line_id),
        "num_iid": 3539925204033339669,
        "sku_id": "4120248730389",
        "outer_sku_id": line.sku,
        "num": line.quantity,
        "price": yuan(line.price_fen),
        "divide_order_fee": yuan(line.quantity * line.price_fen),
        "status": line.word,
        "refund_status": "NO_REFUND",
    }


class TestTmall(Long):
    """Over TOP, its queue and call-backs."""

    counterpart = TmallSide()


def place(wire: Wire, *, paid: bool = False, notes: dict[str, str] | None = None) -> str:
    skus = [Sku(sku_id="", outer_id="CATFOOD-10KG", quantity=10, price_fen=1570)]
    item = wire.world.shop.offer("猫粮", skus)
    wanted = [Wanted(item.item_id, "", 1)]
    return wire.world.shop.place(wanted, paid=paid, notes=notes).order_id


@pytest.mark.parametrize("method", sorted(SIGN_METHODS))
async def test_each_way_of_signing_opens_the_gateway(method: str) -> None:
    side = TmallSide()
    side.account = replace(side.account, options={"sign_method": method})
    async with wired(side) as wire:
        await wire.reads(place(wire), UNPAID)


@pytest.mark.parametrize(
    ("notes", "paid", "state"),
    [
        ({"type": "step", "step_trade_status": "FRONT_PAID_FINAL_NOPAID"}, False, UNPAID),
        ({"type": "step", "step_trade_status": "FRONT_PAID_FINAL_PAID"}, True, PAID),
        ({"paid_status": "PAID_FORBID_CONSIGN"}, True, PAID),
    ],
)
async def test_presales_and_what_may_not_ship_yet(notes, paid, state) -> None:
    async with wired(TmallSide()) as wire:
        order = await wire.reads(place(wire, paid=paid, notes=notes), state)
        assert order.state is state


async def test_a_scene_calls_us() -> None:
    """What the simulated platform signs we verify, a header in Chinese and all."""
    side = TmallSide()
    async with wired(side) as wire, httpx.AsyncClient(trust_env=False) as http:
        scene = {
            "url": side.messages_at,
            "method": "qimen.demo.order.push",
            "body": '{"tid":4701000000000000001, "备注":"✓"}',
            "headers": {"X-Shop": "旗舰店"},
        }
        desk = f"{wire.adapter.account.url}/simulator/tmall/callback"
        assert (await http.post(desk, json=scene)).json()["status"] == 200
        assert [(hint.topic, hint.order_id) for hint in wire.hints] == [
            ("qimen.demo.order.push", "4701000000000000001")
        ]
