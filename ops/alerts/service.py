"""All loops of the alerts together, in one process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ops.alerts.alerter import Alerter
from ops.alerts.courier import Courier
from ops.alerts.deliveries import outbox_path
from ops.alerts.outbox import SharedOutbox
from ops.alerts.watcher import Watcher

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store


async def run_alerts(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Alert whoever is configured until `stop` is set; without receivers there is nothing to do."""
    if not settings.alerts:
        return
    outbox = SharedOutbox(outbox_path(settings.data_dir))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(Alerter(store, settings, outbox).run(stop))
            if settings.channels or settings.wms:
                group.create_task(Watcher(settings, outbox).run(stop))
            for name in settings.alerts:
                group.create_task(Courier(name, settings, outbox).run(stop))
    finally:
        outbox.close()
