"""What channels have been told, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channels.feed.offers import Kind, Offers, Outcome, Wanted, offers_path
from channels.parcels.parcels import NoticeState, Parcels, parcels_path
from channels.parcels.parcels import Outcome as Sent
from reservation.config import Settings
from reservation.security import Role
from tests.channels.asked import Asked


@pytest.fixture
def offers(settings: Settings) -> Iterator[Offers]:
    """Write what the agents write."""
    opened = Offers(offers_path(settings.data_dir))
    yield opened
    opened.close()


def wanted(sku: str, channel: str = "tmall", units: int = 5, why: str = "") -> Wanted:
    """Make what a channel is to be told."""
    return Wanted(channel, sku, Kind.STOCK, units, 1.0, why)


async def test_before_anything_was_told_there_is_nothing(ask: Asked) -> None:
    """No file, no fault; and looking makes none."""
    rows = (await ask("GET", "/v1/channels"))["items"]
    nothing = {"waiting": 0, "dead": 0, "not_closed": 0, "parcels_dead": 0}
    assert rows == [
        {"channel": channel, "platform": "tmall", **nothing} for channel in ("tmall", "tmall-2")
    ]
    assert await ask("GET", "/v1/skus/A/channels") == {"sku": "A", "items": []}
    assert (await ask("GET", "/v1/channels/tmall/dead-letters"))["items"] == []


async def test_how_far_a_closing_has_come_is_told_channel_by_channel(
    ask: Asked, offers: Offers
) -> None:
    """Requested, failed, acknowledged."""

    async def states() -> list[tuple[str, str, str, str]]:
        items = (await ask("GET", "/v1/skus/A/channels"))["items"]
        return [(row["channel"], row["state"], row["closed"], row["reason"]) for row in items]

    channels = ("tmall", "tmall-2", "former")  # the settings do not name the last one any more
    closed = [wanted("A", channel, why="suspended") for channel in channels]
    offers.want(closed, "1-0", 1_700_000_000_000)
    assert await states() == [
        ("tmall", "requested", "suspended", None),
        ("tmall-2", "requested", "suspended", None),
    ]
    _, first, second = offers.of_sku("A")
    offers.note([Outcome(first, reason="timeout", due_ms=5)], 1)
    offers.note([Outcome(second, told_open=False)], 1_700_000_001_000)
    assert await states() == [
        ("tmall", "failed", "suspended", "timeout"),
        ("tmall-2", "acknowledged", "suspended", None),
    ]
    row = (await ask("GET", "/v1/skus/A/channels"))["items"][1]
    assert (row["units"], row["since"], row["acknowledged_at"]) == (
        0,
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:21.000Z",
    )


async def test_dead_letters_are_listed_by_the_page_and_sent_again(
    ask: Asked, offers: Offers
) -> None:
    """By who may; a viewer looks."""
    offers.want([wanted(sku) for sku in ("a,b", "c", "d")], "1-0", 1)
    offers.want([wanted("x", "tmall-2")], "1-0", 1)
    for offer in offers.due("tmall", 1, 9):
        offers.note([Outcome(offer, reason="isv.item-not-exist", dead=True)], 1)
    path = "/v1/channels/tmall/dead-letters"
    first = await ask("GET", f"{path}?limit=1")
    rest = await ask("GET", f"{path}?limit=2&after={first['next']}")
    assert [row["sku"] for row in first["items"] + rest["items"]] == ["a,b", "c", "d"]
    assert rest["next"] is None
    assert first["items"][0]["state"] == "dead"
    assert first["items"][0]["reason"] == "isv.item-not-exist"
    assert (await ask("GET", "/v1/channels"))["items"][0]["dead"] == 3
    await ask("POST", f"{path}/resend", Role.VIEWER, 403)
    assert await ask("POST", f"{path}/resend", Role.OPS) == {"sent": 3}
    assert await ask("POST", f"{path}/resend", Role.OPS) == {"sent": 0}
    assert len(offers.due("tmall", 2**50, 9)) == 3


async def test_what_a_channel_has_not_closed_comes_first_and_is_counted(
    ask: Asked, offers: Offers, settings: Settings
) -> None:
    """Beside the rest that it did not take, parcels too."""
    offers.want([wanted("A"), wanted("Z", why="suspended")], "1-0", 1)
    for offer in offers.due("tmall", 1, 9):
        offers.note([Outcome(offer, reason="isv.item-not-exist", dead=True)], 1)
    parcels = Parcels(parcels_path(settings.data_dir), {"tmall"})
    parcels.add("tmall:47", "F", company="SF", tracking_number="1", at_ms=1)
    parcels.note([Sent(parcels.due("tmall", 1, 1)[0], NoticeState.DEAD, "isv.no-such")], 1)
    parcels.close()
    row = (await ask("GET", "/v1/channels"))["items"][0]
    assert (row["dead"], row["not_closed"], row["parcels_dead"]) == (2, 1, 1)
    path = "/v1/channels/tmall/dead-letters"
    first = await ask("GET", f"{path}?limit=1")
    assert [(one["sku"], one["closed"], one["state"]) for one in first["items"]] == [
        ("Z", "suspended", "dead")
    ]
    rest = await ask("GET", f"{path}?after={first['next']}")
    assert [one["sku"] for one in rest["items"]] == ["A"]
    assert await ask("POST", f"{path}/resend", Role.OPS) == {"sent": 2}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/channels/nowhere/dead-letters", 404),
        ("/v1/channels/tmall/dead-letters?after=stock", 422),
        ("/v1/channels/tmall/dead-letters?after=1,other,A", 422),
        ("/v1/channels/tmall/dead-letters?after=2,stock,A", 422),
        ("/v1/channels/tmall/dead-letters?limit=0", 422),
        ("/v1/channels/tmall/dead-letters?x=1", 422),
        ("/v1/skus/%20/channels", 404),
    ],
)
async def test_an_impossible_question_is_refused(ask: Asked, path: str, status: int) -> None:
    """With the reason, and nothing else."""
    await ask("GET", path, Role.OPS, status)


async def test_a_channels_key_does_not_see_what_others_are_told(ask: Asked) -> None:
    """It has its own platform's word for that."""
    for path in ("/v1/channels", "/v1/skus/A/channels", "/v1/channels/tmall/dead-letters"):
        await ask("GET", path, Role.CHANNEL, 403)


async def test_a_file_that_cannot_be_used_is_said(ask: Asked, settings: Settings) -> None:
    """Without its place on our disk."""
    path = offers_path(settings.data_dir)
    path.write_bytes(b"not a database, whatever it may be" * 40)
    told = await ask("GET", "/v1/channels", status=503)
    assert str(path) not in str(told)
    assert "The feed cannot be read" in told["detail"]
