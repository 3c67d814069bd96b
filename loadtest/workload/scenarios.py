"""The five scenarios, each a plan drawn from a seed, a number of orders and a length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from msgspec import Struct

from loadtest.workload.baskets import Shop, sample_shop
from loadtest.workload.buyers import EVERYONE, FESTIVAL, LIVESTREAM, Buyer, choose, steps_of
from loadtest.workload.curve import FESTIVAL_DAY, RUSH, STEADY, arrivals, day
from loadtest.workload.plan import SECOND_US, Errand, Lines, Order, Plan, Verb, demand

DAY_SECONDS = 86_400
PEAK_DAY_ORDERS = 47_000  # requirement R02
WAREHOUSE_ORDERS = 18_000  # of them; requirement R03: what the warehouse takes in the same day
HOLD_SECONDS = 1_800  # requirement R36, before the speed shortens it

WARM_UP_SECONDS = 3.0  # connections, caches, the first pages of memory
WARM_UP_SHARE = 0.2  # of a run too short for that
REPEATED_ORDERS = 0.05  # sent twice by their platform
REPEAT_WITHIN_DAY_SECONDS = 60.0  # of the day; on other scenarios' clocks, of an hour
SPARE = 1.05  # units of a SKU that is not scarce, over all that could be asked for

SCARCE_SKUS = 12  # of a festival day
SCARCE_STOCK = 0.25  # of what will be asked for: gone before noon; the rest is the restock
RESTOCK_AT = 15 / 24  # of the day

HOT = "HOT-1"
LIVESTREAM_SKUS: Mapping[str, float] = {  # SKU -> how much of the buying is for it
    "LIVE-1": 0.4,
    "LIVE-2": 0.25,
    "LIVE-3": 0.15,
    "LIVE-4": 0.12,
    "LIVE-5": 0.08,
}
LIVESTREAM_STOCK = 0.6  # of what will be asked for: it sells out
HOT_STOCK = 0.8


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario with the sizes that it has where none are given."""

    draw: Callable[[int, int, float], Plan]  # seed, orders, seconds of the run
    orders: int
    seconds: float
    about: str


def festival_day(seed: int, orders: int, seconds: float) -> Plan:
    """Draw a day of `orders`, compressed into `seconds`.

    Two peaks, real baskets, three channels; payments in time, late, twice or never; cancellations;
    orders sent twice; a warehouse that takes 18 of 47 orders at an even pace; a dozen SKUs that
    run out, are suspended, and come in again at 15:00.
    """
    random, shop = Random(f"festival_day:{seed}"), sample_shop()
    speed = DAY_SECONDS / seconds
    ttl = max(1, round(HOLD_SECONDS / speed))
    span = int(seconds * SECOND_US)
    again = int(REPEAT_WITHIN_DAY_SECONDS / speed * SECOND_US)
    times = _times(random, orders, seconds, day(FESTIVAL_DAY))
    drawn = _orders(random, times, shop=shop, crowd=FESTIVAL, ttl=ttl, again_us=again)
    stock, asked = _stock(drawn, SPARE), demand(drawn)
    scarce = random.sample(sorted(asked), min(SCARCE_SKUS, len(asked)))
    errands = []
    for sku in scarce:
        held_back = stock[sku] - ceil(asked[sku] * SCARCE_STOCK)
        stock[sku] -= held_back
        errands.append(Errand(int(span * RESTOCK_AT), Verb.RESTOCK, (sku,), held_back))
    parcels = orders * WAREHOUSE_ORDERS // PEAK_DAY_ORDERS
    errands += [Errand(int(span * (n + 0.5) / parcels), Verb.FULFIL) for n in range(parcels)]
    return Plan(
        "festival_day",
        seed,
        span,
        ttl,
        stock,
        drawn,
        tuple(sorted(errands, key=lambda errand: errand.due_us)),
        speed=speed,
        notes=_notes_of_the_day(speed, ttl, len(scarce), len(stock), parcels),
    )


