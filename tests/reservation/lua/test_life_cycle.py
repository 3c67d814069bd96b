"""The state x verb table of contract section 2, cell by cell, and orders of a size."""

from __future__ import annotations

import pytest

from reservation.status import Status
from tests.reservation.lua.calls import (
    T0,
    TTL,
    Advance,
    Call,
    Step,
    batch,
    confirm,
    expire,
    extend,
    fulfil,
    release,
    reserve,
    set_stock,
)
from tests.reservation.lua.partition import Partition, differences

ID = "tmall:1"
RESERVE = reserve(ID, "2 CAT@main, 1 DOG@main")
COMMIT = reserve(ID, "2 CAT@main, 1 DOG@main", ttl=0)

# How a reservation of each state comes about; `taken` leaves an expired one's stock to another.
MADE: dict[str, tuple[Step, ...]] = {
    "held": (RESERVE,),
    "confirmed": (COMMIT,),
    "partly shipped": (COMMIT, fulfil(ID, "a", "1 CAT@main")),
    "overdue": (RESERVE, Advance(TTL)),
    "expired": (RESERVE, Advance(TTL), expire()),
    "expired, taken": (RESERVE, Advance(TTL), expire(), reserve("tmall:2", "9 CAT@main", ttl=0)),
    "released": (RESERVE, release(ID)),
    "fulfilled": (COMMIT, fulfil(ID, "a", "1 CAT@main"), fulfil(ID)),
}

VERBS: dict[str, Call] = {
    "reserve": RESERVE,
    "reserve, confirmed": COMMIT,
    "reserve, other lines": reserve(ID, "1 CAT@main"),
    "confirm": confirm(ID),
    "reinstate": confirm(ID, reinstate=True),
    "release": release(ID),
    "extend": extend(ID, 2 * TTL),
    "fulfil": fulfil(ID),
    "fulfil a part": fulfil(ID, "b", "1 DOG@main"),
    "fulfil the known part": fulfil(ID, "a", "1 CAT@main"),
}

DONE, REPLAYED, REUSED = Status.DONE, Status.REPLAYED, Status.ID_REUSED
EXPIRED, RELEASED = Status.RESERVATION_EXPIRED, Status.RESERVATION_RELEASED
FULFILLED, ALREADY = Status.RESERVATION_FULFILLED, Status.ALREADY_CONFIRMED
NOT_CONFIRMED, EXCEEDS = Status.NOT_CONFIRMED, Status.EXCEEDS_RESERVED
SHORT = Status.INSUFFICIENT_STOCK

# verb -> state -> status and the letter of the state it ends in.
TABLE: dict[str, dict[str, tuple[Status, str]]] = {
    "confirm": {
        "held": (DONE, "C"),
        "confirmed": (DONE, "C"),
        "partly shipped": (DONE, "C"),
        "overdue": (EXPIRED, "X"),
        "expired": (EXPIRED, "X"),
        "expired, taken": (EXPIRED, "X"),
        "released": (RELEASED, "R"),
        "fulfilled": (DONE, "F"),
    },
    "reinstate": {
        "held": (DONE, "C"),
        "confirmed": (DONE, "C"),
        "partly shipped": (DONE, "C"),
        "overdue": (DONE, "C"),
        "expired": (DONE, "C"),
        "expired, taken": (SHORT, "X"),
        "released": (RELEASED, "R"),
        "fulfilled": (DONE, "F"),
    },
    "release": {
        "held": (DONE, "R"),
        "confirmed": (DONE, "R"),
        "partly shipped": (DONE, "R"),
        "overdue": (DONE, "R"),
        "expired": (DONE, "R"),
        "expired, taken": (DONE, "R"),
        "released": (DONE, "R"),
        "fulfilled": (FULFILLED, "F"),
    },
    "extend": {
        "held": (DONE, "H"),
        "confirmed": (ALREADY, "C"),
        "partly shipped": (ALREADY, "C"),
        "overdue": (EXPIRED, "X"),
        "expired": (EXPIRED, "X"),
        "expired, taken": (EXPIRED, "X"),
        "released": (RELEASED, "R"),
        "fulfilled": (FULFILLED, "F"),
    },
    "fulfil": {
        "held": (NOT_CONFIRMED, "H"),
        "confirmed": (DONE, "F"),
        "partly shipped": (DONE, "F"),
        "overdue": (EXPIRED, "X"),
        "expired": (EXPIRED, "X"),
        "expired, taken": (EXPIRED, "X"),
        "released": (RELEASED, "R"),
        "fulfilled": (DONE, "F"),
    },
    "fulfil a part": {
        "held": (NOT_CONFIRMED, "H"),
        "confirmed": (DONE, "C"),
        "partly shipped": (DONE, "C"),
        "overdue": (EXPIRED, "X"),
        "expired": (EXPIRED, "X"),
        "expired, taken": (EXPIRED, "X"),
        "released": (RELEASED, "R"),
        "fulfilled": (EXCEEDS, "F"),
    },
    "fulfil the known part": {
        "held": (NOT_CONFIRMED, "H"),
        "confirmed": (DONE, "C"),
        "partly shipped": (REPLAYED, "C"),
        "overdue": (EXPIRED, "X"),
        "expired": (EXPIRED, "X"),
        "expired, taken": (EXPIRED, "X"),
        "released": (RELEASED, "R"),
        "fulfilled": (REPLAYED, "F"),
    },
}
LETTERS = {"held": "H", "confirmed": "C", "partly shipped": "C", "released": "R", "fulfilled": "F"}
for _verb, _status in (
    ("reserve", REPLAYED),
    ("reserve, confirmed", REPLAYED),
    ("reserve, other lines", REUSED),
):
    TABLE[_verb] = {state: (_status, LETTERS.get(state, "X")) for state in MADE}

