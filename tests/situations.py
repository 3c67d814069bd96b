"""Models in a named situation, where the models' own tests begin."""

from __future__ import annotations

from reservation.model import BreakerState, Fulfil, Line, Release, Reserve, SetStock, State
from tests.model import Model
from tests.model_breaker import Rules

T0 = 1_790_000_000_000
TTL_MS = 1_800_000
WEEK_MS = 7 * 86_400_000
ID = "tmall:1"
ORDER = (Line("A", "main", 4), Line("B", "main", 2))


def stocked(rules: Rules | None = None, **on_hand: int) -> Model:
    """Make a model with levels in warehouse main."""
    model = Model(rules)
    for sku, units in (on_hand or {"A": 10, "B": 10}).items():
        model.set_stock(SetStock(sku, "main", units), T0)
    return model


def order(reservation_id: str, quantity: int, sku: str = "A") -> Reserve:
    return Reserve(reservation_id, (Line(sku, "main", quantity),), TTL_MS)


def in_state(state: State) -> Model:
    """Make a model in which ID, 4 A and 2 B, is in a state since T0, or has expired at its ttl."""
    model = stocked()
    model.apply(Reserve(ID, ORDER, TTL_MS, confirm=state in {"confirmed", "fulfilled"}), T0)
    if state is State.RELEASED:
        model.apply(Release(ID), T0)
    if state is State.FULFILLED:
        model.apply(Fulfil(ID), T0)
    return model


def balances(model: Model, now_ms: int, sku: str = "A") -> tuple[int, int, int]:
    stock = model.stock(sku, now_ms)
    assert stock is not None
    level = stock.levels[0]
    return level.on_hand, level.held, level.committed


def opened(cool_down_ms: int = 0) -> Model:
    """Make a model whose A was opened at T0 by three failures; 4 of A are held."""
    model = stocked(Rules(cool_down_ms=cool_down_ms), A=4, B=10)
    model.apply(order("tmall:holder", 4), T0)
    for n in range(3):
        model.apply(order(f"tmall:{n}", 1), T0)
    stock = model.stock("A", T0)
    assert stock is not None
    assert stock.breaker.state is BreakerState.OPEN
    return model
