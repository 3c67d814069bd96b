"""The history of a load test: what every client asked, when, and what it was told.

One JSON object a line (NDJSON, gzip where the name ends in `.gz`), written while the run goes on.
`docs/history.md` is for those who write one; `loadtest.check` judges it.

Units: times are integer microseconds since the epoch, on clocks that agree to within
`Head.clock_error_us`. `start` is taken before the request leaves, `end` once the answer is whole:
the service's decision lies in between.
"""

from __future__ import annotations

import gzip
import stat
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Annotated, BinaryIO, Literal, Self, cast

import msgspec
from msgspec import Meta, Struct

VERSION = 1
Op = Literal["reserve", "confirm", "release", "extend", "fulfil"]
# A count of units, below zero after a correction; units asked for; a moment; a length of time, in
# microseconds or milliseconds. Bounded so that the judge's sums of millions of them stay below the
# figures that it takes for "more than any" and "never".
Units = Annotated[int, Meta(ge=-(1 << 40), le=1 << 40)]
Asked = Annotated[int, Meta(ge=1, le=1 << 40)]
HttpStatus = Annotated[int, Meta(ge=100, le=599)]
Moment = Annotated[int, Meta(ge=0, le=1 << 58)]
Length = Annotated[int, Meta(ge=0, le=1 << 46)]  # two years of microseconds
Line = tuple[str, str, Asked]  # SKU, warehouse, units
_GZIP_LEVEL = 1  # a tenth of the size already; the generator has better uses for its CPU
_GZIP_MAGIC = b"\x1f\x8b"


class Head(Struct, frozen=True, tag="run", omit_defaults=True, forbid_unknown_fields=True):
    """The first line of every file: which run the file is a part of."""

    scenario: str
    seed: int
    started_at: str  # RFC 3339, the same in all files of a run
    version: int = VERSION
    worker: str = ""  # which of several generators wrote the file
    clock_error_us: Length = 0  # how far apart the clocks of two machines may be; 0 on one machine
    # How long after its `end` a call without an answer may still take effect: no less than the
    # service's `request_timeout_ms`.
    late_us: Length = 10_000_000
    files: int = 0  # of how many files the history is made; 0: not told


class Stock(Struct, frozen=True, tag="stock", omit_defaults=True, forbid_unknown_fields=True):
    """A level as it was written, or read, at one instant between `start` and `end`.

    A write is sent again until it is acknowledged, and is one record from the first send to the
    answer. An adjustment is noted as the level that it left. The first record of a level comes
    before the first order that names it; nothing is held or committed there.
    """

    sku: str
    warehouse: str
    on_hand: Units
    safety_stock: Units
    start: Moment
    end: Moment
    # It was given up unacknowledged, and may have taken effect: the figures say nothing.
    outcome: Literal["unknown"] | None = None


class Call(Struct, frozen=True, tag="call", omit_defaults=True, forbid_unknown_fields=True):
    """One request for one reservation, sent once: a retry is a call of its own.

    An operation of a batch is one, with the batch's times. Of the answer it keeps what the body
    says; `state` and `expires_at_us` are those of the reservation in it.
    """

    client: str
    op: Op
    id: str
    start: Moment
    end: Moment
    status: HttpStatus | None = None  # None: no answer was taken; `lost` says how
    slug: str | None = None  # of the problem in the answer
    # `thrown_away`: the answer had come whole before `end`, unread. After the other two the
    # service may decide later.
    lost: Literal["thrown_away", "timed_out", "reset"] | None = None
    lines: tuple[Line, ...] = ()  # asked: of a reserve, of a part to fulfil
    ttl_ms: Length | None = None  # asked: of a reserve or extend; None: the service's default
    confirm: bool = False  # asked: of a reserve
    reinstate: bool = False  # asked: of a confirm
    fulfilment_id: str | None = None  # asked: of a part to fulfil
    replayed: bool = False
    state: str | None = None
    expires_at_us: Moment | None = None
    short: tuple[tuple[str, str, Asked, Units], ...] = ()  # SKU, warehouse, requested, available
    outcome: Literal["not_applied", "unknown"] | None = None  # of a 503


