"""What is counted of a day, and when a day begins."""

from __future__ import annotations

import pytest

from reservation.events.entries import LoggedEvent
from reservation.events.figures import DAY_MS, day_of, figures_of

LINES = ("2 CAT@main", "3 DOG@main")


@pytest.mark.parametrize(
    ("kind", "extra", "lines", "figures"),
    [
        ("H", "1800000", LINES, {"orders:tmall": 1, "units:tmall": 5}),
        ("D", "", LINES, {"orders:tmall": 1, "units:tmall": 5}),
        ("C", "", LINES, {}),
        ("R", "H ", LINES, {}),
        ("X", "0", LINES, {"expired": 1}),
        ("O", "3 0 failed locks", (), {"trips": 1}),
        ("J", "3 0 failed locks", (), {}),
    ],
)
def test_orders_count_once(
    kind: str, extra: str, lines: tuple[str, ...], figures: dict[str, int]
) -> None:
    """An order counts when it takes stock, held or paid at once; not again when it is paid."""
    event = LoggedEvent(kind, "tmall:1", "gateway||", extra, lines)
    assert dict(figures_of(event)) == figures


def test_what_a_failed_lock_would_have_oversold() -> None:
    """The sum of what was asked beyond what there was."""
    lines = ("180 100 CAT@main", "5 0 CAT@east")
    event = LoggedEvent("L", "CAT", "gateway||", "douyin:1", lines)
    assert dict(figures_of(event)) == {"failed_locks": 1, "oversell_prevented": 85}


def test_a_day_begins_where_the_deployment_is() -> None:
    """In China eight hours before it does in UTC."""
    eight = 8 * 3_600_000
    assert day_of(DAY_MS - eight, eight) == 1
    assert day_of(DAY_MS - eight - 1, eight) == 0
    assert day_of(DAY_MS - eight, 0) == 0
