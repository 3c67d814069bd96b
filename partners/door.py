"""The door over HTTP that partners push through: what comes and goes there, in their terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partners.model import Push
from reservation.api.exchange import Answer

if TYPE_CHECKING:
    from partners.model import Reply
    from reservation.api.pipeline import Call


def push_of(call: Call) -> Push:
    """Take what a partner has sent, byte for byte: its signature is over that."""
    exchange = call.exchange
    return Push(
        call.body,
        {name.decode("latin-1"): text.decode("latin-1") for name, text in exchange.headers.items()},
        exchange.query.decode("latin-1"),
    )


def answer_of(reply: Reply) -> Answer:
    """Answer in the partner's own words."""
    return Answer(reply.status, reply.body, reply.content_type.encode())
