"""The generator of HTTP load against the real service: refusals and lateness do not hide."""

from __future__ import annotations

import os
from itertools import count
from urllib.parse import urlsplit

import httpx
import pytest

from loadtest.bench.http_generator import Arrivals, WrongAnswer, closed_loop, latencies, open_loop
from loadtest.bench.http_requests import CREATED, OK, batches, releases, reserves
from loadtest.bench.http_servers import Serving
from tests.conftest import RunningService

SKU = "BENCHED-01"
# Ids that no other test of the shared service has.
NUMBERS = count(7_000_000)


@pytest.fixture
def serving(service: RunningService) -> Serving:
    """Give the shared service as a benchmark sees it, with stock."""
    port = urlsplit(service.url).port
    assert port is not None
    httpx.put(
        f"{service.url}/v1/stock/{SKU}",
        json={"on_hand": 1_000_000},
        headers={"authorization": f"Bearer {service.admin_key}"},
        trust_env=False,
    ).raise_for_status()
    return Serving(port, os.getpid(), service.admin_key)


def _held(service: RunningService) -> int:
    answer = httpx.get(
        f"{service.url}/v1/stock/{SKU}",
        headers={"authorization": f"Bearer {service.admin_key}"},
        trust_env=False,
    )
    return answer.json()["warehouses"][0]["held"]


@pytest.mark.chaos
def test_every_request_is_answered_once(service: RunningService, serving: Serving) -> None:
    before, first = _held(service), next(NUMBERS)
    numbers = range(first + 1, first + 301)
    requests = reserves(serving, [SKU] * 300, iter(numbers))
    load = closed_loop(serving, requests, connections=16, status=CREATED)
    assert load.rate > 0
    assert _held(service) == before + 300
    closed_loop(serving, releases(serving, numbers), connections=16, status=OK)
    assert _held(service) == before
    for _ in numbers:
        next(NUMBERS)


def test_an_answer_in_many_pieces_is_read_whole(serving: Serving) -> None:
    requests = batches(serving, [SKU] * 3_000, 1_000, NUMBERS)
    closed_loop(serving, requests, connections=2, status=OK, each_holds=1_000)


def test_a_batch_with_a_refusal_is_no_figure(serving: Serving) -> None:
    requests = batches(serving, [SKU, "NO-SUCH-SKU"], 2, NUMBERS)
    with pytest.raises(WrongAnswer):
        closed_loop(serving, requests, connections=1, status=OK, each_holds=2)


def test_a_refusal_is_no_figure(serving: Serving) -> None:
    def wrong() -> list[bytes]:
        return list(reserves(serving, ["NO-SUCH-SKU"] * 3, NUMBERS))

    arrivals = Arrivals(1_000, 1, lambda: None)
    with pytest.raises(WrongAnswer):
        closed_loop(serving, wrong(), connections=2, status=CREATED)
    with pytest.raises(WrongAnswer):
        latencies(serving, wrong(), CREATED)
    with pytest.raises(WrongAnswer):
        open_loop(serving, wrong(), arrivals, connections=2, status=CREATED)


def test_latency_counts_from_when_a_request_was_due(serving: Serving) -> None:
    """All are due at once on one connection: each waits for those before it."""
    requests = list(reserves(serving, [SKU] * 200, NUMBERS))
    called: list[None] = []
    arrivals = Arrivals(1e9, 1, lambda: called.append(None))
    took = open_loop(serving, requests, arrivals, connections=1, status=CREATED)
    assert len(took) == 200
    assert took == sorted(took)
    assert took[-1] > 10 * took[0]
    assert len(called) == 1
