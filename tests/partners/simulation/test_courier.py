"""Messages on their way: in order, again until they are taken, and given up in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from partners.simulation.courier import Courier, Heard, Pace
from partners.simulation.faults import Rates
from partners.simulation.simulator import World
from tests.partners.simulation.conftest import NOON_MS
from tests.partners.simulation.receiver import until

RETRY_MS = (1_000, 5_000)


class Door:
    """Where messages are delivered to: it takes what it is told to take."""

    def __init__(self) -> None:
        self.came: list[list[str]] = []
        self.takes: Callable[[str], bool] = lambda _: True
        self.stop = False

    async def hear(self, messages: list[str]) -> Heard:
        """Keep them, and say whether they are taken."""
        self.came.append(messages)
        return Heard(taken=all(map(self.takes, messages)), stop=self.stop)


@pytest.fixture
def door() -> Door:
    return Door()


@asynccontextmanager
async def carried(world: World, door: Door, *, at_once: int = 1) -> AsyncIterator[Courier[str]]:
    """A courier at work."""
    courier = Courier[str](world, door.hear, lambda: Pace(4, at_once, RETRY_MS))
    work = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_what_is_about_one_thing_keeps_its_order(world: World, door: Door) -> None:
    """Up to so many go in one request."""
    async with carried(world, door, at_once=2) as courier:
        for message in "abcde":
            courier.send(message, "one order")
        await until(lambda: courier.counts["taken"] == 5)
    assert door.came == [["a", "b"], ["c", "d"], ["e"]]


async def test_what_is_not_taken_comes_again_and_holds_up_nothing(world: World, door: Door) -> None:
    """By the world's clock; after its last time it is given up."""
    door.takes = lambda message: message != "refused"
    async with carried(world, door) as courier:
        courier.send("refused", "one order")
        courier.send("after it", "one order")
        await until(lambda: len(door.came) == 2)
        for tries, wait_ms in enumerate(RETRY_MS, 1):
            await until(lambda: courier.waiting == 1)
            world.clock.advance(wait_ms)
            world.changed.set()
            await until(lambda tries=tries: len(door.came) == 2 + tries)
        await until(lambda: courier.counts["given_up"] == 1)
    assert door.came == [["refused"], ["after it"], ["refused"], ["refused"]]
    assert (list(courier.given_up), courier.waiting) == (["refused"], 0)


async def test_faults_befall_a_message_when_it_is_sent(world: World, door: Door) -> None:
    """A lost one never comes, a doubled one comes once more by the world's clock."""
    async with carried(world, door) as courier:
        world.faults.set(Rates(lost=1))
        courier.send("lost", "a")
        world.faults.set(Rates(duplicated=1, delay_ms=500))
        courier.send("twice", "b")
        await until(lambda: courier.counts["taken"] == 1)
        world.clock.set(NOON_MS + 500)
        world.changed.set()
        await until(lambda: courier.counts["taken"] == 2)
    assert door.came == [["twice"], ["twice"]]


async def test_told_to_stop_it_forgets_what_waits(world: World, door: Door) -> None:
    """And counts it as dropped."""
    door.takes, door.stop = lambda _: False, True
    async with carried(world, door) as courier:
        for message in "abc":
            courier.send(message, "one order")
        await until(lambda: courier.counts["dropped"] == 3)
    assert (door.came, courier.waiting) == ([["a"]], 0)
