"""Orders end where their platform says: asked of a real server, moved in a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.adapter import Adapter, At
from channels.intake.desk import Desk
from channels.intake.looks import LookState
from channels.intake.mover import FIRST_PAUSE_MS, MOST_ATTEMPTS, SHORT_PAUSE_MS, Mover
from channels.model import Hint, OrderLine, OrderState, PlatformOrder, Request
from channels.registry import adapter_of
from channels.transport import Platform
from reservation import metrics
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Release, SetStock, State
from reservation.quota_model import ChannelQuota
from reservation.shops import DeductsAt, Shop
from tests.channels.corner import Corner, CornerShop
from tests.conftest import Clock

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_SECONDS = 86_400


class Refusing(Corner):
    """A shop that takes it when an order cannot be covered."""

    def reject(self, order: PlatformOrder, at: At) -> Request:
        """Refuse an order."""
        del at
        return Request("GET", f"{self.account.url}/refuse/no-{order.order_id}")


class Silent(Corner):
    """A shop that cannot be asked: its messages have it all."""

    detail = Adapter.detail


class Bed:
    """A shop, an inbox, a mover, and a clock that the test moves."""

    def __init__(
        self,
        shop: CornerShop,
        inbox: Desk,
        engine: Engine,
        settings: Settings,
        kind: str = "corner:Corner",
    ) -> None:
        self.shop, self.inbox, self.engine = shop, inbox, engine
        self.now_ms = NOW_MS
        adapter = adapter_of("corner", Shop(platform=f"tests.channels.{kind}", url=shop.url))
        self.platform = Platform(adapter, now_ms=lambda: self.now_ms)
        self.mover = Mover(
            self.platform,
            inbox,
            engine,
            settings,
            now_ms=lambda: self.now_ms,
            chance=lambda: 1.0,
        )
        self._messages = 0

    async def hear(self, *orders: str) -> None:
        """Let messages about orders come, and see to them."""
        for order in orders:
            self._messages += 1
            hint = Hint(message_id=f"m{self._messages}", topic="t", order_id=order)
            self.inbox.keep([("corner", hint)], self.now_ms)
        await self.mover.round()

    async def after(self, milliseconds: int) -> None:
        """Let time pass, and see to what is due then."""
        self.now_ms += milliseconds
        await self.mover.round()

    async def state(self, order: str) -> State | None:
        """Read where we have an order."""
        found = (await self.engine.reservation(f"corner:{order}")).reservation
        return None if found is None else found.state

    async def figures(self, sku: str) -> tuple[int, int, int]:
        """Read on hand, held and committed."""
        stock = await self.engine.stock(sku)
        assert stock is not None
        level = stock.levels[0]
        return level.on_hand, level.held, level.committed

    def waiting(self, after_ms: int = 0) -> list[str]:
        """Name why orders wait that are due by then."""
        return [look.reason for look in self.inbox.due("corner", self.now_ms + after_ms)]

    def stuck(self) -> list[str]:
        """Name why orders are left to a person."""
        return [look.reason for look in self.inbox.troubles(state=LookState.STUCK)]


@pytest.fixture
async def bed(
    request: pytest.FixtureRequest,
    shop: CornerShop,
    engine: Engine,
    settings: Settings,
    tmp_path: Path,
) -> AsyncIterator[Bed]:
    """Lay ten of A; a parameter names another adapter than the corner shop's."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    inbox = Desk(tmp_path / "channels.sqlite3")
    made = Bed(shop, inbox, engine, settings, getattr(request, "param", "corner:Corner"))
    yield made
    await made.platform.close()
    inbox.close()


