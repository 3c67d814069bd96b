"""What buyers do once their order is held: pay, pay late, never pay, change their mind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from random import Random

from loadtest.workload.plan import Step, Verb

# Times are parts of the holds' time to live, so that a day keeps its shape at every speed.
TYPICAL_PAYMENT = 0.1  # half of all payments come sooner: 3 minutes of 30
PAYMENT_SPREAD = 0.9  # of the logarithm: one in six takes more than 2.5 times as long
LAST_TIMELY = 0.8  # what comes within it is on time on a busy machine, too
LATE = (1.1, 1.6)  # a late payment comes well after the hold has expired
SECOND_THOUGHTS = (0.05, 0.8)  # when an unpaid order is cancelled
REGRET = (0.2, 2.0)  # after the payment, until a paid order is cancelled
ASKED = (0.3, 0.7)  # when more time is asked for
REPEATED_CALL_BACKS = 0.02  # of payments: the platform tells them twice
CALL_BACK_AGAIN = 0.02  # after the first telling


class Buyer(Enum):
    """A kind of buyer."""

    PAYS = "pays"
    PAID = "arrives paid"
    PAYS_LATE = "pays late"
    PAYS_LATE_STILL_WANTS = "pays late, and takes what is left"
    NEVER_PAYS = "never pays"
    CANCELS = "cancels before paying"
    REGRETS = "cancels after paying"
    ASKS_FOR_TIME = "asks for time, then pays"


FESTIVAL: Mapping[Buyer, float] = {  # shares; ours, as the data set knows of no payments
    Buyer.PAYS: 0.66,
    Buyer.PAID: 0.12,
    Buyer.PAYS_LATE: 0.03,
    Buyer.PAYS_LATE_STILL_WANTS: 0.03,
    Buyer.NEVER_PAYS: 0.08,
    Buyer.CANCELS: 0.05,
    Buyer.REGRETS: 0.03,
}
LIVESTREAM: Mapping[Buyer, float] = {  # bought in a hurry, more often not paid
    Buyer.PAYS: 0.75,
    Buyer.PAYS_LATE: 0.03,
    Buyer.PAYS_LATE_STILL_WANTS: 0.02,
    Buyer.NEVER_PAYS: 0.15,
    Buyer.CANCELS: 0.05,
}
EVERYONE: Mapping[Buyer, float] = {
    Buyer.PAYS: 0.5,
    Buyer.PAID: 0.1,
    Buyer.PAYS_LATE: 0.05,
    Buyer.PAYS_LATE_STILL_WANTS: 0.05,
    Buyer.NEVER_PAYS: 0.1,
    Buyer.CANCELS: 0.05,
    Buyer.REGRETS: 0.05,
    Buyer.ASKS_FOR_TIME: 0.1,
}


def choose(crowd: Mapping[Buyer, float], random: Random) -> Buyer:
    """Draw a buyer from a crowd."""
    return random.choices(tuple(crowd), tuple(crowd.values()))[0]


def steps_of(buyer: Buyer, ttl_us: int, random: Random) -> tuple[Step, ...]:
    """Draw what the buyer does, in order of time."""
    steps: tuple[Step, ...] = ()  # of who arrives paid, and of who never pays
    match buyer:
        case Buyer.PAYS:
            paid = _payment(ttl_us, random)
            steps = (Step(paid, Verb.CONFIRM),)
            if random.random() < REPEATED_CALL_BACKS:
                steps += (Step(paid + int(CALL_BACK_AGAIN * ttl_us), Verb.CONFIRM),)
        case Buyer.PAYS_LATE | Buyer.PAYS_LATE_STILL_WANTS:
            reinstate = buyer is Buyer.PAYS_LATE_STILL_WANTS
            steps = (Step(_between(LATE, ttl_us, random), Verb.CONFIRM, reinstate),)
        case Buyer.CANCELS:
            steps = (Step(_between(SECOND_THOUGHTS, ttl_us, random), Verb.RELEASE),)
        case Buyer.REGRETS:
            paid = _payment(ttl_us, random)
            gone = paid + _between(REGRET, ttl_us, random)
            steps = Step(paid, Verb.CONFIRM), Step(gone, Verb.RELEASE)
        case Buyer.ASKS_FOR_TIME:
            asked = _between(ASKED, ttl_us, random)
            paid = asked + _payment(ttl_us, random)
            steps = Step(asked, Verb.EXTEND), Step(paid, Verb.CONFIRM)
    return steps


def _payment(ttl_us: int, random: Random) -> int:
    """Draw the time until a payment that is on time."""
    drawn = random.lognormvariate(math.log(TYPICAL_PAYMENT), PAYMENT_SPREAD)
    return int(min(drawn, LAST_TIMELY * random.uniform(0.9, 1.0)) * ttl_us)


def _between(bounds: tuple[float, float], ttl_us: int, random: Random) -> int:
    return int(random.uniform(*bounds) * ttl_us)
