"""Where an order goes, told over HTTP: kept, and never read back."""

from __future__ import annotations

from typing import Any

import pytest

from channels.model import Lane, Shipping
from channels.shipping.addresses import addresses_path, look_at
from reservation.config import Settings
from reservation.security import Role
from tests.channels.asked import Asked

RECEIVER = {
    "name": "张三",
    "mobile": "13800000000",
    "province": "浙江省",
    "city": "杭州市",
    "detail_address": "世纪大道 1 号",
}
ORDER = "/v1/reservations/tmall:4701/shipping"


def kept(settings: Settings, reservation_id: str = "tmall:4701") -> Shipping | None:
    """Read what is kept."""
    found = look_at(addresses_path(settings.data_dir), lambda file: file.told(reservation_id))
    return None if found is None else found.shipping


async def test_it_is_kept_and_not_told_again(ask: Asked, settings: Settings) -> None:
    """The last one counts, and the answer has nothing of the buyer."""
    first = await ask("PUT", ORDER, Role.CHANNEL, body={"receiver": RECEIVER})
    assert first.keys() == {"reservation_id", "told_at"}
    plain = Shipping(**RECEIVER)
    assert kept(settings) == plain
    more = {
        "receiver": {**RECEIVER, "area": "余杭区", "zip_code": "310000", "oaid": "token"},
        "ship_by": "2026-01-24T02:00:00Z",
        "lane": "sample",
        "bench": "B7",
        "quality_check": "开箱查验",
        "shop": "旗舰店",
        "carrier": "SF",
    }
    await ask("PUT", ORDER, Role.CHANNEL, body=more)
    assert kept(settings) == Shipping(
        **RECEIVER,
        area="余杭区",
        zip_code="310000",
        oaid="token",
        ship_by_ms=1_769_220_000_000,
        lane=Lane.SAMPLE,
        bench="B7",
        quality_check="开箱查验",
        shop="旗舰店",
        carrier="SF",
    )


async def test_who_may_ship_may_tell_where(ask: Asked, settings: Settings) -> None:
    """A channel of its own orders, also one that the settings do not name; a viewer of none."""
    await ask("PUT", ORDER, Role.VIEWER, 403, body={"receiver": RECEIVER})
    other = ORDER.replace("tmall", "walk-in")
    told = await ask("PUT", other, Role.CHANNEL, 404, body={"receiver": RECEIVER})
    assert told["type"] == "/problems/reservation-not-found"
    assert kept(settings, "walk-in:4701") is None
    await ask("PUT", other, Role.OPS, body={"receiver": RECEIVER})
    assert kept(settings, "walk-in:4701") is not None
    nothing = ORDER.replace("4701", "a%20b")
    await ask("PUT", nothing, Role.OPS, 404, body={"receiver": RECEIVER})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/receiver"),
        *(
            ({"receiver": {n: v for n, v in RECEIVER.items() if n != name}}, f"/receiver/{name}")
            for name in RECEIVER
        ),
        *(({"receiver": {**RECEIVER, name: ""}}, f"/receiver/{name}") for name in RECEIVER),
        *(({"receiver": {**RECEIVER, name: " "}}, f"/receiver/{name}") for name in RECEIVER),
        ({"receiver": {**RECEIVER, "name": "a\nb"}}, "/receiver/name"),
        ({"receiver": {**RECEIVER, "city": "x" * 201}}, "/receiver/city"),
        ({"receiver": {**RECEIVER, "name": "x" * 1_025}}, "/receiver/name"),
        ({"receiver": {**RECEIVER, "phone": "1"}}, "/receiver/phone"),
        ({"receiver": RECEIVER, "lane": "slow"}, "/lane"),
        ({"receiver": RECEIVER, "lane": None}, "/lane"),
        ({"receiver": RECEIVER, "ship_by": "2026-01-24 02:00"}, "/ship_by"),
        ({"receiver": RECEIVER, "carrier": "S F"}, "/carrier"),
        ({"receiver": RECEIVER, "shop": " "}, "/shop"),
        ({"receiver": RECEIVER, "ship_by": "9999-12-31T23:59:59Z"}, "/ship_by"),
        ({"receiver": RECEIVER, "ship_by": "2100-01-01T00:00:00.001Z"}, "/ship_by"),
        ({"receiver": RECEIVER, "lane": "sample"}, "/bench"),
        ({"receiver": RECEIVER, "lane": "normal", "bench": "B7"}, "/bench"),
        ({"receiver": RECEIVER, "lane": "rush", "quality_check": "x"}, "/quality_check"),
    ],
)
async def test_what_is_wrong_is_named_and_changes_nothing(
    ask: Asked, settings: Settings, body: dict[str, Any], pointer: str
) -> None:
    told = await ask("PUT", ORDER, Role.OPS, 422, body=body)
    assert [error["pointer"] for error in told["errors"]] == [pointer]
    assert kept(settings) is None


async def test_where_nothing_can_be_kept_that_is_said(ask: Asked, settings: Settings) -> None:
    """Without its place."""
    addresses_path(settings.data_dir).mkdir(parents=True)
    told = await ask("PUT", ORDER, Role.OPS, 503, body={"receiver": RECEIVER})
    assert told["type"] == "/problems/archive-unavailable"
    assert str(settings.data_dir) not in str(told)


async def test_blanks_at_the_ends_are_dropped(ask: Asked, settings: Settings) -> None:
    """A label has no room for them."""
    await ask("PUT", ORDER, Role.OPS, body={"receiver": {**RECEIVER, "name": " 张三\u3000"}})
    assert kept(settings) == Shipping(**RECEIVER)


async def test_the_settings_of_a_channel_have_what_a_sample_lacks(
    ask: Asked, settings: Settings
) -> None:
    """Also of an order that may be one by its SKUs; one that is told to be none has no bench."""
    order, reservation_id = ORDER.replace("tmall", "tmall-2"), "tmall-2:4701"
    await ask("PUT", order, Role.OPS, body={"receiver": RECEIVER, "lane": "sample"})
    assert kept(settings, reservation_id) == Shipping(**RECEIVER, lane=Lane.SAMPLE)
    await ask("PUT", order, Role.OPS, body={"receiver": RECEIVER, "bench": "C"})
    assert kept(settings, reservation_id) == Shipping(**RECEIVER, bench="C")
    rush = {"receiver": RECEIVER, "lane": "rush", "bench": "C"}
    told = await ask("PUT", order, Role.OPS, 422, body=rush)
    assert [error["pointer"] for error in told["errors"]] == ["/bench"]
