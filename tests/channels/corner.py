"""A made-up platform, the corner shop: what a platform's file must have, and no more.

A push is `{"id", "order", "what"}`, signed `x-corner: SIGNATURE;SECONDS`: the hexadecimal
HMAC-SHA256 of the unix seconds, a dot and the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import msgspec
from msgspec import Struct

from channels.adapter import Adapter, At
from channels.model import Hint, Listing, OrderLine, OrderState, PlatformOrder
from partners.errors import Forged, Malformed, MessageRefused, PartnerFault, Stale, UnknownWord
from partners.model import Push, Reply, Request, Response
from reservation.shops import DeductsAt

FRESH_MS = 300_000
CONSOLE = "/console"  # of its stream
STATES = {
    "on the slate": OrderState.UNPAID,
    "settled": OrderState.PAID,
    "carried home": OrderState.SHIPPED,
    "forgotten": OrderState.CLOSED,
}


class Said(Struct):
    """A push."""

    id: str
    order: str
    what: str


class Sold(Struct):
    """An order as the shop tells it; a line is its SKU and how many."""

    order: str
    word: str
    lines: list[tuple[str, int]]
    changed: int = 0


class Corner(Adapter):
    """The corner shop's words."""

    platform = "corner"
    default_url = "http://127.0.0.1:9"
    calls_per_second = 1_000.0
    knows_our_skus = True

    def read_push(self, push: Push, now_ms: int) -> Sequence[Hint]:
        """Verify and read a push."""
        signature, _, at = push.headers.get("x-corner", "").partition(";")
        signed = [sign(secret, push.body, at) for secret in self.account.secrets]
        if not any(hmac.compare_digest(signature.encode(), one.encode()) for one in signed):
            raise Forged("no secret of ours")
        if not at.isdecimal() or abs(now_ms - int(at) * 1000) > FRESH_MS:
            raise Stale(f"signed at {at}")
        try:
            said = msgspec.json.decode(push.body, type=Said)
        except msgspec.DecodeError as error:
            raise Malformed(str(error)) from error
        return [Hint(message_id=said.id, topic=said.what, order_id=said.order)]

    def acknowledge(self) -> Reply:
        """Take it."""
        return Reply(200, b"thanks", "text/plain")

    def refuse(self, why: MessageRefused) -> Reply:
        """Refuse it."""
        del why
        return Reply(403, b"no", "text/plain")

    def later(self) -> Reply:
        """Put it off."""
        return Reply(503, b"later", "text/plain")

    def detail(self, order_id: str, at: At) -> Request:
        """Ask for an order."""
        del at
        return Request("GET", f"{self.account.url}/orders/{order_id}")

    def read_detail(self, response: Response) -> PlatformOrder:
        """Read an order."""
        self.read_done(response)
        sold = msgspec.json.decode(response.body, type=Sold)
        state = STATES.get(sold.word)
        if state is None:
            raise UnknownWord("word", sold.word)
        return PlatformOrder(
            order_id=sold.order,
            state=state,
            word=sold.word,
            lines=tuple(
                OrderLine(line_id=str(number), sku=sku, quantity=quantity, state=state)
                for number, (sku, quantity) in enumerate(sold.lines)
            ),
            deducts_at=DeductsAt.ORDER,
            created_at_ms=sold.changed,
            changed_at_ms=sold.changed,
        )

    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Show stock."""
        return self._say("show", listing, units, key, at)

    def close(self, listing: Listing, key: str, at: At) -> Request:
        """Sell no more."""
        return self._say("close", listing, 0, key, at)

    def reopen(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Sell again."""
        return self._say("reopen", listing, units, key, at)

    def _say(self, verb: str, listing: Listing, units: int, key: str, at: At) -> Request:
        body = msgspec.json.encode({"verb": verb, "item": listing.item_id, "units": units})
        seconds = str(at.now_ms // 1000)
        signed = {"x-corner": f"{sign(self.account.secrets[0], body, seconds)};{seconds}"}
        return Request("POST", f"{self.account.url}/{verb}", body, signed | {"x-key": key})

    def read_done(self, response: Response) -> None:
        """Read an answer."""
        if response.status != 200:
            after = response.headers.get("retry-after")
            raise PartnerFault(
                str(response.status),
                "",
                again=response.status >= 500 or response.status == 429,
                after_seconds=None if after is None else float(after),
            )


def sign(secret: str, body: bytes, seconds: str) -> str:
    """Sign as the corner shop does."""
    return hmac.digest(secret.encode(), seconds.encode() + b"." + body, "sha256").hex()


class CornerShop:
    """The shop itself: a server that tells orders, or the next of `faults` instead.

    What it is told lands in `told`, each key once, or the next of `refusals` is answered. Before
    that `at_the_door` may keep whoever tells it waiting. What a console would be sent is kept too.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Sold] = {}
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.asked: list[str] = []
        self.told: list[tuple[str, str, int]] = []  # verb, item, units
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.is_away = False  # every telling is a 503
        self.at_the_door: Callable[[str, str], None] = lambda verb, item: None
        self.sent: list[tuple[bytes, dict[str, str]]] = []  # to its console: body, headers
        self.tries = 0
        self.keys: set[str] = set()
        shop = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                order = self.path.rpartition("/")[2]
                shop.asked.append(order)
                status, headers = shop.faults.pop(0) if shop.faults else (200, {})
                body = msgspec.json.encode(shop.orders.get(order))
                self.send_response(status)
                for name, text in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                said = msgspec.json.decode(body)
                if self.path == CONSOLE:
                    said = {"verb": "expose", "item": said["data"]["sku"], "units": 0}
                shop.at_the_door(said["verb"], said["item"])
                shop.tries += 1
                status, headers = shop.refusals.pop(0) if shop.refusals else (200, {})
                status = 503 if shop.is_away else status
                if self.path == CONSOLE:
                    shop.sent.append((body, dict(self.headers)))
                key = self.headers["x-key"] or self.headers["webhook-id"]
                if status == 200 and key not in shop.keys:
                    shop.keys.add(key)
                    shop.told.append((said["verb"], said["item"], said["units"]))
                self.send_response(status)
                for name, text in {**headers, "content-length": "0"}.items():
                    self.send_header(name, text)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def tell(self, order: str, word: str, *lines: tuple[str, int]) -> None:
        """Say where an order is."""
        self.orders[order] = Sold(order, word, list(lines))

    def close(self) -> None:
        """Shut the shop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
