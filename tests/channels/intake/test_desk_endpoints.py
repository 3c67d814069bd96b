"""Orders that are not where their platform says, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from channels.intake.looks import LookState, Seen
from channels.model import Hint
from reservation.config import Settings
from reservation.security import Role
from tests.channels.asked import Asked
from tests.channels.intake.test_inbox import ORDER


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    """Write what the agents write."""
    opened = Desk(inbox_path(settings.data_dir))
    yield opened
    opened.close()


def troubled(desk: Desk, order_id: str, reason: str, *, stuck: bool = True) -> None:
    """Keep a message about an order that cannot be moved."""
    desk.keep([("tmall", Hint(message_id=f"m{order_id}", topic="paid", order_id=order_id))], 1_000)
    (look,) = [one for one in desk.due("tmall", 10**15) if one.order_id == order_id]
    if stuck:
        desk.stuck(look, reason, None, 0)
    else:
        desk.again(look, 60_000, reason)


async def test_before_anything_came_there_is_nothing(ask: Asked, settings: Settings) -> None:
    """And looking makes no file."""
    found = await ask("GET", "/v1/anomalies")
    assert found == {"figures": [], "items": [], "next": None}
    await ask("POST", "/v1/anomalies/tmall/1/retry", Role.OPS, 404)
    assert not inbox_path(settings.data_dir).exists()


async def test_they_are_listed_by_the_page_with_their_figures(ask: Asked, desk: Desk) -> None:
    """The longest waiting first, narrowed by channel and state."""
    troubled(desk, "1", "unknown-sku: X in main")
    troubled(desk, "2", "short: A 3 of 1", stuck=False)
    troubled(desk, "3", "short: A 4 of 1", stuck=False)
    desk.keep([("tmall", Hint(message_id="m9", topic="paid", order_id="9"))], 1_000)  # no trouble
    first = await ask("GET", "/v1/anomalies?limit=2")
    rest = await ask("GET", f"/v1/anomalies?limit=2&after={first['next']}")
    rows = first["items"] + rest["items"]
    assert [(row["order_id"], row["state"], row["kind"], row["reason"]) for row in rows] == [
        ("1", "stuck", "unknown-sku", "unknown-sku: X in main"),
        ("2", "waiting", "short", "short: A 3 of 1"),
        ("3", "waiting", "short", "short: A 4 of 1"),
    ]
    assert rows[0]["due"] is None
    assert rows[1]["due"] == "1970-01-01T00:01:00.000Z"
    assert rest["next"] is None
    assert [(row["kind"], row["orders"]) for row in first["figures"]] == [
        ("unknown-sku", 1),
        ("short", 2),
    ]
    waiting = await ask("GET", "/v1/anomalies?state=waiting&channel=tmall")
    assert [row["order_id"] for row in waiting["items"]] == ["2", "3"]
    assert (await ask("GET", "/v1/anomalies?channel=douyin"))["items"] == []


async def test_one_is_looked_into_tried_again_and_dismissed(ask: Asked, desk: Desk) -> None:
    """By who may; a viewer looks."""
    troubled(desk, "1", "unknown-sku: X in main")
    found = await ask("GET", "/v1/anomalies/tmall/1")
    assert [(one["message_id"], one["topic"], one["times"]) for one in found["messages"]] == [
        ("m1", "paid", 1)
    ]
    assert found["order"] is None  # nobody has read it so far
    await ask("POST", "/v1/anomalies/tmall/1/retry", Role.VIEWER, 403)
    await ask("POST", "/v1/anomalies/tmall/1/retry", Role.OPS)
    (look,) = desk.due("tmall", 10**15)
    assert look.state is LookState.WAITING
    await ask("POST", "/v1/anomalies/tmall/1/dismiss", Role.OPS, 404)  # it is not stuck now
    desk.stuck(look, "unknown-sku: X in main", None, 0)
    await ask("POST", "/v1/anomalies/tmall/1/dismiss", Role.OPS)
    await ask("GET", "/v1/anomalies/tmall/1", status=404)
    assert (await ask("GET", "/v1/anomalies"))["items"] == []


async def test_one_has_its_lines_as_its_platform_tells_them(ask: Asked, desk: Desk) -> None:
    """As of when it was looked at, in our words and in its own."""
    desk.keep([("tmall", Hint(message_id="m7", topic="paid", order_id="7"))], 1_000)
    (look,) = desk.due("tmall", 10**15)
    desk.wait(look, 60_000, "short: 猫粮 2 of 1", Seen(ORDER, 2_000), 2_000)
    assert (await ask("GET", "/v1/anomalies/tmall/7"))["order"] == {
        "state": "paid",
        "word": "paid",
        "created_at": "1970-01-01T00:00:00.001Z",
        "changed_at": "1970-01-01T00:00:00.050Z",
        "paid_at": None,
        "seen_at": "1970-01-01T00:00:02.000Z",
        "lines": [
            {"line_id": "1", "sku": "猫粮", "quantity": 2, "state": "paid", "refund": None},
        ],
    }


async def test_a_message_of_no_order_is_shown_with_its_word(ask: Asked, desk: Desk) -> None:
    """What could not be read is nobody's order."""
    hint = Hint(message_id="m1", topic="odd", unknown="status 'half'")
    desk.keep([("tmall", hint)], 1_000)
    (row,) = (await ask("GET", "/v1/anomalies"))["items"]
    assert (row["order_id"], row["kind"]) == ("", "unknown-word")
    found = await ask("GET", "/v1/anomalies/tmall/~")
    assert found["messages"][0]["unknown"] == "status 'half'"


@pytest.mark.parametrize(
    "path",
    ["?channel=X", "?state=ill", "?after=1", "?after=1,tmall", "?limit=0", "?x=1"],
)
async def test_an_impossible_question_is_422(ask: Asked, path: str) -> None:
    """With the reason, and nothing else."""
    await ask("GET", f"/v1/anomalies{path}", Role.OPS, 422)


async def test_a_channels_key_sees_none(ask: Asked) -> None:
    """They are the merchant's."""
    await ask("GET", "/v1/anomalies", Role.CHANNEL, 403)
    await ask("GET", "/v1/anomalies/tmall/1", Role.CHANNEL, 403)
