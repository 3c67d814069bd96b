"""The demonstration: its orders come from the platforms, its figures are the store's."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ops.demonstration.catalogue import CATFOOD
from ops.demonstration.play import SCENES, play
from ops.demonstration.shopfront import Shopfront
from ops.demonstration.stage import Pace, Stage
from ops.replay.run import sample_orders
from reservation.audit import audit
from reservation.client import OrderLine
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import Line, Origin, Reserve, SetStock, State
from reservation.status import Status
from reservation.store.store import Store
from tests.ops.demonstration.arena import ADMIN_KEY, Arena, Hurry, arena
from tests.waiting import happens

Scenes = Sequence[Callable[[Stage], Awaitable[None]]]

# What a platform says of an order -> where Holdfast has it in the end.
ENDS: dict[str, set[State | None]] = {
    "shipped": {State.FULFILLED},
    "cancelled": {State.RELEASED, None},
    "refunded": {None},
}


@pytest.fixture
def short_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play the sample's first orders only, up to one that is refused: a tenth of the time."""
    head = sample_orders().splitlines(keepends=True)[:300]
    refused = b"536900,tmall,2010-12-02T17:00:00Z,22196,9999\n"
    monkeypatch.setattr(
        "ops.demonstration.real_orders.sample_orders", lambda: b"".join([*head, refused])
    )


async def take(engine: Engine, name: str, units: int) -> None:
    """Hold units of the brief's SKU."""
    lines = (Line(CATFOOD, "main", units),)
    (outcome,) = await engine.apply([Reserve(name, lines, 86_400_000)], Origin("a test"))
    assert not isinstance(outcome, Exception)
    assert outcome.status is Status.DONE


async def wrong(place: Arena, store: Store) -> list[str]:
    """Name orders of the platforms that are not where these say they are."""
    found = []
    for channel, simulator in place.simulators.items():
        orders = simulator.world.shop.orders
        ours = await store.read_reservations([f"{channel}:{order_id}" for order_id in orders])
        for order, record in zip(orders.values(), ours, strict=True):
            state = record.state if record else None
            if state not in ENDS[order.stage]:
                found.append(f"{channel}:{order.order_id} is {order.stage}, we have {state}")
    return found


@pytest.mark.usefixtures("short_sample")
@pytest.mark.chaos
async def test_it_shows_the_briefs_case_a_burst_and_real_orders(
    settings: Settings, store: Store, engine: Engine
) -> None:
    """By the platforms' own messages; each order ends where its platform says it is."""
    async with arena(settings, store, engine) as place:
        good = await place.play()
        text = place.output.getvalue()
        assert good, text
        assert await wrong(place, store) == []
        assert sum(len(one.world.shop.orders) for one in place.simulators.values()) > 180
    assert f"{CATFOOD}: 200 in stock." in text
    assert re.search(r"held after \d+\.\d s: 100; 100 left for every channel", text)
    assert '"180 of CATFOOD-10KG are wanted, 100 shown"' in text
    assert "refused: insufficient-stock, asked 180, available: 100" in text
    assert "80 units of oversell prevented." in text
    assert "short: CATFOOD-10KG 180 of 100" in text
    rows = [line.split("│")[1:-1] for line in text.splitlines() if "│ LIVE-" in line]
    assert [[cell.strip() for cell in row] for row in rows[:3]] == [
        ["LIVE-CAN-24", "40", "60", "40", "3", "17"],
        ["LIVE-LITTER-6L", "25", "60", "25", "3", "32"],
        ["LIVE-TOY-SET", "10", "60", "10", "3", "47"],
    ]
    assert all(int(cell.split()[0]) >= 0 for row in rows[3:] for cell in row[1:])
    assert len(rows) == 6
    assert text.count("is not on the shelf") == 3
    assert "Told so, each shop shows them after" in text
    assert "Audit: clean." in text
    assert "paid, confirmed" in text
    assert "\x1b" not in text

    assert (await audit(store)).findings == []


