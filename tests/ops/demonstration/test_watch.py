"""The demonstration's watch: what Holdfast has made of an order."""

from __future__ import annotations

import pytest

from channels.intake.desk import Desk
from channels.intake.looks import Look
from channels.model import Hint
from ops.demonstration.watch import Watch
from reservation.config import Settings
from reservation.store.store import Store

NAME = "douyin:1"


@pytest.mark.usefixtures("store")
async def test_an_order_is_seen_to_once_its_look_is_done(settings: Settings) -> None:
    """Not before anything was told of it, nor as long as it is to be looked at."""
    async with Watch(settings) as watch:
        desk = Desk(settings.data_dir / "channels.sqlite3")
        try:
            assert await watch.seen_to([NAME]) == set()
            desk.keep([("douyin", Hint(message_id="m1", topic="101", order_id="1"))], 1_000)
            assert await watch.seen_to([NAME]) == set()
            desk.done(desk.due("douyin", 1_000))
            assert await watch.seen_to([NAME]) == {NAME}
        finally:
            desk.close()


async def test_what_is_told_while_it_looks_is_not_seen_to(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message may come between two reads: its order has not been dealt with by then."""
    del store
    read = Desk.look

    def look(desk: Desk, channel: str, order_id: str) -> Look | None:
        found = read(desk, channel, order_id)
        desk.keep([(channel, Hint(message_id="m1", topic="101", order_id=order_id))], 1_000)
        return found

    monkeypatch.setattr(Desk, "look", look)
    async with Watch(settings) as watch:
        assert await watch.seen_to([NAME]) == set()
