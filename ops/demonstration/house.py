"""The simulated warehouse of the demonstration's festival day: its name, goods and settings.

It is another warehouse than the one that all else of the demonstration lies in: what is sold there
waits for nobody's system. Its time is fast, and so is that of all that feeds it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ops.day.partners import (
    CODE,
    ORIGIN_MS,
    OWNER,
    QIMEN_OPTIONS,
)
from ops.day.plan import EXPRESS_SKU, SAMPLE_SKUS, SKUS
from reservation.warehouses import FastClock, WarehouseSystem

if TYPE_CHECKING:
    from reservation import config

HOUSE: Final = "hangzhou"
DAY_SKUS: Final = (*SKUS, *SAMPLE_SKUS, EXPRESS_SKU)  # what lies there
# A day in 48 s: with the next two midnights, by which the backlog has drained, 144 s.
SPEED: Final = 1_800.0
# Of a day, in the proportion of the real one (47,000 and 18,000), as many as a machine has room for
# beside other work: an order costs some 80 ms of CPU where each comes by itself.
ORDERS: Final = 250
CAPACITY: Final = 96  # four an hour
BURST: Final = 2  # at once, after a quiet moment: half an hour's
APP_KEY: Final = "12345678"
GATEWAY: Final = "/router/qimen/service"  # the path of the simulated one
SECRET_BYTES: Final = 16
STOCK_APART_MINUTES: Final = 360  # 12 s: a report that is later than two of these is a false drift
STOCK_CALLS_PER_MINUTE: Final = 1 / 180  # one in 6 s; two have all that lies there


def settings_with(settings: config.Settings, url: str, now_ms: int) -> Mapping[str, Any]:
    """Give the settings that feed the warehouse at an address, its festival's week beginning now.

    What is dated by its time is forgotten at each start, so it may begin anew.
    """
    system = WarehouseSystem(
        connector="qimen",
        url=f"{url}{GATEWAY}",
        code=CODE,
        owner=OWNER,
        app_key=APP_KEY,
        secrets=(secrets.token_hex(SECRET_BYTES),),
        options=dict(QIMEN_OPTIONS),
        orders_per_day=CAPACITY,
        burst=BURST,
        stock_calls_per_minute=STOCK_CALLS_PER_MINUTE,
        stock_pass_minutes=STOCK_APART_MINUTES,
        drift_apart_minutes=STOCK_APART_MINUTES,
    )
    known = settings.warehouses
    return {
        "wms": {HOUSE: system},
        "warehouse_clock": FastClock(since_ms=now_ms, origin_ms=ORIGIN_MS, speed=SPEED),
        "sold_from": dict.fromkeys(("PET-*", "SAMPLE-*", EXPRESS_SKU), HOUSE),
        "warehouses": None if known is None else known | {HOUSE},
    }
