"""Cut an unfinished transaction off the end of an append-only file, before a server loads it.

A script's writes stand in the file between MULTI and EXEC. Where a power cut, or a kill in the
middle of a write, leaves the end out, Redis and Valkey before valkey-io/valkey#4342 drop the
transaction from memory but keep its whole commands in the file. What is written next follows
them, and the load after that applies the half transaction: held and committed would differ from
the reservations. Found by tests/chaos/test_cut_log.py on redis-server 7.0.15.
"""

from __future__ import annotations

from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

# How a transaction begins and ends in the file. No value of ours has a line end in it, so these
# stand nowhere else.
BEGIN = b"*1\r\n$5\r\nMULTI\r\n"
END = b"*1\r\n$4\r\nEXEC\r\n"
WINDOW_BYTES = 1 << 20  # read at a time, from the end: normally one is enough


def mend(directory: Path) -> int:
    """Mend the log in a server's data directory, which no server may use now; return bytes cut.

    A command that is cut off outside a transaction is left to the server, which drops it rightly.
    """
    last = _last_log(directory / "appendonlydir")
    if last is None:
        return 0
    size = last.stat().st_size
    begin = _unfinished(last, size)
    if begin is None:
        return 0
    with last.open("r+b") as file:
        file.truncate(begin)
    log.warning("unfinished_transaction_dropped", file=str(last), bytes=size - begin)
    return size - begin


def _last_log(directory: Path) -> Path | None:
    """Find the file that was written last: the manifest's last incremental one."""
    for manifest in directory.glob("*.manifest"):
        for line in reversed(manifest.read_text().splitlines()):
            words = line.split()
            if words[:1] == ["file"] and words[-2:] == ["type", "i"]:
                path = directory / words[1]
                return path if path.is_file() else None
    return None


def _unfinished(path: Path, size: int) -> int | None:
    """Find where the last transaction begins that has no end; None where all are whole."""
    overlap = len(BEGIN) - 1
    with path.open("rb") as file:
        stop = size
        while stop > 0:
            start = max(0, stop - WINDOW_BYTES)
            file.seek(start)
            window = file.read(min(stop + overlap, size) - start)
            begin, end = window.rfind(BEGIN), window.rfind(END)
            if max(begin, end) >= 0:
                return start + begin if begin > end else None
            stop = start
    return None
