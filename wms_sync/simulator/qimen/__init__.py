"""A warehouse that speaks Qimen (奇门), the standard between ERP and warehouse of Taobao's world.

Reading order: `signing`, `document` (XML), `account` (who may call, and the settings), `delivery`
(an order, read), `calls` (the methods), `gateway` (what every call is held to); `reports` (what it
tells by itself), and here how they are sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from partners.simulation.courier import Courier, Heard, Pace
from partners.simulation.forms import Declined, Form, change, read
from partners.simulation.post import Post
from partners.simulation.simulator import Answer, Cut, Simulator
from wms_sync.simulator.orders import Event
from wms_sync.simulator.qimen.account import Account, Settings
from wms_sync.simulator.qimen.document import flag_of, written_time
from wms_sync.simulator.qimen.gateway import PREFIX, Gateway
from wms_sync.simulator.qimen.reports import Report, Reports
from wms_sync.simulator.qimen.signing import sign
from wms_sync.simulator.site import Site

__all__ = ["PATH", "Account", "Qimen", "Settings"]

PATH = "/router/qimen/service"
HEADERS = {"content-type": "application/xml;charset=UTF-8"}


class Address(Form):
    """Where reports go; none: nowhere."""

    url: str | None


class Qimen(Simulator):
    """A warehouse's Qimen face."""

    platform = "qimen"

    def __init__(
        self,
        site: Site,
        account: Account,
        settings: Settings | None = None,
        *,
        url: str | None = None,
    ) -> None:
        super().__init__(site)
        self.site, self.account, self.settings = site, account, settings or Settings()
        self.gateway = Gateway(site, account, self.settings)
        self.courier = Courier[Report](site, self._deliver, self._pace)
        self.reported: Counter[str] = Counter()
        self.url: str | None = None
        self._to, self._query = "", dict[str, str]()  # the address without its query, and that
        self.point_to(url)
        self._reports = Reports(account, self.settings)
        self._post = Post()
        site.warehouse.listeners.append(self.happened)

    def face(self) -> Sequence[BaseRoute]:
        """Give the gateway's address."""
        return [Route(PATH, self._service, methods=["POST"])]

    def happened(self, event: Event) -> None:
        """Report it, where somebody wants it."""
        if self.url is None:
            return
        for report in self._reports.of(event):
            self.reported[report.method] += 1
            self.courier.send(report, report.key)

    def point_to(self, url: str | None) -> None:
        """Report to this address from now on. Raises ValueError."""
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("a url is http://… or https://…")
            self._to = parts._replace(query="", fragment="").geturl()
            self._query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.url = url

    async def run(self) -> None:
        """Let the warehouse work, and send its reports."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.courier.run())
                group.create_task(self.site.work())
        finally:
            await self._post.aclose()

    def state(self) -> dict[str, Any]:
        """Tell how calls ended, what has become of reports, and the settings."""
        return {
            "url": self.url,
            "calls": self.gateway.counts,
            "reported": self.reported,
            "reports": self.courier.counts,
            "reports_waiting": self.courier.waiting,
            "given_up": [f"{each.method} {each.key}" for each in self.courier.given_up],
            "gateway": msgspec.structs.asdict(self.settings),
        }

    def desk(self) -> Mapping[tuple[str, str], Answer]:
        """Let the address and the gateway's settings be changed.

        PUT /url {"url"}: where reports go; null ends them. PUT /settings.
        """
        return {("/url", "PUT"): self._set_url, ("/settings", "PUT"): self._set}

    # -- reports ---------------------------------------------------------------------------------

    def _pace(self) -> Pace:
        return Pace(self.settings.lanes, 1, self.settings.retry_ms)

    async def _deliver(self, reports: list[Report]) -> Heard:
        """Send a report, signed now; only flag success is taken."""
        if self.url is None:
            return Heard(taken=False, stop=True)
        (report,) = reports
        query = self._query | {
            "method": (PREFIX if self.settings.prefixed else "") + report.method,
            "timestamp": written_time(self.site.clock.now_ms()),
            "format": "xml",
            "app_key": self.account.app_key,
            "v": "2.0",
            "sign_method": "md5",
            "customerId": self.account.customer_id,
        }
        query["sign"] = sign(query, report.body, self.account.secret)
        said = await self._post.send(
            f"{self._to}?{urlencode(query)}",
            report.body,
            HEADERS,
            seconds=self.settings.answer_ms / 1000,
        )
        if said is None:
            return Heard(taken=False)
        return Heard(taken=said.status == 200 and flag_of(said.body) == "success")

    # -- calls and desk --------------------------------------------------------------------------

    async def _service(self, request: Request) -> Response | Cut:
        return await self.gateway.service(request)

    async def _set_url(self, request: Request) -> Any:
        url = (await read(request, Address)).url
        try:
            self.point_to(url)
        except ValueError as error:
            raise Declined(str(error)) from None
        return {"url": url}

    async def _set(self, request: Request) -> Any:
        return await change(self.settings, request)