CELLS = [(verb, state) for verb in VERBS for state in MADE]
UNMOVED = {  # a DONE that found its effect there already
    ("confirm", "confirmed"),
    ("confirm", "partly shipped"),
    ("confirm", "fulfilled"),
    ("reinstate", "confirmed"),
    ("reinstate", "partly shipped"),
    ("reinstate", "fulfilled"),
    ("release", "released"),
    ("fulfil", "fulfilled"),
}


def status_of(answer: object) -> int:
    """Name the status of an answer: a record says that it is done."""
    if isinstance(answer, str):
        return DONE
    return answer if isinstance(answer, int) else answer[0]  # type: ignore[index]


@pytest.mark.parametrize(("verb", "state"), CELLS, ids=str)
def test_cell(partition: Partition, verb: str, state: str) -> None:
    """A verb in a state answers and ends as the contract says; what does not move is untouched."""
    partition.run(batch(set_stock("CAT@main", 10), set_stock("DOG@main", 5)))
    for step in MADE[state]:
        partition.run(step)
    before = partition.state()
    (answer,) = partition.run(VERBS[verb])[2:]
    after = partition.state()
    status, letter = TABLE[verb][state]
    assert (status, letter) == (status_of(answer), after[f"reservations {ID}"][0])
    if state != "overdue" and (status is not DONE or (verb, state) in UNMOVED):
        assert differences(before, after) == {}
    else:
        assert differences(before, after) != {}


@pytest.mark.parametrize("verb", [verb for verb in VERBS if not verb.startswith("reserve")])
def test_an_unknown_id_is_not_found_by_any_verb(partition: Partition, verb: str) -> None:
    """No verb but reserve makes a reservation."""
    before = partition.state()
    assert partition.run(VERBS[verb])[2:] == [Status.RESERVATION_NOT_FOUND]
    assert before == partition.state()


def test_a_thousand_distinct_lines_in_one_order(partition: Partition) -> None:
    """The largest order is held, confirmed, shipped in part, then whole; another is released."""
    levels = [f"S{n:04d}@main" for n in range(1000)]
    for first in range(0, 1000, 250):
        partition.run(batch(*(set_stock(level, 3) for level in levels[first : first + 250])))
    lines = [(1, level) for level in levels]
    assert partition.run(batch(reserve(ID, lines), reserve("tmall:2", lines)))[2:] == [DONE]
    state = partition.state()
    assert {state[f"held {level}"] for level in levels} == {"2"}
    assert partition.run(reserve(ID, lines))[2][0] == REPLAYED
    assert partition.run(extend(ID, 2 * TTL))[2].startswith(f"H{T0},{2 * TTL},{TTL}\n1 S0000@main")
    assert partition.run(confirm(ID))[2].startswith(f"C{T0},0\n")
    assert partition.run(fulfil(ID, "a", lines[:999]))[2].startswith(f"C{T0},0\n1-1 S0000@main")
    assert partition.run(fulfil(ID, "a", lines[:999]))[2][0] == REPLAYED
    assert partition.run(fulfil(ID))[2].startswith(f"F{T0},0,0\n1-1 S0000@main")
    assert partition.run(release("tmall:2"))[2].startswith(f"R{T0},,0\n")
    state = partition.state()
    assert {state[f"on_hand {level}"] for level in levels} == {"2"}
    assert {state[f"held {level}"] for level in levels} == {"0"}
    assert {state[f"committed {level}"] for level in levels} == {"0"}


