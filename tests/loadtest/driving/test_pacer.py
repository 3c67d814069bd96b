"""The pacer: what is due goes out, whoever is slow. On gevent, so in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, gevent
from loadtest.driving.pacer import Pacer
from loadtest.history import now_us

pacer, taken = Pacer(), []
zero = now_us() + 20_000
pacer.add_all((zero + 20_000 * n, n) for n in (2, 0, 1, 3))

def user(name, busy_seconds):
    while (due := pacer.take()) is not None:
        taken.append((due.act, name, now_us() - due.at_us))
        if due.act == 1:
            pacer.add(zero + 30_000, "follows")
        gevent.sleep(busy_seconds)
        pacer.done()

%s
pacing = gevent.spawn(pacer.run)
pacer.finished.wait()
pacer.close(len(users))
gevent.joinall(users)
pacing.kill()
print(json.dumps({"taken": taken, "queued": pacer.queued, "free": pacer.free}))
"""


def play(users: str) -> dict:
    """Play four acts of 20 ms each, and one that follows the second."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT % users],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return json.loads(done.stdout)


def test_acts_leave_in_the_order_of_their_times() -> None:
    """What is added while it runs takes its place among them; none leaves early."""
    told = play("users = [gevent.spawn(user, name, 0.001) for name in range(4)]")
    assert [act for act, _, _ in told["taken"]] == [0, 1, "follows", 2, 3]
    assert all(late >= 0 for _, _, late in told["taken"])
    assert told["queued"] == 0


def test_a_slow_answer_holds_no_arrival_back() -> None:
    """Every user is busy for ten arrivals; each act still finds one, at its time."""
    told = play("users = [gevent.spawn(user, name, 0.2) for name in range(5)]")
    assert sorted({name for _, name, _ in told["taken"]}) == [0, 1, 2, 3, 4]
    assert told["queued"] == 0


def test_a_pool_that_has_run_out_is_on_record() -> None:
    """One user for all: the acts wait in line, late, and are counted."""
    told = play("users = [gevent.spawn(user, 0, 0.1)]")
    assert len(told["taken"]) == 5
    assert told["queued"] >= 3
    assert max(late for _, _, late in told["taken"]) > 100_000


def test_a_schedule_without_acts_is_finished() -> None:
    """A generator may have no share: it would wait for ever for its last act."""
    script = (
        "from loadtest.driving.pacer import Pacer\n"
        "pacer = Pacer()\n"
        "pacer.add_all([])\n"
        "print(pacer.finished.wait(0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "True"


def test_a_schedule_that_is_given_up_is_finished() -> None:
    """Whatever is planned, in hand, or added afterwards."""
    script = (
        "from loadtest.driving.pacer import Pacer\n"
        "pacer = Pacer()\n"
        "pacer.add_all([(1, 'a'), (2, 'b')])\n"
        "pacer.give_up()\n"
        "pacer.add(3, 'c')\n"
        "print(pacer.finished.wait(0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "True"


def test_a_schedule_that_is_cut_off_ends_with_what_is_in_hand() -> None:
    """What was due is counted; nothing is added until the orders are to be read."""
    script = """
import gevent, json
from gevent.event import Event
from loadtest.driving.pacer import Pacer

pacer, answered, taken = Pacer(), Event(), []
pacer.add_all([(1, "in hand"), (2, "due"), (3, "due"), (1 << 60, "planned")])

def user():
    taken.append(pacer.take().act)
    answered.wait()
    pacer.add(4, "follows")
    pacer.done()

gevent.spawn(pacer.run)
gevent.spawn(user)
while not taken:
    gevent.sleep(0)
due, waits = pacer.cut_off(), not pacer.finished.is_set()
answered.set()
ended = pacer.finished.wait(10)
pacer.reopen()
pacer.add_all([(5, "read")])
print(json.dumps([taken, due, waits, ended, pacer.take().act]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(done.stdout) == [["in hand"], 2, True, True, "read"]
