"""How a platform is put before a shop: `partners.simulation.simulator` with the shop behind.

A new platform is one file: a subclass of `SimulatedPlatform` with its `face`, and a command in
`command`. What it may build on, besides what every simulator may: `world.shop` changes by calls of
the platform's own API and by the control side; whatever happens comes to `happened`, at once: there
it writes its messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.simulator.control import ShopDesk
from channels.simulator.shop import Shop
from channels.simulator.trade import Event
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.simulator import Answer, Simulator, World


class ShopWorld(World):
    """What stands behind a platform: its time, its dice, its shop."""

    def __init__(self, clock: Clock, faults: Faults, shop: Shop) -> None:
        super().__init__(clock, faults)
        self.shop = shop
        self._desk = ShopDesk(shop)
        shop.listeners.append(lambda _: self.changed.set())

    def state(self) -> dict[str, Any]:
        """Tell how much the shop has."""
        return self._desk.state()

    def desk(self) -> Mapping[tuple[str, str], Answer]:
        """Let items be offered, orders be placed, and both be changed."""
        return self._desk.answers()


class SimulatedPlatform(Simulator):
    """A platform's own face before a shop."""

    world: ShopWorld

    def __init__(self, world: ShopWorld) -> None:
        super().__init__(world)
        world.shop.listeners.append(self.happened)

    def happened(self, event: Event) -> None:
        """Write the messages that the platform sends of this."""
        del event
