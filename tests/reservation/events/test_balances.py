"""What events do to balances: each follows from the one before it."""

from __future__ import annotations

from reservation.events import read_entry
from reservation.events.balances import carry, steps
from reservation.events.entries import Balances, levels_of, skus_of
from reservation.store.store import Store
from tests.reservation.events.doings import Doings


async def test_steps_follow_from_each_other(store: Store, doings: Doings) -> None:
    """The balance after each event is the one before it, carried over it: nothing is missing."""
    await doings.some(150)
    balances: Balances = {}
    kinds = set()
    entries = await store.log.read("", count=10_000)
    for _, fields in entries:
        for event, after in steps(read_entry(fields)):
            kinds.add(event.kind)
            carry(event, after, balances)
            assert {level: balances[level] for level in after} == after
            assert skus_of(event) == {level.rpartition("@")[0] for level in levels_of(event)} or (
                event.kind in "LOJKP"
            )
    assert kinds >= set("HDCRXFSALO")
    for sku in ("CAT", "DOG", "猫 粮@1"):
        for level in (await store.read_stock([sku]))[0].levels:
            counted = (level.on_hand, level.safety_stock, level.held, level.committed)
            assert balances[f"{sku}@{level.warehouse}"] == counted


def test_what_an_entry_does_not_know_is_not_told() -> None:
    """An order that was extended changes no balance, and its entry may have none."""
    entry = read_entry({"e": "E\ttmall:1\tk|r\t9\t2 CAT@main", "b": ""})
    assert steps(entry) == [(entry.events[0], {})]