class Reservation(
    Struct, frozen=True, tag="reservation", omit_defaults=True, forbid_unknown_fields=True
):
    """A reservation as it was read after the last call; `missing` where the answer was 404."""

    id: str
    state: Literal["held", "confirmed", "released", "expired", "fulfilled", "missing"]
    start: Moment
    end: Moment
    lines: tuple[tuple[str, str, Asked, Units], ...] = ()  # SKU, warehouse, quantity, fulfilled
    expires_at_us: Moment | None = None  # while held


class Balance(Struct, frozen=True, tag="balance", omit_defaults=True, forbid_unknown_fields=True):
    """A level as it was read after the last call."""

    sku: str
    warehouse: str
    on_hand: Units
    safety_stock: Units
    held: Units
    committed: Units
    available: Units
    start: Moment
    end: Moment
    shortfall: Units | None = None


class End(Struct, frozen=True, tag="end", forbid_unknown_fields=True):
    """The last line: the file is whole."""


Record = Head | Stock | Call | Reservation | Balance | End


class HistoryUnreadable(Exception):
    """A file is not a history; the text names file, line and reason."""


def now_us() -> int:
    """Read the clock of the history."""
    return time.time_ns() // 1000


class HistoryWriter:
    """Appends records to a new file; leaving it without an error writes `End`.

    Promises no order among records of several clients, and no flush unless it is asked for.
    Raises FileExistsError: a history is never overwritten.
    """

    def __init__(self, path: Path, run: Head) -> None:
        raw = path.open("xb")
        self._file = cast(
            "BinaryIO",
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=_GZIP_LEVEL)
            if path.suffix == ".gz"
            else raw,
        )
        self._raw = raw
        self._encode = msgspec.json.Encoder().encode
        self.write(run)

    def write(self, record: Record) -> None:
        """Append one record. Cost: some microseconds, no wait for the disk."""
        self._file.write(self._encode(record) + b"\n")

    def flush(self) -> None:
        """Hand over all that was written, so that it stays where the run is cut off."""
        self._file.flush()
        self._raw.flush()

    def close(self, *, complete: bool = True) -> None:
        """Close the file, as a whole history or as one that was cut off. Twice does nothing."""
        if self._raw.closed:
            return
        if complete:
            self.write(End())
        self._file.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close(complete=kind is None)


class HistoryFile:
    """Reads a file record by record.

    `complete` says, once it is read, whether `End` was met; a file whose very last line or gzip
    stream breaks off is one that was cut off, and no fault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = False
        self.position = 0  # bytes of the file read so far
        try:
            status = path.stat()
            if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
                raise HistoryUnreadable(f"{path}: it is a pipe; write it to a file and name that")
            self.size = status.st_size
        except OSError as error:
            raise HistoryUnreadable(f"{path}: {error.strerror}") from error

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        """Yield line numbers, from 1, with their records. Raises HistoryUnreadable."""
        decode = msgspec.json.Decoder(Record).decode
        broken, number = None, 0
        for number, line in self._lines():
            if broken is not None:
                raise HistoryUnreadable(f"{self.path}:{number - 1}: {broken}")
            try:
                record = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if not isinstance(error, msgspec.ValidationError) and not line.endswith(b"\n"):
                    broken = error  # the last line, perhaps
                    continue
                raise HistoryUnreadable(f"{self.path}:{number}: {error}") from error
            wrong = self._wrong(number, record)
            if wrong is not None:
                raise HistoryUnreadable(f"{self.path}:{number}: {wrong}")
            yield number, record
        if number == 0:
            raise HistoryUnreadable(f"{self.path}: it is empty")

    def _wrong(self, number: int, record: Record) -> str | None:
        if self.complete:
            return "something follows the end"
        if (number == 1) != isinstance(record, Head):
            return "the first line, and no other, describes the run"
        if isinstance(record, Head):
            return None if record.version == VERSION else f"version {record.version} is unknown"
        if isinstance(record, End):
            self.complete = True
            return None
        if isinstance(record, Call) and (record.status is None) == (record.lost is None):
            return "a call has either a `status` or a word how its answer was `lost`"
        return "it ends before it starts" if record.end < record.start else None

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.path.open("rb") as raw:
                packed = raw.read(2) == _GZIP_MAGIC
                raw.seek(0)
                file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
                for number, line in enumerate(file, 1):
                    self.position = raw.tell() if number % 1024 == 0 else self.position
                    yield number, line
        except EOFError:
            return  # the gzip stream breaks off
        except (OSError, zlib.error) as error:
            raise HistoryUnreadable(f"{self.path}: {error}") from error
