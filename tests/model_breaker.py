"""The breaker of one SKU as the contract tells it, section 5: window, half-open, cool-down."""

from __future__ import annotations

from dataclasses import dataclass, field

from reservation.model import BreakerState

DAY_MS = 86_400_000
MAX_COOL_DOWN_MS = 1 << 41  # 70 years: the contract knows no bound, dates do


@dataclass(frozen=True)
class Rules:
    """The settings that the rules depend on; the defaults are contract section 5."""

    threshold: int = 3
    window_ms: int = 300_000
    cool_down_ms: int = 0
    exempt: bool = False
    retention_ms: int = 7 * DAY_MS
    max_hold_ms: int = 7 * DAY_MS
    default_warehouse: str = "main"


@dataclass
class BreakerModel:
    """One SKU's breaker: the ids that failed and when, and what came of it."""

    rules: Rules  # the deployment's, or the SKU's own
    state: BreakerState = BreakerState.CLOSED
    by_hand: bool = False  # then only a hand closes it
    opened_by: int = 0  # failures
    failed_at: dict[str, int] = field(default_factory=dict)  # reservation id -> ms
    since_ms: int | None = None
    retry_at_ms: int | None = None
    cool_down_ms: int = 0  # of the current opening
    successes: int = 0  # since half-open

    def pass_time(self, now_ms: int) -> None:
        """Let failures age out of the window and a cool-down end."""
        if self.state is BreakerState.OPEN:
            if self.retry_at_ms is not None and now_ms >= self.retry_at_ms:
                self.half_open(self.retry_at_ms)
            return
        self.failed_at = {
            reservation_id: at_ms
            for reservation_id, at_ms in self.failed_at.items()
            if now_ms - at_ms < self.rules.window_ms
        }

    def half_open(self, now_ms: int) -> None:
        """Let everyone try; any id counts again."""
        self.state = BreakerState.HALF_OPEN
        self.since_ms = now_ms
        self.retry_at_ms = None
        self.failed_at = {}
        self.successes = 0

    @property
    def failures(self) -> int:
        """Count what counts now, or say what opened it."""
        return len(self.failed_at) if self.state is BreakerState.CLOSED else self.opened_by

    def fail(self, reservation_id: str, now_ms: int) -> bool:
        """Count one failed lock, once per id, and say whether it opened the breaker."""
        if self.state is BreakerState.OPEN or self.rules.exempt:
            return False
        if reservation_id in self.failed_at:
            return False
        self.failed_at.setdefault(reservation_id, now_ms)
        reopens = self.state is BreakerState.HALF_OPEN
        if not reopens and len(self.failed_at) < self.rules.threshold:
            return False
        wanted = self.rules.cool_down_ms  # 0: none, whatever it was
        doubles = reopens and wanted and self.cool_down_ms
        self.cool_down_ms = min(2 * self.cool_down_ms, MAX_COOL_DOWN_MS) if doubles else wanted
        self.state = BreakerState.OPEN
        self.opened_by = len(self.failed_at)
        self.since_ms = now_ms
        self.retry_at_ms = now_ms + self.cool_down_ms if self.cool_down_ms else None
        return True

    def succeed(self) -> None:
        """Count a newly granted reserve; in half-open the second one closes."""
        if self.state is not BreakerState.HALF_OPEN:
            return
        self.successes += 1
        if self.successes == 2:
            self.close()

    def close(self) -> None:
        """Forget everything but the policy."""
        self.state = BreakerState.CLOSED
        self.by_hand = False
        self.since_ms = self.retry_at_ms = None
        self.cool_down_ms = self.opened_by = self.successes = 0
        self.failed_at = {}

    def trip(self, now_ms: int) -> None:
        """Suspend by hand; what was suspended already is so since then."""
        self.opened_by = self.failures
        if self.state is not BreakerState.OPEN:
            self.since_ms = now_ms
        self.state = BreakerState.OPEN
        self.by_hand = True
        self.retry_at_ms = None
        self.cool_down_ms = 0
        self.failed_at = {}

    def set_policy(self, rules: Rules) -> None:
        """Follow other rules from now on; an exempt SKU is suspended by a hand only."""
        self.rules = rules
        if rules.exempt:
            self.failed_at = {}
            if not self.by_hand and self.state is not BreakerState.CLOSED:
                self.close()

    def stock_rose(self, now_ms: int) -> None:
        """Half-open an open breaker: a stock write has left more to sell than there was."""
        if self.state is BreakerState.OPEN and not self.by_hand:
            self.half_open(now_ms)