async def test_an_order_goes_its_way(bed: Bed) -> None:
    """Placed, paid, shipped; nothing waits afterwards."""
    for word, figures in (
        ("on the slate", (10, 2, 0)),
        ("settled", (10, 0, 2)),
        ("carried home", (8, 0, 0)),
    ):
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1", "1")
        assert await bed.figures("A") == figures
        assert bed.waiting() == []
    assert await bed.state("1") is State.FULFILLED


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (("settled",), (10, 0, 2)),
        (("carried home",), (8, 0, 0)),
        (("forgotten",), (10, 0, 0)),
        (("on the slate", "forgotten"), (10, 0, 0)),
        (("settled", "forgotten"), (10, 0, 0)),
        (("forgotten", "forgotten"), (10, 0, 0)),
        (("settled", "on the slate"), (10, 0, 2)),
    ],
)
async def test_whatever_is_missed_the_end_is_the_same(
    bed: Bed, words: tuple[str, ...], figures: tuple[int, int, int]
) -> None:
    """The platform's own later word counts, also where it is behind itself for a while."""
    for word in words:
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1")
    assert await bed.figures("A") == figures
    assert bed.waiting() == bed.stuck() == []


async def test_a_paid_order_that_cannot_be_covered_is_not_dropped(bed: Bed) -> None:
    """It stays with its figures, and is covered once there is stock."""
    bed.shop.tell("1", "settled", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 12 of 10"]
    assert await bed.figures("A") == (10, 0, 0)
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    bed.now_ms += SHORT_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (20, 0, 12)
    assert bed.waiting(10**9) == []


async def test_a_paid_order_of_a_suspended_sku_waits(bed: Bed) -> None:
    await bed.engine.breakers.trip(["A"], "by hand", SYSTEM)
    bed.shop.tell("1", "settled", ("A", 1))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["suspended: A"]


async def test_a_paid_order_beyond_its_channels_quota_waits(bed: Bed) -> None:
    """It stays with the quota's figure, and is covered once the quota allows it."""
    none = ChannelQuota("corner", ceiling=0)
    await bed.engine.quotas.set("A", "main", [none], SYSTEM)
    bed.shop.tell("1", "settled", ("A", 1))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 1 of a quota's 0"]
    await bed.engine.quotas.set("A", "main", [], SYSTEM)
    bed.now_ms += SHORT_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 1)


async def test_an_unpaid_order_that_cannot_be_held_is_the_buyers_bad_luck(bed: Bed) -> None:
    """When it is paid all the same it becomes a person's business; before that nothing is."""
    bed.shop.tell("1", "on the slate", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(10**9) == bed.stuck() == []


@pytest.mark.parametrize(
    ("word", "lines", "reason"),
    [
        ("sold to the moon", [("A", 1)], "unknown-word: word 'sold to the moon' is in no table"),
        ("settled", [("B", 1)], "unknown-sku: B in main"),
        ("settled", [("", 1)], "unknown-sku: no code of ours on lines ['0']"),
        ("settled", [("A", 0)], "invalid: "),
        ("on the slate", [("A", 10**9)], "invalid: "),
    ],
)
async def test_what_makes_no_sense_is_left_to_a_person(
    bed: Bed, word: str, lines: list[tuple[str, int]], reason: str
) -> None:
    """With what is wrong; nothing is taken meanwhile."""
    bed.shop.tell("1", word, *lines)
    await bed.hear("1")
    (told,) = bed.stuck()
    assert told.startswith(reason)
    assert await bed.figures("A") == (10, 0, 0)


async def test_what_was_given_back_by_hand_and_is_paid_is_left_to_a_person(bed: Bed) -> None:
    bed.shop.tell("1", "on the slate", ("A", 2))
    await bed.hear("1")
    await bed.engine.release(Release("corner:1", "by hand"), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert bed.stuck() == ["released: settled, and its stock was given back"]


async def test_a_platform_that_fails_is_asked_again(bed: Bed) -> None:
    """Later each time; one that asks to be left alone is."""
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(500, {}), (502, {})]
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS - 1) == []
    assert bed.waiting(FIRST_PAUSE_MS) == ["platform: 500"]
    bed.now_ms += FIRST_PAUSE_MS
    await bed.mover.round()
    assert bed.waiting(2 * FIRST_PAUSE_MS - 1) == []
    bed.now_ms += 2 * FIRST_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_throttles_says_for_how_long(bed: Bed) -> None:
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(429, {"retry-after": "0.05"})]
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS + 49) == []
    bed.now_ms += FIRST_PAUSE_MS + 50
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_refuses_is_a_persons_business(bed: Bed) -> None:
    """At once; news of the order set it going again."""
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(403, {})]
    await bed.hear("1")
    assert bed.stuck() == ["platform: 403"]
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 2)
    assert bed.stuck() == []


