"""What the control side takes: its bodies, read; and settings changed by some of their members."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from channels.simulator.faults import Rates
from channels.simulator.trade import Deducts, Refusal, Refused

MOST_BYTES: Final = 1_048_576  # of a request's body

F = TypeVar("F")


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What of a platform can be tried either way; each has its own."""

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""


async def read(request: Request, form: type[F]) -> F:
    """Read a body; a type that a browser sends from any page is not taken."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(Refusal.WRONG_VALUE, f"a body has {MOST_BYTES} bytes at the most")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and kind != "application/json":
        raise Refused(Refusal.WRONG_VALUE, "send JSON: content-type application/json")
    return msgspec.json.decode(bytes(body) or b"{}", type=form)


async def change(settings: Settings, request: Request) -> dict[str, Any]:
    """Change the settings that a body names, all or none; returns them as they are then."""
    named = await read(request, dict[str, Any])
    changed = msgspec.convert({**msgspec.structs.asdict(settings), **named}, type(settings))
    try:
        changed.check()
    except ValueError as error:
        raise Refused(Refusal.WRONG_VALUE, str(error)) from None
    for name in changed.__struct_fields__:
        setattr(settings, name, getattr(changed, name))
    return msgspec.structs.asdict(settings)


class _Form(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A body; a member that is not known is refused."""


class NewSku(_Form):
    """A SKU of a new item."""

    outer_id: str
    quantity: int
    price_fen: int = 0
    sku_id: str = ""


class NewItem(_Form):
    """A new item."""

    skus: list[NewSku]
    title: str = "商品"
    item_id: str = ""
    listed: bool = True
    deducts_at: Deducts = Deducts.AT_PAYMENT


class ItemChange(_Form):
    """What the merchant changes in the platform's own pages."""

    listed: bool | None = None
    stock: dict[str, int] = {}


class NewLine(_Form):
    """A line that a buyer wants: by the merchant's code, or by the platform's ids."""

    quantity: int = 1
    outer_id: str = ""
    item_id: str = ""
    sku_id: str = ""


class NewOrder(_Form):
    """An order that a buyer places."""

    lines: list[NewLine]
    order_id: str = ""
    buyer: str = "买家"
    paid: bool = False
    oversell: bool = False
    notes: dict[str, str] = {}


class Shipment(_Form):
    """A parcel that the merchant sends from the platform's own pages."""

    company: str = "SF"
    tracking_number: str = "SF0000000000"
    lines: list[str] = []


class Lines(_Form):
    """Some lines, or all."""

    lines: list[str] = []


class OneLine(_Form):
    """One line."""

    line: str


class FaultSetting(Rates, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates, and the seed to begin anew with."""

    seed: int | None = None


class ClockSetting(_Form):
    """What to do with the clock."""

    now_ms: int | None = None
    advance_ms: int | None = None
    speed: float | None = None
