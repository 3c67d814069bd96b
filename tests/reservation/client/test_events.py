"""Both clients follow what happens, over connections that end where they like."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC
from typing import Any

import pytest
from msgspec import ValidationError

from reservation.api.history import nothing_new
from reservation.client import AsyncClient, Client, Event, Reset, Unauthenticated, Unavailable
from reservation.client.frames import MAX_EVENT_BYTES, Frame, Frames
from tests.conftest import RunningService
from tests.reservation.client.conftest import Waits
from tests.reservation.client.unreliable import (
    Unreliable,
    begin_and_fall_silent,
    hang_up,
    problem,
    say,
    stream,
)
from tests.waiting import happens, until

HEAD_BYTES = len("retry: 1000\n\nid: 1795467268987-0.999999\n\n")  # before the first event


async def take(events: AsyncGenerator[Any, None], count: int) -> list[Any]:
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


async def about(events: AsyncGenerator[Any, None], name: str, count: int) -> list[Any]:
    """Take so many of a test's own orders and counts: the service is there for others, too."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            event = await anext(events)
            if event.subject.startswith(name) and "health" not in event.type:
                found.append(event)
    return found


async def history(holdfast: AsyncClient, sku: str) -> list[str]:
    """Name all that was done to a SKU, in order."""
    events = [event async for event in holdfast.every(holdfast.ledger, sku)]
    return [event.id for event in events if "health" not in event.type]


async def test_events_come_as_they_happen(
    client: AsyncClient, unreliable: Unreliable, holdfast: AsyncClient, name: str
) -> None:
    """Without an id it begins now; each event is typed, its time aware."""
    unreliable.will(stream())
    async with aclosing(client.events()) as events:
        first = asyncio.ensure_future(about(events, name, 2))

        async def has_begun() -> bool:
            return unreliable.relayed > 0

        await happens(has_begun)
        await holdfast.set_stock(name, 5)
        await holdfast.reserve(f"{name}:1", [(name, 2)])
        found = await first
    assert [(event.type, event.subject) for event in found] == [
        ("io.holdfast.stock.changed", name),
        ("io.holdfast.reservation.held", f"{name}:1"),
    ]
    assert isinstance(found[1], Event)
    assert found[1].time.tzinfo == UTC
    assert found[1].data["balances"][0]["held"] == 2


async def test_a_stream_that_is_cut_anywhere_tells_each_event_once(
    client: AsyncClient, unreliable: Unreliable, holdfast: AsyncClient, name: str
) -> None:
    """Cut in the middle of events, refused and hung up: nothing is lost, nothing comes twice."""
    await holdfast.set_stock(name, 100)
    for number in range(20):
        await holdfast.reserve(f"{name}:{number}", [(name, 1)])
    done = await history(holdfast, name)
    for cut in (1, 30, 400, 401, 1_000, 2_500, 777, 3_000):
        unreliable.will(stream(cut), hang_up, say(502, b"bad gateway"))
    unreliable.will(stream(), stream())
    async with aclosing(client.events(after=done[0])) as events:
        found = await about(events, name, len(done) - 1)
    assert [event.id for event in found] == done[1:]
    asked = [one.headers.get("last-event-id") for one in unreliable.requests]
    assert asked[0] == done[0]
    assert len(set(asked)) > 3


async def test_who_lost_the_connection_before_the_first_event_misses_none(
    client: AsyncClient, unreliable: Unreliable, holdfast: AsyncClient, name: str
) -> None:
    """The service says where the stream began: it goes on there, not with a later now."""
    happened = threading.Event()

    def go_on_later(exchange: Any) -> None:
        happened.wait(10)
        stream()(exchange)

    unreliable.will(stream(HEAD_BYTES), go_on_later)
    async with aclosing(client.events()) as events:
        first = asyncio.ensure_future(about(events, name, 1))

        async def comes_again() -> bool:
            return len(unreliable.requests) == 2

        await happens(comes_again)
        await holdfast.set_stock(name, 5)
        happened.set()
        (found,) = await first
    assert (found.type, found.subject) == ("io.holdfast.stock.changed", name)


async def test_a_lost_position_is_told(holdfast: AsyncClient, name: str) -> None:
    """A reset comes first, then the oldest that is kept."""
    await holdfast.set_stock(name, 5)
    async with aclosing(holdfast.events(after="no position")) as events:
        reset, first = await take(events, 2)
    assert isinstance(reset, Reset)
    assert isinstance(first, Event)
    assert reset.oldest.partition(".")[0] <= first.id.partition(".")[0]


async def test_not_now_is_waited_for(
    client: AsyncClient,
    unreliable: Unreliable,
    holdfast: AsyncClient,
    name: str,
    waits: Waits,
) -> None:
    """Too many streams, no archive, a proxy's fault: after pauses it is there."""
    await holdfast.set_stock(name, 5)
    await holdfast.reserve(f"{name}:1", [(name, 2)])
    done = await history(holdfast, name)
    unreliable.will(
        problem(503, "overloaded", retry_after=7), problem(429, "too-many-requests"), hang_up
    )
    unreliable.will(stream())
    async with aclosing(client.events(after=done[0])) as events:
        (event,) = await about(events, name, 1)
    assert event.id == done[1]
    assert waits.pauses[0] >= 7
    assert len(waits.pauses) == 3


