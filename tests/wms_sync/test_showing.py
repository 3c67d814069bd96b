"""What people do to an outbox while a process of its own works on it."""

from __future__ import annotations

from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Line, Reserve, SetStock
from tests.waiting import happens
from tests.wms_sync.depot import Depot
from tests.wms_sync.worker import working
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.desk import Verdict
from wms_sync.outbox.file import OutboxUnavailable, outbox_path
from wms_sync.outbox.reads import look_at
from wms_sync.showing import done_at


async def test_people_retry_and_keep_back_what_another_process_works_on(
    engine: Engine, settings: Settings, depot: Depot
) -> None:
    """The loops alone hold the file's lock, and go on from what people have written.

    It takes some seconds: a process has to start.
    """
    path, now_ms = outbox_path(settings.data_dir), 0
    depot.refuses["tmall:1@main"] = {"reason": "no such SKU"}
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    for number in (1, 2):
        step = Reserve(f"tmall:{number}", (Line("A", "main", 1),), 1_800_000, confirm=True)
        assert (await engine.reserve(step, SYSTEM)).status.ok

    def states() -> list[DeliveryState]:
        found = look_at(path, lambda reads: [*reads.parts("tmall:1"), *reads.parts("tmall:2")])
        return [part.state for part in found or ()]

    async def are(*wanted: DeliveryState) -> bool:
        try:
            return states() == list(wanted)
        except OutboxUnavailable:  # it is being made
            return False

    with working(settings, depot):
        await happens(lambda: are(DeliveryState.REJECTED, DeliveryState.ACCEPTED))
        depot.refuses.clear()
        assert done_at(path, lambda desk: desk.retry("tmall:1@main", "li", now_ms))
        await happens(lambda: are(DeliveryState.ACCEPTED, DeliveryState.ACCEPTED))
        asked = done_at(path, lambda desk: desk.ask_cancel("tmall:2", "refunded", now_ms))
        assert asked is Verdict.ASKED
        await happens(lambda: are(DeliveryState.ACCEPTED, DeliveryState.CANCELLED))

        async def is_released() -> bool:
            stock = await engine.stock("A")
            return stock is not None and stock.levels[0].committed == 1

        await happens(is_released)
    assert depot.effects == {"tmall:1@main": 1, "tmall:2@main": 1}
    assert depot.cancelled == {"tmall:2@main"}
