"""Parcels in a whole service: from a warehouse's word to three platforms, over kills."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.channels.platforms import Platforms, Simulator, agrees, running
from tests.ops.service import holdfast
from tests.waiting import until

STOCK = {"A": 1_000, "B": 1_000}
FAULTS = {"error": 0.05, "unanswered": 0.1, "duplicated": 0.1}
ORDERS = 12  # at each platform
PARTS = ({"A": 1}, {"A": 1, "B": 1})


def orders_of(simulator: Simulator) -> list[dict[str, Any]]:
    """Let buyers place and pay orders."""
    lines = [{"outer_id": "A", "quantity": 2}, {"outer_id": "B", "quantity": 1}]
    return [simulator.say("POST", "/orders", lines=lines, paid=True) for number in range(ORDERS)]


def packed(order: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Pack an order: in one parcel, or in two between which a line is divided."""
    name = f"F{order['order_id']}"
    told = {"company": "SF", "tracking_number": f"SF{order['order_id']}"}
    if number % 2:
        return [{"fulfilment_id": name, **told}]
    return [
        {
            "fulfilment_id": f"{name}-{part}",
            "company": "SF",
            "tracking_number": f"{told['tracking_number']}-{part}",
            "lines": [{"sku": sku, "quantity": units} for sku, units in packed.items()],
        }
        for part, packed in enumerate(PARTS)
    ]


def leaves(platforms: Platforms, channel: str, order: dict[str, Any], number: int) -> None:
    """Let an order leave: each parcel is fulfilled, then its platform told."""
    reservation = f"/v1/reservations/{channel}:{order['order_id']}/fulfil"
    path = f"/v1/channels/{channel}/orders/{order['order_id']}/parcels"
    for parcel in packed(order, number):
        part = {name: parcel[name] for name in ("fulfilment_id", "lines") if "lines" in parcel}
        platforms.http.post(reservation, json=part).raise_for_status()
        platforms.http.post(path, json=parcel).raise_for_status()


def numbers(order: dict[str, Any]) -> list[str]:
    """Tell the number of the parcel of each line."""
    return [line["tracking_number"] for line in order["lines"]]


@pytest.mark.chaos
def test_what_leaves_is_told_and_leaves_once(tmp_path: Path) -> None:
    """While platforms fail, lose answers and say everything twice, and the agents are killed."""
    with running(tmp_path, STOCK) as platforms:
        simulators = list(platforms.simulators.values())
        placed = {simulator.channel: orders_of(simulator) for simulator in simulators}
        until(lambda: agrees(platforms, STOCK), "all are confirmed", seconds=60)
        for simulator in simulators:
            simulator.say("PUT", "/faults", **FAULTS, seed=3)
        for channel, orders in placed.items():
            for number, order in enumerate(orders):
                leaves(platforms, channel, order, number)
            for pid in platforms.service.tree()["agents"]:
                os.kill(pid, signal.SIGKILL)

        def all_are_told() -> bool:
            stages = {order["stage"] for one in simulators for order in one.orders()}
            states = {
                row["state"]
                for channel in placed
                for row in platforms.http.get(f"/v1/channels/{channel}/parcels").json()["items"]
            }
            return stages == {"shipped"} and states <= {"acknowledged", "not-told"}

        until(all_are_told, "all platforms know", seconds=60)
        until(lambda: agrees(platforms, STOCK), "it has left once", seconds=60)
        gone = 3 * ORDERS
        assert platforms.stock("A")["on_hand"] == 1_000 - 2 * gone
        assert platforms.stock("B")["on_hand"] == 1_000 - gone
        for simulator in simulators:
            for number, order in enumerate(placed[simulator.channel]):
                told = simulator.say("GET", f"/orders/{order['order_id']}")
                last = packed(order, number)[-1]["tracking_number"]
                assert numbers(told) == [last, last]
                assert platforms.state_of(f"{simulator.channel}:{order['order_id']}") == "fulfilled"
                leaves(platforms, simulator.channel, order, number)  # said again, it is the same
        assert agrees(platforms, STOCK)
        audit = holdfast("audit", "--data-dir", platforms.data_dir, HOLDFAST_DURABILITY="memory")
        assert audit.returncode == 0, audit.stdout + audit.stderr
