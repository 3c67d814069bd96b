"""What follows an answer, as a buyer, a platform and a warehouse would have it."""

from __future__ import annotations

from loadtest.driving.desk import MAX_SENDINGS, Act, Desk
from loadtest.driving.wire import Answer
from loadtest.workload.plan import SECOND_US, Errand, Order, Plan, Step, Verb

ZERO = 1_800_000_000_000_000
HELD, NO = Answer(201, b"{}"), Answer(409, b"{}")


def desk_of(*orders: Order, errands: tuple[Errand, ...] = ()) -> Desk:
    """Open a desk for some orders."""
    return Desk(Plan("hot_sku", 1, SECOND_US, 3, {"A": 9}, orders, errands), "run")


def order(number: int = 0, **members: object) -> Order:
    """Make an order of two units, a tenth of a second after the start."""
    return Order(number, "tmall", 100_000, (("A", 2),), **members)  # type: ignore[arg-type]


def reserve(desk: Desk, number: int = 0, answer: Answer = HELD, at: int = ZERO) -> list:
    """Send an order and see what follows."""
    act = Act(Verb.RESERVE, desk.orders[number])
    assert desk.request(act) is not None
    return desk.follow(act, answer, ZERO, at)


def test_arrivals_repeats_and_errands_are_known_before_the_start() -> None:
    """Each at its own time, whatever is answered."""
    parcel = Errand(700_000, Verb.FULFIL)
    desk = desk_of(order(repeats=(5_000,)), errands=(parcel,))
    opening = [(at - ZERO, act.verb) for at, act in desk.opening(ZERO)]
    assert opening == [
        (100_000, Verb.RESERVE),
        (105_000, Verb.RESERVE),
        (700_000, Verb.FULFIL),
    ]
    assert [live.reservation_id for live in desk.orders] == ["tmall:run-0"]


def test_a_payment_is_due_by_the_plan_not_by_the_answer() -> None:
    """A slow answer does not make the buyer slower; one that comes later is paid at once."""
    plan = order(steps=(Step(400_000, Verb.CONFIRM),))
    ((at, act),) = reserve(desk_of(plan), at=ZERO + 200_000)
    assert (at - ZERO, act.verb) == (500_000, Verb.CONFIRM)
    ((at, _),) = reserve(desk_of(plan), at=ZERO + 900_000)
    assert at - ZERO == 900_000


def test_a_refused_order_is_not_paid() -> None:
    """Nothing follows a refusal."""
    desk = desk_of(order(steps=(Step(1, Verb.CONFIRM),)))
    assert reserve(desk, answer=NO) == []


def test_an_order_that_is_sent_twice_is_paid_once() -> None:
    """Whichever of the two answers grants it first."""
    desk = desk_of(order(steps=(Step(1, Verb.CONFIRM),), repeats=(5,)))
    assert len(reserve(desk)) == 1
    assert reserve(desk, answer=Answer(200, b"{}", replayed=True)) == []


def test_an_answer_that_was_thrown_away_is_asked_for_at_once() -> None:
    """The same request again; the history has both."""
    desk = desk_of(order())
    act = Act(Verb.RESERVE, desk.orders[0])
    lost = Answer(None, lost="thrown_away")
    assert desk.follow(act, lost, ZERO, ZERO + 7) == [(ZERO + 7, act)]


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    """Ever later, and no sooner than `Retry-After`."""
    desk = desk_of(order())
    act = Act(Verb.RESERVE, desk.orders[0])
    ((first, _),) = desk.follow(act, Answer(503), ZERO, ZERO)
    ((second, _),) = desk.follow(act, Answer(503), ZERO, ZERO)
    ((third, _),) = desk.follow(act, Answer(503, retry_after=2.0), ZERO, ZERO)
    assert [first, second, third] == [ZERO + 50_000, ZERO + 100_000, ZERO + 2 * SECOND_US]


def test_a_request_is_given_up_after_a_while() -> None:
    """And counted: its order is lost to its client."""
    desk = desk_of(order())
    act = Act(Verb.RESERVE, desk.orders[0])
    silence = Answer(None, lost="reset")
    follows = [desk.follow(act, silence, ZERO, ZERO) for _ in range(MAX_SENDINGS)]
    assert [len(what) for what in follows] == [1] * (MAX_SENDINGS - 1) + [0]
    assert desk.given_up == 1


def test_parcels_take_the_oldest_paid_order() -> None:
    """Each once; not one whose buyer has cancelled; and none where there is none."""
    desk = desk_of(*(order(number, paid=True) for number in range(3)))
    for number in (1, 0, 2):
        reserve(desk, number)
    assert desk.request(Act(Verb.RELEASE, desk.orders[0])) is not None
    paths = []
    for _ in range(3):
        request = desk.request(Act(Verb.FULFIL, errand=Errand(0, Verb.FULFIL)))
        paths.append(request and request.path)
    fulfil = "/v1/reservations/tmall%3Arun-{}/fulfil"
    assert paths == [fulfil.format(1), fulfil.format(2), None]


def test_a_page_is_opened_of_an_order_that_was_granted() -> None:
    """One after the other; of a refused one there is none."""
    desk = desk_of(*(order(number) for number in range(3)))
    reserve(desk, 1, answer=NO)
    assert desk.request(Act(Verb.READ, errand=Errand(0, Verb.READ))) is None
    reserve(desk, 0)
    reserve(desk, 2)
    requests = [desk.request(Act(Verb.READ, errand=Errand(0, Verb.READ))) for _ in range(2)]
    paths = {request.path for request in requests if request is not None}
    assert paths == {"/v1/reservations/tmall%3Arun-0", "/v1/reservations/tmall%3Arun-2"}


def test_a_payment_told_twice_is_one_parcel() -> None:
    """Both calls are confirmed; the order is shipped once."""
    desk = desk_of(order())
    reserve(desk)
    for _ in range(2):
        desk.follow(Act(Verb.CONFIRM, desk.orders[0]), Answer(200, b"{}"), ZERO, ZERO)
    parcel = Act(Verb.FULFIL, errand=Errand(0, Verb.FULFIL))
    assert desk.request(parcel) is not None
    assert desk.request(Act(Verb.FULFIL, errand=Errand(0, Verb.FULFIL))) is None


def test_only_what_was_sent_is_looked_for_at_the_end() -> None:
    """An order that never left has no answer to be held to."""
    desk = desk_of(order(0), order(1))
    reserve(desk, 1, answer=NO)
    assert [act.live.order.number for act in desk.verification() if act.live] == [1]
