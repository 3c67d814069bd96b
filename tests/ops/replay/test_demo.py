"""The demonstration: the numbers that it shows are the store's, and it may be played again."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ops.demo import CATFOOD, Pace, play
from ops.replay.gateway import Gateway
from ops.replay.run import sample_orders
from reservation.audit import audit
from reservation.client import OrderLine
from reservation.config import Settings
from reservation.store.store import Store
from tests.ops.replay.conftest import ADMIN_KEY, URL, IdleClock, Wire


@pytest.fixture
def short_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play the sample's first orders only, up to one that is refused: a tenth of the time."""
    head = sample_orders().splitlines(keepends=True)[:300]
    refused = b"536900,tmall,2010-12-02T17:00:00Z,22196,9999\n"
    monkeypatch.setattr("ops.demo.sample_orders", lambda: b"".join([*head, refused]))


async def shown(
    wire: Wire, settings: Settings, clock: IdleClock, *, terminal: bool = False, countdown: int = 0
) -> tuple[bool, str]:
    """Play the demonstration without its pauses; return its verdict and what it printed."""
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=terminal, highlight=False)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    pace = Pace(countdown_seconds=countdown, pause=pause, clock=clock)
    good = await play(URL, ADMIN_KEY, console, settings=settings, pace=pace, transport=wire)
    assert pauses == [1] * countdown
    return good, output.getvalue()


async def test_the_demonstration_shows_the_briefs_case(
    wire: Wire, settings: Settings, idle_clock: IdleClock, store: Store
) -> None:
    """200 in stock, 100 to Tmall, 180 refused with 100 available: 80 units not oversold."""
    good, text = await shown(wire, settings, idle_clock, countdown=3)
    assert good, text
    assert f"{CATFOOD}: 200 in stock." in text
    assert "3 seconds later . . ." in text
    assert "Douyin asks for 180   refused: insufficient-stock, available: 100" in text
    assert "80 units of oversell prevented." in text
    assert "Audit: clean." in text
    assert "never paid, expired" in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 80
    report = await audit(store)
    assert report.findings == []
    assert report.units["held"] == report.units["committed"] == 0


async def test_the_burst_sells_the_last_unit_once(
    wire: Wire, settings: Settings, idle_clock: IdleClock, short_sample: None
) -> None:
    """Of 60 orders for a SKU as many are held as there are units, three fail, the rest bounce."""
    _, text = await shown(wire, settings, idle_clock)
    rows = [line.split("│")[1:-1] for line in text.splitlines() if "LIVE-" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["LIVE-CAN-24", "40", "60", "40", "3", "17"],
        ["LIVE-LITTER-6L", "25", "60", "25", "3", "32"],
        ["LIVE-TOY-SET", "10", "60", "10", "3", "47"],
    ]


@pytest.mark.chaos
async def test_the_demonstration_may_be_played_again(
    wire: Wire, settings: Settings, idle_clock: IdleClock, store: Store, short_sample: None
) -> None:
    """A second run at once finds open breakers and old orders, and comes out as well."""
    first, _ = await shown(wire, settings, idle_clock)
    second, text = await shown(wire, settings, idle_clock, terminal=True)
    assert first
    assert second, text
    assert (await audit(store)).findings == []


async def test_an_abandoned_run_does_not_hinder_the_next(
    wire: Wire, settings: Settings, idle_clock: IdleClock, gateway: Gateway, short_sample: None
) -> None:
    """What is still promised of the brief's SKU makes the demonstration use another."""
    await gateway.set_stock(CATFOOD, 50)
    await gateway.reserve("tmall:left-over", [OrderLine(CATFOOD, 20)], 86_400)
    good, text = await shown(wire, settings, idle_clock)
    assert good, text
    assert f"{CATFOOD}: 200" not in text
    assert f"{CATFOOD}-" in text


async def test_a_wrong_figure_is_said(
    wire: Wire,
    settings: Settings,
    idle_clock: IdleClock,
    monkeypatch: pytest.MonkeyPatch,
    short_sample: None,
) -> None:
    """The demonstration checks what it shows: less stock than it says turns it red."""
    monkeypatch.setattr("ops.demo.CATFOOD_STOCK", 190)
    monkeypatch.setattr("ops.demo.TMALL_TAKES", 191)
    good, text = await shown(wire, settings, idle_clock)
    assert not good
    assert "UNEXPECTED: Tmall was refused: insufficient-stock" in text


async def test_a_service_that_is_not_there_is_a_sentence(
    wire: Wire,
    settings: Settings,
    idle_clock: IdleClock,
    monkeypatch: pytest.MonkeyPatch,
    short_sample: None,
) -> None:
    """A fault of the service ends the demonstration with a sentence, not with an exception."""
    monkeypatch.setattr("ops.replay.gateway.PATIENCE_SECONDS", 0.01)
    wire.loses = lambda _number, _request: "request"
    good, text = await shown(wire, settings, idle_clock)
    assert not good
    assert "ended early" in text
