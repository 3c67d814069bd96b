"""Where an order goes, over HTTP: whoever sends orders by the API tells it here.

It can be told and not read back: no answer and no line of the log has anything of the buyer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from channels.model import LATEST_SHIP_BY_MS, Lane, Shipping
from channels.shipping.addresses import Addresses, AddressesUnavailable, addresses_path
from reservation.api.decode import Decoder
from reservation.api.exchange import JSON, OK, Answer, json_answer
from reservation.api.forms import Form, LocalId, NeverNull, Time
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Refused, Slug, invalid
from reservation.api.refusals import off_the_loop, reservation_not_found
from reservation.api.reservations import foreign
from reservation.api.views import View, time_field
from reservation.model import RESERVATION_ID
from reservation.security import Action
from reservation.shops import Samples
from reservation.times import milliseconds, rfc3339

if TYPE_CHECKING:
    from reservation.api.pipeline import Call
    from reservation.config import Settings

MOST_TEXT: Final = 200  # characters of a part of an address: parcels' labels have less room
MOST_CIPHER: Final = 1_024  # characters of what a platform keeps to itself

_EXAMPLE: Final = {
    "receiver": {
        "name": "张三",
        "mobile": "13800000000",
        "province": "浙江省",
        "city": "杭州市",
        "area": "余杭区",
        "detail_address": "世纪大道 1 号",
    },
    "ship_by": "2026-01-24T02:00:00Z",
}
_SAMPLE: Final = {**_EXAMPLE, "lane": "sample", "bench": "B7", "quality_check": "开箱查验"}


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("unprintable", "must be printable, in one line")
    return value


def _in_time(value: str) -> str:
    if milliseconds(value) > LATEST_SHIP_BY_MS:
        raise PydanticCustomError("late", "must be no later than 2100-01-01T00:00:00Z")
    return value


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_TEXT),
    AfterValidator(_printable),
]
Cipher = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_CIPHER),
    AfterValidator(_printable),
]
_Text = Annotated[Text | None, NeverNull()]


class ReceiverForm(Form):
    """Where a parcel goes. What a platform masks or ciphers is told as it tells it."""

    name: Cipher
    mobile: Cipher
    province: Text
    city: Text
    area: _Text = None
    detail_address: Cipher
    zip_code: _Text = None
    oaid: Annotated[Cipher | None, NeverNull()] = Field(
        default=None, description="Tmall's token for an address that it masks."
    )


class ShippingForm(Form):
    """Where an order goes, and how a warehouse is to treat it."""

    receiver: ReceiverForm
    ship_by: Annotated[Annotated[Time, AfterValidator(_in_time)] | None, NeverNull()] = Field(
        default=None,
        description="By 2100. Absent: so many hours after payment as its channel allows.",
    )
    lane: Annotated[Literal["rush", "sample", "normal"] | None, NeverNull()] = Field(
        default=None, description="Absent: by the settings of its channel, else normal."
    )
    bench: _Text = Field(
        default=None,
        description="Of a sample: its packing bench. Absent: by the settings of its channel.",
    )
    quality_check: _Text = Field(
        default=None, description="Of a sample: how it is inspected. Absent: the same."
    )
    shop: _Text = Field(default=None, description="The shop's name, as its buyers know it.")
    carrier: Annotated[LocalId | None, NeverNull()] = Field(
        default=None, description="By your own code. Absent: the warehouse's choice."
    )


class ShippingView(View):
    """That it is kept; nothing of the buyer is told again."""

    reservation_id: str
    told_at: str = time_field("When it was told.")


class ShippingDesk:
    """The file of addresses over HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._path = addresses_path(settings.data_dir)
        self._channels = settings.channels
        self._decoder = Decoder(settings)

    async def tell(self, call: Call) -> Answer:
        """Say where an order goes, before or after it is reserved; told again, the last one counts.

        A warehouse's system is told it once the order is paid and has its turn. What is told after
        it was handed over changes nothing there; one that was rejected is retried with it, unless
        the warehouse may have it all the same. It is kept for 30 days, and cannot be read back.
        """
        form = self._decoder.read(ShippingForm, call.body)
        reservation_id = call.segment("reservation_id")
        if reservation_id is None or not RESERVATION_ID.fullmatch(reservation_id):
            raise Refused(reservation_not_found("of this form"))
        if (refused := foreign(call.key, Action.FULFIL, reservation_id)) is not None:
            raise Refused(refused)
        shop = self._channels.get(reservation_id.partition(":")[0])
        if errors := _errors(form, Samples() if shop is None else shop.samples):
            raise Refused(invalid(errors))
        at_ms = time.time_ns() // 1_000_000

        def write() -> None:
            addresses = Addresses(self._path)
            try:
                addresses.tell(reservation_id, _shipping(form), at_ms)
            finally:
                addresses.close()

        await off_the_loop(write, AddressesUnavailable, "The addresses cannot be kept")
        return json_answer(OK, {"reservation_id": reservation_id, "told_at": rfc3339(at_ms)})


def shipping_endpoints(settings: Settings) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    tell = Documented(
        "tell_shipping",
        "reservations",
        {OK: (ShippingView, "It is kept.")},
        (Slug.RESERVATION_NOT_FOUND, Slug.ARCHIVE_UNAVAILABLE),
        ShippingForm,
        {"an order": _EXAMPLE, "a sample": _SAMPLE},
    )
    body = BodyRule(JSON, settings.max_body_bytes)
    return {
        "/v1/reservations/{reservation_id}/shipping": {
            "PUT": Endpoint(ShippingDesk(settings).tell, Action.FULFIL, body, tell)
        }
    }


def _errors(form: ShippingForm, samples: Samples) -> list[tuple[str, str]]:
    """Say what does not go with the lane: a sample has a bench, and no other order has one.

    Without a lane the channel's settings may make it a sample, by its SKUs.
    """
    if form.lane == "sample":
        lacking = not (form.bench or samples.bench)
        return [("/bench", "must be told: its channel has none for samples")] if lacking else []
    if form.lane is None and samples.skus:
        return []
    return [
        (f"/{name}", "is of a sample, and the order is none")
        for name, told in (("bench", form.bench), ("quality_check", form.quality_check))
        if told
    ]


def _shipping(form: ShippingForm) -> Shipping:
    receiver = form.receiver
    return Shipping(
        name=receiver.name,
        mobile=receiver.mobile,
        province=receiver.province,
        city=receiver.city,
        detail_address=receiver.detail_address,
        area=receiver.area or "",
        zip_code=receiver.zip_code or "",
        oaid=receiver.oaid or "",
        shop=form.shop or "",
        ship_by_ms=None if form.ship_by is None else milliseconds(form.ship_by),
        lane=None if form.lane is None else Lane(form.lane),
        bench=form.bench or "",
        quality_check=form.quality_check or "",
        carrier=form.carrier or "",
    )
