"""A place without clock, network, files and processes, in which a pure function works as well."""

from __future__ import annotations

import builtins
import contextlib
import io
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest import mock

_CLOSED: Final[tuple[tuple[Any, str], ...]] = (
    (socket.socket, "__init__"),
    (socket, "getaddrinfo"),
    (builtins, "open"),
    (io, "open"),
    (subprocess.Popen, "__init__"),
    (time, "time"),
    (time, "time_ns"),
    (time, "monotonic"),
    (time, "monotonic_ns"),
    (time, "sleep"),
)


class Impure(AssertionError):
    """An adapter reaches out: it asks a clock, opens a file, speaks to somebody."""


@contextlib.contextmanager
def vacuum() -> Iterator[None]:
    """Raise Impure for whatever this thread reaches out for; other threads go on.

    `datetime.now` cannot be closed. That the time which is given is the one that counts is seen
    from what is read: nothing here is said now.
    """
    with contextlib.ExitStack() as stack:
        for owner, name in _CLOSED:
            closed = _closed(getattr(owner, name), f"{owner.__name__}.{name}")
            stack.enter_context(mock.patch.object(owner, name, closed))
        yield


def _closed(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    here = threading.get_ident()

    def closed(*arguments: Any, **named: Any) -> Any:
        if threading.get_ident() == here:
            raise Impure(f"an adapter is pure: it may not use {name}")
        return original(*arguments, **named)

    return closed
