"""A bigger made-up platform, the bazaar: what the corner shop has not.

A list of what has changed, a queue of messages, and tokens that end.
"""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from channels.adapter import At
from channels.errors import TokenRefused
from channels.model import Hint, Page, Token
from partners.model import Request, Response
from tests.channels.corner import Corner, Said, Sold

NOW_MS = 1_700_000_000_000
PAGE = 2


class Listed(Struct):
    """A page of what has changed."""

    orders: list[tuple[str, int]]
    pages: int


class Given(Struct):
    """A token."""

    value: str
    expires_at_ms: int
    refresh: str


class Bazaar(Corner):
    """The bazaar's words. The option `tokens` says that its tokens end."""

    platform = "bazaar"
    page_size = PAGE
    queue = True
    options = ("tokens",)

    def _get(self, target: str, at: At) -> Request:
        return Request("GET", f"{self.account.url}{target}", headers={"x-token": at.token})

    def detail(self, order_id: str, at: At) -> Request:
        """Ask for an order."""
        return self._get(f"/orders/{order_id}", at)

    def changed(self, begin_ms: int, end_ms: int, page: int, at: At) -> Request:
        """Ask for a page."""
        return self._get(f"/changed?begin={begin_ms}&end={end_ms}&page={page}", at)

    def read_changed(self, response: Response) -> Page:
        """Read a page."""
        self.read_done(response)
        listed = msgspec.json.decode(response.body, type=Listed)
        return Page(tuple(listed.orders), listed.pages)

    def fetch(self, at: At) -> Request:
        """Fetch messages."""
        return self._get("/messages", at)

    def read_fetched(self, response: Response) -> list[Hint]:
        """Read messages; one without an order has a word that nobody knows."""
        self.read_done(response)
        return [
            Hint(
                message_id=said.id,
                topic=said.what,
                order_id=said.order,
                unknown="" if said.order else said.what,
            )
            for said in msgspec.json.decode(response.body, type=list[Said])
        ]

    def confirm_fetched(self, message_ids: Any, at: At) -> Request:
        """Tell that messages are kept."""
        return self._get(f"/confirm?ids={','.join(message_ids)}", at)

    def token(self, refresh: str, at: At) -> Request | None:
        """Ask for a token."""
        del at
        if "tokens" not in self.account.options:
            return None
        return Request("GET", f"{self.account.url}/token?refresh={refresh}")

    def read_token(self, response: Response, now_ms: int) -> Token:
        """Read a token."""
        del now_ms
        self.read_done(response)
        given = msgspec.json.decode(response.body, type=Given)
        return Token(given.value, given.expires_at_ms, given.refresh)

    def read_done(self, response: Response) -> None:
        """Read an answer."""
        if response.status == 401:
            raise TokenRefused("401", "", again=True)
        super().read_done(response)


class BazaarServer:
    """The bazaar itself, which answers the next of `faults` where there are some."""

    def __init__(self) -> None:
        self.orders: dict[str, Sold] = {}
        self.messages: dict[str, Said] = {}
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.windows: list[tuple[int, int, int]] = []  # asked for: begin, end, page
        self.before: Callable[[str], None] = lambda path: None  # called before each answer
        self.tokens: set[str] | None = None  # that open; None: no token is looked at
        self.refreshes: list[str] = []  # with which tokens were asked for
        self.token_until_ms = 1 << 62
        bazaar = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                bazaar.before(self.path)
                query = {name: value for name, (value,) in parse_qs(url.query).items()}
                status, headers, answer = 200, {}, None
                if bazaar.faults:
                    status, headers = bazaar.faults.pop(0)
                elif (
                    bazaar.tokens is not None
                    and url.path != "/token"
                    and self.headers["x-token"] not in bazaar.tokens
                ):
                    status = 401
                else:
                    answer = bazaar.answer(url.path, query)
                body = msgspec.json.encode(answer)
                self.send_response(status)
                for name, text in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, path: str, query: dict[str, str]) -> object:
        """Answer what is asked."""
        match path:
            case "/changed":
                return self._changed(*(int(query[name]) for name in ("begin", "end", "page")))
            case "/messages":
                return list(self.messages.values())
            case "/confirm":
                for message_id in query["ids"].split(","):
                    self.messages.pop(message_id, None)
                return None
            case "/token":
                self.refreshes.append(query.get("refresh", ""))
                token = f"token-{len(self.refreshes)}"
                self.tokens = {token}
                return Given(token, self.token_until_ms, f"refresh-{len(self.refreshes)}")
            case _:
                return self.orders.get(path.rpartition("/")[2])

    def _changed(self, begin_ms: int, end_ms: int, page: int) -> Listed:
        """List what has changed, the latest first."""
        self.windows.append((begin_ms, end_ms, page))
        found = [sold for sold in self.orders.values() if begin_ms <= sold.changed <= end_ms]
        found.sort(key=lambda sold: -sold.changed)
        shown = found[(page - 1) * PAGE : page * PAGE]
        return Listed([(sold.order, sold.changed) for sold in shown], -(-len(found) // PAGE))

    def tell(self, order: str, changed_ms: int, word: str = "settled") -> None:
        """Say where an order of one A is."""
        self.orders[order] = Sold(order, word, [("A", 1)], changed_ms)

    def say(self, message_id: str, order: str = "1", what: str = "settled") -> None:
        """Put a message into the queue."""
        self.messages[message_id] = Said(message_id, order, what)

    def close(self) -> None:
        """End the bazaar."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
