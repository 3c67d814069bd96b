"""Parcels over HTTP: kept before they are acknowledged, each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from channels.parcels.parcels import NoticeState, Outcome, Parcels, parcels_path
from reservation.config import Settings
from reservation.security import Role
from tests.channels.asked import Asked

ORDER = "/v1/channels/tmall/orders/4701/parcels"
PARCEL: dict[str, Any] = {"fulfilment_id": "F1", "company": "SF", "tracking_number": "SF1"}
A_PART = [{"sku": "B", "quantity": 1}, {"sku": "A", "warehouse": "main", "quantity": 2}]


@pytest.fixture
def parcels(settings: Settings) -> Iterator[Parcels]:
    """Open what the agents work on."""
    opened = Parcels(parcels_path(settings.data_dir), {"tmall", "tmall-2"})
    yield opened
    opened.close()


async def test_a_parcel_is_kept_once(ask: Asked) -> None:
    """201, then 200; other content under the same id is refused and changes nothing."""
    told = await ask("POST", ORDER, Role.OPS, 201, body={**PARCEL, "lines": A_PART})
    assert not ask.replayed
    since = told.pop("since")
    assert told == {
        "channel": "tmall",
        "order_id": "4701",
        **PARCEL,
        "lines": [
            {"sku": "A", "warehouse": "main", "quantity": 2},
            {"sku": "B", "warehouse": "main", "quantity": 1},
        ],
        "line_ids": None,
        "state": "requested",
        "acknowledged_at": None,
        "attempts": 0,
        "reason": None,
    }
    again = await ask("POST", ORDER, Role.OPS, body={**PARCEL, "lines": A_PART[::-1]})
    assert ask.replayed
    assert again == {**told, "since": since}
    refused = await ask("POST", ORDER, Role.OPS, 422, body=PARCEL)
    assert refused["type"] == "/problems/idempotency-key-reused"
    assert await ask("GET", ORDER) == {"items": [again]}
    whole = await ask("POST", ORDER, Role.OPS, 201, body={**PARCEL, "fulfilment_id": "F2"})
    assert whole["lines"] is None


async def test_who_may_ship_may_tell_of_it(ask: Asked) -> None:
    """A channel of its own orders; another's are not known to it."""
    await ask("POST", ORDER, Role.VIEWER, 403, body=PARCEL)
    await ask("POST", ORDER, Role.CHANNEL, 201, body=PARCEL)
    assert len((await ask("GET", ORDER, Role.CHANNEL))["items"]) == 1
    other = ORDER.replace("tmall", "tmall-2")
    for method, body in (("POST", PARCEL), ("GET", None)):
        told = await ask(method, other, Role.CHANNEL, 404, body=body)
        assert told["type"] == "/problems/reservation-not-found"
    assert (await ask("GET", other))["items"] == []


async def test_nobody_is_told_where_there_is_no_platform(ask: Asked, settings: Settings) -> None:
    """A channel that the settings do not name, and what can be no order."""
    nowhere = ORDER.replace("tmall", "dealer")
    for method, body in (("POST", PARCEL), ("GET", None)):
        told = await ask(method, nowhere, Role.OPS, 404, body=body)
        assert told["type"] == "/problems/not-found"
        told = await ask(method, ORDER.replace("4701", "a%20b"), Role.OPS, 404, body=body)
        assert told["type"] == "/problems/reservation-not-found"
    assert not parcels_path(settings.data_dir).exists()