def test_a_call_that_is_larger_than_unpack_goes_in_chunks(partition: Partition) -> None:
    """Five orders of a thousand lines in one call: 10,000 values a key, Lua unpacks 8,000."""
    levels = [f"S{n:04d}@main" for n in range(5000)]
    for first in range(0, 5000, 250):
        partition.run(batch(*(set_stock(level, 1) for level in levels[first : first + 250])))
    orders = [
        reserve(f"tmall:{n}", [(1, level) for level in levels[1000 * n : 1000 * n + 1000]])
        for n in range(5)
    ]
    assert partition.run(batch(*orders))[2:] == [DONE]
    state = partition.state()
    assert {state[f"held {level}"] for level in levels} == {"1"}
    answers = [partition.run(release(f"tmall:{n}"))[2] for n in range(5)]
    assert [answer.partition(",")[0] for answer in answers] == [f"R{T0}"] * 5


def test_a_thousand_lines_expire_and_come_back(partition: Partition) -> None:
    """The largest order is reclaimed in one call and reinstated in one."""
    levels = [f"S{n:04d}@main" for n in range(1000)]
    for first in range(0, 1000, 250):
        partition.run(batch(*(set_stock(level, 1) for level in levels[first : first + 250])))
    partition.run(reserve(ID, [(1, level) for level in levels]))
    partition.run(Advance(TTL))
    assert partition.run(confirm(ID, reinstate=True))[2].startswith(f"C{T0},{TTL}\n1 S0000@main")
    state = partition.state()
    assert {(state[f"held {level}"], state[f"committed {level}"]) for level in levels} == {
        ("0", "1")
    }


def test_a_short_thousandth_line_refuses_the_whole_order(partition: Partition) -> None:
    """999 lines that fit are not held for an instant."""
    levels = [f"S{n:04d}@main" for n in range(1000)]
    for first in range(0, 1000, 250):
        partition.run(batch(*(set_stock(level, 3) for level in levels[first : first + 250])))
    partition.run(set_stock(levels[-1], 0))
    before = partition.state()
    (answer,) = partition.run(reserve(ID, [(1, level) for level in levels]))[2:]
    assert answer == [SHORT, 0, levels[-1], "1", "0"]
    changed = {place.split(" ")[0] for place in differences(before, partition.state())}
    assert changed == {"breaker", "events", "clock"}


def test_a_call_of_250_orders(partition: Partition) -> None:
    """Each of 250 orders in one call is answered: 200 find their unit, 50 are short."""
    partition.run(set_stock("CAT@main", 200))
    partition.run(batch(*(set_stock(f"S{n}@main", 1) for n in range(50))))
    orders = [reserve(f"tmall:{n}", "1 CAT@main") for n in range(200)]
    orders += [reserve(f"dealer:{n}", f"2 S{n}@main") for n in range(50)]
    answers = partition.run(batch(*orders))[2:]
    assert answers[:200] == [DONE] * 200
    assert answers[200:] == [[SHORT, 0, f"S{n}@main", "2", "1"] for n in range(50)]
    assert (
        partition.run(batch(*(confirm(f"tmall:{n}") for n in range(200))))[2:]
        == [f"C{T0},0\n1 CAT@main"] * 200
    )
    assert (
        partition.run(batch(*(fulfil(f"tmall:{n}") for n in range(200))))[2:]
        == [f"F{T0},0,0\n1-1 CAT@main"] * 200
    )
    assert partition.state()["on_hand CAT@main"] == "0"
