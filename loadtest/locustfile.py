"""What Locust loads: `locust -f loadtest/locustfile.py --headless --scenario hot_sku …`.

`python -m loadtest` starts it with all that it needs; docs/loadtest.md has the distributed form.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from math import inf
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar

from geventhttpclient.url import URL
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from loadtest.driving.conductor import Leader, Player
from loadtest.service import KEY_VARIABLE
from loadtest.workload.scenarios import SCENARIOS

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0  # the service gives up after 5; beyond it there is no answer


class Buyer(FastHttpUser):
    """One of a pool: does whatever is due next, for whichever order.

    It speaks through the connection of Locust's fast client, below its sessions: those cost as
    much CPU a request as everything else here together.
    """

    connection_timeout = CONNECT_SECONDS
    network_timeout = ANSWER_SECONDS
    concurrency = 1
    player: ClassVar[Player]

    @task
    def buy(self) -> None:
        """Serve until the run is over."""
        self.player.ready.wait()
        assert self.player.generator is not None
        assert self.host is not None
        client = self.client.client.clientpool.get_client(URL(self.host))
        client.default_headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE].strip()}"
        self.player.generator.serve(client)
        raise StopUser


def _from_0(number: Callable[[str], float]) -> Callable[[str], float]:
    """Read a number of that kind from 0 up; argparse says what is wrong with another."""

    def read(text: str) -> float:
        value = number(text)
        if not 0 <= value < inf:
            raise ArgumentTypeError(f"{text} is no number from 0")
        return value

    return read


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("Holdfast")
    group.add_argument("--scenario", choices=sorted(SCENARIOS), default="festival_day")
    group.add_argument("--orders", type=_from_0(int), default=0, help="measured; 0: the scenario's")
    group.add_argument(
        "--seconds", type=_from_0(float), default=0.0, help="measured; 0: the scenario's"
    )
    group.add_argument("--seed", type=int, default=1)
    group.add_argument("--run-name", default=f"lt{int(time.time()):x}{token_hex(2)}")
    group.add_argument("--clock-error-us", type=_from_0(int), default=0)
    group.add_argument("--directory", default="", help="var/loadtest/RUN-NAME")


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    assert environment.parsed_options is not None
    options = environment.parsed_options
    directory = Path(options.directory or f"var/loadtest/{options.run_name}")
    player = None
    if isinstance(environment.runner, LocalRunner | WorkerRunner):
        player = Buyer.player = Player(environment, directory)
    if isinstance(environment.runner, LocalRunner | MasterRunner):
        Leader(environment, directory, player)
