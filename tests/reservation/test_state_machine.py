"""The engine on a real server agrees with the pure model, whatever is asked in whatever order.

The normal run takes 300 examples of 30 steps; `make chaos` takes 10,000 of 50 on each server:
`make chaos ARGS=tests/reservation/test_state_machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from reservation.model import Fulfil, Line, Reserve, SetStock
from tests.conftest import SERVERS, need_program
from tests.reservation.bench import Bench
from tests.reservation.machine import machine_on
from tests.reservation.strategies import IDS

SUPPRESSED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

NORMAL = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=SUPPRESSED,
    phases=(Phase.generate, Phase.shrink),
)
ROUND = settings(NORMAL, max_examples=1_000, stateful_step_count=50)
ROUNDS = 10  # Hypothesis remembers every example of a round: 10,000 at once would take gigabytes


@pytest.fixture(scope="module", params=SERVERS)
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """Give a server that may be killed, of each kind that we support."""
    program = need_program("redis-server") if request.param == "redis" else "auto"
    with Bench(program, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.mark.timeout(300)
def test_the_engine_agrees_with_the_model(bench: Bench) -> None:
    """No sequence of verbs, stock writes, time, crashes and sweeps tells the two apart."""
    run_state_machine_as_test(machine_on(bench), settings=NORMAL)


def test_a_hundred_parts_leave_and_no_more(bench: Bench) -> None:
    """What random steps do not reach: the bound on parts, and a part repeated beyond it."""
    ship_a_hundred_parts(bench)


def ship_a_hundred_parts(bench: Bench) -> None:
    """Play the story of the parts on engine and model."""
    bench.reset()
    machine = machine_on(bench)()
    machine.set_stock(SetStock("a", "main", 200))
    ordered, one = (Line("a", "main", 150),), (Line("a", "main", 1),)
    part = [Fulfil(IDS[0], f"p{n}", one) for n in range(101)]
    machine.apply_batch([Reserve(IDS[0], ordered, 1_000, confirm=True), *part, part[0], part[100]])
    machine.apply_batch([Fulfil(IDS[0]), part[100], part[99]])
    machine.teardown()


@pytest.mark.chaos
@pytest.mark.timeout(4 * 3600)
def test_the_engine_agrees_with_the_model_for_hours(bench: Bench) -> None:
    """Nor does a sequence out of half a million steps."""
    for _ in range(ROUNDS):
        run_state_machine_as_test(machine_on(bench), settings=ROUND)
