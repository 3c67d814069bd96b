"""The part of the table of endpoints that the board needs: its data, and browsers' sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reservation.api.board import MAX_MINUTES, VERSION, Boards
from reservation.api.exchange import JSON, NO_CONTENT, OK
from reservation.api.forms import anchored
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Slug
from reservation.api.signing_in import SessionForm, SessionView, SigningIn
from reservation.api.streams import EVENT_STREAM
from reservation.api.views import View
from reservation.security import Action

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.api.sessions import Sessions
    from reservation.api.streams import Places
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.store.keyring import Keyring

_BODY_BYTES = 4_096


class BoardView(View):
    """All that the board shows; its members are the board's own and may change with it."""

    as_of: str
    limits: dict[str, Any]
    levels: list[dict[str, Any]]
    figures: dict[str, Any]


class TimelineView(View):
    """Points: ms, on hand, held, committed, available. Marks: what happened when (ms).

    `version` given as `after` asks for what has happened since.
    """

    sku: str
    version: str
    points: list[list[int]]
    marks: list[dict[str, Any]]


def board_endpoints(
    engine: Engine, places: Places, settings: Settings
) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints of the board's data by path and method."""
    some = Boards(engine, places, settings)
    refusals = (Slug.INVALID_REQUEST, Slug.ARCHIVE_UNAVAILABLE)
    state = Documented("read_board", "board", {OK: (BoardView, "What it shows.")}, refusals)
    stream = Documented(
        "follow_board",
        "board",
        {OK: (None, "What it shows, then what changes.")},
        (*refusals, Slug.OVERLOADED),
        answer_type=EVENT_STREAM.decode(),
    )
    minutes = {
        "name": "minutes",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_MINUTES, "default": 60},
    }
    after = {
        "name": "after",
        "in": "query",
        "schema": {"type": "string", "pattern": anchored(VERSION)},
        "description": "Absent: from the beginning of that time.",
    }
    timeline = Documented(
        "read_timeline",
        "board",
        {OK: (TimelineView, "The balances over time.")},
        (*refusals, Slug.SKU_NOT_FOUND),
        query=(minutes, after),
    )
    read = Action.READ_LEDGER
    return {
        "/v1/board": {"GET": Endpoint(some.state, read, None, state)},
        "/v1/board/stream": {"GET": Endpoint(some.stream, read, None, stream)},
        "/v1/board/skus/{sku}/timeline": {"GET": Endpoint(some.timeline, read, None, timeline)},
    }


def session_endpoints(
    keyring: Keyring, sessions: Sessions, decoder: Decoder
) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints of a browser's session."""
    some = SigningIn(keyring, sessions, decoder)
    told = {OK: (SessionView, "Who has signed in.")}
    sign_in = Documented(
        "sign_in",
        "board",
        told,
        (Slug.UNAUTHENTICATED, Slug.FORBIDDEN, Slug.STORE_UNAVAILABLE),
        SessionForm,
        {"key": {"key": "hf_…"}},
    )
    who = Documented("read_session", "board", told)
    out = Documented("sign_out", "board", {NO_CONTENT: (None, "The session has ended.")})
    return {
        "/v1/session": {
            "POST": Endpoint(some.sign_in, None, BodyRule(JSON, _BODY_BYTES), sign_in),
            "GET": Endpoint(some.who, Action.READ_STOCK, None, who),
            "DELETE": Endpoint(some.sign_out, Action.READ_STOCK, None, out),
        }
    }
