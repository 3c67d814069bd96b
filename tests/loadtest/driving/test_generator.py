"""A generator against the real service. On gevent, so in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunningService

SCRIPT = """
import json, sys, gevent
from pathlib import Path
from geventhttpclient import HTTPClient
from loadtest.driving import generator as module, surroundings as around
from loadtest.driving.generator import Generator
from loadtest.driving.wire import Answer, Told
from loadtest.history import Head, now_us
from loadtest.workload.plan import Errand, Plan, Verb
from reservation.client import Unavailable

host, key, path, what = sys.argv[1:]
plan = Plan("hot_sku", 1, 1000, 1, {"A": 5}, (), (Errand(0, Verb.RESTOCK, ("NOT-LAID",), 3),))
place = around.Surroundings(host, key, "lt-generator", warehouse="main")
if what == "unanswered":
    place._client = place._client.with_options(deadline_seconds=0.05)
run = Head("hot_sku", 1, "2027-01-15T08:00:00Z", worker="w0", late_us=700_000)
generator = Generator(
    plan, run, "lt-generator", path=Path(path), surroundings=place, observe=lambda *_: None
)
if what == "lost":
    lost_us = now_us()
    generator._foresee(Answer(None, lost="reset"), Told(), lost_us - 1_300_000)
    generator._foresee(Answer(503), Told(outcome="unknown"), lost_us)
    generator.pacer.add_all = lambda acts: list(acts)
    generator.play(lost_us)
    print(json.dumps({"waited_us": now_us() - lost_us}))
    sys.exit()

def hang():
    generator.pacer.take()
    generator.cut_off()
    gevent.sleep(60)

module.LAST_ANSWERS_SECONDS = 0.1
if what == "hanging":
    gevent.spawn(hang)
else:
    user = gevent.spawn(generator.serve, HTTPClient.from_url(host))
gevent.sleep(0)
with gevent.Timeout(20):
    try:
        figures = generator.play(now_us())
        told = {"given_up": figures.given_up, "outcomes": figures.cells[0].outcomes}
    except Exception as error:
        told = {"failed": type(error).__name__}
print(json.dumps(told))
"""


def _play(host: str, key: str, path: Path, what: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, host, key, str(path), what],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_an_act_that_cannot_be_done_ends_the_run(service: RunningService, tmp_path: Path) -> None:
    """With its reason: uncounted, it would look as if it had never been planned."""
    told = _play(service.url, service.admin_key, tmp_path / "h.ndjson", "refused")
    assert told == {"failed": "SkuNotFound"}


def test_a_restock_that_is_given_up_is_on_record(service: RunningService, tmp_path: Path) -> None:
    """As unknown; it counts as a request without an answer."""
    path = tmp_path / "h.ndjson"
    told = _play("http://127.0.0.1:9", service.admin_key, path, "unanswered")
    assert told == {"given_up": 1, "outcomes": {"unknown": 1}}
    assert '"outcome":"unknown"' in path.read_text()


def test_orders_are_read_once_lost_calls_cannot_act_any_more(
    service: RunningService, tmp_path: Path
) -> None:
    """A call of unknown outcome may take effect until `late_us` after its end."""
    told = _play(service.url, service.admin_key, tmp_path / "h.ndjson", "lost")
    assert isinstance(told["waited_us"], int)
    assert told["waited_us"] >= 700_000


def test_a_run_that_is_cut_off_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A call that has no answer might have any effect: nothing could be proven."""
    told = _play("http://127.0.0.1:9", "key", tmp_path / "h.ndjson", "hanging")
    assert told == {"failed": "Failed"}
    assert '"end"' not in (tmp_path / "h.ndjson").read_text()
