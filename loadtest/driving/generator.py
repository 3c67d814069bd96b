"""One generator: a process that plays its share of the plan and writes its part of the history."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from geventhttpclient import HTTPClient

from loadtest.driving import wire
from loadtest.driving.desk import Act, Desk
from loadtest.driving.notes import ON_RECORD, call_of, reservation_of
from loadtest.driving.pacer import Due, Pacer
from loadtest.driving.wire import Answer, Told
from loadtest.figures import Counting, Figures
from loadtest.history import Head, HistoryWriter, now_us
from loadtest.workload.plan import SECOND_US, Verb

if TYPE_CHECKING:
    from loadtest.driving.surroundings import Surroundings
    from loadtest.workload.plan import Plan

EXPIRY_MARGIN_US = 300_000  # after the last deadline, before the reads at the end
# Of a run that is cut off, someone waits for the end. A call has its answer or none by then; holds
# that live longer are read as held, and the proof counts them so.
LAST_ANSWERS_SECONDS = 60.0
LAST_HOLDS_US = 5 * SECOND_US
_NOT_FOUND = 404

# Told to Locust's own statistics: verb, latency in ms, bytes, what was wrong.
Observer = Callable[[str, float, int, Exception | None], None]


class Failed(Exception):
    """A call that found no answer, or one that says that something is broken."""


class Generator:
    """Plays a share of a plan through users that come by for something to do."""

    def __init__(
        self,
        plan: Plan,
        run: Head,
        run_name: str,
        *,
        path: Path,
        surroundings: Surroundings,
        observe: Observer,
    ) -> None:
        self.plan = plan
        self.desk = Desk(plan, run_name)
        self.pacer: Pacer[Act] = Pacer()
        self.history = HistoryWriter(path, run)
        self.counting = Counting(0)
        self.users = 0
        self._name = run.worker
        self._late_us = run.late_us
        self._surroundings = surroundings
        self._observe = observe
        self._zero_us = 0
        self._answers = 0
        self._last_deadline_us = 0
        self._unknown_until_us = 0
        self._restocks = 0
        self._failure: Exception | None = None
        self._reading = False  # all is played: the orders are read
        self._cut_off_us: int | None = None
        self._unsent = 0

    def played(self) -> int:
        """Count the orders that have been sent."""
        return sum(live.sent for live in self.desk.orders)

    def play(self, zero_us: int) -> Figures:
        """Play everything, wait until every hold has ended, read every order, close the history.

        Raises what the first act raised that could not be done, and Failed where answers are
        waited for too long after `cut_off`.
        """
        self._zero_us = zero_us
        self.counting = Counting(zero_us)
        self.pacer.add_all(self.desk.opening(zero_us))
        pacing = [gevent.spawn(self.pacer.run), gevent.spawn(self._watch)]
        try:
            self._wait_for_all()
            self._reading = True
            figures = self.counting.figures()
            self._wait_for_holds()
            self.pacer.reopen()
            self.pacer.add_all((now_us(), act) for act in self.desk.verification())
            self._wait_for_all()
        finally:
            gevent.killall(pacing)
            self.pacer.close(self.users)
        self.history.close()
        if self._cut_off_us is not None:
            figures.cut_off_seconds = (self._cut_off_us - zero_us) / SECOND_US
        figures.unsent = self._unsent
        figures.given_up = self.desk.given_up
        figures.users = self.users
        figures.orders = sum(live.sent and live.order.due_us >= 0 for live in self.desk.orders)
        return figures

    def cut_off(self) -> None:
        """Let nothing more arrive: what is in flight ends, and all of it is read and proven.

        Does nothing once everything is played.
        """
        if not self._reading and self._cut_off_us is None:
            self._cut_off_us = now_us()
            self._unsent = self.pacer.cut_off()
            gevent.spawn_later(LAST_ANSWERS_SECONDS, self._lose_patience)

    def serve(self, client: HTTPClient) -> None:
        """Be one user until there is nothing more to do."""
        self.users += 1
        name = f"{self._name}-{self.users}"
        while (due := self.pacer.take()) is not None:
            try:
                self._perform(due, client, name)
            except Exception as error:  # noqa: BLE001 (told by who plays: the run ends with it)
                self._failure = self._failure or error
                self.pacer.give_up()
            finally:
                self.pacer.done()

    def _wait_for_all(self) -> None:
        self.pacer.finished.wait()
        if self._failure is not None:
            raise self._failure

    def _lose_patience(self) -> None:
        """End a run that was cut off without its last answers: nothing could be proven of it."""
        if not self._reading:
            told = f"calls were still in flight {LAST_ANSWERS_SECONDS:.0f} s after the run was"
            self._failure = Failed(f"{told} cut off")
            self.pacer.give_up()

    def _wait_for_holds(self) -> None:
        """Wait until no hold lives and no lost call can act, but not for long once cut off."""
        until_us = max(self._last_deadline_us + EXPIRY_MARGIN_US, self._unknown_until_us)
        if self._cut_off_us is not None:
            until_us = min(until_us, now_us() + LAST_HOLDS_US)
        self._wait_until(until_us)

    # -- one act ---------------------------------------------------------------------------------

    def _perform(self, due: Due[Act], client: HTTPClient, name: str) -> None:
        act = due.act
        if act.verb is Verb.RESTOCK:
            self._restock(due)
            return
        request = self.desk.request(act)
        if request is None:
            return
        start = now_us()
        answer = wire.send(client, request)
        end = now_us()
        if act.verifying:
            self._verify(due, answer, start, end)
            return
        answer = self._perhaps_thrown_away(answer)
        outcome = self._note(act, answer, name, start, end) or _outcome(answer)
        self.counting.count(act.verb.value, outcome, due.at_us, start, end)
        for at_us, next_act in self.desk.follow(act, answer, self._zero_us, end):
            self.pacer.add(at_us, next_act)
        fault = Failed(outcome) if answer.status is None or answer.status >= 500 else None
        self._observe(act.verb.value, (end - due.at_us) / 1000, len(answer.content), fault)

    def _perhaps_thrown_away(self, answer: Answer) -> Answer:
        """Lose an answer that has come, where the plan's clients are of that kind."""
        if not self.plan.thrown_away or answer.status is None:
            return answer
        self._answers += 1
        if self._answers % self.plan.thrown_away:
            return answer
        return Answer(None, lost="thrown_away")

    def _note(self, act: Act, answer: Answer, name: str, start: int, end: int) -> str | None:
        """Write a call of the five verbs down; returns the refusal's slug."""
        if act.verb not in ON_RECORD or act.live is None:
            return None if answer.granted else wire.told(answer).slug
        told = wire.told(answer)
        self._foresee(answer, told, end)
        call = call_of(
            act,
            answer,
            told,
            client=name,
            warehouse=self._surroundings.warehouse,
            ttl_ms=self.plan.ttl_seconds * 1000,
            at=(start, end),
        )
        self.history.write(call)
        return told.slug

    def _foresee(self, answer: Answer, told: Told, end: int) -> None:
        """Remember until when holds may live, and lost calls take effect: the reads come after."""
        deadline = told.expires_at_us or 0
        if answer.lost is not None:  # it may hold from now on, for all we know
            deadline = end + self.plan.ttl_seconds * SECOND_US
        self._last_deadline_us = max(self._last_deadline_us, deadline)
        if answer.lost in {"timed_out", "reset"} or told.outcome == "unknown":
            self._unknown_until_us = max(self._unknown_until_us, end + self._late_us)

    def _restock(self, due: Due[Act]) -> None:
        """Add stock: one record from the first sending to the answer, as the history wants it."""
        errand = due.act.errand
        assert errand is not None
        self._restocks += 1
        record = self._surroundings.restock(
            errand.skus[0], errand.units, f"{self._name}-{self._restocks}"
        )
        self.history.write(record)
        outcome = "done"
        if record.outcome is not None:
            outcome = record.outcome
            self.desk.given_up += 1
        self.counting.count("restock", outcome, due.at_us, record.start, record.end)

    def _verify(self, due: Due[Act], answer: Answer, start: int, end: int) -> None:
        """Write down what became of an order; ask again where there was no answer."""
        live = due.act.live
        assert live is not None
        if not answer.granted and answer.status != _NOT_FOUND:
            for at_us, act in self.desk.follow(due.act, answer, self._zero_us, end):
                self.pacer.add(at_us, act)
            return
        told = wire.told(answer, with_lines=True) if answer.granted else None
        self.history.write(reservation_of(live, told, (start, end)))

    # -- beside it -------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Note every second how this process fares."""
        before, cpu_before, starved_before = time.monotonic(), time.process_time(), _starved()
        queued_before = 0
        while True:
            second = (now_us() - self._zero_us) // SECOND_US
            self._wait_until(self._zero_us + (second + 1) * SECOND_US)
            now, cpu, starved = time.monotonic(), time.process_time(), _starved()
            if second >= 0:
                moment, passed = self.counting.moment(second), now - before
                moment.cpu = (cpu - cpu_before) / passed
                moment.starved = (starved - starved_before) / passed
                moment.free_users = self.pacer.free
                moment.queued = self.pacer.queued - queued_before
            before, cpu_before, starved_before = now, cpu, starved
            queued_before = self.pacer.queued

    @staticmethod
    def _wait_until(at_us: int) -> None:
        gevent.sleep(max(0, at_us - now_us()) / SECOND_US)


def _outcome(answer: Answer) -> str:
    """Name what came of a call that no slug names."""
    if answer.lost is not None:
        return answer.lost
    if answer.granted:
        return "replayed" if answer.replayed else "done"
    return f"http-{answer.status}"


def _starved() -> float:
    """Read for how many seconds this thread could have run but found no core; Linux tells."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
