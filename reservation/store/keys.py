"""Every key: its name and its type.

All keys of a partition share a hash tag, so a script's keys are always in one slot. The set is
fixed and none is ever empty (`ensure_partition.lua` lays a sentinel in each).
"""

from __future__ import annotations

PREFIX = "hf"
META = f"{PREFIX}:meta"  # hash: partitions, layout, born_ms
API_KEYS = f"{PREFIX}:keys"  # hash: key id -> JSON
ENDED_SESSIONS = f"{PREFIX}:sessions"  # zset: key id:session id, signed out -> its end (s)
AGENTS = f"{PREFIX}:agents"  # hash: data directory -> ms of its agents' last look, place

LAYOUT = 3  # version of records, events and entries; another one is refused at start
PARTITIONS = 1  # more need the router of the scale-out step

SENTINEL = "."

# name -> Redis type, as TYPE answers it.
PARTITION_KEYS = {
    "on_hand": "hash",
    "safety": "hash",
    "held": "hash",
    "committed": "hash",
    "levels": "hash",
    "reservations": "hash",
    "due": "zset",
    "ended": "zset",
    "adjustments": "hash",
    "breaker": "hash",
    "health": "hash",
    "quota": "hash",
    "events": "stream",
    "clock": "hash",
}


def key(partition: int, name: str) -> str:
    """Name a key of a partition, e.g. `hf:{p0000}:held`."""
    return f"{PREFIX}:{{p{partition:04d}}}:{name}"
