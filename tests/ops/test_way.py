"""One order's whole way over HTTP, with what each room keeps of it."""

from __future__ import annotations

from contextlib import closing

from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from channels.model import Hint
from channels.parcels.parcels import NoticeState, Outcome, Parcels, parcels_path
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Confirm, Line, Reserve, SetStock
from reservation.security import Role
from tests.channels.asked import Asked
from tests.conftest import Clock
from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.shown import Filled, ask, filled, hour

__all__ = ["ask", "filled", "hour"]


async def hold(engine: Engine, clock: Clock) -> None:
    """Have order 1 held, then paid a second later: at once it would be one that came paid."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    step = Reserve("tmall:1", (Line("A", "main", 2),), 1_800_000)
    assert (await engine.reserve(step, SYSTEM)).status.ok
    await clock.advance(1)
    assert (await engine.confirm(Confirm("tmall:1"), SYSTEM)).status.ok


async def test_an_order_is_followed_from_its_message_to_its_parcel(
    ask: Asked, engine: Engine, clock: Clock, settings: Settings, filled: Filled
) -> None:
    """In the order of time, whichever room knows of it; its receiver is an admin's to see."""
    await hold(engine, clock)
    with closing(Desk(inbox_path(settings.data_dir))) as desk:
        hint = Hint(message_id="m1", topic="TradePaid", order_id="1")
        desk.keep([("tmall", hint)], NOW_MS - 9_000)
    filled.hand(filled.wait("1"))
    with closing(Parcels(parcels_path(settings.data_dir), {"tmall"})) as parcels:
        parcels.add("tmall:1", "F1", company="SF", tracking_number="SF9", at_ms=NOW_MS + 1)
        (notice,) = parcels.of_order("tmall", "1")
        parcels.note([Outcome(notice, NoticeState.ACKNOWLEDGED)], NOW_MS + 2)
    found = await ask("GET", "/v1/orders/tmall:1/way")
    steps = [(one["where"], one["name"], one["what"]) for one in found["steps"]]
    # The store's clock is today's, the others' is the test's: they are apart, and in order.
    assert steps == [
        ("channel", "tmall", "message"),
        ("warehouse", "main", "entered"),
        ("warehouse", "main", "detailed"),
        ("warehouse", "main", "sent"),
        ("warehouse", "main", "accepted"),
        ("parcel", "F1", "parcel"),
        ("parcel", "F1", "told"),
        ("reservation", "tmall", "held"),
        ("reservation", "tmall", "confirmed"),
    ]
    assert found["steps"][0]["detail"] == "TradePaid"
    assert found["steps"][-2]["detail"] == "2 × A"
    assert found["reservation"]["state"] == "confirmed"
    (part,) = found["warehouses"]
    assert (part["code"], part["state"]) == ("tmall:1@main", "accepted")
    assert part["dispatch"]["receiver"]["masked"] is True
    assert [one["tracking_number"] for one in found["parcels"]] == ["SF9"]
    assert found["trouble"] is None
    whole = await ask("GET", "/v1/orders/tmall:1/way", Role.ADMIN)
    assert whole["warehouses"][0]["dispatch"]["receiver"]["name"] == "张三"


async def test_an_order_that_only_its_channel_knows_is_followed_as_far(
    ask: Asked, settings: Settings
) -> None:
    """With why it is not where its platform says."""
    with closing(Desk(inbox_path(settings.data_dir))) as desk:
        desk.keep([("tmall", Hint(message_id="m1", topic="TradePaid", order_id="1"))], NOW_MS)
        (look,) = desk.due("tmall", 10**15)
        desk.stuck(look, "unknown-sku: X in main", None, 0)
    found = await ask("GET", "/v1/orders/tmall:1/way")
    assert [(one["what"], one["detail"]) for one in found["steps"]] == [
        ("message", "TradePaid"),
        ("unfit", "unknown-sku: X in main"),
    ]
    assert found["trouble"]["kind"] == "unknown-sku"
    assert (found["reservation"], found["warehouses"], found["parcels"]) == (None, [], [])


async def test_an_order_that_came_paid_was_never_held(ask: Asked, engine: Engine) -> None:
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    step = Reserve("tmall:1", (Line("A", "main", 2),), 1_800_000, confirm=True)
    assert (await engine.reserve(step, SYSTEM)).status.ok
    found = await ask("GET", "/v1/orders/tmall:1/way")
    assert [(one["what"], one["detail"]) for one in found["steps"]] == [("confirmed", "2 × A")]


async def test_what_nobody_knows_is_404(ask: Asked, settings: Settings) -> None:
    """And looking makes no file."""
    await ask("GET", "/v1/orders/tmall:1/way", status=404)
    await ask("GET", "/v1/orders/nonsense/way", status=404)
    await ask("GET", "/v1/orders/tmall:1/way?x=1", status=422)
    assert list(settings.data_dir.glob("*.sqlite3")) == []
