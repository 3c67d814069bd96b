"""What a replay asks of the service, and its answers in the replay's words.

A request without a usable answer is sent again under the same id, which is safe: the id is the
idempotency key. Only when that has gone on for `PATIENCE_SECONDS` is the request given up.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

from reservation.errors import Effect, HoldfastError, StoreUnavailable
from reservation.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from ops.replay.orders import OrderLine

PATIENCE_SECONDS = 30.0  # a restarted service is back within 5 s; a longer outage is no hiccup
KNOCK_SECONDS = 3.0  # for a service that is not there at all
KNOCKED_AT = "knock"  # no SKU: whether it exists does not matter
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
ANSWER_SECONDS = 10.0  # twice the service's own deadline for a request
IMPORT_SECONDS = 300.0  # a file of 16 MiB

NEXT_STEP = "start the service with `holdfast up`, or give --url another address"


class Unanswered(StoreUnavailable):
    """No usable answer came within the patience; `effect` says whether it may have had one."""


class Denied(HoldfastError):
    """The key is unknown or does not allow this."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service said to one verb; `problem` is a refusal's slug, empty where it was done."""

    problem: str = ""
    detail: str = ""
    state: State | None = None
    known: bool = False  # the id was there before this gateway first sent it
    prevented_units: int = 0  # requested beyond what was available
    available: tuple[int, ...] = ()  # of each short line
    suspended: tuple[str, ...] = ()  # SKUs whose breaker is open, as far as the answer says

    @property
    def granted(self) -> bool:
        """Say whether the verb had its effect now, and not in an earlier run."""
        return not self.problem and not self.known


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: dict[str, Any]
    replayed: bool
    doubted: bool  # an earlier sending of the same request may have had its effect


class Gateway:
    """A channel's order gateway, for as many channels as its key may act for."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        self.url = url
        self.resent = 0
        self._patience_seconds = patience_seconds or PATIENCE_SECONDS
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(max_connections=128, max_keepalive_connections=128),
            transport=transport,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def knock(self) -> None:
        """Find out early whether the service is there and knows the key; changes nothing.

        Raises Unanswered and Denied.
        """
        path, patience = f"/v1/stock/{KNOCKED_AT}", KNOCK_SECONDS
        await self._ask("GET", path, patience_seconds=min(patience, self._patience_seconds))

    async def reserve(
        self, reservation_id: str, lines: Sequence[OrderLine], ttl_seconds: int
    ) -> Reply:
        """Ask for a hold."""
        body = {
            "reservation_id": reservation_id,
            "lines": [_line(line) for line in lines],
            "ttl_seconds": ttl_seconds,
        }
        return _reply(await self._ask("POST", "/v1/reservations", json=body))

    async def confirm(self, reservation_id: str) -> Reply:
        """Tell that the order is paid."""
        return await self._move(reservation_id, "confirm")

    async def fulfil(self, reservation_id: str) -> Reply:
        """Tell that everything left has been shipped."""
        return await self._move(reservation_id, "fulfil")

    async def state(self, reservation_id: str) -> State | None:
        """Read a reservation's state, None where it is not known."""
        answer = await self._ask("GET", f"/v1/reservations/{quote(reservation_id, safe='')}")
        return _reply(answer).state

    async def import_stock(self, file: bytes, *, dry_run: bool = False) -> dict[str, Any]:
        """Set levels by a file; the answer has the members of contract section 3."""
        answer = await self._ask(
            "POST",
            "/v1/stock/import",
            params={"dry_run": "true" if dry_run else "false"},
            content=file,
            headers={"Content-Type": "text/csv; charset=utf-8"},
            timeout=IMPORT_SECONDS,
        )
        return answer.body

    async def stock(self, sku: str) -> dict[str, Any] | None:
        """Read a SKU's levels and breaker, None where it has no level."""
        answer = await self._ask("GET", f"/v1/stock/{quote(sku, safe='')}")
        return answer.body if answer.status < 300 else None

    async def set_stock(self, sku: str, on_hand: int) -> dict[str, Any]:
        """Set a SKU's count in the default warehouse."""
        body = {"on_hand": on_hand}
        return (await self._ask("PUT", f"/v1/stock/{quote(sku, safe='')}", json=body)).body

    async def _move(self, reservation_id: str, verb: str) -> Reply:
        path = f"/v1/reservations/{quote(reservation_id, safe='')}/{verb}"
        return _reply(await self._ask("POST", path, json={}))

    async def _ask(
        self, method: str, path: str, *, patience_seconds: float | None = None, **request: Any
    ) -> _Answer:
        """Send a request until it is answered or the patience ends. Raises Unanswered, Denied."""
        loop = asyncio.get_running_loop()
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        give_up_at = loop.time() + patience
        pause = FIRST_PAUSE_SECONDS
        effect: Effect = "not_applied"
        while True:
            try:
                response = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                detail = f"{self.url} gives no answer ({error or type(error).__name__})"
                if not isinstance(error, httpx.ConnectError):
                    effect = "unknown"
            else:
                body = _body(response)
                if response.status_code in {401, 403}:
                    reason = body.get("detail") or body.get("title") or response.status_code
                    raise Denied(f"{self.url} refuses the key: {reason} Give --key another one.")
                if response.status_code < 500 and response.status_code != 429:
                    replayed = response.headers.get("Idempotent-Replayed") == "true"
                    return _Answer(response.status_code, body, replayed, effect == "unknown")
                detail = f"{self.url} answers {response.status_code}: {body.get('detail', '')}"
                if response.status_code != 429 and body.get("outcome") != "not_applied":
                    effect = "unknown"
            if loop.time() + pause > give_up_at:
                raise Unanswered(f"{detail}; {NEXT_STEP}", effect=effect)
            await asyncio.sleep(pause * random.random())  # noqa: S311 (jitter, no secret)
            pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)
            self.resent += 1


def _line(line: OrderLine) -> dict[str, Any]:
    body: dict[str, Any] = {"sku": line.sku, "quantity": line.quantity}
    if line.warehouse is not None:
        body["warehouse"] = line.warehouse
    return body


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _reply(answer: _Answer) -> Reply:
    body = answer.body
    if answer.status < 300:
        known = answer.replayed and not answer.doubted
        return Reply(state=State(body["state"]), known=known)
    short = body.get("lines", [])
    suspended = [*body.get("suspended", ()), *(item["sku"] for item in body.get("skus", ()))]
    slug = str(body.get("type", "")).rpartition("/")[2] or f"status {answer.status}"
    return Reply(
        problem=slug,
        detail=str(body.get("detail", "")),
        prevented_units=sum(line["requested"] - line["available"] for line in short),
        available=tuple(line["available"] for line in short),
        suspended=tuple(suspended) if slug in {"insufficient-stock", "sku-suspended"} else (),
    )
