"""What is passed on is on the way only: for minutes, the owner's alone, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.shipping.addresses import MOST_AT_ONCE, AddressesUnavailable
from channels.shipping.forgetting import IDLE_SECONDS, Forgetter
from channels.shipping.passing import KEPT_MS, Passer, Passing, passing_of, passing_path
from tests.channels.shipping.test_addresses import HERE, THERE, order


async def test_what_was_passed_on_last_is_told_for_minutes(tmp_path: Path) -> None:
    """Nobody is told what is older, also where it was not forgotten yet."""
    path, now_ms = passing_path(tmp_path), 1_000
    passer = Passer(path, now_ms=lambda: now_ms)
    assert passing_of(path) is None
    await passer.pass_on("tmall:1", order("1", HERE))
    await passer.pass_on("tmall:1", order("1", THERE))
    await passer.close()
    assert path.stat().st_mode & 0o077 == 0
    reads = passing_of(path)
    assert reads is not None
    assert reads.passed("tmall:1", now_ms + KEPT_MS) == order("1", THERE)
    assert reads.passed("tmall:1", now_ms + KEPT_MS + 1) is None
    assert reads.passed("tmall:2", now_ms) is None
    reads.close()


async def test_what_nobody_took_is_forgotten(tmp_path: Path) -> None:
    """Many in several rounds; what is on the way stays."""
    passing = Passing(passing_path(tmp_path))
    passing.keep([(f"tmall:{n}", order(str(n), HERE)) for n in range(MOST_AT_ONCE + 1)], 0)
    passing.keep([("tmall:0", order("0", HERE))], 1)
    forgetter = Forgetter(tmp_path, now_ms=lambda: KEPT_MS + 1)
    assert [await forgetter.round(), await forgetter.round()] == [0.0, IDLE_SECONDS]
    assert passing.passed("tmall:9", 0) is None
    assert passing.passed("tmall:0", 0) is not None
    passing.close()


async def test_a_file_that_cannot_be_used_keeps_no_order_waiting(tmp_path: Path) -> None:
    """Its platform is asked once more instead; who reads is told."""
    path = passing_path(tmp_path)
    path.write_bytes(b"no database at all, and long enough to be read as one")
    passer = Passer(path)
    await passer.pass_on("tmall:1", order("1", HERE))
    await passer.close()
    with pytest.raises(AddressesUnavailable):
        passing_of(path)
