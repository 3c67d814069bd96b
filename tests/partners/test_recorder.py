"""Group commit in front of a file: here the inbox of channels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from channels.intake.inbox import Inbox, InboxUnavailable
from channels.model import Hint
from partners.recorder import MOST_WAITING, Busy, Recorder


class Watched(Inbox):
    """Counts transactions."""

    transactions = 0
    path: Path

    def keep(self, channel_hints: Iterable[tuple[str, Hint]], at_ms: int) -> int:
        """Keep, and count."""
        self.transactions += 1
        return super().keep(channel_hints, at_ms)


def hints(first: int, count: int = 1) -> list[tuple[str, Hint]]:
    """Make messages, each about an order of its own."""
    return [
        ("tmall", Hint(message_id=f"m{number}", topic="t", order_id=f"o{number}"))
        for number in range(first, first + count)
    ]


@pytest.fixture
def inbox(tmp_path: Path) -> Watched:
    """Open a new file."""
    opened = Watched(tmp_path / "channels.sqlite3")
    opened.path = tmp_path / "channels.sqlite3"
    return opened


async def test_many_requests_share_a_transaction(inbox: Watched) -> None:
    """Each returns when its own message is kept."""
    recorder = Recorder(inbox, lambda: 1_000)
    await asyncio.gather(*(recorder.keep(hints(number)) for number in range(200)))
    assert len(inbox.due("tmall", 1_000)) == 200
    assert inbox.transactions <= 3


async def test_one_that_goes_away_has_its_message_kept(inbox: Watched) -> None:
    recorder = Recorder(inbox, lambda: 1_000)
    asking = asyncio.create_task(recorder.keep(hints(1)))
    await asyncio.sleep(0)
    asking.cancel()
    await recorder.close()
    assert len(Inbox(inbox.path).due("tmall", 1_000)) == 1


async def test_one_that_goes_away_takes_nobody_with_it(inbox: Watched) -> None:
    """Of those whose messages are kept together."""
    recorder = Recorder(inbox, lambda: 1_000)
    leaving, staying = (asyncio.create_task(recorder.keep(hints(number))) for number in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert leaving.cancelled()
    assert len(inbox.due("tmall", 1_000)) == 2


async def test_beyond_the_queue_nothing_is_taken(inbox: Watched) -> None:
    """The platform is asked to send again."""
    recorder = Recorder(inbox, lambda: 1_000)
    with pytest.raises(Busy):
        await recorder.keep(hints(0, MOST_WAITING + 1))
    await recorder.keep(hints(1))
    assert len(inbox.due("tmall", 1_000)) == 1


async def test_a_fault_reaches_everybody_whose_message_is_not_kept(inbox: Watched) -> None:
    """And nobody after it, once the file can be used again."""
    recorder = Recorder(inbox, lambda: 1_000)
    inbox._db._db.execute("PRAGMA query_only=ON")
    failed = await asyncio.gather(
        *(recorder.keep(hints(number)) for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, InboxUnavailable) for one in failed)
    inbox._db._db.execute("PRAGMA query_only=OFF")
    await recorder.keep(hints(9))
    assert [look.order_id for look in inbox.due("tmall", 1_000)] == ["o9"]
