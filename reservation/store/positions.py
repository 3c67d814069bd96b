"""Positions of the event log, `<ms>-<seq>`: what readers are told as `version`. Pure."""

from __future__ import annotations

Version = tuple[int, int]  # a position, comparable
LAST_SEQUENCE = (1 << 63) - 1  # of a millisecond; no call comes near


def version_key(version: str) -> Version:
    """Make a position `<ms>-<seq>` comparable: number by number."""
    ms, _, sequence = version.partition("-")
    return int(ms), int(sequence)


def version_before(position: Version) -> Version:
    """Name the last position before another: behind it that other one comes next."""
    ms, sequence = position
    return max((0, 0), (ms, sequence - 1) if sequence else (ms - 1, LAST_SEQUENCE))