async def test_a_platform_that_never_answers_is_given_up_visibly(bed: Bed) -> None:
    bed.shop.faults += [(500, {})] * MOST_ATTEMPTS
    await bed.hear("1")
    for _ in range(MOST_ATTEMPTS):
        bed.now_ms += 10**6
        await bed.mover.round()
    assert bed.stuck() == ["platform: 500"]
    assert len(bed.shop.asked) == MOST_ATTEMPTS


async def test_many_orders_are_moved_at_once(bed: Bed) -> None:
    """Each has its one effect, however often it is told of."""
    await bed.engine.set_stock(SetStock("A", "main", 1_000, 0), SYSTEM)
    orders = [str(number) for number in range(20)]
    for order in orders:
        bed.shop.tell(order, "settled", ("A", 3))
    await bed.hear(*orders, *orders)
    await bed.hear(*orders)
    assert await bed.figures("A") == (1_000, 0, 60)


async def test_an_order_that_has_had_its_end_is_not_taken_again(bed: Bed, clock: Clock) -> None:
    """Platforms speak of it for months; what we knew of it is cleared long before."""
    for order, words in {"1": ["settled", "carried home"], "2": ["settled", "forgotten"]}.items():
        for word in words:
            bed.shop.tell(order, word, ("A", 2))
            await bed.hear(order)
    assert await bed.figures("A") == (8, 0, 0)
    await clock.advance(8 * DAY_SECONDS)
    assert await bed.state("1") is None
    for word in ("carried home", "settled"):
        bed.shop.tell("1", word, ("A", 2))
        bed.shop.tell("2", word, ("A", 2))
        await bed.hear("1", "2")
        assert await bed.figures("A") == (8, 0, 0)
        assert bed.waiting(10**9) == bed.stuck() == []


async def test_what_a_person_gave_back_is_not_taken_again_either(bed: Bed, clock: Clock) -> None:
    """Though its platform says that it is paid: that was said when it was given back."""
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    await bed.engine.release(Release("corner:1", "by hand"), SYSTEM)
    await bed.hear("1")
    assert len(bed.stuck()) == 1
    await clock.advance(8 * DAY_SECONDS)
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 0)


