"""The model of health, fed with the balances that the log tells, beside a monitor of that log."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import pytest

from reservation.engine import Engine
from reservation.events.entries import Balance, Balances, read_entry
from reservation.health.level import unpack
from reservation.health.monitor import HealthMonitor
from reservation.model import HealthStatus, level_key
from reservation.store.positions import version_key
from reservation.store.store import Store
from tests.model_health import DWELL_MS, ModelHealth, ratio_of

MAX_ENTRIES = 100_000
WEIGHT_DIGITS = 1e-4  # as the contract's figures are rounded


@dataclass(frozen=True)
class Crossing:
    """What a `W` tells: the status, its figures, and the balances behind them."""

    at_risk: bool
    ratio: float
    weight: float
    unshipped_and_available: tuple[int, int, int]

    def same(self, other: Crossing) -> bool:
        """Compare, the figures as they are rounded."""
        return (
            self.at_risk == other.at_risk
            and self.ratio == pytest.approx(other.ratio, rel=1e-5)
            and self.weight == pytest.approx(other.weight, abs=WEIGHT_DIGITS)
            and self.unshipped_and_available == other.unshipped_and_available
        )


class Following:
    """What health must be, level by level, and what has been told of it."""

    def __init__(self, store: Store, skus: Iterable[str]) -> None:
        self._store = store
        self._skus = sorted(set(skus))
        self._position = ""
        self._levels: dict[str, ModelHealth] = {}
        self._balances: Balances = {}
        self._expected: dict[str, list[Crossing]] = defaultdict(list)
        self._told: dict[str, list[Crossing]] = defaultdict(list)

    @property
    def instants(self) -> list[int]:
        """List when a level may rise by the clock alone."""
        return [
            model.last_fall_ms + DWELL_MS
            for model in self._levels.values()
            if model.at_risk and model.last_fall_ms is not None
        ]

    async def check(self, engine: Engine, monitor: HealthMonitor) -> None:
        """Compare what the engine reads, then what the monitor notes and tells."""
        found = [sku for sku in await engine.health.of_skus(self._skus) if sku.levels]
        await self._follow()  # behind the read: it may have reclaimed what was overdue
        for sku in found:
            for row in sku.levels:
                name = level_key(row.level.sku, row.level.warehouse)
                self._see(name, self._balances[name], sku.as_of_ms)
                assert (row.status is HealthStatus.AT_RISK, row.weight) == self._seen(name), name
        if found:
            await self.look(monitor, found[0].as_of_ms)

    async def look(self, monitor: HealthMonitor, now_ms: int) -> None:
        """Let the monitor look, and compare what it has noted and told."""
        await self._follow()
        for name, balance in self._balances.items():
            self._see(name, balance, now_ms)
        while await monitor.look():
            pass
        await monitor.look()  # where another one had been quicker it begins anew
        await self._compare_noted(list(self._levels))
        await self._follow()
        for name in self._levels:
            told, expected = self._told[name], self._expected[name]
            assert len(told) == len(expected), (name, told, expected)
            pairs = zip(told, expected, strict=True)
            assert all(one.same(other) for one, other in pairs), (name, told, expected)

    async def _compare_noted(self, names: Sequence[str]) -> None:
        if not names:
            return
        _, texts = await self._store.read_health(names)
        for name, text in zip(names, texts, strict=True):
            noted, model = unpack(text), self._levels[name]
            assert (noted.status is HealthStatus.AT_RISK, noted.weight) == self._seen(name), name
            if model.at_risk:
                assert noted.fell_at_ms == model.last_fall_ms, (name, noted, model)

    def _seen(self, name: str) -> tuple[bool, object]:
        model = self._levels[name]
        return model.at_risk, pytest.approx(float(model.weight), abs=WEIGHT_DIGITS)

    async def _follow(self) -> None:
        """Take in what the log tells behind our position."""
        for version, fields in await self._store.log.read(self._position, count=MAX_ENTRIES):
            self._position, entry = version, read_entry(fields)
            for event in entry.events:
                if event.kind == "W":
                    self._told[event.subject].append(_crossing(event.extra))
            for name, balance in entry.balances.items():
                self._see(name, balance, version_key(version)[0])

    def _see(self, name: str, balance: Balance, at_ms: int) -> None:
        self._balances[name] = balance
        model, ratio = self._levels.setdefault(name, ModelHealth()), ratio_of(*balance)
        was_at_risk = model.at_risk
        model.see(ratio, at_ms)
        if model.at_risk == was_at_risk:
            return
        on_hand, safety, held, committed = balance
        available = max(0, on_hand - safety - held - committed)
        self._expected[name].append(
            Crossing(
                model.at_risk,
                _float(ratio),
                float(model.weight),
                (held, committed, available),
            )
        )


def _float(ratio: Fraction | None) -> float:
    return math.inf if ratio is None else float(ratio)


def _crossing(text: str) -> Crossing:
    status, ratio, weight, held, committed, available = text.split(" ")
    units = int(held), int(committed), int(available)
    return Crossing(status == HealthStatus.AT_RISK, float(ratio), float(weight), units)
