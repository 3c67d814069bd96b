"""What is forgotten, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.intake.desk import Desk
from channels.intake.inbox import MOST_AT_ONCE
from channels.intake.janitor import IDLE_SECONDS, Janitor
from channels.model import Hint
from reservation.config import Settings, load
from reservation.errors import ConfigurationError

NOW_MS = 1_700_000_000_000


def hint(number: int) -> tuple[str, Hint]:
    return "tmall", Hint(message_id=f"m{number}", topic="TradeRated", order_id="")


async def test_messages_are_forgotten_with_the_receipts(tmp_path: Path) -> None:
    """Many in several rounds, none before its time."""
    settings = load(data_dir=tmp_path)
    now_ms = NOW_MS
    inbox = Desk(tmp_path / "channels.sqlite3")
    janitor = Janitor(inbox, settings, now_ms=lambda: now_ms)
    inbox.keep(map(hint, range(MOST_AT_ONCE + 1)), NOW_MS)
    inbox.keep([hint(9_999)], NOW_MS + 1)
    now_ms += settings.receipt_retention_seconds * 1000
    assert await janitor.round() == IDLE_SECONDS
    now_ms += 1
    assert [await janitor.round(), await janitor.round()] == [0.0, IDLE_SECONDS]
    kept = [number for number in (0, MOST_AT_ONCE, 9_999) if inbox.keep([hint(number)], 0) == 0]
    assert kept == [9_999]
    inbox.close()


def test_orders_are_remembered_for_longer_than_receipts(tmp_path: Path) -> None:
    """Else one that had its end would be taken again."""
    assert Settings.model_fields["channels_remember_seconds"].default == 180 * 86_400
    with pytest.raises(ConfigurationError, match="channels_remember_seconds"):
        load(data_dir=tmp_path, channels_remember_seconds=86_400)
