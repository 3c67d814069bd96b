"""The grammar of records, breakers and levels, read back as values. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.errors import ScriptBug
from reservation.model import (
    Breaker,
    BreakerPolicy,
    BreakerState,
    Line,
    Origin,
    Reservation,
    State,
    StockLevel,
)
from reservation.store.records import (
    escape,
    pack_origin,
    pack_policy,
    pack_reservation,
    unescape,
    unpack_breaker,
    unpack_levels,
    unpack_policy,
    unpack_reservation,
)

T0 = 1_800_000_000_000
TWO = (Line("CAT", "main", 2), Line("a@b 猫", "west", 1))
DEFAULT = "3,300000,0,0"
POLICY = BreakerPolicy(3, 300, 0)


@given(st.text())
def test_escaping_is_undone(text: str) -> None:
    """Whatever a reason says comes back, and no control character is kept on the way."""
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not any(ord(character) < 32 or character == "\x7f" for character in escaped)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("H{T0},1800000\n", Reservation("t:1", State.HELD, TWO, T0, T0 + 1_800_000)),
        ("H{T0},9,5\n", Reservation("t:1", State.HELD, TWO, T0, T0 + 9)),
        ("C{T0},7\n", Reservation("t:1", State.CONFIRMED, TWO, T0, None, T0 + 7)),
        ("X{T0},,9\n", Reservation("t:1", State.EXPIRED, TWO, T0, None, None, T0 + 9)),
        ("R{T0},,9\n", Reservation("t:1", State.RELEASED, TWO, T0, None, None, T0 + 9)),
        ("R{T0},0,9\n", Reservation("t:1", State.RELEASED, TWO, T0, None, T0, T0 + 9)),
        ("F{T0},7,9\n", Reservation("t:1", State.FULFILLED, TWO, T0, None, T0 + 7, T0 + 9)),
    ],
)
def test_a_record_of_each_state(raw: str, expected: Reservation) -> None:
    """Times are distances from the creation; an absent one is None."""
    text = raw.replace("{T0}", str(T0)) + "2 CAT@main\n1 a@b 猫@west"
    assert expected == unpack_reservation("t:1", text)
    assert expected.channel == "t"
    assert expected == unpack_reservation("t:1", pack_reservation(expected))


def test_what_has_left_is_read_and_parts_are_skipped() -> None:
    """A line knows what has left of it; the parts are the scripts' own memory."""
    raw = f"C{T0},0\n3-2 CAT@main\n1 #a 5 X@main\n#p1 2 CAT@main\n#p2 1 #a 5 X@main"
    found = unpack_reservation("t:1", raw)
    assert (Line("CAT", "main", 3, 2), Line("#a 5 X", "main", 1)) == found.lines
    assert pack_reservation(found) == f"C{T0},0\n3-2 CAT@main\n1 #a 5 X@main"


quantities = st.integers(1, 10_000)
skus = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20
).filter(lambda text: text == text.strip())


@given(st.lists(st.tuples(quantities, skus, st.sampled_from(["main", "w-1"])), min_size=1))
def test_any_lines_come_back(rows: list[tuple[int, str, str]]) -> None:
    """Whatever characters a SKU has, its line is read as it was written."""
    body = "\n".join(f"{quantity} {sku}@{warehouse}" for quantity, sku, warehouse in rows)
    found = unpack_reservation("t:1", f"H{T0},5\n{body}")
    assert tuple(Line(sku, warehouse, q) for q, sku, warehouse in rows) == found.lines


@pytest.mark.parametrize(
    "raw", ["", "Z1,2\n1 A@m", "H,5\n1 A@m", "Hx,5\n1 A@m", f"H{T0},5\nx A@m", f"H{T0},5\n"]
)
def test_an_unreadable_record_is_a_bug_and_names_itself(raw: str) -> None:
    """What does not follow the grammar is never guessed at."""
    with pytest.raises(ScriptBug, match="record of t:1 is unreadable"):
        unpack_reservation("t:1", raw)


@given(
    st.builds(
        BreakerPolicy,
        st.integers(1, 20),
        st.integers(1, 86_400),
        st.integers(0, 86_400),
        st.booleans(),
    )
)
def test_a_policy_comes_back(policy: BreakerPolicy) -> None:
    """Seconds on our side, milliseconds on the scripts'."""
    assert policy == unpack_policy(pack_policy(policy))


def test_a_sku_that_never_failed_is_closed_by_the_default_policy() -> None:
    """'' is no breaker: closed, nothing counted."""
    expected = Breaker("CAT", BreakerState.CLOSED, 0, POLICY)
    assert expected == unpack_breaker("CAT", "", DEFAULT, T0)


@pytest.mark.parametrize(
    ("now", "failures"), [(299_999, 2), (300_000, 1), (300_004, 1), (300_005, 0)]
)
def test_failures_age_out_as_they_are_read(now: int, failures: int) -> None:
    """A failure counts while it is younger than the window, swept or not."""
    raw = f"C\t0\t0\t0\t0\t0\t\t\t\t{T0} t:1,{T0 + 5} t:2"
    assert failures == unpack_breaker("CAT", raw, DEFAULT, T0 + now).failures


def test_an_open_breaker_says_since_when_why_and_until_when() -> None:
    """What opened it stays told: failures, reason, the next try."""
    raw = f"O\t{T0}\t3\t{T0 + 60}\t60\t0\t\tfailed locks\t\t"
    expected = Breaker(
        "CAT", BreakerState.OPEN, 3, POLICY, T0, "failed locks", None, retry_at_ms=T0 + 60
    )
    assert expected == unpack_breaker("CAT", raw, DEFAULT, T0 + 59)


def test_an_ended_cool_down_reads_as_half_open_since_its_end() -> None:
    """Reads show at once what the clock has done, although no script has met it."""
    raw = f"O\t{T0}\t3\t{T0 + 60}\t60\t0\t\tfailed locks\t5,1000,60000,0\t"
    found = unpack_breaker("CAT", raw, DEFAULT, T0 + 60)
    assert (found.state, found.since_ms, found.retry_at_ms) == (
        BreakerState.HALF_OPEN,
        T0 + 60,
        None,
    )
    assert found.policy == BreakerPolicy(5, 1, 60)


def test_one_opened_by_hand_names_who_and_never_reads_as_half_open() -> None:
    """By hand means by hand only, whatever the cool-down; the reason is as it was given."""
    raw = f"M\t{T0}\t0\t0\t60\t0\talice\tfake\\x0a\\x5cstock\t\t"
    found = unpack_breaker("CAT", raw, DEFAULT, T0 + 999)
    assert (found.state, found.by, found.reason) == (BreakerState.OPEN, "alice", "fake\n\\stock")
    assert found.retry_at_ms is None


def test_levels_come_in_rows_of_five() -> None:
    """Warehouse, on hand, safety, held, committed."""
    parts = ["main", "10", "1", "2", "3", "w", "-1", "0", "0", "0"]
    assert unpack_levels("CAT", parts) == (
        StockLevel("CAT", "main", 10, 1, 2, 3),
        StockLevel("CAT", "w", -1, 0, 0, 0),
    )
    with pytest.raises(ValueError, match="zip"):
        unpack_levels("CAT", parts[:-1])


def test_an_origin_is_one_text() -> None:
    """The trace context is last and only where there is one."""
    assert pack_origin(Origin("key", "r-1")) == "key|r-1"
    assert pack_origin(Origin("key", "r-1", "00-a-b-01")) == "key|r-1|00-a-b-01"
    assert pack_origin(Origin("system")) == "system|"
