"""One call to a partner over HTTP: bounded in time and size.

What goes wrong is a PartnerFault that says whether the same call may be made again.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx

from partners.errors import PartnerFault
from partners.model import Request, Response
from reservation.receivers import is_loopback

TIMEOUT_SECONDS: Final = 10.0  # for an answer; platforms give up on themselves before
MOST_ANSWER_BYTES: Final = 8 << 20  # a page of a hundred orders has less than a tenth of it


class Connection:
    """The way to one partner, whose calls go to the host of `url`."""

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        # A proxy is the way out of a company's network, and never to this machine.
        proxied = not is_loopback(urlsplit(url).hostname or "")
        self._http = httpx.AsyncClient(
            timeout=timeout_seconds, trust_env=proxied, headers={"user-agent": "holdfast"}
        )

    async def close(self) -> None:
        """Close it."""
        await self._http.aclose()

    async def send(self, request: Request) -> Response:
        """Make a call, once; any status is an answer. Raises PartnerFault where there is none."""
        body = b""
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._http.stream(
                    request.method,
                    request.url,
                    content=request.body or None,
                    headers=dict(request.headers),
                ) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MOST_ANSWER_BYTES:
                        raise PartnerFault("too-large", "its answer has no end", again=False)
        except TimeoutError as error:
            told = f"no answer within {self._timeout_seconds:g} s"
            raise PartnerFault("timeout", told, again=True, unknown=True) from error
        except httpx.ConnectError as error:
            raise PartnerFault("unreachable", type(error).__name__, again=True) from error
        except httpx.HTTPError as error:
            raise PartnerFault("lost", type(error).__name__, again=True, unknown=True) from error
        headers = {name.lower(): text for name, text in answer.headers.items()}
        return Response(answer.status_code, body, headers)
