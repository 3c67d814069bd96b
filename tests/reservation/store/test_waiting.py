"""What waits for the store: channels in turn, order within each, room for who does not flood."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from reservation.model import Line, Outcome, Release, Reserve
from reservation.status import Status
from reservation.store.waiting import Alone, Group, Waiting


def entry(reservation_id: str, lines: int = 1) -> Alone:
    """Make an operation of so many lines."""
    operation = Reserve(
        reservation_id, tuple(Line(f"S{n}", "main", 1) for n in range(lines)), 1_000
    )
    return Alone(operation, "k|r", lambda _: None, 0.0)


def waiting(*entries: Alone) -> Waiting:
    made = Waiting()
    for each in entries:
        made.accept(each)
        made.add(each)
    return made


def ids(entries: list[Alone]) -> list[str]:
    return [each.operation.reservation_id for each in entries]


def taken(queue: Waiting, room: int) -> list[str]:
    return [each.operation.reservation_id for each in queue.take(room)]


def test_a_flood_of_one_channel_does_not_hold_up_the_others() -> None:
    """Whoever comes behind a thousand of another channel goes with the next call."""
    queue = waiting(*(entry(f"flood:{n}") for n in range(1_000)), entry("tmall:1"), entry("dy:1"))
    assert taken(queue, 4) == ["flood:0", "tmall:1", "dy:1", "flood:1"]
    assert taken(queue, 2) == ["flood:2", "flood:3"]


def test_channels_keep_their_turns_from_call_to_call() -> None:
    """Who was not reached in one call is reached in the next."""
    queue = waiting(*(entry(f"{channel}:{n}") for channel in ("aa", "bb", "cc") for n in range(3)))
    assert taken(queue, 2) == ["aa:0", "bb:0"]
    assert taken(queue, 2) == ["cc:0", "aa:1"]
    assert taken(queue, 9) == ["bb:1", "cc:1", "aa:2", "bb:2", "cc:2"]
    assert not queue


def test_calls_are_cut_by_lines_and_a_large_order_goes_alone() -> None:
    queue = waiting(entry("aa:0", 3), entry("aa:1", 2), entry("aa:2", 9), entry("aa:3"))
    assert taken(queue, 4) == ["aa:0"]
    assert taken(queue, 4) == ["aa:1"]
    assert taken(queue, 4) == ["aa:2"]
    assert taken(queue, 4) == ["aa:3"]


def test_what_is_put_back_goes_first_whosever_turn_it_is() -> None:
    queue = waiting(entry("aa:0"), entry("aa:1"), entry("bb:0"), entry("aa:2"))
    first = queue.take(3)
    assert ids(first) == ["aa:0", "bb:0", "aa:1"]  # type: ignore[arg-type]
    queue.put_back(first[1:])
    assert queue.lines == 3
    assert taken(queue, 9) == ["bb:0", "aa:1", "aa:2"]


def test_a_channel_may_fill_as_much_as_it_leaves_free() -> None:
    """A flood finds no more room at half of the limit; the others do, up to the limit."""
    queue = waiting(*(entry(f"flood:{n}") for n in range(50)))
    assert not queue.has_room(Release("flood:99"), 100)
    assert queue.has_room(Release("tmall:1"), 100)
    for n in range(25):
        queue.accept(entry(f"tmall:{n}"))
    assert not queue.has_room(Release("tmall:99"), 100)
    assert queue.has_room(Release("dy:1"), 100)
    for n in range(25):
        queue.accept(entry(f"other-{n}:1"))
    assert not queue.has_room(Release("dy:1"), 100)


@given(
    st.lists(st.tuples(st.sampled_from(("aa", "bb", "cc")), st.integers(1, 4)), max_size=30),
    st.integers(1, 7),
)
def test_everything_is_taken_once_in_its_channels_order(
    orders: list[tuple[str, int]], room: int
) -> None:
    """Whatever the sizes; and nothing is remembered of channels that wait no more."""
    entries = [entry(f"{channel}:{n}", lines) for n, (channel, lines) in enumerate(orders)]
    queue = waiting(*entries)
    found: list[str] = []
    while queue:
        batch = queue.take(room)
        assert len(batch) == 1 or sum(each.lines for each in batch) <= room
        found += [each.operation.reservation_id for each in batch]
    for channel in ("aa", "bb", "cc"):
        own = [name for name in ids(entries) if name.startswith(channel)]
        assert [name for name in found if name.startswith(channel)] == own
    assert len(found) == len(entries)
    assert queue.lines == 0
    assert not queue._channels


async def test_a_group_is_answered_when_its_last_member_is() -> None:
    """In the order in which it asked; a second answer changes nothing."""
    future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
    group = Group([Release("tm:1"), Release("tm:2")], "k|r", future, 1.0)  # type: ignore[arg-type]
    done, missing = Outcome(Status.DONE), Outcome(Status.RESERVATION_NOT_FOUND)
    group.members[1].answer(missing)
    group.members[1].answer(done)
    assert not future.done()
    group.members[0].answer(done)
    assert await future == [done, missing]
