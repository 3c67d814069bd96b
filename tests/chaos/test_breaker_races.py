"""The breaker through several workers: after the third failed lock nothing is granted."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest

from reservation.events import read_entry
from reservation.store.keys import key
from reservation.store.store import Store
from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.sizes import sizes
from tests.chaos.wire import Answer, Wire

CLIENTS = 64
CHANNELS = ("tmall", "douyin", "dealer-hz")
ON_HAND = 9_000
TOO_MANY = 9_999  # never there, yet no more than a line may ask for
FAILING = 0.02  # of the requests; so the third failure comes after some waves of grants
REFUSALS = 3  # that each client sees before it stops: it asks on after the breaker has opened
MAX_REQUESTS = 200  # a client's, where the breaker does not open
THRESHOLD = 3

pytestmark = pytest.mark.timeout(7200)


async def _shop(wire: Wire, name: str, sku: str, seed: str) -> list[Answer]:
    """Ask for single units, now and then for too many, until refused by the breaker for good."""
    draw, answers, refusals = random.Random(seed), [], 0
    for number in range(MAX_REQUESTS):
        quantity = TOO_MANY if draw.random() < FAILING else 1
        answer = await wire.reserve(f"{name}-{number}", sku, quantity)
        answers.append(answer)
        refusals += answer.status == 409 and answer.slug == "sku-suspended"
        if refusals == REFUSALS:
            break
    return answers


async def _trip(wires: list[Wire], number: int) -> tuple[int, int]:
    """Trip one SKU's breaker; return how many were granted before, and how many asked after."""
    sku = f"TRIP-{number}"
    answers = [
        answer
        for of_client in await asyncio.gather(
            *(
                _shop(wire, f"{CHANNELS[index % 3]}:{number}-{index}", sku, f"{number} {index}")
                for index, wire in enumerate(wires)
            )
        )
        for answer in of_client
    ]
    refused = [answer for answer in answers if answer.status == 409]
    short = [answer for answer in refused if answer.slug == "insufficient-stock"]
    assert len(short) == THRESHOLD, f"trip {number}: {len(short)} failed locks"
    (third,) = [answer for answer in short if answer.value.get("suspended") == [sku]]
    granted = [answer for answer in answers if answer.status == 201]
    late = [answer for answer in granted if answer.sent > third.received]
    assert not late, f"trip {number}: {len(late)} granted after the breaker had opened"
    assert len(granted) + len(refused) == len(answers)
    return len(granted), sum(answer.sent > third.received for answer in answers)


async def _check_log(deployment: Deployment, trips: int) -> None:
    """Check in the store's own order: three failures, the opening, and no grant after it."""
    store = await Store.open(deployment.settings)
    try:
        entries = await store.client.xrange(key(0, "events"))
    finally:
        await store.close()
    failures: dict[str, set[str]] = defaultdict(set)
    opened: set[str] = set()
    for entry_id, fields in entries:
        for event in read_entry(fields).events:
            if event.kind == "L":
                assert event.subject not in opened
                failures[event.subject].add(f"{entry_id} {event.origin} {event.extra}")
            elif event.kind == "O":
                assert len(failures[event.subject]) == THRESHOLD
                opened.add(event.subject)
            elif event.kind == "H":
                (line,) = event.lines
                sku = line.split(" ")[1].partition("@")[0]
                assert sku not in opened, f"{event.subject} was granted after the opening"
    assert len(opened) == trips


@sizes(3, 1_000, "trips")
async def test_nothing_is_granted_after_the_third_failure(
    tmp_path: Path, program: str, trips: int, say: Say, record: Record
) -> None:
    """Whoever asks after the answer to the third failed lock is refused, on every channel.

    Judged by the callers' clocks and by the order of the store's log.
    """
    before = after = 0
    with deployed(tmp_path / "var", program) as deployment:
        async with deployment.wires(CLIENTS) as wires:
            await wires[0].count({f"TRIP-{number}": ON_HAND for number in range(trips)})
            for number in range(trips):
                granted, asked = await _trip(wires, number)
                before, after = before + granted, after + asked
                if number % 50 == 49:
                    say(f"{number + 1} of {trips} trips")
        await _check_log(deployment, trips)
        report = await deployment.audit()
    assert report.units["held"] == before
    assert after >= trips  # else nobody asked, and nothing was shown
    record(trips=trips, clients=CLIENTS, granted_before=before, asked_after=after)
