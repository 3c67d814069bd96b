"""The health monitor: follows the log, notes the health of what moves, tells of each crossing.

Its cost is that of what happens, not of how many SKUs there are. What it has noted is in the store
with the position as of which it is: of several monitors one goes on, the others begin anew there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog

from reservation import metrics
from reservation.background import Every, repeat
from reservation.errors import ArchiveUnavailable, PositionLost, ScriptBug, StoreUnavailable
from reservation.events.archive import archive_path
from reservation.events.entries import Balance, Balances, LogEntry, read_entry, units_of
from reservation.events.feed import entries_behind
from reservation.events.snapshot import take_balances
from reservation.health.level import Health, pack, sold, taken, unpack
from reservation.health.rule import HealthRule, judged, rises_at_ms, unshipped_ratio
from reservation.model import HealthStatus
from reservation.store.keys import SENTINEL
from reservation.store.log import ENTRIES_PER_READ
from reservation.store.positions import version_key

if TYPE_CHECKING:
    import asyncio

    from reservation.config import Settings
    from reservation.store.log import RawEntry
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.1  # between looks at a log that had nothing new
LEVELS_PER_CALL = 200  # a script call stays below 1 ms
READS_A_ROUND = 20  # of the log; a long backlog yields to the next round
TIDY_INTERVAL_SECONDS = 5.0  # between looks at what has become quiet

_UNSEEN = Health()
_FAULTS = (StoreUnavailable, ArchiveUnavailable, ScriptBug)


def after_entry(
    noted: dict[str, Health], entry: LogEntry, at_ms: int, rule: HealthRule
) -> dict[str, Health]:
    """Say what an entry of the log makes of the health of the levels that it changes."""
    sales: dict[str, int] = {}
    for event in entry.events:
        sign = taken(event.kind, event.extra)
        if sign:
            for level, units in units_of(event):
                sales[level] = sales.get(level, 0) + sign * units
    found = {}
    for level, balance in entry.balances.items():
        health = noted.get(level, _UNSEEN)
        if taken_here := sales.get(level):
            health = sold(health, taken_here, at_ms)
        found[level] = judged(health, unshipped_ratio(balance, rule), at_ms, rule)
    return found


class HealthMonitor:
    """One background loop over one partition.

    Where the store has lost what it had followed, or nothing keeps what comes next, it begins anew
    with what the store has noted: that came back from the same instant as the log.
    """

    def __init__(self, store: Store, settings: Settings, *, partition: int = 0) -> None:
        self._store = store
        self._rule = HealthRule.of(settings)
        self._path = archive_path(settings.data_dir)
        self._partition = partition
        self._in_step = False
        self._position = ""  # as of which everything in `_noted` is
        self._noted: dict[str, Health] = {}  # what is not quiet
        self._balances: Balances = {}  # of what is noted
        self._kept_position = ""  # what the store has of it
        # Level -> crossing, '' for none: what the store has not been told yet.
        self._pending: dict[str, str] = {}
        self._tidying = Every(TIDY_INTERVAL_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a store that fails is asked again, forever."""
        await repeat(self._round, name="health_monitor", stop=stop, faults=_FAULTS)

    async def _round(self) -> float:
        try:
            more = await self.look()
            if self._tidying.is_due():
                await self.tidy()
        except _FAULTS:
            self._in_step = False
            raise
        return 0.0 if more else POLL_SECONDS

    async def look(self) -> bool:
        """Take in what is new, and what time alone has done; say whether there is more.

        Raises StoreUnavailable, ArchiveUnavailable and ScriptBug.
        """
        if not self._in_step:
            await self._get_in_step()
        now_ms, _ = await self._store.position(partition=self._partition)
        more = True
        for _ in range(READS_A_ROUND):
            try:
                entries = await self._behind(self._position)
            except PositionLost as error:
                log.warning("health_begins_anew", reason=str(error))
                self._in_step = False
                return True
            for version, fields in entries:
                await self._take(version, read_entry(fields))
            more = len(entries) == ENTRIES_PER_READ
            if not more:
                break
        if not more:
            await self._let_rise(now_ms)
        await self._note()
        lag = now_ms - version_key(self._position)[0] if more else 0
        metrics.FEED_LAG_SECONDS.labels(feed="health").set(max(0, lag) / 1000)
        return more

    async def _behind(self, position: str) -> list[RawEntry]:
        return await entries_behind(
            self._store, self._path, version_key(position), partition=self._partition
        )

    async def tidy(self) -> None:
        """Forget what has become quiet."""
        if not self._in_step:  # what it knows may never have survived
            return
        now_ms, _ = await self._store.position(partition=self._partition)
        for level in [name for name, health in self._noted.items() if health.is_quiet(now_ms)]:
            del self._noted[level]
            self._balances.pop(level, None)
            self._pending.setdefault(level, "")
        if self._kept_position != self._position or self._pending:
            await self._note(position_too=True)
        at_risk = sum(health.status is HealthStatus.AT_RISK for health in self._noted.values())
        metrics.LEVELS_AT_RISK.set(at_risk)

    async def _get_in_step(self) -> None:
        """Begin with what is noted in the store, else with its birth, else with what it has now.

        Also on top of what is noted it begins with what there is now, where the log does not go on
        from there: what crossed a limit and came back in between is never told, and the pace of
        sales has not seen it.
        """
        self._pending = {}
        noted: dict[str, Health] = {}
        self._kept_position = await self._store.health_position(partition=self._partition)
        async for _, chunk in self._store.scan("health", partition=self._partition):
            noted.update((level, unpack(text)) for level, text in chunk if level != SENTINEL)
        self._noted = noted
        if not self._kept_position:
            (oldest,) = await self._store.log.read("", count=1, partition=self._partition)
            if not read_entry(oldest[1]).events:  # the store's birth: the log tells it all
                self._position, self._balances, self._in_step = oldest[0], {}, True
                return
        snapshot = await take_balances(self._store, partition=self._partition)
        self._balances = {level: snapshot.balances.get(level, (0, 0, 0, 0)) for level in noted}
        if self._kept_position and await self._is_kept(self._kept_position):
            # What moves meanwhile is replayed on top; what does not is as it was there.
            self._position = self._kept_position
        else:
            self._position = snapshot.version
            at_ms = version_key(snapshot.version)[0]
            for level, balance in snapshot.balances.items():
                self._judge(level, noted.get(level, _UNSEEN), balance, at_ms)
        self._in_step = True

    async def _is_kept(self, position: str) -> bool:
        try:
            await self._behind(position)
        except PositionLost as error:
            log.warning("health_begins_with_now", reason=str(error))
            return False
        return True

    async def _take(self, version: str, entry: LogEntry) -> None:
        at_ms = version_key(version)[0]
        for level, health in after_entry(self._noted, entry, at_ms, self._rule).items():
            if self._pending.get(level) and self._crosses(level, health):
                await self._note()  # one call tells of one crossing a level
            self._set(level, health, entry.balances[level])
        self._position = version

    async def _let_rise(self, now_ms: int) -> None:
        """Judge anew what fell long enough ago, although nothing has moved."""
        due = [
            level
            for level, health in self._noted.items()
            if (rises := rises_at_ms(health, self._rule)) is not None and rises <= now_ms
        ]
        if any(self._pending.get(level) for level in due):
            await self._note()  # a fall that nobody has been told of would be lost under its rise
        for level in due:
            self._judge(level, self._noted[level], self._balances[level], now_ms)

    def _judge(self, level: str, health: Health, balance: Balance, at_ms: int) -> None:
        after = judged(health, unshipped_ratio(balance, self._rule), at_ms, self._rule)
        if after != health:
            self._set(level, after, balance)

    def _crosses(self, level: str, health: Health) -> bool:
        return self._noted.get(level, _UNSEEN).status is not health.status

    def _set(self, level: str, health: Health, balance: Balance) -> None:
        crossing = self._pending.get(level, "")
        if self._crosses(level, health):
            crossing = _crossing(health, balance, self._rule)
        if health == self._noted.get(level, _UNSEEN):
            if level in self._noted:
                self._balances[level] = balance
            return
        self._noted[level], self._balances[level] = health, balance
        self._pending[level] = crossing

    async def _note(self, *, position_too: bool = False) -> None:
        """Tell the store what has changed; where another monitor was quicker, begin anew."""
        if not self._pending and not position_too:
            return
        rows = [
            (level, pack(self._noted[level]) if level in self._noted else "", crossing)
            for level, crossing in self._pending.items()
        ]
        self._pending = {}
        for first in range(0, max(1, len(rows)), LEVELS_PER_CALL):
            is_last = first + LEVELS_PER_CALL >= len(rows)
            # Only with the last of them everything is as of the new position.
            position = self._position if is_last else self._kept_position or self._position
            taken_over = await self._store.set_health(
                rows[first : first + LEVELS_PER_CALL],
                expected=self._kept_position,
                position=position,
                partition=self._partition,
            )
            if not taken_over:
                self._in_step = False
                return
            self._kept_position = position
            told = rows[first : first + LEVELS_PER_CALL]
            metrics.HEALTH_CROSSINGS.inc(sum(bool(crossing) for _, _, crossing in told))


def _crossing(health: Health, balance: Balance, rule: HealthRule) -> str:
    on_hand, safety, held, committed = balance
    available = max(0, on_hand - safety - held - committed)
    ratio = unshipped_ratio(balance, rule)
    text = "inf" if math.isinf(ratio) else f"{ratio:.6g}"
    return f"{health.status} {text} {health.weight} {held} {committed} {available}"
