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
from reservation.store.store import Store
from reservation.times import rfc3339
from reservation.warehouses import FastClock
from tests.channels.asked import Asked
from tests.conftest import Clock
from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.shown import Filled, Hour, ask, asking, filled, hour

__all__ = ["ask", "filled", "hour"]


async def hold(engine: Engine, clock: Clock) -> None:
    """Have order 1 held, then paid a second later: at once it would be one that came paid."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    step = Reserve("tmall:1", (Line("A", "main", 2),), 1_800_000)
    assert (await engine.reserve(step, SYSTEM)).status.ok
    await clock.advance(1)
    assert (await engine.confirm(Confirm("tmall:1"), SYSTEM)).status.ok


async def test_an_order_is_followed_from_its_message_to_its_parcel(
    engine: Engine, store: Store, clock: Clock, settings: Settings, filled: Filled
) -> None:
    """In the order of time, whichever room knows of it; its receiver is an admin's to see.

    Warehouses have a clock of their own here, years behind and 1,800 times as fast.
    """
    world_ms = await clock.freeze()
    fast = FastClock(since_ms=world_ms, origin_ms=NOW_MS, speed=1_800)
    with closing(Desk(inbox_path(settings.data_dir))) as desk:
        hint = Hint(message_id="m1", topic="TradePaid", order_id="1")
        desk.keep([("tmall", hint)], world_ms - 9_000)
    await hold(engine, clock)
    filled.now_ms = NOW_MS + 3_600_000
    filled.hand(filled.wait("1"))
    with closing(Parcels(parcels_path(settings.data_dir), {"tmall"})) as parcels:
        added_ms = world_ms + 3_000
        parcels.add("tmall:1", "F1", company="SF", tracking_number="SF9", at_ms=added_ms)
        (notice,) = parcels.of_order("tmall", "1")
        parcels.note([Outcome(notice, NoticeState.ACKNOWLEDGED)], world_ms + 4_000)
    by_it = settings.model_copy(update={"warehouse_clock": fast})
    async with asking(engine, store, by_it, Hour(filled.now_ms)) as ask:
        found = await ask("GET", "/v1/orders/tmall:1/way")
        whole = await ask("GET", "/v1/orders/tmall:1/way", Role.ADMIN)
    steps = [(one["where"], one["name"], one["what"], one["at"]) for one in found["steps"]]
    expected = [
        ("channel", "tmall", "message", -9_000),  # before it began to run it ran as the world's
        ("reservation", "tmall", "held", 0),
        ("reservation", "tmall", "confirmed", 1_800_000),
        ("warehouse", "main", "entered", 3_600_000),
        ("warehouse", "main", "detailed", 3_600_000),
        ("warehouse", "main", "sent", 3_600_000),
        ("warehouse", "main", "accepted", 3_600_000),
        ("parcel", "F1", "parcel", 5_400_000),
        ("parcel", "F1", "told", 7_200_000),
    ]
    assert steps == [(*step, rfc3339(NOW_MS + after_ms)) for *step, after_ms in expected]
    assert found["steps"][0]["detail"] == "TradePaid"
    assert found["steps"][1]["detail"] == "2 × A"
    assert found["reservation"]["state"] == "confirmed"
    (part,) = found["warehouses"]
    assert (part["code"], part["state"]) == ("tmall:1@main", "accepted")
    assert part["dispatch"]["receiver"]["masked"] is True
    (parcel,) = found["parcels"]
    assert (parcel["tracking_number"], parcel["since"]) == ("SF9", found["steps"][-2]["at"])
    assert parcel["acknowledged_at"] == found["steps"][-1]["at"]
    assert found["trouble"] is None
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
