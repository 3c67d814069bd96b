"""Calls of the scripts as values, in the order of the headers: what a row gives and asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

# Any instant; far from now, so that a script that asked the wrong clock would show.
T0 = 1_800_000_000_000
SECOND = 1_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
TTL = 30 * MINUTE
MAX_INTEGER = 2**53 - 1
RETENTION = 7 * DAY
MAX_HOLD = 7 * DAY
MAX_LOG_BYTES = 1 << 30
MAX_PARTS = 100
MAX_WAREHOUSES = 64
POLICY = "3,300000,0,0"  # threshold, window_ms, cool_down_ms, exempt: contract section 5
BY = "key|req"

Argument = str | int | bytes
Lines = str | Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Call:
    """One script call: its own arguments, then those of each operation."""

    script: str
    head: tuple[Argument, ...] = ()
    operations: tuple[tuple[Argument, ...], ...] = ()

    @property
    def arguments(self) -> list[Argument]:
        """Return ARGV."""
        return [*self.head, *(argument for each in self.operations for argument in each)]


@dataclass(frozen=True, slots=True)
class Advance:
    """So many milliseconds pass."""

    ms: int


@dataclass(frozen=True, slots=True)
class Raw:
    """A command on a key of the partition, past all scripts."""

    command: str
    key: str
    arguments: tuple[Argument, ...]


Step = Call | Advance | Raw


def raw(command: str, key: str, *arguments: Argument) -> Raw:
    """Write behind the scripts' back: states that no call of this issue can make."""
    return Raw(command, key, arguments)


def batch(*calls: Call) -> Call:
    """Put the operations of several calls of one script into one."""
    operations = tuple(operation for call in calls for operation in call.operations)
    return replace(calls[0], operations=operations)


def _lines(lines: Lines) -> list[str]:
    """Write `2 A@main, 1 B@main` or pairs as lines."""
    if isinstance(lines, str):
        return lines.split(", ") if lines else []
    return [f"{quantity} {level}" for quantity, level in lines]


def reserve(
    reservation_id: str,
    lines: Lines,
    *,
    ttl: int = TTL,
    by: str = BY,
    retention: int = RETENTION,
    max_log_bytes: int = MAX_LOG_BYTES,
) -> Call:
    """Hold lines; `ttl` 0 commits them at once."""
    texts = _lines(lines)
    operation = (f"|{by}", f"{ttl} {len(texts)}", reservation_id, *texts)
    return Call("reserve", (retention, max_log_bytes), (operation,))


def confirm(reservation_id: str, *, reinstate: bool = False, by: str = BY) -> Call:
    """Confirm a hold."""
    return Call("confirm", (RETENTION,), ((f"|{by}", f"={int(reinstate)}", reservation_id),))


def release(reservation_id: str, reason: str = "", *, by: str = BY) -> Call:
    """Release."""
    return Call("release", (RETENTION,), ((f"|{by}", f"={reason}", reservation_id),))


def extend(reservation_id: str, ttl: int, *, max_hold: int = MAX_HOLD) -> Call:
    """Set a hold's deadline to `ttl` from now."""
    return Call("extend", (RETENTION, max_hold), ((f"|{BY}", f"={ttl}", reservation_id),))


def fulfil(reservation_id: str, part: str = "", lines: Lines = "") -> Call:
    """Ship a part, or everything left."""
    texts = _lines(lines)
    operation = (reservation_id, BY, part, len(texts), *texts)
    return Call("fulfil", (RETENTION, MAX_PARTS), (operation,))


def set_stock(
    level: str,
    on_hand: int,
    safety: int | str = "",
    if_on_hand: int | str = "",
    *,
    report: bool = False,
    max_warehouses: int = MAX_WAREHOUSES,
) -> Call:
    """Set a level to a count."""
    operation = (level, BY, on_hand, safety, if_on_hand)
    return Call("set_stock", (max_warehouses, int(report)), (operation,))


def adjust_stock(
    level: str, delta: int, adjustment_id: str, reason: str = "count", *, retention: int = RETENTION
) -> Call:
    """Change a level by a difference."""
    return Call("adjust_stock", (retention,), ((level, BY, delta, adjustment_id, reason),))


def on_breaker(act: str, sku: str, detail: str, *, by: str = BY, whole: bool = False) -> Call:
    """Trip (T), reset (R), set the policy of (P) or count a failed lock for (F) a SKU."""
    return Call("set_breaker", (int(whole),), ((act, sku, by, detail),))


def set_health(
    level: str, health: str, crossing: str = "", *, expected: str = "", position: str = "5-0"
) -> Call:
    """Note the health of a level."""
    return Call("set_health", (expected, position), ((level, health, crossing),))


def set_quota(level: str, *quotas: str, anew: bool = False) -> Call:
    """Set quotas, each as `channel floor,ceiling,until`."""
    texts = [part for quota in quotas for part in quota.replace(" ", ",").split(",")]
    return Call("set_quota", (level, BY, int(anew), *texts))


def count_quota(level: str, since: str, **units: int) -> Call:
    """Count in what channels had."""
    return Call("count_quota", (level, since), tuple(units.items()))


def read_quota(sku: str) -> Call:
    """Read the quotas of a SKU."""
    return Call("read_quota", (sku,))


def read_stock(*skus: str) -> Call:
    """Read SKUs."""
    return Call("read_stock", (), tuple((sku,) for sku in skus))


def read_reservations(*reservation_ids: str) -> Call:
    """Read records."""
    return Call("read_reservations", (RETENTION,), tuple((each,) for each in reservation_ids))


def expire() -> Call:
    """Sweep."""
    return Call("expire")


def retire(cursor: str = "0") -> Call:
    """Clear what is past its retention."""
    return Call("retire", (RETENTION, cursor))


def trim(max_age_ms: int, max_bytes: int, *, archived: str = f"{MAX_INTEGER}-0") -> Call:
    """Trim the log before an entry that the archive has; unless told, it has them all."""
    return Call("trim", (max_age_ms, max_bytes, archived))


def ensure_partition(policy: str = POLICY) -> Call:
    """Lay the keys."""
    return Call("ensure_partition", (policy, "1"))


def move_clock(advance_ms: int = 0, freeze: str = "") -> Call:
    """Move the test clock."""
    return Call("move_clock", (advance_ms, freeze))


def audit_scan(name: str, cursor: str = "0", count: int = 500, *, containing: str = "") -> Call:
    """Read a chunk of a key."""
    return Call("audit_scan", (name, cursor, count, containing))


# Most tables begin here: 10 cats; 5 dogs of which 1 is kept back. Its event is the second entry.
STOCK = batch(set_stock("CAT@main", 10), set_stock("DOG@main", 5, 1))


def position(number: int, at: int = T0) -> str:
    """Name an entry of the log; 0 is the layout's, 1 that of STOCK."""
    return f"{at}-{number}"


def breaker(
    state: str,
    since: int = 0,
    *,
    failures: int = 0,
    retry_at: int = 0,
    cool_down: int = 0,
    successes: int = 0,
    by: str = "",
    reason: str = "",
    policy: str = "",
    window: str = "",
) -> str:
    """Write a breaker as its field has it."""
    parts = (state, since, failures, retry_at, cool_down, successes, by, reason, policy, window)
    return "\t".join(map(str, parts))
