"""The door for platforms: their signature opens it, and what was taken is on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.intake import endpoints
from channels.intake.desk import Desk
from channels.intake.endpoints import Messages
from channels.intake.inbox import Inbox, inbox_path
from channels.intake.looks import NO_ORDER
from channels.model import Hint
from partners.model import Push
from reservation import metrics
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.shops import Shop
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.channels.corner import Corner, sign

NOW_MS = 1_700_000_000_000
SHOP = Shop(platform="tests.channels.intake.test_endpoints:Puzzled", secrets=("new", "old"))
BODY = json.dumps({"id": "m1", "order": "o1", "what": "paid"}).encode()


class Puzzled(Corner):
    """A shop that has no order's name in some messages: their word is unknown then."""

    answer_seconds = 2.0

    def read_push(self, push: Push, now_ms: int) -> list[Hint]:
        """Read a push."""
        hints = super().read_push(push, now_ms)
        return [hint if hint.order_id else replace(hint, unknown=hint.topic) for hint in hints]


@pytest.fixture
def shops(settings: Settings, tmp_path: Path) -> Settings:
    """Name one channel."""
    return settings.model_copy(update={"channels": {"corner": SHOP}, "data_dir": tmp_path})


@pytest.fixture
async def client(store: Store, engine: Engine, shops: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to an API that takes the channel's messages."""
    keyring, messages = Keyring(store.client), Messages(shops, now_ms=lambda: NOW_MS)
    app = create_app(engine, keyring, shops, more=messages.endpoints())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast") as asking:
        yield asking
    await messages.close()
    await keyring.close()


async def push(
    client: httpx.AsyncClient,
    body: bytes = BODY,
    *,
    signed_by: str = "new",
    seconds: int = NOW_MS // 1000,
    channel: str = "corner",
    **headers: str | bytes,
) -> httpx.Response:
    """Send a signed message; `headers` come over the right ones."""
    signed = {"x-corner": f"{sign(signed_by, body, str(seconds))};{seconds}", **headers}
    return await client.post(f"/v1/channels/{channel}/messages", content=body, headers=signed)


def looks(settings: Settings) -> list[str]:
    """Name the orders that wait, as another process sees them."""
    path = inbox_path(settings.data_dir)
    if not path.exists():
        return []
    inbox = Inbox(path)
    found = [look.order_id for look in inbox.due("corner", NOW_MS)]
    inbox.close()
    return found


def counted(outcome: str) -> float:
    """Read how many messages came out so."""
    series: Any = metrics.CHANNEL_MESSAGES.labels(channel="corner", outcome=outcome)
    return float(series._value.get())


async def test_a_message_is_kept_and_answered_in_the_platforms_words(
    client: httpx.AsyncClient, shops: Settings
) -> None:
    """Without any key of ours; a repetition is taken, too, and changes nothing."""
    before = counted("kept")
    for secret in ("new", "old"):
        answer = await push(client, signed_by=secret)
        assert (answer.status_code, answer.text) == (200, "thanks")
        assert answer.headers["content-type"] == "text/plain"
        assert looks(shops) == ["o1"]
    assert counted("kept") == before + 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"signed_by": "wrong"}, "forged"),
        ({"x-corner": ""}, "forged"),
        ({"x-corner": b"\xe9;1"}, "forged"),
        ({"seconds": NOW_MS // 1000 - 301}, "stale"),
        ({"seconds": NOW_MS // 1000 + 301}, "stale"),
        ({"body": BODY[:-1]}, "malformed"),
        ({"body": b""}, "malformed"),
        ({"body": b"\xff" * 100}, "malformed"),
    ],
)
async def test_what_is_wrong_is_refused_without_a_word_why(
    client: httpx.AsyncClient, shops: Settings, change: dict[str, Any], reason: str
) -> None:
    """It is counted, and nothing is kept."""
    before = counted(reason)
    answer = await push(client, **change)
    assert (answer.status_code, answer.text) == (403, "no")
    assert looks(shops) == []
    assert counted(reason) == before + 1


async def test_a_body_that_was_written_anew_is_forged(
    client: httpx.AsyncClient, shops: Settings
) -> None:
    """The same JSON, other bytes."""
    right = f"{sign('new', BODY, str(NOW_MS // 1000))};{NOW_MS // 1000}"
    answer = await push(client, BODY.replace(b": ", b":"), **{"x-corner": right})
    assert answer.status_code == 403
    assert looks(shops) == []


async def test_what_cannot_be_read_and_names_no_order_is_taken_and_shown(
    client: httpx.AsyncClient, shops: Settings
) -> None:
    """With its word; it is counted as what a person has to look at."""
    series: Any = metrics.CHANNEL_ANOMALIES.labels(channel="corner", kind="unknown-word")
    before = series._value.get()
    body = json.dumps({"id": "m1", "order": "", "what": "bartered"}).encode()
    assert (await push(client, body)).status_code == 200
    desk = Desk(inbox_path(shops.data_dir))
    (look,) = desk.troubles()
    assert (look.order_id, look.reason) == (NO_ORDER, "unknown-word: bartered")
    desk.close()
    assert series._value.get() == before + 1


@pytest.mark.parametrize("channel", ["tmall", "corner%2F", "..", "CORNER"])
async def test_a_channel_that_is_not_named_takes_nothing(
    client: httpx.AsyncClient, channel: str
) -> None:
    answer = await push(client, channel=channel)
    assert answer.status_code in {401, 404}


async def test_where_nothing_can_be_kept_the_platform_sends_again(
    client: httpx.AsyncClient, shops: Settings
) -> None:
    """The file is in the way; once it is not, messages are taken."""
    path = inbox_path(shops.data_dir)
    path.mkdir(parents=True)
    answer = await push(client)
    assert (answer.status_code, answer.text) == (503, "later")
    path.rmdir()
    assert (await push(client)).status_code == 200
    assert looks(shops) == ["o1"]


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Let nobody else write to the inbox, as who copies it may."""
    path = inbox_path(settings.data_dir)
    Inbox(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_file_that_is_locked_holds_up_nobody_and_is_opened_once(
    client: httpx.AsyncClient, shops: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else the worker serves goes on; a platform hears that we are late before it gives up."""
    opened: list[Path] = []

    class Watched(Inbox):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr(endpoints, "Inbox", Watched)
    with locked(shops):
        begun = time.monotonic()
        pushes = [asyncio.create_task(push(client)) for _ in range(3)]
        assert (await push(client, signed_by="wrong")).status_code == 403
        assert not any(one.done() for one in pushes)
        assert [answer.text for answer in await asyncio.gather(*pushes)] == ["later"] * 3
        assert time.monotonic() - begun < Puzzled.answer_seconds
    assert (await push(client)).text == "thanks"
    assert looks(shops) == ["o1"]
    assert len(opened) == 1


async def test_a_message_that_is_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    answer = await push(client, b"x" * ((1 << 20) + 1))
    assert answer.status_code == 413
