"""Calls leave one by one, at the platform's pace, the urgent ones first."""

from __future__ import annotations

import asyncio

from partners.lane import Lane


async def order_of(lane: Lane, **calls: bool) -> str:
    """Let calls ask for their turn, in this order, some of them urgent; returns how they leave."""
    left: list[str] = []

    async def call(name: str, *, urgent: bool) -> None:
        await lane.turn(urgent=urgent)
        left.append(name)

    await asyncio.gather(*(call(name, urgent=urgent) for name, urgent in calls.items()))
    return "".join(left)


async def test_the_first_does_not_wait() -> None:
    """And the next one does, which it is told."""
    lane = Lane(1_000)
    assert await lane.turn() is False
    assert await lane.turn() is True


async def test_the_pace_is_kept() -> None:
    lane, loop = Lane(100), asyncio.get_running_loop()
    began = loop.time()
    assert await order_of(lane, a=False, b=False, c=False, d=False) == "abcd"
    assert loop.time() - began >= 0.03 - 0.001  # a loop may wake a clock's tick early


async def test_what_is_urgent_goes_before_what_came_earlier() -> None:
    """What has left has left; of the urgent ones the first is first."""
    assert await order_of(Lane(500), a=False, b=False, c=True, d=False, e=True) == "acebd"


async def test_who_has_gone_takes_no_turn() -> None:
    lane = Lane(500)
    await lane.turn()
    gone = asyncio.create_task(lane.turn())
    waits = asyncio.create_task(lane.turn())
    await asyncio.sleep(0)
    gone.cancel()
    assert await waits is True
    assert gone.cancelled()


async def test_a_lane_that_is_closed_lets_nothing_leave() -> None:
    """Not even who waited before; it never opens earlier than it was said once."""
    lane, loop = Lane(1_000), asyncio.get_running_loop()
    await lane.turn()
    waits = asyncio.create_task(lane.turn(urgent=True))
    await asyncio.sleep(0)
    opens = loop.time() + 0.03
    lane.close_until(opens)
    lane.close_until(opens - 0.02)
    await waits
    assert loop.time() >= opens - 0.001


async def test_a_timer_that_was_late_makes_the_lane_no_slower() -> None:
    """What should have left meanwhile leaves at once, but no more than one of what comes after."""
    lane, loop = Lane(1), asyncio.get_running_loop()
    await lane.turn()
    waits = [asyncio.create_task(lane.turn()) for _ in range(4)]
    await asyncio.sleep(0)
    lane._next = loop.time() - 1.5  # when the first of them was to leave
    lane._call()
    await asyncio.sleep(0)
    assert [task.done() for task in waits] == [True, True, False, False]
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_a_fast_lane_catches_up_what_a_late_timer_kept_back() -> None:
    """But no more than that of a twentieth of a second: the platform counts."""
    lane, loop = Lane(1_000), asyncio.get_running_loop()
    await lane.turn()
    waits = [asyncio.create_task(lane.turn()) for _ in range(200)]
    await asyncio.sleep(0)
    lane._next = loop.time() - 0.5
    lane._call()
    await asyncio.sleep(0)
    assert 50 <= sum(task.done() for task in waits) <= 55
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