async def test_no_is_raised(
    connect: Callable[..., AsyncClient], client: AsyncClient, unreliable: Unreliable
) -> None:
    """A key that is none, and an address that is no service."""
    stranger = connect(unreliable.url, "hf_none_" + "x" * 40)
    unreliable.will(stream())
    with pytest.raises(Unauthenticated):
        await take(stranger.events(), 1)
    unreliable.will(say(404, b"<html>", content_type="text/html"))
    with pytest.raises(Unavailable, match="no stream of Holdfast"):
        await take(client.events(), 1)


async def test_a_silent_connection_is_given_up(
    client: AsyncClient,
    unreliable: Unreliable,
    holdfast: AsyncClient,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing, not even a sign of life, for longer than the service ever pauses."""
    monkeypatch.setattr("reservation.client.connection.SILENT_SECONDS", 0.2)
    await holdfast.set_stock(name, 5)
    await holdfast.reserve(f"{name}:1", [(name, 2)])
    done = await history(holdfast, name)
    unreliable.will(begin_and_fall_silent, stream())
    async with aclosing(client.events(after=done[0])) as events:
        (event,) = await about(events, name, 1)
    assert event.id == done[1]


async def test_who_stops_gives_the_connection_back(
    connect: Callable[..., AsyncClient], service: RunningService, name: str
) -> None:
    """With one connection in all, the next call has it."""
    lone = connect(service.url, service.admin_key, max_connections=1, deadline_seconds=5)
    await lone.set_stock(name, 5)
    done = await history(lone, name)
    await lone.reserve(f"{name}:1", [(name, 1)])
    async with aclosing(lone.events(after=done[0])) as events:
        await take(events, 1)
    assert (await lone.stock(name)).level("main") is not None


async def test_a_sign_of_life_says_where_to_go_on(
    client: AsyncClient, unreliable: Unreliable, holdfast: AsyncClient, name: str
) -> None:
    """It tells of nothing; what was passed over before it is not read again."""
    await holdfast.set_stock(name, 5)
    await holdfast.reserve(f"{name}:1", [(name, 2)])
    done = await history(holdfast, name)
    unreliable.will(say(200, nothing_new(done[0]), content_type="text/event-stream"), stream())
    async with aclosing(client.events()) as events:
        (event,) = await about(events, name, 1)
    assert event.id == done[1]
    asked = [one.headers.get("last-event-id") for one in unreliable.requests]
    assert asked == [None, done[0]]


@pytest.mark.parametrize("silent", [True, False])
def test_another_thread_ends_who_waits(
    service: RunningService, unreliable: Unreliable, *, silent: bool
) -> None:
    """At once, on a connection that says nothing, and in a pause; the connection is free again."""
    unreliable.will(*([begin_and_fall_silent] if silent else [problem(503, "x", retry_after=60)]))
    url = unreliable.url
    with Client(url, service.admin_key, max_connections=1, deadline_seconds=5) as holdfast:
        events = holdfast.events()
        told: list[Any] = []
        waiting = threading.Thread(target=lambda: told.extend(events), daemon=True)
        waiting.start()
        until(lambda: unreliable.requests, "the stream was asked for")
        until(lambda: events._socket is not None or not silent, "it waits")
        events.close()
        waiting.join(5)
        assert not waiting.is_alive()
        assert (told, list(events)) == ([], [])
        assert holdfast.readiness().ready


def test_closing_from_where_one_listens_is_heard(service: RunningService) -> None:
    """Between two events, and before the first: nothing more is told."""
    with Client(service.url, service.admin_key, max_connections=1) as holdfast:
        holdfast.set_stock("closing", 5)
        holdfast.set_stock("closing", 6)
        first = holdfast.ledger("closing").items[0]
        with holdfast.events(after=first.id) as events:
            assert isinstance(next(events), Event)
            events.close()
            assert list(events) == []
        with holdfast.events() as never:
            never.close()
            assert list(never) == []
        assert holdfast.stock("closing").level("main") is not None


TEXT = (
    b"\xef\xbb\xbfretry: 1000\n\nid: 1-0.9\n\n: nothing new\n\n"
    b'id: 1-1.1\r\ndata: {"a":\r\ndata:"\xe2\x80\xa8"}\r\n\r\n'
    b"event: reset\rdata: x\r\rfoo: bar\n\ndata: last\nid: 1-2.1\n\ndata: unfinished\n"
)
TOLD = [
    Frame("", b"", "1-0.9"),
    Frame("", b'{"a":\n"\xe2\x80\xa8"}', "1-1.1"),
    Frame("reset", b"x", None),
    Frame("", b"last", "1-2.1"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_frames_are_the_same_however_they_come(size: int) -> None:
    """In one piece or byte by byte; every line's end counts, and nothing else does."""
    frames = Frames()
    parts = [b"", *(TEXT[3:][at : at + size] for at in range(0, len(TEXT) - 3, size))]
    assert list(itertools.chain.from_iterable(map(frames.take, parts))) == TOLD


def test_an_event_that_never_ends_is_refused() -> None:
    """Memory is bounded, in one line or in many."""
    with pytest.raises(ValidationError):
        list(Frames().take(b"x" * (MAX_EVENT_BYTES + 1)))
    frames = Frames()
    line = b"data: " + b"x" * 1_000 + b"\n"
    with pytest.raises(ValidationError):
        list(itertools.chain.from_iterable(map(frames.take, itertools.repeat(line, 20_000))))
