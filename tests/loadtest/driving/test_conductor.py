"""The messages between leader and generators. On gevent, so in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import locust, gevent, json, time
from loadtest.driving.conductor import drawn
from loadtest.workload.scenarios import Sizes

beats = [time.monotonic()]

def beat():
    while True:
        gevent.sleep(0.01)
        beats.append(time.monotonic())

heart = gevent.spawn(beat)
gevent.sleep(0.02)
began = time.monotonic()
plan = drawn(Sizes("festival_day", 1, 20_000, 60.0))
took = time.monotonic() - began
within = [at for at in beats if at > began]
print(json.dumps({"orders": plan.counted_orders, "took": took, "beats": len(within)}))
"""


def test_the_heart_beats_while_a_plan_is_drawn() -> None:
    """Locust gives a generator up that is silent for four seconds; a large plan takes longer."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=100, check=True
    )
    told = json.loads(done.stdout)
    assert told["orders"] == 20_000
    assert told["beats"] > 10, told
