"""Hands out acts when they are due: an open loop, which no slow answer holds back.

The users are a pool. An act whose time has come goes to whichever is free; where none is, it waits
in line, and both its lateness and the fact are on record.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from gevent.event import Event
from gevent.queue import SimpleQueue

from loadtest.history import now_us

T = TypeVar("T")

MICRO = 1e-6


@dataclass(order=True, slots=True)
class Due(Generic[T]):
    """Something to do and when, in microseconds since the epoch."""

    at_us: int
    place: int  # among those of the same instant
    act: T = field(compare=False)


class Pacer(Generic[T]):
    """A schedule that grows while it is played, and the queue in front of the users."""

    def __init__(self) -> None:
        self._waiting: list[Due[T]] = []  # a heap
        self._line: SimpleQueue[Due[T] | None] = SimpleQueue()
        self._changed = Event()
        self._next_us = 0  # when the run loop wakes by itself
        self._places = count()
        self._unfinished = 0
        self._given_up = False
        self.free = 0  # users that wait for something to do
        self.queued = 0  # acts that came due while no user was free
        self.finished = Event()  # set while nothing is planned, in line or in hand
        self.finished.set()

    def add(self, at_us: int, act: T) -> None:
        """Plan an act. What was due already goes next."""
        if self._given_up:
            return
        self._unfinished += 1
        self.finished.clear()
        heapq.heappush(self._waiting, Due(at_us, next(self._places), act))
        if at_us < self._next_us:
            self._changed.set()

    def add_all(self, acts: Iterable[tuple[int, T]]) -> None:
        """Plan many at once."""
        if self._given_up:
            return
        for at_us, act in acts:
            self._unfinished += 1
            self._waiting.append(Due(at_us, next(self._places), act))
        heapq.heapify(self._waiting)
        if self._unfinished:
            self.finished.clear()
        self._changed.set()

    def run(self) -> None:
        """Put what is due in line, until the greenlet is killed."""
        while True:
            now = now_us()
            while self._waiting and self._waiting[0].at_us <= now:
                if self.free <= self._line.qsize():
                    self.queued += 1
                self._line.put(heapq.heappop(self._waiting))
            self._next_us = self._waiting[0].at_us if self._waiting else now + 60_000_000
            self._changed.clear()
            self._changed.wait((self._next_us - now) * MICRO)

    def take(self) -> Due[T] | None:
        """Wait for something to do; None says that there will be nothing more."""
        self.free += 1
        try:
            return self._line.get()
        finally:
            self.free -= 1

    def done(self) -> None:
        """Count an act that was taken as finished, after what follows from it has been added."""
        self._unfinished -= 1
        if not self._unfinished:
            self.finished.set()

    def give_up(self) -> None:
        """Drop what is planned, now and later: nobody waits for it any more."""
        self._given_up = True
        self._waiting.clear()
        self.finished.set()

    def cut_off(self) -> int:
        """Drop what nobody has taken, now and later, until `reopen`; what is in hand ends.

        Returns how much of it was due.
        """
        self._given_up = True
        due = 0
        while not self._line.empty():
            due += self._line.get() is not None
        self._unfinished -= len(self._waiting) + due
        self._waiting.clear()
        if not self._unfinished:
            self.finished.set()
        return due

    def reopen(self) -> None:
        """Take plans again."""
        self._given_up = False

    def close(self, users: int) -> None:
        """Let so many users go."""
        for _ in range(users):
            self._line.put(None)
