"""The endpoints of history: lists, a SKU's ledger and proof, the stream of events."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import orjson

from reservation.api.exchange import OK, Answer, Stream, json_answer
from reservation.api.history_views import level_list_json, proof_json, reservation_list_json
from reservation.api.problems import Refused
from reservation.api.query import after_sku, limit_of, parameters
from reservation.api.refusals import sku_not_found
from reservation.errors import ArchiveUnavailable, InvalidRequest, Overloaded, StoreUnavailable
from reservation.events.cloud import event_id
from reservation.events.feed import Begun, Reset
from reservation.model import CHANNEL, State
from reservation.security import Action, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reservation.api.pipeline import Call
    from reservation.engine import Engine
    from reservation.events.feed import Followed

EVENT_STREAM: Final = b"text/event-stream"
# A proxy that buffers would keep events back.
UNBUFFERED: Final = ((b"x-accel-buffering", b"no"),)
# A connection on which nothing is said looks dead to what stands between.
KEEP_ALIVE_SECONDS: Final = 15.0
NOTHING_NEW: Final = b": nothing new\n\n"
RETRY_MS: Final = 1_000  # after which a browser connects again
MAX_STREAMS: Final = 256  # a process; boards and feeds, not shoppers


class Histories:
    """What has happened, over HTTP."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list_stock(self, call: Call) -> Answer:
        """List all levels by SKU, as they were at `as_of`."""
        given = dict(parameters(call.exchange.query, known={"after", "limit"}))
        errors: list[tuple[str, str]] = []
        limit = limit_of(given, errors)
        after = after_sku(given, errors)
        if errors:
            raise InvalidRequest(errors)
        page = await self._engine.history.stock(after=after, limit=limit)
        return json_answer(OK, level_list_json(page))

    async def list_reservations(self, call: Call) -> Answer:
        """List reservations, newest first, as they were at `as_of`; a channel sees its own."""
        given = dict(parameters(call.exchange.query, known={"channel", "state", "after", "limit"}))
        errors: list[tuple[str, str]] = []
        limit = limit_of(given, errors)
        channel, state = given.get("channel"), given.get("state")
        if channel is not None and not CHANNEL.fullmatch(channel):
            errors.append(("/channel", "is no channel: [a-z][a-z0-9_-], 2 to 32 characters"))
        if state is not None and state not in set(State):
            errors.append(("/state", f"must be one of {', '.join(State)}"))
        if errors:
            raise InvalidRequest(errors)
        page = await self._engine.history.reservations(
            channels=_channels(call, channel),
            state=None if state is None else State(state),
            after=given.get("after"),
            limit=limit,
        )
        if page is None:
            raise InvalidRequest([("/after", "is no reservation that is listed")])
        return json_answer(OK, reservation_list_json(page))

    async def ledger(self, call: Call) -> Answer:
        """Page through all that happened to a SKU, oldest first, each with the balance after it."""
        given = dict(parameters(call.exchange.query, known={"after", "limit"}))
        errors: list[tuple[str, str]] = []
        limit = limit_of(given, errors)
        after = event_id(given["after"]) if "after" in given else None
        if "after" in given and after is None:
            errors.append(("/after", "must be the id of an event, <ms>-<seq>.<n>"))
        if errors:
            raise InvalidRequest(errors)
        sku = call.sku()
        page = await self._engine.history.ledger(sku, after=after, limit=limit)
        if page is None:
            raise Refused(sku_not_found(sku))
        return json_answer(OK, {"items": page.rows, "next": page.next})

    async def proof(self, call: Call) -> Answer:
        """Compute a SKU's balances from its history and from its live reservations, and compare.

        All three are as of `version`.
        """
        sku = call.sku()
        proof = await self._engine.history.proof(sku)
        if proof is None:
            raise Refused(sku_not_found(sku))
        return json_answer(OK, proof_json(proof))

    async def events(self, call: Call) -> Stream:
        """Stream events as they happen, each a CloudEvent (Server-Sent Events).

        It goes on behind `Last-Event-ID`, and without one begins now: then an id without an event
        says where that is. A position that is no longer
        kept gets one event `reset` first, then comes the oldest that is kept. A channel sees its
        own reservations, and all of stock and breakers.
        """
        parameters(call.exchange.query, known=())
        feed = self._engine.feed
        if feed.followers >= MAX_STREAMS:
            raise Overloaded(f"{MAX_STREAMS} streams of events are open already")
        last = call.exchange.headers.get(b"last-event-id")
        events = await feed.follow(
            None if last is None else last.decode("latin-1"), idle_seconds=KEEP_ALIVE_SECONDS
        )
        return Stream(_frames(events, _channels(call, None)), EVENT_STREAM, UNBUFFERED)


async def _frames(
    events: AsyncGenerator[Followed, None], channels: tuple[str, ...] | None
) -> AsyncGenerator[bytes, None]:
    # The stream ends with store or archive: a client connects again, and goes on where it was.
    with contextlib.suppress(StoreUnavailable, ArchiveUnavailable):
        async with contextlib.aclosing(events):
            yield b"retry: %d\n\n" % RETRY_MS
            spoke_at = time.monotonic()
            async for told in events:
                frame = _frame(told, channels)
                # Where others are busy and nothing is for us, we are there all the same.
                if not frame and time.monotonic() - spoke_at >= KEEP_ALIVE_SECONDS:
                    frame = NOTHING_NEW
                if frame:
                    spoke_at = time.monotonic()
                    yield frame


def _frame(told: Followed, channels: tuple[str, ...] | None) -> bytes:
    if told is None:
        return NOTHING_NEW
    if isinstance(told, Begun):  # an id alone is no event: who listens only notes it
        return b"id: %s\n\n" % told.event_id.encode()
    if isinstance(told, Reset):
        return b"event: reset\ndata: %s\n\n" % orjson.dumps({"oldest": told.oldest})
    if channels is not None and told.channel is not None and told.channel not in channels:
        return b""
    return b"id: %s\ndata: %s\n\n" % (told.event_id.encode(), told.document)


def _channels(call: Call, asked: str | None) -> tuple[str, ...] | None:
    """Name the channels whose reservations are told; None where all are."""
    key = call.key
    if key is not None and key.scope(Action.READ_RESERVATIONS) is Scope.OWN:
        return tuple(own for own in key.channels if asked in {None, own})
    return None if asked is None else (asked,)