@pytest.mark.parametrize(
    ("wrong", "pointers"),
    [
        ({"fulfilment_id": "a b"}, ["/fulfilment_id"]),
        ({"company": "", "tracking_number": "顺丰"}, ["/company", "/tracking_number"]),
        ({"lines": []}, ["/lines"]),
        ({"lines": None}, ["/lines"]),
        ({"lines": [{"sku": " A", "quantity": 0}]}, ["/lines/0/sku", "/lines/0/quantity"]),
        ({"lines": [{"sku": "A", "quantity": 9_999}] * 2}, ["/lines"]),
        ({"weight": 1}, ["/weight"]),
    ],
)
async def test_a_parcel_that_cannot_be_is_refused(
    ask: Asked, settings: Settings, wrong: dict[str, Any], pointers: list[str]
) -> None:
    """All that is wrong at once; nothing is kept."""
    told = await ask("POST", ORDER, Role.OPS, 422, body=PARCEL | wrong)
    assert [error["pointer"] for error in told["errors"]] == pointers
    assert not parcels_path(settings.data_dir).exists()


async def test_what_is_required_is_said(ask: Asked) -> None:
    told = await ask("POST", ORDER, Role.OPS, 422, body={})
    assert [error["pointer"] for error in told["errors"]] == [
        "/fulfilment_id",
        "/company",
        "/tracking_number",
    ]


async def test_a_channels_parcels_are_listed_by_the_page_and_sent_again(
    ask: Asked, parcels: Parcels
) -> None:
    """By state; a viewer looks, ops sends."""
    for number in range(3):
        parcels.add(f"tmall:{number}", "F", company="SF", tracking_number="1", at_ms=1)
    parcels.add("tmall-2:9", "F", company="SF", tracking_number="1", at_ms=1)
    for notice in parcels.due("tmall", 1, 2):
        parcels.note([Outcome(notice, NoticeState.DEAD, "isv.no-such")], 1)
    path = "/v1/channels/tmall/parcels"
    first = await ask("GET", f"{path}?limit=1&state=dead")
    rest = await ask("GET", f"{path}?limit=2&state=dead&after={first['next']}")
    rows = first["items"] + rest["items"]
    assert [(row["order_id"], row["state"], row["reason"]) for row in rows] == [
        ("0", "dead", "isv.no-such"),
        ("1", "dead", "isv.no-such"),
    ]
    assert rest["next"] is None
    assert len((await ask("GET", path))["items"]) == 3
    for role in (Role.VIEWER, Role.CHANNEL):
        await ask("POST", f"{path}/resend", role, 403)
    one = "/v1/channels/tmall/orders/1/parcels/resend"
    await ask("POST", one, Role.CHANNEL, 403)
    dismissed = "/v1/channels/tmall/orders/0/parcels/dismiss"
    await ask("POST", dismissed, Role.VIEWER, 403)
    assert await ask("POST", one, Role.OPS) == {"sent": 1}
    assert await ask("POST", f"{path}/resend", Role.OPS) == {"sent": 1}
    assert await ask("POST", f"{path}/resend", Role.OPS) == {"sent": 0}
    assert len(parcels.due("tmall", 2**50, 9)) == 3
    (first,) = parcels.of_order("tmall", "0")
    parcels.note([Outcome(first, NoticeState.DEAD, "isv.no-such")], 1)
    assert await ask("POST", dismissed, Role.OPS) == {"dismissed": 1}
    assert (await ask("GET", f"{path}?state=dead"))["items"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/channels/nowhere/parcels", 404),
        ("/v1/channels/tmall/parcels?after=x", 422),
        ("/v1/channels/tmall/parcels?state=lost", 422),
        ("/v1/channels/tmall/parcels?limit=0", 422),
        ("/v1/channels/tmall/parcels?x=1", 422),
    ],
)
async def test_an_impossible_question_is_refused(ask: Asked, path: str, status: int) -> None:
    await ask("GET", path, Role.OPS, status)


async def test_a_file_that_cannot_be_used_is_said(ask: Asked, settings: Settings) -> None:
    """Nothing is acknowledged; and not where it lies on our disk."""
    path = parcels_path(settings.data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not a database, whatever it may be" * 40)
    for method, body in (("POST", PARCEL), ("GET", None)):
        told = await ask(method, ORDER, Role.OPS, 503, body=body)
        assert str(path) not in str(told)
        assert "The parcels cannot be read" in told["detail"]
