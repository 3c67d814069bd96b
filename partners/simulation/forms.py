"""What the control side takes: bodies, read; and settings changed by some of their members."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from partners.simulation.faults import Rates

MOST_BYTES: Final = 1_048_576  # of a request's body

F = TypeVar("F")


class Declined(Exception):
    """Something is not done, and nothing has changed; the text is a sentence."""

    status: int = 422  # as the control side answers


class Form(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A body; a member that is not known is refused."""


class FaultSetting(Rates, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates, and the seed to begin anew with."""

    seed: int | None = None


class ClockSetting(Form):
    """What to do with the clock."""

    now_ms: int | None = None
    advance_ms: int | None = None
    speed: float | None = None


class Settings(Form):
    """What of a partner can be tried either way; each has its own."""

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""


async def read(request: Request, form: type[F]) -> F:
    """Read a body; a type that a browser sends from any page is not taken. Raises Declined."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Declined(f"a body has {MOST_BYTES} bytes at the most")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and kind != "application/json":
        raise Declined("send JSON: content-type application/json")
    return msgspec.json.decode(bytes(body) or b"{}", type=form)


async def change(settings: Settings, request: Request) -> dict[str, Any]:
    """Change the settings that a body names, all or none; returns them as they are then."""
    named = await read(request, dict[str, Any])
    changed = msgspec.convert({**msgspec.structs.asdict(settings), **named}, type(settings))
    try:
        changed.check()
    except ValueError as error:
        raise Declined(str(error)) from None
    for name in changed.__struct_fields__:
        setattr(settings, name, getattr(changed, name))
    return msgspec.structs.asdict(settings)
