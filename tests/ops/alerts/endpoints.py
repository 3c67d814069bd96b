"""The receivers of alerts as they really answer, over HTTP: WeCom, DingTalk, Standard Webhooks.

Sources: the platforms' pages (see `ops.alerts`), and answers that people have published:
40058 "markdown.content exceed max length 4096", 45009 "api freq out of limit", 93000 "invalid
webhook url"; 130101 "send too fast, exceed 20 times per minute", 310000 "sign not match",
300001 "token is not exist".
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError

MINUTE_MS = 60_000
ROBOT_LIMIT = 20
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")


@dataclass
class Post:
    """What came: a POST with its query, headers and body, and when (ms)."""

    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at_ms: int

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class HangUp:
    """The answer is lost on its way."""


Answer = tuple[int, dict[str, Any] | str]
LOST = (200, HangUp.__name__)


@dataclass
class Receiving:
    """One receiver. `troubles` come first, in order: an answer, or HangUp after it was taken."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    posts: list[Post] = field(default_factory=list)  # everything that came
    taken: list[Post] = field(default_factory=list)  # what it has
    troubles: deque[Answer | type[HangUp]] = field(default_factory=deque)
    url: str = ""
    _recent: deque[int] = field(default_factory=deque)

    def is_too_often(self) -> bool:
        """Say whether this is more than a robot takes within a minute; else count it."""
        now_ms = self.now_ms()
        while self._recent and self._recent[0] <= now_ms - MINUTE_MS:
            self._recent.popleft()
        if len(self._recent) < ROBOT_LIMIT:
            self._recent.append(now_ms)
            return False
        return True

    def said(self, post: Post, code: int, text: str) -> Answer:
        """Answer as a robot does, and take the post where the code is 0."""
        if code == 0:
            self.taken.append(post)
        return 200, {"errcode": code, "errmsg": text}

    def answer(self, post: Post) -> Answer:
        """Take a post, or say why not."""
        raise NotImplementedError

    def _answer(self, post: Post) -> Answer:
        self.posts.append(post)
        trouble = self.troubles.popleft() if self.troubles else None
        if isinstance(trouble, tuple):
            return trouble
        answer = self.answer(post)
        return answer if trouble is None else LOST

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request (ASGI)."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = {
            name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()
        }
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, said = self._answer(Post(query, headers, body, self.now_ms()))
        content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        # An answer shorter than it says is cut off.
        length = len(content) + (1_000 if (status, said) == LOST else 0)
        told = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", str(length).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": content})

    def most_in_a_minute(self) -> int:
        """Count the most posts that came within any minute."""
        times = [post.at_ms for post in self.posts]
        return max(
            (sum(first <= at < first + MINUTE_MS for at in times) for first in times), default=0
        )

    def texts(self) -> list[str]:
        """Read what people see of what it has taken."""
        raise NotImplementedError

    def linked(self) -> list[str]:
        """Name the SKUs whose pages were linked to, as often as they were."""
        return [
            unquote(url.partition("#/sku/")[2])
            for text in self.texts()
            for _, url in LINK.findall(text)
            if "#/sku/" in url
        ]


@dataclass
class WeComRobot(Receiving):
    """A group robot with the key `KEY`: HTTP 200 whatever it thinks, at most 20 a minute."""

    key: str = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"

    def answer(self, post: Post) -> Answer:
        """Judge as the platform does: key, frequency, form, length."""
        return self.said(post, *self._judged(post))

    def _judged(self, post: Post) -> tuple[int, str]:  # noqa: PLR0911 (a line a rule)
        if post.query.get("key") != self.key:
            return (93_000, "invalid webhook url, hint: [1647424338252370220001484]")
        now_ms = self.now_ms()
        while self._recent and self._recent[0] <= now_ms - MINUTE_MS:
            self._recent.popleft()
        if len(self._recent) >= ROBOT_LIMIT:
            return (45_009, "api freq out of limit, hint: [1647424338252370220001484]")
        try:
            document = post.json
        except ValueError:
            return (47_001, "data format error, hint: [1647424338252370220001484]")
        if document.get("msgtype") != "markdown":
            return (40_008, "invalid message type, hint: [1647424338252370220001484]")
        content = document["markdown"]["content"]
        if not content:
            return (44_004, "empty content, hint: [1647424338252370220001484]")
        if len(content.encode()) > 4_096:
            return 40_058, "markdown.content exceed max length 4096. invalid Request Parameter"
        return 0, "ok"

    def texts(self) -> list[str]:
        """Read what people see."""
        return [post.json["markdown"]["content"] for post in self.taken]


@dataclass
class DingTalkRobot(Receiving):
    """A group robot that asks for a signature; who sends too fast is not heard for 10 minutes."""

    token: str = "6b9d1e3a"
    secret: str = "SECtestsecret"
    _deaf_until_ms: int = 0

    def answer(self, post: Post) -> Answer:
        """Judge as the platform does: token, signature, frequency, length."""
        return self.said(post, *self._judged(post))

    def _judged(self, post: Post) -> tuple[int, str]:  # noqa: PLR0911 (a line a rule)
        if post.query.get("access_token") != self.token:
            return (300_001, "token is not exist")
        stamp = post.query.get("timestamp", "0")
        if abs(int(stamp) - self.now_ms()) > 3_600_000:
            return (310_000, "invalid timestamp")
        text = f"{stamp}\n{self.secret}".encode()
        wanted = base64.b64encode(hmac.digest(self.secret.encode(), text, hashlib.sha256)).decode()
        if post.query.get("sign") != wanted:
            return (310_000, "sign not match")
        now_ms = self.now_ms()
        if now_ms >= self._deaf_until_ms and self.is_too_often():
            self._deaf_until_ms = now_ms + 600_000
        if now_ms < self._deaf_until_ms:
            return (130_101, "send too fast, exceed 20 times per minute")
        if len(post.body) > 20_000:
            return (460_101, "message too long, exceed 20000 bytes")
        if not post.json["markdown"]["title"]:
            return (400_105, "empty title")
        return 0, "ok"

    def texts(self) -> list[str]:
        """Read what people see."""
        return [post.json["markdown"]["text"] for post in self.taken]


@dataclass
class WebhookEndpoint(Receiving):
    """A program that verifies Standard Webhooks with their own library, and knows ids."""

    secret: str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    seen: set[str] = field(default_factory=set)

    def answer(self, post: Post) -> Answer:
        """Verify, and take each id once."""
        try:
            Webhook(self.secret).verify(post.body, post.headers)
        except WebhookVerificationError as error:
            return 401, str(error)
        if post.headers["webhook-id"] not in self.seen:
            self.seen.add(post.headers["webhook-id"])
            self.taken.append(post)
        return 204, ""

    def alerts(self) -> list[dict[str, Any]]:
        """Read the alerts that it has taken, in order."""
        return [alert for post in self.taken for alert in post.json["data"]["alerts"]]


@contextlib.asynccontextmanager
async def served(receiving: Receiving) -> AsyncIterator[None]:
    """Serve a receiver on a port of its own; its `url` says where."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(receiving, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    host = f"http://127.0.0.1:{listener.getsockname()[1]}"
    match receiving:
        case WeComRobot():
            receiving.url = f"{host}/cgi-bin/webhook/send?key={receiving.key}"
        case DingTalkRobot():
            receiving.url = f"{host}/robot/send?access_token={receiving.token}"
        case _:
            receiving.url = f"{host}/hooks/holdfast"
    try:
        yield
    finally:
        server.should_exit = True
        await task
