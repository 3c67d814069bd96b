"""What a dealer's message says: its type and data, as Standard Webhooks or in a CloudEvent. Pure.

Source: cloudevents/spec cloudevents/formats/json-format.md (1.0.2), structured mode.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from channels.order_document import Unreadable, read_json

if TYPE_CHECKING:
    from partners.model import Push

MOST_BYTES: Final = 1_048_576  # of a message; the specification advises 20 kB
_TYPE: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_MOST_TYPE: Final = 128  # characters
_CLOUD_EVENT: Final = "application/cloudevents+json"
_CLOUD_EVENTS: Final = "application/cloudevents"  # with -batch, or another format: not taken
_JSON: Final = re.compile(r"[a-z0-9.+-]+/([a-z0-9.+-]+\+)?json", re.ASCII)


class Message(Struct, frozen=True):
    """The body of a Standard Webhooks message; its `timestamp` tells us nothing."""

    type: str
    data: Any = None


class CloudEvent(Struct, frozen=True):
    """A CloudEvent in structured mode; the attributes that are required, and what it holds."""

    id: str
    source: str
    specversion: str
    type: str
    datacontenttype: str | None = None
    data: Any = None
    data_base64: str | None = None


def read_envelope(push: Push) -> Message:
    """Read a body, in its envelope or without. Raises Unreadable."""
    if len(push.body) > MOST_BYTES:
        raise Unreadable(f"has {len(push.body)} bytes, more than {MOST_BYTES}")
    media_type = push.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type.startswith(_CLOUD_EVENTS):
        message = read_json(push.body, Message)
    elif media_type == _CLOUD_EVENT:
        message = _unwrapped(read_json(push.body, CloudEvent))
    else:
        raise Unreadable(f"of CloudEvents only {_CLOUD_EVENT} is taken")
    if len(message.type) > _MOST_TYPE or not _TYPE.fullmatch(message.type):
        raise Unreadable("type is not parts of [A-Za-z0-9_-] with dots between them")
    return message


def _unwrapped(event: CloudEvent) -> Message:
    if event.specversion != "1.0" or not event.id or not event.source:
        raise Unreadable("is no CloudEvent 1.0 with id and source")
    content_type = (event.datacontenttype or "application/json").partition(";")[0]
    if event.data_base64 is not None or not _JSON.fullmatch(content_type.strip().lower()):
        raise Unreadable("the data of a CloudEvent must be JSON")
    return Message(event.type, event.data)
