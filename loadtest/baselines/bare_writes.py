"""Baseline, frozen: the three writes that no reservation can do without, without any decision."""

from __future__ import annotations

DEPTH = 64  # orders in a buffer, three writes each
KEYS = ("bare:reservations", "bare:due", "bare:held")


def commands(reservation_id: str, sku: str, deadline_ms: int) -> tuple[list[str | int], ...]:
    """Write the record, its deadline, and the unit that is held."""
    return (
        ["HSET", KEYS[0], reservation_id, f"H{deadline_ms} 1 {sku}"],
        ["ZADD", KEYS[1], deadline_ms, reservation_id],
        ["HINCRBY", KEYS[2], sku, 1],
    )
