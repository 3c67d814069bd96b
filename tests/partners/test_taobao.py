"""What TOP and Qimen share: times of Shanghai."""

from __future__ import annotations

import pytest

from partners.taobao import text_of_time, time_of_text


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2016-01-01 12:00:00", 1_451_620_800_000),
        ("2026-11-11 00:00:00", 1_794_326_400_000),
        ("2024-02-29 23:59:59", 1_709_222_399_000),
    ],
)
def test_times_are_of_shanghai(text, at_ms):
    """A text without a zone is eight hours before UTC's, both ways."""
    assert time_of_text(text) == at_ms
    assert text_of_time(at_ms) == text
    assert text_of_time(at_ms + 999) == text


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (253_402_271_999_000, "9999-12-31 23:59:59"),
        (253_402_300_799_000, "9999-12-31 23:59:59"),  # of UTC: the year 10000 of Shanghai
        (2**63, "9999-12-31 23:59:59"),
        (-1, "1970-01-01 08:00:00"),
    ],
)
def test_a_time_that_no_text_can_say_is_the_nearest(at_ms, text):
    """It stops no order."""
    assert text_of_time(at_ms) == text


@pytest.mark.parametrize(
    "text",
    ["", "2016-01-01", "2016-13-01 00:00:00", "2016-W01-1 12:00:00", "2016-01-01T12:00:00",
     "2016-01-01 12:00:00Z", "0000-00-00 00:00:00", "２016-01-01 12:00:00", "2016-02-30 00:00:00"],
)  # fmt: skip
def test_no_time(text):
    """What is not written like this is no time."""
    with pytest.raises(ValueError):  # noqa: PT011
        time_of_text(text)
