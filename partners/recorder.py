"""Keeps what several requests bring in one transaction: one sync of the disk serves them all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from reservation.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Message = TypeVar("Message")
Kept_contra = TypeVar("Kept_contra", contravariant=True)

MOST_WAITING: Final = 10_000  # messages; beyond them a partner is asked to send again


class Busy(Exception):
    """More messages wait than should: nothing of this one is kept."""


class File(Protocol[Kept_contra]):
    """A file of ours that keeps messages. Raises ArchiveUnavailable."""

    def keep(self, messages: Sequence[Kept_contra], at_ms: int, /) -> object:
        """Keep them; when it returns they are on the disk."""

    def close(self) -> None:
        """Close it."""


class Recorder(Generic[Message]):
    """Group commit in front of a file. While one transaction runs the next one gathers."""

    def __init__(self, file: File[Message], now_ms: Callable[[], int]) -> None:
        self._file = file
        self._now_ms = now_ms
        self._waiting: list[Message] = []
        self._kept: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, messages: Sequence[Message]) -> None:
        """Return when the messages are on the disk. Raises Busy and ArchiveUnavailable.

        A caller that goes away meanwhile changes nothing: they are kept all the same.
        """
        if len(self._waiting) + len(messages) > MOST_WAITING:
            raise Busy
        self._waiting += messages
        if self._kept is None:
            self._kept = asyncio.get_running_loop().create_future()
            # Asked of or not, its fault is told: nobody may be there to hear of it.
            self._kept.add_done_callback(lambda kept: kept.cancelled() or kept.exception())
        kept = self._kept
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="recorder")
        await asyncio.shield(kept)

    async def _write(self) -> None:
        while self._kept is not None:
            messages, self._waiting = self._waiting, []
            kept, self._kept = self._kept, None
            try:
                await asyncio.to_thread(self._file.keep, messages, self._now_ms())
            except Exception as error:  # noqa: BLE001 (it is raised where they wait for it)
                kept.set_exception(error)
            else:
                kept.set_result(None)
        self._writing = None

    async def close(self) -> None:
        """Wait until nothing is left to keep, and close the file."""
        while self._writing is not None:
            await asyncio.wait({self._writing})
        self._file.close()


class LateRecorder(Generic[Message]):
    """A recorder whose file is opened by the first message, beside the loop.

    The file may be locked for as long as a partner waits; one that could not be opened is tried
    again by the next message.
    """

    def __init__(self, opened: Callable[[], File[Message]], now_ms: Callable[[], int]) -> None:
        self._opened = opened
        self._now_ms = now_ms
        self._opening: asyncio.Task[Recorder[Message]] | None = None

    async def keep(self, messages: Sequence[Message], within_seconds: float) -> None:
        """Do as `Recorder.keep`. Raises TimeoutError as well: they may be kept all the same."""
        async with asyncio.timeout(within_seconds):
            if self._opening is None:
                self._opening = asyncio.create_task(self._open(), name="recorder's file")
                self._opening.add_done_callback(self._forget_failure)
            recorder = await asyncio.shield(self._opening)
            await recorder.keep(messages)

    async def _open(self) -> Recorder[Message]:
        return Recorder(await asyncio.to_thread(self._opened), self._now_ms)

    def _forget_failure(self, opening: asyncio.Task[Recorder[Message]]) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._opening = None

    async def close(self) -> None:
        """Keep what has been taken, and close the file."""
        if self._opening is not None:
            with contextlib.suppress(ArchiveUnavailable):
                await (await self._opening).close()
