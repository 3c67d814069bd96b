"""The configuration file of our own server; every line is there for a promise of ours."""

from __future__ import annotations

import os
from pathlib import Path

from reservation.config import Durability, Settings
from reservation.store.machine import memory_limit_bytes

# What each level asks of the append-only file; README.md says what it survives.
APPEND_FSYNC = {
    Durability.RELAXED: "everysec",
    Durability.MEMORY: "no",
    Durability.FSYNC: "always",
    Durability.REPLICATED: "always",
}


def render_configuration(settings: Settings, directory: Path, socket_file: Path) -> str:
    """Write the server's configuration.

    What is not named keeps the server's default, on Valkey 9 as on Redis 7.0.
    """
    memory = memory_limit_bytes() * settings.store_max_memory_percent // 100
    lines = [
        "# Written by Holdfast at every start: changes here are lost.",
        "port 0",
        f"unixsocket {_quoted(socket_file)}",
        "unixsocketperm 700",
        "daemonize no",
        f"dir {_quoted(directory)}",
        f"logfile {_quoted(directory / 'store.log')}",
        "loglevel notice",
        "set-proc-title no",  # the command line names this file: how a leftover is known
        "enable-debug-command no",
        'save ""',
        "appendonly yes",
        f"appendfsync {APPEND_FSYNC[settings.durability]}",
        "no-appendfsync-on-rewrite no",
        "aof-load-truncated yes",
        f"auto-aof-rewrite-percentage {settings.store_rewrite_percent}",
        f"auto-aof-rewrite-min-size {settings.store_rewrite_min_mb}mb",
        "rdbcompression no",  # half of what a rewrite costs; the file is twice as large
        f"maxmemory {memory}",
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """Quote a path as the server's configuration reads it: any byte may be in it."""
    plain = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:@ ")
    encoded = "".join(
        chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(path)
    )
    return f'"{encoded}"'