def _notes_of_the_day(
    speed: float, ttl: int, scarce: int, skus: int, parcels: int
) -> tuple[str, ...]:
    """Tell a reader of the report what kind of a day it was."""
    short = (
        f"{scarce} of {skus:,} SKUs have stock for a quarter of what is asked for, until more comes"
        " at 15:00: what they cannot cover is refused, and three refusals suspend them."
    )
    return (
        f"One second of the run is {speed:,.0f} of the day; a hold of 30 minutes lives {ttl} s.",
        short,
        f"The warehouse takes {parcels:,} orders in the day, at an even pace.",
    )


def livestream_burst(seed: int, orders: int, seconds: float) -> Plan:
    """Draw a rush for five SKUs that sell out: most who come late are refused."""
    random, ttl = Random(f"livestream_burst:{seed}"), _ttl(5, seconds)
    skus, weights = tuple(LIVESTREAM_SKUS), tuple(LIVESTREAM_SKUS.values())

    def basket(random: Random) -> Lines:
        wanted = random.choices(skus, weights, k=2 if random.random() < 0.15 else 1)
        return tuple((sku, random.choice((1, 1, 2))) for sku in dict.fromkeys(wanted))

    times = _times(random, orders, seconds, RUSH)
    drawn = _orders(
        random,
        times,
        shop=Shop((), (), ("douyin",)),
        crowd=LIVESTREAM,
        ttl=ttl,
        again_us=200_000,
        basket=basket,
    )
    stock = _stock(drawn, LIVESTREAM_STOCK)
    note = (
        "There is stock for six tenths of what is asked for. After three orders that found too"
        " little, a SKU is suspended on every channel: those refusals are right."
    )
    span = int(seconds * SECOND_US)
    return Plan("livestream_burst", seed, span, ttl, stock, drawn, notes=(note,))


def hot_sku(seed: int, orders: int, seconds: float) -> Plan:
    """Draw a steady stream of orders for one SKU, of which there are too few units."""
    random, ttl = Random(f"hot_sku:{seed}"), _ttl(3, seconds)

    def basket(random: Random) -> Lines:
        return ((HOT, random.choice((1, 1, 1, 2))),)

    times = _times(random, orders, seconds, STEADY)
    channels = Shop((), (), ("tmall", "douyin", "dealer-hz"))
    drawn = _orders(
        random,
        times,
        shop=channels,
        crowd=LIVESTREAM,
        ttl=ttl,
        again_us=50_000,
        basket=basket,
    )
    stock = _stock(drawn, HOT_STOCK)
    notes = ("There is stock for eight tenths of what is asked for; then the SKU is suspended.",)
    return Plan("hot_sku", seed, int(seconds * SECOND_US), ttl, stock, drawn, notes=notes)


def retry_storm(seed: int, orders: int, seconds: float) -> Plan:
    """Draw steady orders whose clients lose every fifth answer and ask again."""
    random, shop, ttl = Random(f"retry_storm:{seed}"), sample_shop(), _ttl(5, seconds)
    times = _times(random, orders, seconds, STEADY)
    drawn = _orders(random, times, shop=shop, crowd=FESTIVAL, ttl=ttl, again_us=100_000)
    note = (
        "Clients throw every fifth answer away, unread, and send the same request again: all of it"
        " must have one effect."
    )
    span = int(seconds * SECOND_US)
    return Plan(
        "retry_storm", seed, span, ttl, _stock(drawn, SPARE), drawn, thrown_away=5, notes=(note,)
    )