@pytest.mark.usefixtures("short_sample")
@pytest.mark.chaos
async def test_what_was_refused_may_be_held_until_it_is_closed(
    settings: Settings, store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another look may find what the first did not: its platform closes it, and it is released."""
    monkeypatch.setattr("ops.demonstration.play.SCENES", SCENES[-1:])
    close = Shopfront.close
    held: list[str] = []

    async def hold_and_close(shop: Shopfront, order_id: str) -> None:
        name = f"{shop.channel}:{order_id}"
        if await store.read_reservations([name]) == [None]:
            await take(engine, name, 1)
            held.append(name)
        await close(shop, order_id)

    monkeypatch.setattr(Shopfront, "close", hold_and_close)
    async with arena(settings, store, engine) as place:
        await engine.set_stock(SetStock(CATFOOD, "main", 200), Origin("a test"))
        assert await place.play(), place.output.getvalue()
        assert held
        assert await wrong(place, store) == []


@pytest.mark.parametrize(
    "scenes", [SCENES[:1], pytest.param(SCENES, marks=pytest.mark.chaos, id="whole")]
)
@pytest.mark.chaos
@pytest.mark.usefixtures("short_sample")
async def test_it_may_be_played_again(
    settings: Settings,
    store: Store,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    scenes: Scenes,
) -> None:
    """On what a former run has left, also one that was abandoned: it sells another SKU."""
    monkeypatch.setattr("ops.demonstration.play.SCENES", scenes)
    async with arena(settings, store, engine) as place:
        assert await place.play(), place.output.getvalue()
        lines = [OrderLine(CATFOOD, 20)]
        async with Shopfront("tmall", place.platforms.urls["tmall"]) as shop:
            left = await shop.order(lines)

        async def is_held() -> bool:
            (found,) = await store.read_reservations([f"tmall:{left}"])
            return found is not None

        await happens(is_held)
    async with arena(settings, store, engine) as place:
        text = place.output
        assert await place.play(terminal=True), text.getvalue()
        assert await wrong(place, store) == []
    assert f"{CATFOOD}-{place.platforms.tag}: 200 in stock" in text.getvalue()
    assert (await audit(store)).findings == []


@pytest.mark.chaos
async def test_a_wrong_figure_is_said(
    settings: Settings, store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demonstration checks what it shows: who takes stock meanwhile turns it red."""
    monkeypatch.setattr("ops.demonstration.play.SCENES", SCENES[:1])
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            await take(engine, "tmall:from-elsewhere", 10)

    async with arena(settings, store, engine) as place:
        good = await place.play(Pace(countdown_seconds=3, pause=pause, clock=Hurry()))
    text = place.output.getvalue()
    assert not good
    assert "3 seconds later . . ." in text
    assert pauses == [1, 1, 1]
    assert "UNEXPECTED: Douyin's order is lacking 180, available: 90" in text
    assert "came out as it must" not in text


async def test_what_is_not_there_is_a_sentence(
    settings: Settings, store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service or a platform that is away ends it with a sentence, not with an exception."""
    monkeypatch.setattr("ops.replay.gateway.PATIENCE_SECONDS", 0.01)
    async with arena(settings, store, engine) as place:
        urls, tag = place.platforms.urls, place.platforms.tag

        async def ended(url: str, platforms: dict[str, str]) -> str:
            good = await play(
                *(url, ADMIN_KEY, place.console()),
                platforms=platforms,
                tag=tag,
                settings=place.settings,
            )
            assert not good
            return " ".join(place.output.getvalue().split())

        nobody = "http://127.0.0.1:9"
        assert "ended early: " in await ended(nobody, dict(urls))
        monkeypatch.undo()
        said = await ended(place.url, {**urls, "douyin": nobody})
        assert "the simulated platform of douyin does not answer" in said