@pytest.mark.parametrize(
    ("later_seconds", "free", "figures", "waiting"),
    [
        (3_600, 10, (10, 0, 2), []),
        (60 * DAY_SECONDS, 10, (10, 0, 2), []),
        (60 * DAY_SECONDS, 1, (1, 0, 0), ["short: A 2 of 1"]),
    ],
)
async def test_what_is_paid_long_after_its_hold_has_lapsed_is_covered_or_shown(
    bed: Bed,
    clock: Clock,
    later_seconds: int,
    free: int,
    figures: tuple[int, int, int],
    waiting: list[str],
) -> None:
    """Of a presale the deposit keeps nothing back; what is paid in the end takes what is free."""
    bed.shop.tell("1", "on the slate", ("A", 2))
    await bed.hear("1")
    assert await bed.figures("A") == (10, 2, 0)
    await clock.advance(1_800)
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 0)
    await clock.advance(later_seconds)
    await bed.engine.set_stock(SetStock("A", "main", free, 0), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert await bed.figures("A") == figures
    assert bed.waiting(SHORT_PAUSE_MS) == waiting
    assert bed.stuck() == []


async def test_an_order_that_waits_for_stock_outlasts_a_platform_that_fails(bed: Bed) -> None:
    """It has not failed before, however often it was tried."""
    bed.shop.tell("1", "settled", ("A", 12))
    await bed.hear("1")
    for _ in range(MOST_ATTEMPTS + 1):
        await bed.after(SHORT_PAUSE_MS)
    bed.shop.faults += [(500, {})]
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(FIRST_PAUSE_MS) == ["platform: 500"]
    assert bed.stuck() == []


async def test_an_anomaly_is_described_so_that_a_sweep_leaves_it_alone(bed: Bed) -> None:
    bed.shop.tell("1", "settled", ("B", 1))
    await bed.hear("1")
    (row,) = bed.inbox._db.execute("SELECT order_id, asked_ms FROM described").fetchall()
    assert row == ("1", NOW_MS)


# -- what is refused to the platform ---------------------------------------------------------------

refusing = pytest.mark.parametrize("bed", ["intake.test_mover:Refusing"], indirect=True)


def refused(bed: Bed) -> list[str]:
    """Name the orders that were refused."""
    return [order for order in bed.shop.asked if order.startswith("no-")]


async def short(bed: Bed, word: str = "settled") -> None:
    """Let an order be short, and all but a minute of its time pass."""
    bed.shop.tell("1", word, ("A", 12))
    await bed.hear("1")
    await bed.after(23 * HOUR_MS + 59 * SHORT_PAUSE_MS)
    assert refused(bed) == []
    assert len(bed.waiting(SHORT_PAUSE_MS)) == 1


@refusing
async def test_a_paid_order_that_stays_short_is_refused_once(bed: Bed) -> None:
    """It stays an anomaly, and takes nothing, until its platform has closed it."""
    await short(bed)
    await bed.after(SHORT_PAUSE_MS - 1)
    assert refused(bed) == []
    await bed.after(1)
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == ["no-1"]
    (reason,) = bed.stuck()
    assert reason == ("rejected: A 12 of 10; its platform was told so at 2023-11-15T22:13:20.000Z")
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    await bed.hear("1")
    assert bed.stuck() == ["rejected: its platform was told so at 2023-11-15T22:13:20.000Z"]
    assert refused(bed) == ["no-1"]
    assert await bed.figures("A") == (20, 0, 0)
    bed.shop.tell("1", "forgotten", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(10**9) == bed.stuck() == []
    assert refused(bed) == ["no-1"]


@refusing
async def test_what_can_be_covered_by_then_is_not_refused(bed: Bed) -> None:
    await short(bed)
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    await bed.after(SHORT_PAUSE_MS)
    assert await bed.figures("A") == (20, 0, 12)
    assert refused(bed) == bed.stuck() == bed.waiting(10**9) == []


@refusing
@pytest.mark.parametrize("word", ["forgotten", "carried home", "on the slate"])
async def test_what_is_not_to_be_sent_any_more_is_not_refused(bed: Bed, word: str) -> None:
    """It is asked for just before."""
    await short(bed)
    bed.shop.tell("1", word, ("A", 12))
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == []


@refusing
async def test_what_a_message_brought_long_ago_is_asked_for_before_it_is_refused(bed: Bed) -> None:
    """That the order was closed may have been told to nobody."""
    await bed.engine.set_stock(SetStock("A", "main", 1, 0), SYSTEM)
    told(bed, 1)
    await bed.mover.round()
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 2 of 1"]
    bed.shop.tell("1", "forgotten", ("A", 2))
    await bed.after(24 * HOUR_MS)
    assert refused(bed) == bed.stuck() == bed.waiting(10**9) == []


@refusing
async def test_what_is_suspended_is_not_refused_and_begins_to_be_short_anew(bed: Bed) -> None:
    await short(bed)
    await bed.engine.breakers.trip(["A"], "by hand", SYSTEM)
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(SHORT_PAUSE_MS) == ["suspended: A"]
    await bed.engine.breakers.reset(["A"], "by hand", SYSTEM)
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 12 of 10"]
    assert refused(bed) == []


@refusing
async def test_news_do_not_put_a_refusal_off(bed: Bed) -> None:
    await short(bed)
    await bed.hear("1")
    await bed.after(SHORT_PAUSE_MS)
    assert refused(bed) == ["no-1"]


@refusing
async def test_a_platform_that_fails_is_told_later(bed: Bed) -> None:
    """One that does not take it leaves it to a person; by hand it is tried once more."""
    await short(bed)
    bed.shop.faults += [(200, {}), (503, {})]
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(FIRST_PAUSE_MS) == ["short: A 12 of 10; to be rejected, platform: 503"]
    bed.shop.faults += [(200, {}), (403, {})]
    await bed.after(FIRST_PAUSE_MS)
    assert bed.stuck() == ["short: A 12 of 10; to be rejected, platform: 403"]
    assert bed.inbox.look_now("corner", "1", bed.now_ms)
    await bed.mover.round()
    assert refused(bed) == ["no-1"] * 3
    assert bed.stuck()[0].startswith("rejected: ")


async def test_where_no_platform_can_be_told_it_goes_on_waiting(bed: Bed) -> None:
    await short(bed)
    await bed.after(SHORT_PAUSE_MS)
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 12 of 10"]


# -- what cannot be read ---------------------------------------------------------------------------


def told(bed: Bed, number: int, changed_ms: int = 0, word: str = "") -> None:
    """Let a message come that has its order, or else a word that nobody knows."""
    order = PlatformOrder(
        order_id="1",
        state=OrderState.PAID,
        word="settled",
        lines=(OrderLine(line_id="1", sku="A", quantity=2, state=OrderState.PAID),),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=0,
        changed_at_ms=changed_ms,
    )
    hint = Hint(
        message_id=str(number),
        topic="t",
        order_id="1",
        order=None if word else order,
        unknown=word,
    )
    bed.inbox.keep([("corner", hint)], bed.now_ms)


@pytest.mark.parametrize("bed", ["intake.test_mover:Silent"], indirect=True)
async def test_an_unknown_word_is_shown_and_what_is_known_is_done(bed: Bed) -> None:
    """The next message that can be read ends it."""
    told(bed, 1)
    told(bed, 2, word="status 'bartered' is in no table of ours")
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)
    assert bed.stuck() == ["unknown-word: status 'bartered' is in no table of ours"]
    assert [kept.unknown != "" for kept in bed.inbox.messages("corner", "1")] == [True, False]
    told(bed, 3, changed_ms=1)
    await bed.mover.round()
    assert bed.stuck() == bed.waiting(10**9) == []
    told(bed, 4, word="bartered")
    await bed.mover.round()
    assert bed.stuck() == ["unknown-word: bartered"]


async def test_an_unknown_word_is_nothing_where_the_platform_can_be_asked(bed: Bed) -> None:
    bed.shop.tell("1", "carried home", ("A", 2))
    told(bed, 1)
    told(bed, 2, word="bartered")
    await bed.mover.round()
    assert await bed.figures("A") == (8, 0, 0)
    assert bed.stuck() == bed.waiting(10**9) == []


async def test_what_does_not_fit_is_counted_and_shown(bed: Bed) -> None:
    """With its lines, for people; until it has come to its end."""

    def counted() -> list[float]:
        series = [metrics.CHANNEL_UNFIT.labels("corner", state.value) for state in LookState]
        return [one._value.get() for one in series]

    bed.shop.tell("1", "settled", ("A", 20))
    await bed.hear("1")
    shown = bed.inbox.shown("corner", "1")
    assert shown is not None
    assert [(line.sku, line.quantity) for line in shown[0].lines] == [("A", 20)]
    await bed.mover._count()
    assert counted() == [1, 0]
    bed.shop.tell("2", "settled", ("nothing of ours", 1))
    await bed.hear("2")
    await bed.mover._count()
    assert counted() == [1, 1]
    bed.shop.tell("1", "forgotten", ("A", 20))
    await bed.hear("1")
    assert bed.inbox.shown("corner", "1") is None
    await bed.mover._count()
    assert counted() == [0, 1]