def mixed(seed: int, orders: int, seconds: float) -> Plan:
    """Draw steady orders of all kinds of buyers beside looks, parcels and restocks."""
    random, shop, ttl = Random(f"mixed:{seed}"), sample_shop(), _ttl(4, seconds)
    times = _times(random, orders, seconds, STEADY)
    drawn = _orders(random, times, shop=shop, crowd=EVERYONE, ttl=ttl, again_us=100_000)
    stock, span = _stock(drawn, SPARE), int(seconds * SECOND_US)
    skus = tuple(stock)
    errands = [
        Errand(at, Verb.LOOK, tuple(random.sample(skus, min(10, len(skus)))))
        for at in arrivals(orders, span, STEADY, random)
    ]
    errands += [Errand(at, Verb.READ) for at in arrivals(orders // 4, span, STEADY, random)]
    errands += [Errand(at, Verb.FULFIL) for at in arrivals(orders // 3, span, STEADY, random)]
    errands += [
        Errand(at, Verb.RESTOCK, (random.choice(skus),), random.randint(1, 50))
        for at in arrivals(max(1, orders // 200), span, STEADY, random)
    ]
    errands.sort(key=lambda errand: errand.due_us)
    return Plan("mixed", seed, span, ttl, stock, drawn, tuple(errands))


SCENARIOS: Mapping[str, Scenario] = {
    "festival_day": Scenario(
        festival_day, PEAK_DAY_ORDERS, DAY_SECONDS / 600, "a day with two peaks"
    ),
    "livestream_burst": Scenario(livestream_burst, 10_000, 10.0, "a rush for five SKUs"),
    "hot_sku": Scenario(hot_sku, 30_000, 60.0, "one SKU"),
    "retry_storm": Scenario(retry_storm, 12_000, 60.0, "every fifth answer is thrown away"),
    "mixed": Scenario(mixed, 12_000, 60.0, "all verbs, looks and restocks"),
}


class Sizes(Struct, frozen=True):
    """What a plan is drawn from, and can be drawn from again."""

    scenario: str
    seed: int
    orders: int
    seconds: float

    def draw(self) -> Plan:
        """Draw the plan, the same in every process."""
        return SCENARIOS[self.scenario].draw(self.seed, self.orders, self.seconds)


def warm_up_of(orders: int, seconds: float) -> tuple[int, float]:
    """Say how many orders come for how many seconds before those that are measured."""
    warm_up = min(WARM_UP_SECONDS, seconds * WARM_UP_SHARE)
    return ceil(orders / seconds * warm_up), warm_up


def _times(random: Random, orders: int, seconds: float, knots: Sequence[float]) -> list[int]:
    """Draw arrivals: a warm-up at the run's average rate, then the run's."""
    count, warm_up = warm_up_of(orders, seconds)
    warm_up_us = int(warm_up * SECOND_US)
    early = arrivals(count, warm_up_us, STEADY, random)
    counted = arrivals(orders, int(seconds * SECOND_US), knots, random)
    return [moment - warm_up_us for moment in early] + counted


def _ttl(most: int, seconds: float) -> int:
    """Choose a time to live in whole seconds that a short run outlives."""
    return max(1, min(most, int(seconds / 2)))


def _orders(
    random: Random,
    times: Sequence[int],
    *,
    shop: Shop,
    crowd: Mapping[Buyer, float],
    ttl: int,
    again_us: int,
    basket: Callable[[Random], Lines] | None = None,
) -> tuple[Order, ...]:
    """Draw an order for each arrival; some are sent twice, within `again_us`."""
    fill = basket or shop.basket
    orders = []
    for number, due_us in enumerate(times):
        buyer = choose(crowd, random)
        repeated = random.random() < REPEATED_ORDERS
        orders.append(
            Order(
                number,
                shop.channel(random),
                due_us,
                fill(random),
                paid=buyer is Buyer.PAID,
                repeats=(random.randrange(again_us),) if repeated else (),
                steps=steps_of(buyer, ttl * SECOND_US, random),
            )
        )
    return tuple(orders)


def _stock(orders: Sequence[Order], share: float) -> dict[str, int]:
    """Lay a share of what the counted orders will ask for, and all that the warm-up will."""
    counted = demand(order for order in orders if order.due_us >= 0)
    early = demand(order for order in orders if order.due_us < 0)
    skus = sorted(counted | early)
    return {sku: ceil(counted[sku] * share) + early[sku] for sku in skus}
