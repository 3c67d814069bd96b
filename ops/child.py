"""The entry of a child process: an API worker, agents, what speaks with partners, a simulator.

    python -P -m ops.child api|agents|feed|warehouses|simulator

The first line of standard input is the brief: what to do, with the settings of the parent.
Nothing follows it; that end closes when the parent ends, however it ends, and then so do we.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, json

from reservation.config import Settings

MAX_BRIEF_BYTES = 1 << 20


class Brief(Struct, frozen=True):
    """What a parent tells its child."""

    settings: dict[str, Any]
    listeners: list[int] = []  # file descriptors: our listening socket, then our neighbours'
    serving: int | None = None  # file descriptor: a byte goes there when we take connections
    drain_seconds: float = 10.0
    simulates: str = ""  # whose partner it is, channel or warehouse, at the listening socket
    service_url: str = ""  # where that partner sends what it has to say


def write_brief(
    settings: Settings,
    *,
    listeners: Sequence[int] = (),
    serving: int | None = None,
    drain_seconds: float,
    simulates: str = "",
    service_url: str = "",
) -> bytes:
    """Put a brief into a line. It may hold a key: it goes through a pipe and nowhere else."""
    told = settings.model_dump(mode="json")
    brief = Brief(told, list(listeners), serving, drain_seconds, simulates, service_url)
    return json.encode(brief) + b"\n"


def read_brief(source: int) -> Brief:
    """Read the line from a file descriptor; what is not UTF-8 JSON is a bug of the parent."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(source, 65_536)
        if not part or len(line) > MAX_BRIEF_BYTES:
            message = "no brief: this program is started by 'holdfast', not by hand"
            raise SystemExit(message)
        line += part
    return json.decode(line, type=Brief)


def leave_with_parent(source: int, drain_seconds: float) -> None:
    """Drain when the parent is gone, and leave at the latest when the time for it is up.

    A thread, and not a reader in the event loop: a loop that hangs must not keep us here.
    """

    def wait() -> None:
        while os.read(source, 64):
            continue
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(drain_seconds)
        os._exit(1)

    threading.Thread(target=wait, name="parent's end", daemon=True).start()


def main() -> int:
    """Do what the brief says until SIGTERM or the parent's end."""
    brief = read_brief(sys.stdin.fileno())
    # SIGTERM before the server has its own answer to it just ends the process: nothing is served.
    leave_with_parent(sys.stdin.fileno(), brief.drain_seconds)
    settings = Settings(**brief.settings)
    # Half a second of imports each: the watch comes first.
    if brief.simulates in settings.wms:
        from ops.demonstration import warehouse  # noqa: PLC0415 (see above)

        return warehouse.run(settings, brief.simulates, brief.listeners[0], brief.service_url)
    if brief.simulates:
        from ops.demonstration import shop  # noqa: PLC0415 (see above)

        return shop.run(settings, brief.simulates, brief.listeners[0], brief.service_url)
    if sys.argv[1] == "api":
        from ops import server  # noqa: PLC0415 (see above)

        return server.run_api(
            settings, brief.listeners, serving=brief.serving, drain_seconds=brief.drain_seconds
        )
    from ops import loops  # noqa: PLC0415 (see above)

    match sys.argv[1]:
        case "feed":
            return loops.run_feed(settings)
        case "warehouses":
            return loops.run_warehouses(settings)
        case _:
            return loops.run_agents(settings, apart=True)


if __name__ == "__main__":
    sys.exit(main())
