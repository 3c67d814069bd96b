"""The listening socket of the service: bound by the parent, shared by its API workers."""

from __future__ import annotations

import errno
import socket

from reservation.config import Settings
from reservation.errors import ConfigurationError

BACKLOG = 2_048  # connections that wait to be accepted; the kernel may allow fewer

_REASONS = {
    errno.EADDRINUSE: "is taken: end what listens there, or give another --port",
    errno.EACCES: "needs more rights: give a --port above 1023",
    errno.EADDRNOTAVAIL: "is no address of this machine: give another --host",
}


def listen(settings: Settings) -> socket.socket:
    """Bind and listen on the configured address; port 0 takes any that is free.

    Raises ConfigurationError saying what is in the way and what to do.
    """
    place = f"port {settings.port} on {settings.host}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        message = f"{settings.host!r} is no address of this machine: give another --host ({error})"
        raise ConfigurationError(message) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = _REASONS.get(error.errno or 0, f"cannot be listened on: {error.strerror}")
        raise ConfigurationError(f"{place} {reason}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Name the address that a browser on this machine can open."""
    host, port = listener.getsockname()[:2]
    if host == "0.0.0.0":  # noqa: S104 (read, not bound: everywhere includes here)
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
