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
        self._proxied = not is_loopback(urlsplit(url).hostname or "")
        self._trusted = httpx.create_ssl_context(trust_env=self._proxied)
        # httpx looks at every connection of a client for every call: each has one, and is reused.
        self._all: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    async def close(self) -> None:
        """Close it."""
        for http in self._all:
            await http.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._idle:
            return self._idle.pop()
        self._all.append(
            httpx.AsyncClient(
                timeout=self._timeout_seconds,
                trust_env=self._proxied,
                verify=self._trusted,
                headers={"user-agent": "holdfast"},
            )
        )
        return self._all[-1]

    async def send(self, request: Request) -> Response:
        """Make a call, once; any status is an answer. Raises PartnerFault where there is none."""
        body = b""
        http = self._client()
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                http.stream(
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
        except (ValueError, OverflowError, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            # It stands in the url or a header, where it cannot: nothing has left.
            told = f"{type(error).__name__}: {error}"
            raise PartnerFault("unsendable", told, again=False) from error
        except httpx.HTTPError as error:
            raise PartnerFault("lost", type(error).__name__, again=True, unknown=True) from error
        finally:
            self._idle.append(http)
        headers = {name.lower(): text for name, text in answer.headers.items()}
        return Response(answer.status_code, body, headers)
