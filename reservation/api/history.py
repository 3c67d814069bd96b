"""The endpoints of history: lists, a SKU's ledger and proof, the stream of events."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import orjson

from reservation.api.exchange import OK, Answer, Stream, json_answer
from reservation.api.history_views import level_list_json, proof_json, reservation_list_json
from reservation.api.problems import Refused
from reservation.api.query import NO_CHANNEL, ListQuery, parameters
from reservation.api.refusals import sku_not_found
from reservation.api.streams import EVENT_STREAM, RETRY_MS, UNBUFFERED
from reservation.errors import ArchiveUnavailable, StoreUnavailable
from reservation.events.archive import list_place
from reservation.events.cloud import event_id
from reservation.events.feed import Begun, Reset, Told
from reservation.model import CHANNEL, State
from reservation.security import Action, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reservation.api.pipeline import Call
    from reservation.api.streams import Places
    from reservation.engine import Engine
    from reservation.events.feed import Followed

# A connection on which nothing is said looks dead to what stands between.
KEEP_ALIVE_SECONDS: Final = 15.0


class Histories:
    """What has happened, over HTTP."""

    def __init__(self, engine: Engine, places: Places) -> None:
        self._engine = engine
        self._places = places

    async def list_stock(self, call: Call) -> Answer:
        """List all levels by SKU, as they were at `as_of`."""
        asked = ListQuery(call.exchange.query)
        after = asked.sku_before()
        asked.check()
        page = await self._engine.history.stock(after=after, limit=asked.limit)
        return json_answer(OK, level_list_json(page))

    async def list_reservations(self, call: Call) -> Answer:
        """List reservations, newest first, as they were at `as_of`; a channel sees its own."""
        asked = ListQuery(call.exchange.query, "channel", "state")
        channel = asked.matching("channel", CHANNEL, NO_CHANNEL)
        state = asked.one_of("state", State)
        after = asked.place(list_place)
        asked.check()
        page = await self._engine.history.reservations(
            channels=_channels(call, channel), state=state, after=after, limit=asked.limit
        )
        return json_answer(OK, reservation_list_json(page))

    async def ledger(self, call: Call) -> Answer:
        """Page through all that happened to a SKU, oldest first, each with the balance after it."""
        asked = ListQuery(call.exchange.query)
        after = asked.place(event_id)
        asked.check()
        sku = call.sku()
        page = await self._engine.history.ledger(sku, after=after, limit=asked.limit)
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

        It goes on behind `Last-Event-ID`, and without one begins now. An id without an event says
        where one is: at the beginning, and every 15 s while what happens is not for the reader. A
        position that is no longer kept gets one event `reset` first, then comes the oldest that is
        kept. A channel sees its own reservations, and all of stock and breakers.
        """
        parameters(call.exchange.query, known=())
        last = call.exchange.headers.get(b"last-event-id")
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._places.taken(call.identity()))
            events = await self._engine.feed.follow(
                None if last is None else last.decode("latin-1"), idle_seconds=KEEP_ALIVE_SECONDS
            )
            ended = stack.pop_all().close
        return Stream(_frames(events, _channels(call, None)), EVENT_STREAM, UNBUFFERED, ended)


async def _frames(
    events: AsyncGenerator[Followed, None], channels: tuple[str, ...] | None
) -> AsyncGenerator[bytes, None]:
    # The stream ends with store or archive: a client connects again, and goes on where it was.
    with contextlib.suppress(StoreUnavailable, ArchiveUnavailable):
        async with contextlib.aclosing(events):
            yield b"retry: %d\n\n" % RETRY_MS
            spoke_at = time.monotonic()
            position: str | None = None  # of the last event, also where it was not for us
            async for told in events:
                frame = _frame(told, channels)
                position = told.event_id if isinstance(told, Told | Begun) else position
                # Where others are busy and nothing is for us, we are there all the same.
                if told is None or time.monotonic() - spoke_at >= KEEP_ALIVE_SECONDS:
                    frame = frame or nothing_new(position)
                if frame:
                    spoke_at = time.monotonic()
                    yield frame


def nothing_new(position: str | None) -> bytes:
    """Write a sign of life, and where one is: who comes again need not read what was passed over.

    An id without data is remembered and dispatches nothing. Source: WHATWG HTML, "Interpreting an
    event stream", where an event is dispatched.
    """
    identified = b"" if position is None else b"id: %s\n" % position.encode()
    return b": nothing new\n%s\n" % identified


def _frame(told: Followed, channels: tuple[str, ...] | None) -> bytes:
    if told is None:
        return b""
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
