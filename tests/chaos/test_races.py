"""Many at once through several workers: one unit has one owner, one id has one effect."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Deployment, Stopwatch, deployed
from tests.chaos.sizes import sizes
from tests.chaos.wire import Answer, Wire

CLIENTS = 64
SAME = 100  # sends of one id at once
CHANNELS = ("tmall", "douyin", "dealer-hz")
THRESHOLD = 3  # failed locks that suspend a SKU

pytestmark = pytest.mark.timeout(7200)


def _spread(deployment: Deployment) -> None:
    """Fail where one worker alone would serve the whole race."""
    counts = deployment.sockets()
    assert len(counts) >= 2, counts
    assert min(counts.values()) >= CLIENTS // 4, f"one worker has nearly all: {counts}"


async def _race(wires: list[Wire], number: int) -> None:
    """Let every client ask for the last unit, each under an id of its own."""
    sku = f"LAST-{number}"
    answers = await asyncio.gather(
        *(
            wire.reserve(f"{CHANNELS[index % 3]}:{number}-{index}", sku, 1)
            for index, wire in enumerate(wires)
        )
    )
    won = [answer for answer in answers if answer.status == 201]
    lost = [answer for answer in answers if answer.status == 409]
    assert len(won) == 1, f"round {number}: {len(won)} have the last unit"
    assert len(lost) == len(wires) - 1, [a for a in answers if a.status not in {201, 409}]
    short = [answer for answer in lost if answer.slug == "insufficient-stock"]
    assert len(short) == THRESHOLD, f"round {number}: {len(short)} failed locks"
    assert [a.value.get("suspended") for a in short].count([sku]) == 1
    suspended = [answer for answer in lost if answer.slug == "sku-suspended"]
    assert len(suspended) == len(lost) - THRESHOLD


@sizes(10, 1_000)
async def test_the_last_unit(
    tmp_path: Path, program: str, rounds: int, say: Say, record: Record
) -> None:
    """Of 64 clients that ask for the last unit at once, exactly one has it, in every round.

    Exactly three locks fail, the third answer alone says `suspended`; the others are refused by
    the breaker.
    """
    with deployed(tmp_path / "var", program) as deployment:
        async with deployment.wires(CLIENTS) as wires:
            await wires[0].count({f"LAST-{number}": 1 for number in range(rounds)})
            _spread(deployment)
            watch = Stopwatch()
            for number in range(rounds):
                await _race(wires, number)
                if number % 100 == 99:
                    say(f"{number + 1} of {rounds} rounds")
        report = await deployment.audit()
        assert report.reservations == {"held": rounds}
        assert report.units["held"] == rounds
        record(rounds=rounds, clients=CLIENTS, requests_per_second=rounds * CLIENTS / watch.seconds)


def _one_effect(answers: list[Answer]) -> None:
    """Check the answers to one reservation that was sent many times at once."""
    assert {answer.status for answer in answers} == {200, 201}
    made = [answer for answer in answers if answer.status == 201]
    assert len(made) == 1
    assert not made[0].replayed
    assert all(answer.replayed for answer in answers if answer.status == 200)
    assert {answer.body for answer in answers} == {made[0].body}


async def _same(wires: list[Wire], number: int) -> None:
    """Send one id everywhere at once; then confirm it, then release it, everywhere at once."""
    name = f"tmall:{number}"
    _one_effect(list(await asyncio.gather(*(wire.reserve(name, "SAME", 2) for wire in wires))))
    for verb, state in (("confirm", "confirmed"), ("release", "released")):
        answers = await asyncio.gather(*(wire.move(name, verb) for wire in wires))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert answers[0].value["state"] == state
        if verb == "confirm":
            level = await wires[0].level("SAME")
            assert (level["held"], level["committed"]) == (0, 2)


@pytest.mark.chaos
@sizes(3, 1_000)
async def test_the_same_id_at_once(
    tmp_path: Path, program: str, rounds: int, say: Say, record: Record
) -> None:
    """One id that is sent 100 times at once has one effect; the bodies are equal, byte by byte.

    So have its confirmation and its release.
    """
    with deployed(tmp_path / "var", program) as deployment:
        async with deployment.wires(SAME) as wires:
            await wires[0].count({"SAME": 2})  # room for one effect: a second would be refused
            _spread(deployment)
            watch = Stopwatch()
            for number in range(rounds):
                await _same(wires, number)
                if number % 100 == 99:
                    say(f"{number + 1} of {rounds} rounds")
        report = await deployment.audit()
        assert report.reservations == {"released": rounds}
        assert (report.units["held"], report.units["committed"]) == (0, 0)
        requests = rounds * SAME * 3
        record(rounds=rounds, sends_at_once=SAME, requests_per_second=requests / watch.seconds)
