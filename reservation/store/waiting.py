"""What waits to be sent to the store, of one verb: fair among channels, in order within each.

A flood of one channel delays that channel: calls take from the channels in turn, and where the
queue is long a channel may fill no more of it than it leaves free, so that others find room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from reservation import metrics
from reservation.errors import ScriptBug, StoreUnavailable
from reservation.model import Outcome

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from reservation.model import Operation

Result = Outcome | StoreUnavailable | ScriptBug


class Entry(ABC):
    """One operation on its way; `Alone` and `Member` say who waits for it."""

    __slots__ = ("channel", "lines", "operation", "origin", "result", "sent")

    def __init__(self, operation: Operation, origin: str) -> None:
        self.operation = operation
        self.origin = origin
        self.lines = len(getattr(operation, "lines", ())) or 1
        self.channel: Channel
        self.result: Result | None = None  # what was answered
        self.sent = False

    @abstractmethod
    def answer(self, result: Result) -> None:
        """Take the first answer, and wake who waits for nothing else any more."""

    def give_up(self) -> None:
        """Answer what is missing: unknown where it was sent, else certainly not applied."""
        if self.result is None:
            detail = "the request's deadline has passed"
            self.answer(StoreUnavailable(detail, effect="unknown" if self.sent else "not_applied"))


class Alone(Entry):
    """An operation for which a caller waits alone, until a deadline in the loop's time."""

    __slots__ = ("deadline", "tell")

    def __init__(
        self, operation: Operation, origin: str, tell: Callable[[Result], None], deadline: float
    ) -> None:
        super().__init__(operation, origin)
        self.tell = tell
        self.deadline = deadline

    def answer(self, result: Result) -> None:
        """Take the first answer, and tell it.

        Others wait for theirs: a fault of who is told is counted, and is nobody else's.
        """
        if self.result is None:
            self.result = result
            try:
                self.tell(result)
            except Exception:  # noqa: BLE001 - to log it may be what has failed
                metrics.ANSWERS_UNTOLD.inc()

    @property
    def is_answered(self) -> bool:
        """Say whether nothing is missing."""
        return self.result is not None


class Member(Entry):
    """An operation for which a caller waits together with others."""

    __slots__ = ("group",)

    def __init__(self, operation: Operation, origin: str, group: Group) -> None:
        super().__init__(operation, origin)
        self.group = group

    @property
    def deadline(self) -> float:
        """Tell the deadline of all."""
        return self.group.deadline

    def answer(self, result: Result) -> None:
        """Take the first answer; the last one that is missing wakes the caller."""
        if self.result is None:
            self.result = result
            group = self.group
            group.missing -= 1
            if not group.missing and not group.future.done():
                group.future.set_result([member.result for member in group.members])  # type: ignore[misc]


class Group:
    """Operations that one caller waits for together, until a deadline in the loop's time."""

    __slots__ = ("deadline", "future", "members", "missing")

    def __init__(
        self,
        operations: Iterable[Operation],
        origin: str,
        future: asyncio.Future[list[Result]],
        deadline: float,
    ) -> None:
        self.members = [Member(operation, origin, self) for operation in operations]
        self.missing = len(self.members)
        self.future = future
        self.deadline = deadline

    @property
    def is_answered(self) -> bool:
        """Say whether nothing is missing."""
        return not self.missing

    def give_up(self) -> None:
        """Answer what is missing."""
        for member in self.members:
            member.give_up()


Awaited = Alone | Member


class Channel:
    """The waiting entries of one channel, in order."""

    __slots__ = ("entries", "lines", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: deque[Awaited] = deque()
        self.lines = 0  # accepted and not yet sent, those that wait for their id too


class Waiting:
    """The waiting entries of all channels."""

    def __init__(self) -> None:
        self.lines = 0  # of all channels
        self._channels: dict[str, Channel] = {}  # those with lines
        self._turns: deque[Channel] = deque()  # those with entries, whose turn is next first
        self._first: deque[Awaited] = deque()  # what goes before all others

    def __bool__(self) -> bool:
        """Say whether something can be taken."""
        return bool(self._turns or self._first)

    def has_room(self, operation: Operation, limit: int) -> bool:
        """Say whether the channel of an operation may wait with more, of `limit` lines in all."""
        channel = self._channels.get(_channel_name(operation))
        lines = 0 if channel is None else channel.lines
        return self.lines + lines < limit

    def accept(self, entry: Awaited) -> None:
        """Count an entry that will be added, at once or when its id is free."""
        name = _channel_name(entry.operation)
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(name)
        entry.channel = channel
        channel.lines += entry.lines
        self.lines += entry.lines

    def withdraw(self, entry: Awaited) -> None:
        """Count an accepted entry no more: it is not added after all."""
        self._uncount(entry)

    def add(self, entry: Awaited) -> None:
        """Let an accepted entry wait for its channel's turn."""
        channel = entry.channel
        if not channel.entries:
            self._turns.append(channel)
        channel.entries.append(entry)

    def put_back(self, entries: Sequence[Awaited]) -> None:
        """Let entries that were taken go first in the next call."""
        for entry in entries:
            self.accept(entry)
        self._first.extendleft(reversed(entries))

    def take(self, room: int) -> list[Awaited]:
        """Take what goes in one call of `room` lines; what is larger than a call goes alone."""
        batch: list[Awaited] = []
        first, turns = self._first, self._turns
        while first or turns:
            source = first or turns[0].entries
            entry = source[0]
            if batch and entry.lines > room:
                break
            source.popleft()
            batch.append(entry)
            room -= entry.lines
            if source is not first:
                if not source:
                    turns.popleft()
                elif len(turns) > 1:
                    turns.rotate(-1)
            self._uncount(entry)
        return batch

    def _uncount(self, entry: Awaited) -> None:
        self.lines -= entry.lines
        channel = entry.channel
        channel.lines -= entry.lines
        if not channel.lines:
            del self._channels[channel.name]


def _channel_name(operation: Operation) -> str:
    return operation.reservation_id.partition(":")[0]
