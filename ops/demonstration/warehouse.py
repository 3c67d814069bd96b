"""The simulated warehouse in a process of its own: the other side of the same settings.

It begins with what our books say that it has, and answers nobody before: so one that died comes
back with its goods, though without its orders, and refuses none for goods that it has.
"""

from __future__ import annotations

import time
from socket import socket
from typing import TYPE_CHECKING, Final

from ops.day.partners import CUSTOMER, FRESH_SECONDS, SPREAD, TRANSIT
from ops.demonstration.house import DAY_SKUS, HOUSE
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import serve
from reservation.client import Client, Refused, Unavailable
from wms_sync.clock import clock_of
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.qimen import Account, Qimen, Settings
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

if TYPE_CHECKING:
    from reservation import config
    from reservation.client import StockLevel

# Its outbox remembers what has left for 30 of its days: 10 cycles of orders.
MOST_ORDERS: Final = 6_000
AGAIN_SECONDS: Final = 0.2  # before a service that is not there yet is asked again
RETRY_SECONDS: Final = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 240)  # of real time, for reports


def run(settings: config.Settings, name: str, descriptor: int, service_url: str) -> int:
    """Serve a warehouse on a listening socket until SIGTERM."""
    url = f"{service_url}/v1/warehouses/{name}/reports"
    simulator = simulated(settings, name, url, first_id=time.time_ns())
    fill(simulator.site.warehouse, service_url, settings.admin_key or "")
    serve(simulator, socket(fileno=descriptor))
    return 0


def fill(warehouse: Warehouse, service_url: str, admin_key: str) -> None:
    """Put in what a service says is there, once it says so; who calls meanwhile waits."""
    with Client(service_url, admin_key) as service:
        for sku in DAY_SKUS:
            for level in _levels(service, sku):
                if level.warehouse == HOUSE and level.on_hand > 0:
                    warehouse.put_in(sku, Kind.GOOD, level.on_hand)


def _levels(service: Client, sku: str) -> tuple[StockLevel, ...]:
    while True:  # ends: the service comes back, or our parent ends us
        try:
            return service.stock(sku).warehouses
        except Refused:  # it knows no such level, or not this key: nobody orders here then
            return ()
        except Unavailable:
            time.sleep(AGAIN_SECONDS)


def simulated(settings: config.Settings, name: str, url: str, *, first_id: int) -> Qimen:
    """Make the warehouse of some settings, still empty, that reports to an address."""
    system, fast = settings.wms[name], clock_of(settings)
    # By the world's time, as whoever feeds it: the two never part.
    clock = Clock(fast.now_ms(), speed=fast.speed, tick_ns=time.time_ns)
    ways = Ways(intake=system.orders_per_day, burst=system.burst + TRANSIT, spread=SPREAD)
    warehouse = Warehouse(clock, ways, first_id=first_id, forgets_above=MOST_ORDERS)
    account = Account(
        app_key=system.app_key,
        secret=system.secrets[0],
        customer_id=CUSTOMER,
        warehouse_code=system.code,
        owner_code=system.owner,
    )
    behaviour = Settings(
        tolerance_ms=FRESH_SECONDS * 1000,
        retry_ms=[round(seconds * 1000 * fast.speed) for seconds in RETRY_SECONDS],
    )
    return Qimen(Site(clock, Faults(), warehouse), account, behaviour, url=url)
