"""Orders that a warehouse always fails on hold up no others."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from partners.errors import PartnerFault
from partners.model import Response
from tests.wms_sync.bed import Bed
from tests.wms_sync.depot import BatchConnector, DepotConnector, codes
from wms_sync.model import Created, DeliveryOrder
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.rules.capacity import Capacity
from wms_sync.rules.warehouse_breaker import WarehouseBreaker

AN_HOUR = 750
PACED = Capacity(AN_HOUR * 24, burst=20)
STEP_SECONDS = 2


class Poisoned(DepotConnector):
    """The depot, which fails on orders whose id says so, and on each cancel."""

    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Fail, or read."""
        if "bad" in orders[0].code:
            raise PartnerFault("http-500", "boom", again=True, unknown=True)
        return super().read_created(response, orders)

    def read_cancelled(self, response: Response) -> bool:
        """Fail."""
        raise PartnerFault("http-500", "boom", again=True, unknown=True)


async def paid(bed: Bed, ids: Sequence[str]) -> None:
    """Have orders wait, in this order."""
    for each in ids:
        await bed.pay(each)
    for _ in range(len(ids) // 50 + 2):
        await bed.follow()


async def minutes_until(bed: Bed, good: Sequence[str], *, at_most: int) -> float:
    """Hand over until all of these are taken; returns how long that took."""
    assert bed.outbox is not None
    begun_ms = bed.now_ms
    while bed.now_ms < begun_ms + at_most * 60_000:
        bed.now_ms += STEP_SECONDS * 1_000
        await bed.relay()
        depths = bed.outbox.depths("main")
        if sum(d.orders for d in depths if d.state is DeliveryState.ACCEPTED) >= len(good):
            break
    assert {bed.state(each) for each in good} == {DeliveryState.ACCEPTED}
    return (bed.now_ms - begun_ms) / 60_000


@pytest.mark.parametrize(
    ("bad", "first", "times"),
    [
        (8, True, 2.0),
        pytest.param(50, False, 2.0, marks=pytest.mark.chaos),
        # Until a good one has been tried they are a warehouse that is down.
        pytest.param(50, True, 2.5, marks=pytest.mark.chaos),
    ],
)
async def test_orders_that_always_fail_hold_up_no_others(
    bed: Bed, bad: int, *, first: bool, times: float
) -> None:
    """Before the good ones or among them: these leave in about twice the time that the pace needs.

    Those that fail stay to be seen, and are asked again ever later.
    """
    chance = random.Random(1)
    bed.draw, bed.connector_kind, bed.capacity = chance.randrange, Poisoned, PACED
    bed.open()
    ids = [f"bad{n}" for n in range(bad)] + [str(n) for n in range(300 - bad)]
    if not first:
        chance.shuffle(ids)
    await paid(bed, ids)
    good = [one for one in ids if "bad" not in one]
    assert await minutes_until(bed, good, at_most=240) <= times * 60 * len(ids) / AN_HOUR
    for number in range(bad):
        part = bed.part(f"bad{number}")
        assert (part.state, part.reason) == (DeliveryState.SENT, "http-500: boom")
        assert part.attempts >= 1
        assert part.due_ms <= bed.now_ms + 300_000


async def test_what_fails_again_is_asked_ever_later(bed: Bed) -> None:
    """Three orders in an hour without others: a call each in two to five minutes in the end."""
    bed.connector_kind, bed.capacity = Poisoned, PACED
    bed.open()
    await paid(bed, ["bad0", "bad1", "bad2"])
    for _ in range(3_600 // STEP_SECONDS):
        bed.now_ms += STEP_SECONDS * 1_000
        await bed.relay()
    assert len(codes(bed.depot)) <= 3 * (11 + 3_600 // 300)
    assert bed.part("bad0").attempts > 10


async def test_cancels_that_always_fail_hold_up_no_orders(bed: Bed) -> None:
    """Eight of them: a hundred orders leave at their pace."""
    bed.draw, bed.connector_kind = random.Random(1).randrange, Poisoned
    bed.open()
    before = [f"old{n}" for n in range(8)]
    await paid(bed, before)
    await bed.relay()
    bed.capacity = PACED
    bed.open()
    assert bed.outbox is not None
    for each in before:
        bed.outbox.ask_cancel(f"tmall:{each}", "refunded", bed.now_ms)
    good = [str(n) for n in range(100)]
    await paid(bed, good)
    assert await minutes_until(bed, [*before, *good], at_most=60) <= 2 * 60 * len(good) / AN_HOUR
    assert min(bed.part(each).attempts for each in before) > 1


@pytest.mark.parametrize("status", [400, 422])
async def test_refusals_of_content_hold_up_no_others(bed: Bed, status: int) -> None:
    """The warehouse was there and had time: its breaker and its pace stay as they are."""
    bed.calls_in_flight = 1
    bed.open()
    await paid(bed, [str(n) for n in range(30)])
    bed.depot.faults.script = [status] * 20
    await bed.relay()
    states = [bed.state(n) for n in range(30)]
    assert states.count(DeliveryState.REJECTED) == 20
    assert states.count(DeliveryState.ACCEPTED) == 10
    assert bed.outbox is not None
    kept = bed.outbox.kept("main")
    assert kept is not None
    assert (kept.pace.share, kept.breaker) == (1_000, WarehouseBreaker())


async def test_a_warehouse_that_fails_on_four_batches_is_left_alone(bed: Bed) -> None:
    """The first order that goes by itself then opens the breaker: it is its first fault."""
    bed.connector_kind = BatchConnector
    bed.open()
    await paid(bed, [str(n) for n in range(200)])
    bed.depot.faults.chance = lambda: 503
    for _ in range(20):
        await bed.later(0.5)
        await bed.relay()
    sizes = [len(of_call) for _, of_call in bed.depot.calls]
    assert sizes[:4] == [50] * 4
    assert len(sizes) <= 4 + bed.calls_in_flight + 5  # and trials, ever more seldom
