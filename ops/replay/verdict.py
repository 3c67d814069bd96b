"""The audit's verdict on the store behind a replay, where that store can be reached from here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reservation.audit import AuditReport, audit
from reservation.errors import HoldfastError
from reservation.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.config import Settings

ELSEWHERE = (
    "The service's store is not reachable from here: run `holdfast audit` where it is,"
    " with HOLDFAST_REDIS_URL or --data-dir."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The audit's report, or advice how to get one."""

    report: AuditReport | None
    advice: str = ""

    @property
    def broken(self) -> bool:
        """Say whether an audit ran and found an invariant broken."""
        return self.report is not None and not self.report.ok


async def reach_verdict(
    settings: Settings,
    *,
    url: str,
    witness: str | None,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Audit the store that `settings` name, if it is the one behind the service at `url`.

    `witness` is a reservation of this replay: a store that does not know it is another one, and
    its audit would prove nothing.
    """
    if settings.redis_url is None and not is_this_machine(url):
        return Verdict(None, ELSEWHERE)
    try:
        store = await Store.open(settings, adopt_policy=False)
    except (HoldfastError, OSError) as error:
        return Verdict(None, f"{ELSEWHERE} ({error})")
    try:
        if witness is not None and (await store.read_reservations([witness]))[0] is None:
            return Verdict(None, f"{ELSEWHERE} (The store found here does not know {witness}.)")
        return Verdict(await audit(store, progress=progress))
    except HoldfastError as error:
        return Verdict(None, f"The audit could not finish: {error}. Run `holdfast audit` again.")
    finally:
        await store.close()


def is_this_machine(url: str) -> bool:
    """Say whether an address is loopback, judged by its text: no name is looked up."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
