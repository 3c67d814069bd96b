"""Positions of the event log, compared and stepped back from."""

from __future__ import annotations

import pytest

from reservation.store.positions import LAST_SEQUENCE, Version, version_before, version_key


def test_positions_compare_number_by_number() -> None:
    """A position is no text: 9 comes before 10."""
    assert version_key("9-10") < version_key("10-9") < version_key("10-10")
    assert version_key("1800000000000-9") < version_key("1800000000000-10")


@pytest.mark.parametrize(
    ("position", "before"),
    [
        ((7, 3), (7, 2)),
        ((7, 1), (7, 0)),
        ((7, 0), (6, LAST_SEQUENCE)),
        ((0, 1), (0, 0)),
        ((0, 0), (0, 0)),
    ],
)
def test_nothing_lies_between_a_position_and_the_one_before(
    position: Version, before: Version
) -> None:
    """The first of a millisecond comes behind the last that the one before it can have."""
    assert version_before(position) == before
